"""An event loop whose time is simulated: every pause, timeout and deadline in it passes at once.

Where nothing is left to do before the next timer, the loop jumps to it. While a thread works (the ledger's writer, a
file being read) the clock stands still, so that how fast this machine is decides nothing. What runs in it needs no
change: `anyio.sleep`, `anyio.fail_after` and `anyio.current_time` all read this clock.
"""

from __future__ import annotations

import asyncio
import inspect
import selectors
from asyncio import Future
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger

__all__ = ["SimulatedLoop", "run_simulated", "timeless"]

# A thread that says nothing for so long is stuck; then timeouts may fire, or the simulation would hang with it.
_LONGEST_THREAD_S = 30.0

T = TypeVar("T")


def run_simulated(main: Callable[[SimulatedLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` in a loop of its own, whose clock starts at 0. Not callable where a loop runs already."""
    made: list[SimulatedLoop] = []

    def make() -> SimulatedLoop:
        made.append(SimulatedLoop())
        return made[0]

    async def started() -> T:
        import anyio.to_thread

        loop = made[0]
        limiter = anyio.to_thread.current_default_thread_limiter()
        loop.threads_at_work = lambda: int(limiter.borrowed_tokens)
        return await main(loop)

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(started())


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on simulated seconds. `threads_at_work` counts threads that were lent out by others than us."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.held_by = 0
        self.threads_at_work: Callable[[], int] = lambda: 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self.now_s

    @property
    def stands_still(self) -> bool:
        """Whether a thread is at work, whose result belongs to the present moment."""
        return self.held_by > 0 or self.threads_at_work() > 0

    @contextmanager
    def held(self) -> Generator[None]:
        """Within the block no simulated time passes."""
        self.held_by += 1
        try:
            yield
        finally:
            self.held_by -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Future[T]:  # type: ignore[override]
        """As in asyncio; the clock stands still until the thread is done."""
        self.held_by += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._returned)
        return future

    async def shutdown_default_executor(self, *arguments: Any, **options: Any) -> None:
        """As in asyncio; the clock stands still until the threads are joined."""
        with self.held():
            await super().shutdown_default_executor(*arguments, **options)

    def _returned(self, _future: Future[Any]) -> None:
        self.held_by -= 1


class _Selector(selectors.DefaultSelector):
    """Waits for threads in real time and for timers in none."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(_LONGEST_THREAD_S if self._loop.stands_still else 0)
        if not ready:
            self._loop.now_s += timeout
        return ready


def timeless(ledger: Ledger, loop: SimulatedLoop) -> Ledger:
    """`ledger`, with the clock of `loop` standing still during each of its coroutines.

    How fast the disk of this machine is must not show in the simulated day.
    """
    return cast("Ledger", cast("object", _Timeless(ledger, loop)))


class _Timeless:
    def __init__(self, inner: object, loop: SimulatedLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def standing_still(*arguments: Any, **named: Any) -> Any:
            with self._loop.held():
                return await found(*arguments, **named)

        return standing_still
