"""The desk where every request for grid data arrives: the newest usable reading of each place, never late.

A reading is for ranking, for a ceiling and for accounting, so it is an average with lifecycle factors: the first live
one of the sources in their order (keyed before keyless), else the newest that is fresh, else that of the same hour a
week before, else the bundled annual average. Sources with direct factors (NESO, Energy-Charts) and marginal ones
(WattTime) never give readings: a direct value leaves out what the annual average has in it, so a zone would look lower
only for having a live source, and every method here means lifecycle grams. They are for comparing hours of one place:
see `observations`, `forecast` and `marginal`.

A request is served what is known at once; look-ups run behind it. Only where nothing but the annual average is known,
and the source has not just failed, does it wait, at most `patience_s`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import anyio

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.bundled import annual_reading
from wattproof.resources.grid.cache import GridCache
from wattproof.resources.grid.lookups import Lookups
from wattproof.resources.grid.observation import GridSource, Observation, Place, reading_at
from wattproof.resources.grid.reading import Reading
from wattproof.resources.grid.walks import Walks

if TYPE_CHECKING:
    import httpx2

__all__ = ["Grid", "SourceStatus"]

_WEEK_S = 7 * 86_400
_FORECAST_KEPT_S = 1800.0
_FORECAST_AT_LEAST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source fares: `state` is `ok`, `untried`, `no_key`, `off` or a reason code of its last failure.

    `retry_at` is Unix seconds. The row named `cache` is the cache on disk.
    """

    name: str
    title: str
    key_env: tuple[str, ...]
    state: str
    detail: str | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Forecast:
    fetched_s: float
    until_s: float
    intervals: tuple[Observation, ...]


