"""The real grid desk on invented sources: what they say is labelled, so that no reading passes for an observed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from wattproof.resources.grid import Grid, GridConnection, GridSource, Observation, Place
from wattproof.resources.grid.sources import default_sources
from wattproof.server.simulate.fleet import World
from wattproof.server.simulate.rows import ENVIRON, GRID_URLS

if TYPE_CHECKING:
    import httpx2

__all__ = ["invented_sources", "open_grid"]

_LICENCE = "none: invented by the simulator"


class _Invented:
    """A real source class that asks an invented API; its name and its observations say that they are simulated."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.name = f"simulated-{source.name}"
        self.title = f"{source.title} (simulated)"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        return self._labelled(await self._source.latest(place, connection))

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        return tuple(map(self._labelled, await self._source.forecast(place, until_s, connection)))

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        return tuple(map(self._labelled, await self._source.history(place, connection)))

    def _labelled(self, observation: Observation) -> Observation:
        return replace(observation, source=self.name, licence=_LICENCE)


def invented_sources() -> tuple[GridSource, ...]:
    """Every source, in the order in which the desk asks them; those whose keys `ENVIRON` lacks are never asked."""
    return tuple(
        cast("GridSource", cast("object", _Invented(source))) for source in default_sources(ENVIRON, GRID_URLS)
    )


def open_grid(client: httpx2.AsyncClient, world: World, monotonic: Callable[[], float]) -> Grid:
    """The desk; close it with `aclose`. It keeps nothing on disk."""
    return Grid(
        invented_sources(),
        client=client,
        environ=ENVIRON,
        clock=world.clock,
        monotonic=monotonic,
        random=world.draw("grid desk"),
    )
