"""Look-ups behind requests: one at a time per source and place, and not before there can be something new.

What is known stays in memory and in the cache on disk; a look-up first asks the disk, where another process may have
put the answer already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, TypeVar

import anyio

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.cache import GridCache
from wattproof.resources.grid.circuit import Circuit
from wattproof.resources.grid.observation import GridConnection, GridSource, Observation, Place

if TYPE_CHECKING:
    import httpx2

__all__ = ["Lookups"]

_TIMEOUT_S = 2.0
_MOST_BETWEEN_S = 900
_CLOCK_SKEW_S = 60
_FIRST_PAUSE_S = 5.0
# Said of one place only; the source may know others. Seconds until it is asked about that place again.
_PLACE_PAUSES_S = {
    "bad_value": 300.0,
    "http_400": 3600.0,
    "http_404": 900.0,
    "no_data": 300.0,
    "not_covered": 3600.0,
    "plan": 6 * 3600.0,
    "unknown_mix": 900.0,
}
T = TypeVar("T")


class Lookups:
    """What each source said last of each place, and the tasks that find out more.

    `clock` gives Unix seconds, `monotonic` the seconds that pauses are counted in.
    """

    def __init__(
        self,
        sources: tuple[GridSource, ...],
        *,
        client: httpx2.AsyncClient,
        environ: Mapping[str, str],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        cache: GridCache,
        random: Random,
        offline: bool,
    ) -> None:
        self.circuits = {source.name: Circuit() for source in sources}
        self._client = client
        self._environ = environ
        self._clock = clock
        self._monotonic = monotonic
        self._cache = cache
        self._random = random
        self._off = offline
        self._newest: dict[tuple[str, Place], Observation] = {}
        self._not_before_s: dict[tuple[str, Place], float] = {}
        self._tasks: dict[tuple[str, Place], asyncio.Task[None]] = {}

    def newest(self, source: GridSource, place: Place) -> Observation | None:
        """What this process knows that the source said last."""
        return self._newest.get((source.name, place))

    def is_current(self, observation: Observation | None) -> bool:
        """Whether the source can have nothing newer yet: the next interval has not begun, or we asked just now."""
        if observation is None:
            return False
        now_s = self._clock()
        asked_s, step_s = observation.received_at, observation.step_s
        if asked_s > now_s + _CLOCK_SKEW_S:
            return False
        next_begins_s = 0 if observation.evidence == "forecast" else observation.starts_at + step_s
        return now_s < max(next_begins_s, asked_s + min(step_s, _MOST_BETWEEN_S))

    def has_keys(self, source: GridSource) -> bool:
        """Whether every variable that the source needs is set."""
        return all(self._environ.get(name) for name in source.key_env)

    def may_call(self, source: GridSource, place: Place) -> bool:
        """Whether the source may be called about this place now."""
        return (
            not self._off
            and source.covers(place)
            and self.has_keys(source)
            and self._monotonic() >= self._not_before_s.get((source.name, place), 0.0)
            and self.circuits[source.name].admits(self._monotonic())
        )

    def may_ask(self, source: GridSource, place: Place) -> bool:
        """Whether asking for the newest observation is allowed, possible and of use."""
        return not self.is_current(self.newest(source, place)) and self.may_call(source, place)

    def ask(self, source: GridSource, place: Place) -> asyncio.Task[None]:
        """The look-up of `place` at `source`: the one under way, or a new one. A failure is kept, not raised."""
        key = (source.name, place)
        if key not in self._tasks:
            # Now, not when the task runs: of several places in one request, one is the probe of an open circuit.
            self.circuits[source.name].started()
            task = asyncio.create_task(self._look_up(source, place), name=f"grid: {source.name} {place.zone}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._finished(source, place, done))
        return self._tasks[key]

    def running(self, place: Place) -> set[asyncio.Task[None]]:
        """The look-ups of `place` under way."""
        return {task for (_, asked), task in self._tasks.items() if asked == place}

    def adopt(self, place: Place, observations: tuple[Observation, ...]) -> None:
        """Take over what the disk holds, unless this process knows something as new."""
        for kept in observations:
            known = self._newest.get((kept.source, place))
            if known is None or (known.starts_at, known.received_at) < (kept.starts_at, kept.received_at):
                self._newest[kept.source, place] = kept

    async def call(self, source: GridSource, place: Place, work: Callable[[GridConnection], Awaitable[T]]) -> T:
        """Let `work` use the network for at most 2 s, and note how the source fared.

        Raises:
            GridUnavailable: it failed.
        """
        circuit = self.circuits[source.name]
        circuit.started()
        try:
            with anyio.fail_after(_TIMEOUT_S):
                got = await work(GridConnection(self._client, self._environ, self._clock(), _TIMEOUT_S))
        except TimeoutError as error:
            late = GridUnavailable("timeout", f"{source.title} did not answer within {_TIMEOUT_S:g} s.")
            self._failed(source, place, late)
            raise late from error
        except GridUnavailable as error:
            self._failed(source, place, error)
            raise
        finally:
            circuit.ended()
        circuit.succeeded()
        return got

    async def aclose(self) -> None:
        """Cancel every look-up and wait for its end."""
        self._off = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look_up(self, source: GridSource, place: Place) -> None:
        self.adopt(place, await self._cache.recall(place, self._clock()))
        if self.is_current(self.newest(source, place)):
            return

        async def latest(connection: GridConnection) -> Observation:
            observation = await source.latest(place, connection)
            if observation.starts_at > connection.now_s + _CLOCK_SKEW_S:
                raise GridUnavailable("bad_value", f"{source.title} stated an interval that has not begun.")
            return replace(observation, source=source.name)

        try:
            observation = await self.call(source, place, latest)
        except GridUnavailable:
            return
        self._newest[source.name, place] = observation
        await self._cache.keep(place, (observation,))

    def _failed(self, source: GridSource, place: Place, error: GridUnavailable) -> None:
        circuit, now_s = self.circuits[source.name], self._monotonic()
        pause_s = _PLACE_PAUSES_S.get(error.reason)
        if pause_s is None:
            circuit.failed(error, now_s, self._random)
            pause_s = _FIRST_PAUSE_S * 2 ** min(circuit.failures - 1, 5) * (1.0 - self._random.random() / 2)
        else:
            circuit.answered(error)
        self._not_before_s[source.name, place] = now_s + max(pause_s, error.retry_after_s or 0.0)

    def _finished(self, source: GridSource, place: Place, task: asyncio.Task[None]) -> None:
        del self._tasks[source.name, place]
        self.circuits[source.name].ended()
        if not task.cancelled() and (bug := task.exception()) is not None:
            what = f"Reading the answer of {source.title} failed: {type(bug).__name__}."
            self._failed(source, place, GridUnavailable("unexpected", what))