class Grid:
    """Grid data for one process. `clock` gives Unix seconds; `offline` forbids look-ups. Close it with `aclose`."""

    def __init__(
        self,
        sources: tuple[GridSource, ...],
        *,
        client: httpx2.AsyncClient,
        environ: Mapping[str, str],
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        cache: GridCache | None = None,
        random: Random | None = None,
        offline: bool = False,
        patience_s: float = 0.3,
    ) -> None:
        self._sources = sources
        self._average = tuple(source for source in sources if source.basis == "average")
        self._for_readings = tuple(source for source in self._average if source.factor_scope == "lifecycle")
        self._clock = clock
        self._monotonic = monotonic
        self._cache = cache or GridCache(None)
        self._offline = offline
        self._patience_s = patience_s
        self._lookups = Lookups(
            sources,
            client=client,
            environ=environ,
            clock=clock,
            monotonic=monotonic,
            cache=self._cache,
            random=random or Random(),  # noqa: S311
            offline=offline,
        )
        self._week_before: dict[Place, tuple[int, Observation | None]] = {}
        self._walks = Walks(self._for_readings, self._lookups, clock=clock, patience_s=patience_s)
        self._forecasts: dict[tuple[str, Place], _Forecast] = {}
        self._forecasting: dict[Place, asyncio.Lock] = {}

    async def readings(self, places: Iterable[Place], now_s: float) -> dict[Place, Reading]:
        """The newest usable reading of each place at `now_s` (Unix seconds): at worst the annual edition's.

        Average, lifecycle. It takes microseconds where something is known, else at most `patience_s`.

        Raises:
            UnknownZone: the edition has no such zone.
        """
        wanted = tuple(dict.fromkeys(places))
        deadline_s = asyncio.get_running_loop().time() + self._patience_s
        with anyio.move_on_after(self._patience_s):
            for place in wanted:
                await self._remember(place, now_s)
        self._walks.start(wanted)
        found = {place: self._known(place, now_s) for place in wanted}
        lacking = tuple(place for place in wanted if found[place] is None)
        if lacking:
            await self._walks.wait(lacking, lambda place: self._known(place, now_s) is not None, deadline_s)
            found |= {place: self._known(place, now_s) for place in lacking}
        return {place: found[place] or annual_reading(place.zone, now_s) for place in wanted}

    async def forecast(self, place: Place, now_s: float, until_s: float) -> tuple[Observation, ...]:
        """Forecast intervals of one place from now until `until_s`, in order; empty where no source offers one.

        All are of one source: the first with lifecycle factors that has any, else the first with other ones; their
        `factor_scope` says which. Kept for 30 min.
        """
        chain = (*self._for_readings, *(source for source in self._average if source not in self._for_readings))
        async with self._forecasting.setdefault(place, asyncio.Lock()):
            for source in chain:
                intervals = await self._forecast_of(source, place, now_s, until_s)
                ahead = tuple(at for at in intervals if at.starts_at + at.step_s > now_s and at.starts_at < until_s)
                if ahead:
                    return ahead
        return ()

    async def marginal(self, place: Place, now_s: float) -> Reading | None:
        """The newest marginal reading of one place, or None. It must never be compared with an average."""
        await self._remember(place, now_s)
        chain = tuple(source for source in self._sources if source.basis == "marginal")
        asked = [self._lookups.ask(source, place) for source in chain if self._lookups.may_ask(source, place)]
        if asked and not any(self._lookups.newest(source, place) for source in chain):
            await asyncio.wait(asked, timeout=self._patience_s)
        known = (self._lookups.newest(source, place) for source in chain)
        return next((reading_at(seen, now_s) for seen in known if seen is not None), None)

    async def observations(self, place: Place, now_s: float) -> tuple[tuple[Observation, Reading], ...]:
        """What every source said last of one place, with how it is judged at `now_s`; asks nobody: see `refresh`."""
        await self._remember(place, now_s)
        known = (self._lookups.newest(source, place) for source in self._sources)
        return tuple((seen, reading_at(seen, now_s)) for seen in known if seen is not None)

    async def refresh(self, places: Iterable[Place]) -> None:
        """Ask every source that may have something new about these places, and wait for the answers (some 2 s)."""
        asked = [
            self._lookups.ask(source, place)
            for place in dict.fromkeys(places)
            for source in self._sources
            if self._lookups.may_ask(source, place)
        ]
        if asked:
            await asyncio.wait(asked)

    async def history(self, source_name: str, place: Place) -> tuple[Observation, ...]:
        """What a source says now of recent intervals of one place, in order; kept, so that corrections are found.

        Raises:
            GridUnavailable: the source is not there, may not be asked now, or failed.
        """
        source = next((source for source in self._sources if source.name == source_name), None)
        if source is None or not self._lookups.may_call(source, place):
            raise GridUnavailable("off", f"{source_name} cannot be asked about {place.zone} now; see doctor.")
        seen = await self._lookups.call(source, place, lambda connection: source.history(place, connection))
        stated = tuple(replace(observation, source=source.name) for observation in seen)
        await self._cache.keep(place, stated)
        return stated

    async def corrected(self, source_name: str, place: Place, starts_at: int) -> Observation | None:
        """What the source said last of the interval that starts at `starts_at`, as far as this home knows."""
        return await self._cache.corrected(source_name, place, starts_at)

    async def revisions(self, source_name: str, place: Place, starts_at: int) -> tuple[Observation, ...]:
        """Everything that the source has said of the interval that starts at `starts_at`, oldest statement first."""
        return await self._cache.revisions(source_name, place, starts_at)

    def status(self) -> tuple[SourceStatus, ...]:
        """How each source fares, in the order in which they are asked, and the cache on disk."""
        rows = [self._status_of(source) for source in self._sources]
        if self._cache.note is not None:
            rows.append(SourceStatus("cache", "Cache on disk", (), "off", self._cache.note))
        return tuple(rows)

    async def aclose(self) -> None:
        """Stop what runs behind requests, and close the cache."""
        with anyio.CancelScope(shield=True):
            await self._walks.aclose()
            await self._lookups.aclose()
            await self._cache.aclose()

    def _status_of(self, source: GridSource) -> SourceStatus:
        circuit = self._lookups.circuits[source.name]
        state, detail, retry_at = "untried", None, None
        if self._offline:
            state = "off"
        elif not self._lookups.has_keys(source):
            state = "no_key"
        elif circuit.last is not None:
            state, detail = circuit.last.reason, str(circuit.last)
        elif circuit.tried:
            state = "ok"
        if circuit.open_until_s is not None:
            retry_at = self._clock() + max(circuit.open_until_s - self._monotonic(), 0.0)
        return SourceStatus(source.name, source.title, source.key_env, state, detail, retry_at)

    async def _remember(self, place: Place, now_s: float) -> None:
        """Read from disk, once an hour, what other processes and last week left there."""
        hour = int(now_s) // 3600
        if place in self._week_before and self._week_before[place][0] == hour:
            return
        self._lookups.adopt(place, await self._cache.recall(place, now_s))
        before = await self._cache.around(place, now_s - _WEEK_S)
        usable = {seen.source: seen for seen in before if seen.evidence in ("measured", "estimated")}
        in_order = (usable[source.name] for source in self._for_readings if source.name in usable)
        self._week_before[place] = (hour, next(in_order, None))

    def _known(self, place: Place, now_s: float) -> Reading | None:
        """The best that is known beyond the annual average."""
        known = (self._lookups.newest(source, place) for source in self._for_readings)
        begun = [seen for seen in known if seen is not None and seen.starts_at <= now_s]
        judged = [(seen, reading_at(seen, now_s)) for seen in begun]
        live = next((reading for _, reading in judged if reading.temporal_match == "live"), None)
        if live is not None:
            return live
        fresh = [(seen, reading) for seen, reading in judged if reading.temporal_match == "fresh"]
        if fresh:
            return max(fresh, key=lambda pair: pair[0].starts_at)[1]
        before = self._week_before.get(place, (0, None))[1]
        return None if before is None else reading_at(_a_week_before(before), now_s)

    async def _forecast_of(
        self, source: GridSource, place: Place, now_s: float, until_s: float
    ) -> tuple[Observation, ...]:
        kept = self._forecasts.get((source.name, place))
        if kept and kept.until_s >= until_s and self._monotonic() - kept.fetched_s < _FORECAST_KEPT_S:
            return kept.intervals
        if not self._lookups.may_call(source, place):
            return ()
        horizon_s = max(until_s, now_s + _FORECAST_AT_LEAST_S)
        try:
            intervals = await self._lookups.call(
                source, place, lambda connection: source.forecast(place, horizon_s, connection)
            )
        except GridUnavailable:
            return ()
        named = tuple(replace(interval, source=source.name) for interval in intervals)
        self._forecasts[source.name, place] = _Forecast(self._monotonic(), horizon_s, named)
        return named


def _a_week_before(observation: Observation) -> Observation:
    """Named apart, so that nobody takes it for, or compares it with, what the source says of now."""
    return replace(observation, source=f"{observation.source} (a week before)")
