"""The one thread that writes: it drains the queue and commits what it finds as one transaction.

Under load a group of requests shares one fsync; a lone request is committed at once. An acknowledged request is on
disk. Whatever goes wrong is delivered to the caller who waits for it, and the thread goes on.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from wattproof.methodology.errors import LedgerError
from wattproof.resources.ledger.append import Remembered, Signed, Transaction, append
from wattproof.resources.ledger.attempts import open_
from wattproof.resources.ledger.driver import BUSY_TIMEOUT_MS, sqlite3, sqlite_errors
from wattproof.resources.ledger.jobs import Job, Outcome, answer, take
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.ledger.records import AttemptDraft, EntryDraft, Opened, Replay, Settled

__all__ = ["Writer"]

_WAL_BYTES = 4 << 20

T = TypeVar("T")


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
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._gate = Lock()
        self._closed = False
        # A daemon: leaving without close() is like a crash, which loses nothing that was acknowledged.
        self._thread = Thread(target=self._run, name="wattproof-ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T], log_id: str | None = None) -> Future[T]:
        """Queue `work` for the next transaction; the future, of the running loop, resolves once it is on disk.

        `log_id` names the one log that `work` writes to, for a store that keeps logs apart; this one does not.

        Raises:
            LedgerError: the ledger was closed.
        """
        job = Job(work, get_running_loop())
        with self._gate:
            if self._closed:
                raise LedgerError("The ledger was closed; open it again.")
            self._queue.put(job)
        return job.future

    def append(self, draft: EntryDraft, sign: Callable[[str], Signed], attempt_no: int | None) -> Future[Settled]:
        """Queue an entry; `sign` gives its receipt, issued at an instant (RFC 3339 UTC).

        Raises:
            LedgerError: the ledger was closed.
        """
        return self.submit(lambda transaction: append(transaction, draft, sign, attempt_no), draft.log_id)

    def open_attempt(self, draft: AttemptDraft) -> Future[Opened | Replay]:
        """Queue a try that is about to be made.

        Raises:
            LedgerError: the ledger was closed.
        """
        return self.submit(lambda transaction: open_(transaction, draft), draft.log_id)

    def close(self) -> None:
        """Finish what is queued, fold the write-ahead log into the database, and close it, under the lock."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        outcome = Outcome()
        # If another process keeps the lock, it has the database open: then this close is not the last one.
        with outcome, self._lock.held():
            self._checkpoint()
            self._connection.close()
        self._connection.close()
        self._lock.close()

    def _run(self) -> None:
        while jobs := take(self._queue):
            wanted = [job for job in jobs if not job.future.cancelled()]
            if wanted:
                self._commit(wanted)

    def _commit(self, jobs: Sequence[Job]) -> None:
        outcome = Outcome()
        with outcome, self._lock.held():
            if not self._commit_group(jobs):
                # One of them spoiled the group; alone, each gets its own answer.
                for job in jobs:
                    self._commit_group([job])
            # Everybody has an answer by now; a checkpoint that fails loses nothing and is tried again.
            if self._wal_bytes() > self._checkpoint_at:
                self._checkpoint()
        # Whoever has no answer yet never got as far as a transaction.
        answer(jobs, outcome.error)

    def _commit_group(self, jobs: Sequence[Job]) -> bool:
        """Commit `jobs` together and deliver their outcomes. False, with nothing done: try them one by one."""
        outcome = Outcome()
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
        answer(jobs, outcome.error)
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
