"""Frozen inputs for your own tests: the same calls give the same bytes, today and in a year.

    from wattproof.testing import frozen

    def test_the_report_costs_what_it_should():
        with frozen() as wattproof:
            recorder = wattproof.recorder("op_test")
            write_report(recorder)
            assert recorder.status().structured() == snapshot(...)

Within it the clock stands still, randomness is seeded, electricity is the annual edition and the ledger is a throw-away
simulation, whose receipts say so and never verify. Results change only with the edition of the data or the version of a
method, which both are in every result.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from wattproof.methodology.errors import InvalidInput, Refused
from wattproof.recorder.background import BackgroundLoop
from wattproof.recorder.recorder import Recorder

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.providers.records import Deployment
    from wattproof.tools.deps import Deps

__all__ = ["Frozen", "frozen"]

_T = TypeVar("_T")
_A = TypeVar("_A")

DEFAULT_NOW = "2026-01-15T12:00:00Z"
_LOG_ID = "frozen"


class Frozen:
    """What tests may call. `now` may be set to another RFC 3339 UTC time; the clock stands there from then on."""

    def __init__(self, home: Path, now: str, seed: int, zone: str | None) -> None:
        self.home = home
        self.now = now
        self.zone = zone
        self._bytes = _Seeded(seed)
        self._background = BackgroundLoop("wattproof-frozen")
        self._recorders: list[Recorder] = []

    def recorder(self, operation_id: str | None = None, *, zone: str | None = None) -> Recorder:
        """A recorder into the frozen ledger; it is closed with it."""
        made = Recorder(operation_id, zone=zone, open_deps=self.deps)
        self._recorders.append(made)
        return made

    def call(self, tool: Callable[[_A, Deps], Awaitable[_T]], arguments: _A) -> _T:
        """What a tool returns: ``call(estimate_request, EstimateArgs(model="gpt-5-mini", input_tokens=100))``."""
        return self._background.run(self._call(tool, arguments))

    @property
    def deps(self) -> Callable[[], AbstractAsyncContextManager[Deps]]:
        """Opens what the tools may touch, for code that awaits them itself: ``async with wattproof.deps() as deps``."""
        return self._opened

    def close(self) -> None:
        """End the threads. The context manager does it."""
        for recorder in self._recorders:
            recorder.close()
        self._background.close()

    async def _call(self, tool: Callable[[_A, Deps], Awaitable[_T]], arguments: _A) -> _T:
        async with self._opened() as deps:
            return await tool(arguments, deps)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Deps, None]:
        from wattproof.tools.deps import Deps

        opened: list[Ledger] = []

        async def ledger() -> Ledger:
            if not opened:
                opened.append(await _open_ledger(self.home, self._clock, self._bytes))
            return opened[0]

        try:
            yield Deps(
                clock=self._clock,
                environ={},
                home=self.home,
                log_id=_LOG_ID,
                deployments=_deployments,
                ledger=ledger,
                runs=_no_runs,
                default_zone=self.zone,
                offline=True,
                random_bytes=self._bytes,
            )
        finally:
            for each in opened:
                await each.aclose()

    def _clock(self) -> float:
        return _seconds(self.now)


@contextmanager
def frozen(now: str = DEFAULT_NOW, *, seed: int = 0, zone: str | None = None) -> Generator[Frozen]:
    """Frozen inputs at `now` (RFC 3339 UTC). `seed` gives keys and nonces; `zone` is where local models run.

    Raises:
        InvalidInput: `now` is not such a time.
    """
    _seconds(now)
    home = Path(tempfile.mkdtemp(prefix="wattproof-frozen-"))
    made = Frozen(home, now, seed, zone)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(home)


class _Seeded:
    """Bytes that only look random: SHA-256 of a seed and a counter."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += sha256(f"{self._seed}:{self._drawn}".encode()).digest()
            self._drawn += 1
        return found[:count]


def _seconds(now: str) -> float:
    try:
        found = datetime.fromisoformat(now)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput("now", f"is {now!r}", "give a time such as 2026-01-15T12:00:00Z")
    return found.astimezone(UTC).timestamp()


async def _open_ledger(home: Path, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> Ledger:
    import asyncio
    from functools import partial

    from wattproof.resources.ledger import open_ledger

    return await asyncio.to_thread(partial(open_ledger, home, clock=clock, random_bytes=random_bytes, simulation=True))


async def _deployments() -> tuple[Deployment, ...]:
    from wattproof.resources.providers import load_catalogue

    return load_catalogue()


async def _no_runs() -> NoReturn:
    raise Refused("Frozen inputs run no inference: an answer would differ from one test to the next.")
