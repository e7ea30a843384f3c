"""The one thread that writes: it drains the queue and commits what it finds as one transaction.

Under load a group of requests shares one fsync; a lone request is committed at once. An acknowledged request is on
disk. Whatever goes wrong is delivered to the caller who waits for it, and the thread goes on.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from wattproof.methodology.errors import LedgerError, WattproofError
from wattproof.resources.ledger.append import Remembered, Transaction
from wattproof.resources.ledger.driver import BUSY_TIMEOUT_MS, sqlite3, sqlite_errors
from wattproof.resources.ledger.lock import FileLock

__all__ = ["Writer"]

_GROUP = 512
_WAL_BYTES = 4 << 20

T = TypeVar("T")


class _Outcome:
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


class _Job(_Outcome):
    """One request to write, and what became of it."""

    __slots__ = ("answered", "future", "loop", "value", "work")

    def __init__(self, work: Callable[[Transaction], Any], loop: AbstractEventLoop) -> None:
        super().__init__()
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


def _answer(jobs: Sequence[_Job], error: Exception | None = None) -> None:
    """Tell the callers of `jobs`, with one wake-up for each event loop."""
    by_loop: dict[AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        if not job.answered:
            job.answered = True
            job.error = error or job.error
            by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to tell
            loop.call_soon_threadsafe(_resolve, group)


def _resolve(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.resolve()


class Writer:
    """Owns the read-write connection of one ledger. `connection` was opened by the caller, under `lock`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock, clock: Callable[[], float]) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._checkpoint_at = _WAL_BYTES
        self._connection = connection
        self._lock = lock
        self._clock = clock
        self._remembered = Remembered(connection)
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._gate = Lock()
        self._closed = False
        # A daemon: leaving without close() is like a crash, which loses nothing that was acknowledged.
        self._thread = Thread(target=self._run, name="wattproof-ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """Queue `work` for the next transaction; the future, of the running loop, resolves once it is on disk.

        Raises:
            LedgerError: the ledger was closed.
        """
        job = _Job(work, get_running_loop())
        with self._gate:
            if self._closed:
                raise LedgerError("The ledger was closed; open it again.")
            self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish what is queued, fold the write-ahead log into the database, and close it, under the lock."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        outcome = _Outcome()
        # If another process keeps the lock, it has the database open: then this close is not the last one.
        with outcome, self._lock.held():
            self._checkpoint()
            self._connection.close()
        self._connection.close()
        self._lock.close()

    def _run(self) -> None:
        while jobs := self._take():
            wanted = [job for job in jobs if not job.future.cancelled()]
            if wanted:
                self._commit(wanted)

    def _take(self) -> list[_Job]:
        """Everything that waits, at least one job; empty when the writer is to stop."""
        first = self._queue.get()
        jobs = [] if first is None else [first]
        while jobs and len(jobs) < _GROUP:
            try:
                following = self._queue.get_nowait()
            except Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            jobs.append(following)
        return jobs

    def _commit(self, jobs: Sequence[_Job]) -> None:
        outcome = _Outcome()
        with outcome, self._lock.held():
            if not self._commit_group(jobs):
                # One of them spoiled the group; alone, each gets its own answer.
                for job in jobs:
                    self._commit_group([job])
            # Everybody has an answer by now; a checkpoint that fails loses nothing and is tried again.
            if self._wal_bytes() > self._checkpoint_at:
                self._checkpoint()
        # Whoever has no answer yet never got as far as a transaction.
        _answer(jobs, outcome.error)

    def _commit_group(self, jobs: Sequence[_Job]) -> bool:
        """Commit `jobs` together and deliver their outcomes. False, with nothing done: try them one by one."""
        outcome = _Outcome()
        with outcome, sqlite_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(self._connection, self._remembered, self._clock())
            for job in jobs:
                job.run(transaction)
            transaction.finish()
            self._connection.execute("COMMIT")
        if outcome.error is not None:
            begun = self._connection.in_transaction
            self._roll_back()
            if begun and len(jobs) > 1:
                return False
        _answer(jobs, outcome.error)
        return True

    def _roll_back(self) -> None:
        self._remembered.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the database and cut it to nothing, unless a reader still needs it."""
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        # With a reader in the way, trying again on every commit would cost more than a longer file.
        self._checkpoint_at = self._wal_bytes() + _WAL_BYTES if busy else _WAL_BYTES
