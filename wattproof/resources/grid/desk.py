"""The desk where every request for grid data arrives: the newest usable reading of each place, never late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattproof.resources.grid.bundled import annual_reading
from wattproof.resources.grid.observation import GridSource, Observation, Place
from wattproof.resources.grid.reading import Reading

if TYPE_CHECKING:
    import httpx2

__all__ = ["Grid", "SourceStatus"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source fares: `state` is `ok`, `untried`, `no_key`, `off` or a reason code of its last failure."""

    name: str
    title: str
    key_env: tuple[str, ...]
    state: str
    detail: str | None = None
    retry_at: float | None = None


class Grid:
    """Grid data for one process."""

    def __init__(
        self,
        sources: tuple[GridSource, ...],
        *,
        client: httpx2.AsyncClient,
        environ: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._client = client
        self._environ = environ
        self._clock = clock

    async def readings(self, places: Iterable[Place], now_s: float) -> dict[Place, Reading]:
        """The newest usable reading of each place: at worst the annual edition's."""
        return {place: annual_reading(place.zone, now_s) for place in places}

    async def forecast(self, place: Place, now_s: float, until_s: float) -> tuple[Observation, ...]:
        """Forecast intervals of one place from now until `until_s`, in order; empty where no source offers one."""
        return ()

    def status(self) -> tuple[SourceStatus, ...]:
        """How each source fares."""
        return ()

    async def aclose(self) -> None:
        """Stop what runs behind requests."""
