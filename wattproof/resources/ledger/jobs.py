"""Requests that wait for a writing thread, and what became of them."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from wattproof.methodology.errors import WattproofError
from wattproof.resources.ledger.append import Transaction

__all__ = ["GROUP", "Job", "Outcome", "answer", "take", "take_more"]

GROUP = 512
"""How many requests one transaction takes at most."""


class Outcome:
    """`with outcome:` keeps an error for whoever asked, instead of ending the thread."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self.error = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


class Job(Outcome):
    """One request to write, to the log `log_id` where it concerns but one, and what became of it."""

    __slots__ = ("answered", "future", "log_id", "loop", "value", "work")

    def __init__(self, work: Callable[[Transaction], Any], loop: AbstractEventLoop, log_id: str | None = None) -> None:
        super().__init__()
        self.log_id = log_id
        self.work = work
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.value: Any = None
        self.answered = False

    def run(self, transaction: Transaction) -> None:
        """Do the work; a refusal stays with the job, anything else spoils the transaction."""
        with self:
            self.value = self.work(transaction)
        if self.error is not None and not isinstance(self.error, WattproofError):
            raise self.error

    def resolve(self) -> None:
        """Wake the caller, in the caller's thread."""
        if self.future.done():
            return  # the caller was cancelled and waits no more
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


def answer(jobs: Sequence[Job], error: Exception | None = None) -> None:
    """Tell the callers of `jobs`, with one wake-up for each event loop."""
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if not job.answered:
            job.answered = True
            job.error = error or job.error
            by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to tell
            loop.call_soon_threadsafe(_resolve, group)


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.resolve()


def take(queue: SimpleQueue[Job | None]) -> list[Job]:
    """Everything that waits, at least one job; empty when None says that the thread is to stop."""
    first = queue.get()
    return [] if first is None else [first, *take_more(queue, GROUP - 1)]


def take_more(queue: SimpleQueue[Job | None], most: int) -> list[Job]:
    """What waits now, at most so many jobs; it may be nothing."""
    jobs: list[Job] = []
    with suppress(Empty):
        while len(jobs) < most:
            following = queue.get_nowait()
            if following is None:
                queue.put(None)
                break
            jobs.append(following)
    return jobs
