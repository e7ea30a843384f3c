"""One walk per place along the sources of readings, in their order, until one of them is live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wattproof.resources.grid.lookups import Lookups
from wattproof.resources.grid.observation import GridSource, Place, reading_at

__all__ = ["Walks"]


@dataclass(frozen=True, slots=True)
class _Walk:
    """A task that asks the sources of one place in order; `patient_until_s` is of the event loop's clock."""

    task: asyncio.Task[None]
    patient_until_s: float


class Walks:
    """The walks under way. A request waits for one at most `patience_s`, and not at all after a failure."""

    def __init__(
        self, sources: tuple[GridSource, ...], lookups: Lookups, *, clock: Callable[[], float], patience_s: float
    ) -> None:
        self._sources = sources
        self._lookups = lookups
        self._clock = clock
        self._patience_s = patience_s
        self._walks: dict[Place, _Walk] = {}

    def start(self, places: Iterable[Place]) -> None:
        """Begin a walk for each place about which a source may know better, unless one is under way."""
        for place in places:
            first = None if place in self._walks else self._next(place, set())
            if first is not None:
                self._walks[place] = self._begun(place, first)

    async def wait(self, places: Iterable[Place], enough: Callable[[Place], bool], deadline_s: float) -> None:
        """Wait until enough is known of each place, its walk is over, or patience (of the loop's clock) is."""
        loop = asyncio.get_running_loop()
        while (now_s := loop.time()) < deadline_s:
            under_way = {place: self._walks[place] for place in places if place in self._walks and not enough(place)}
            patient = {place: walk for place, walk in under_way.items() if now_s < walk.patient_until_s}
            if not patient:
                return
            tasks = {walk.task for walk in patient.values()}.union(*(self._lookups.running(at) for at in patient))
            until_s = min(deadline_s, *(walk.patient_until_s for walk in patient.values()))
            await asyncio.wait(tasks, timeout=max(until_s - now_s, 0.0), return_when=asyncio.FIRST_COMPLETED)

    async def aclose(self) -> None:
        """Cancel every walk and wait for its end."""
        tasks = tuple(walk.task for walk in self._walks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begun(self, place: Place, first: GridSource) -> _Walk:
        patience_s = self._patience_s if self._lookups.circuits[first.name].healthy else 0.0
        task = asyncio.create_task(self._walk(place), name=f"grid: {place.zone}")
        task.add_done_callback(lambda _: self._walks.pop(place, None))
        return _Walk(task, asyncio.get_running_loop().time() + patience_s)

    async def _walk(self, place: Place) -> None:
        asked: set[str] = set()
        while (source := self._next(place, asked)) is not None:
            asked.add(source.name)
            await asyncio.wait([self._lookups.ask(source, place)])

    def _next(self, place: Place, asked: set[str]) -> GridSource | None:
        """The first source that may know better; none once one that comes before it is live and current."""
        for source in self._sources:
            known = self._lookups.newest(source, place)
            if known is not None and self._lookups.is_current(known):
                if reading_at(known, self._clock()).temporal_match == "live":
                    return None
            elif source.name not in asked and self._lookups.may_ask(source, place):
                return source
        return None
