"""The threads that write to PostgreSQL: each takes what waits for its logs and commits it, one transaction a log.

A lone request is committed at once; under load what came while the last commit ran shares the next one. Receipts are
signed before the transaction begins, so that no head is locked meanwhile. An acknowledged request is on the server's
disk.
"""

from __future__ import annotations

import time
from asyncio import Future, get_running_loop
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar
from zlib import crc32

import psycopg

from wattproof.methodology.errors import InvalidInput, LedgerError, LedgerLocked, LedgerUnusable
from wattproof.resources.ledger.append import Signed, Transaction
from wattproof.resources.ledger.jobs import GROUP, Job, Outcome, answer, take, take_more
from wattproof.resources.ledger.postgres.batch import EntryJob, append_together
from wattproof.resources.ledger.postgres.connection import (
    EVERY_LOG,
    Raw,
    Session,
    connect,
    no_transaction,
    place_of,
    postgres_errors,
)
from wattproof.resources.ledger.postgres.opens import OpenJob, open_together
from wattproof.resources.ledger.postgres.transaction import ClockBehind, HeadMoved, Kept, PostgresTransaction
from wattproof.resources.ledger.records import AttemptDraft, EntryDraft, Opened, Replay, Settled
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import leaf_hash

__all__ = ["PostgresWriter"]

# How often a transaction is done again because another process was first.
_TRIES = 100
_GATHER_MS = 4

T = TypeVar("T")


class PostgresWriter:
    """What writes to the ledger in the database `dsn`; `lanes` threads, each with its connection and its logs.

    Without `queue` no head is locked before it is written, and the compare-and-swap alone decides who was first.
    """

    def __init__(
        self, dsn: str, schema: str, clock: Callable[[], float], *, lanes: int = 2, queue: bool = True
    ) -> None:
        self._gate = Lock()
        self._closed = False
        self._lanes = [_Lane(dsn, schema, clock, queue=queue, name=f"wattproof-ledger-{k}") for k in range(lanes)]

    def submit(self, work: Callable[[Transaction], T], log_id: str | None = None) -> Future[T]:
        """Queue `work` on the log `log_id` (None: it concerns every log); resolves once it is on the server's disk.

        Raises:
            LedgerError: the ledger was closed.
        """
        return self._put(Job(work, get_running_loop(), log_id))

    def append(self, draft: EntryDraft, sign: Callable[[str], Signed], attempt_no: int | None) -> Future[Settled]:
        """Queue an entry; `sign` gives its receipt, issued at an instant (RFC 3339 UTC).

        Raises:
            LedgerError: the ledger was closed.
        """
        return self._put(EntryJob(draft, sign, attempt_no, get_running_loop()))

    def open_attempt(self, draft: AttemptDraft) -> Future[Opened | Replay]:
        """Queue a try that is about to be made.

        Raises:
            LedgerError: the ledger was closed.
        """
        return self._put(OpenJob(draft, get_running_loop()))

    def close(self) -> None:
        """Finish what is queued and close the connections."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            for lane in self._lanes:
                lane.stop()
        for lane in self._lanes:
            lane.join()

    def _put(self, job: Job) -> Future[Any]:
        log_id = job.log_id
        if log_id == EVERY_LOG:
            raise InvalidInput("log_id", f"is {log_id!r}, which stands for every log", "give another id")
        lane = self._lanes[0 if log_id is None else crc32(log_id.encode()) % len(self._lanes)]
        with self._gate:
            if self._closed:
                raise LedgerError("The ledger was closed; open it again.")
            lane.put(job)
        return job.future


class _Unclear(Exception):
    """The connection was lost while a commit was under way; `appended` tells it from others."""

    def __init__(self, appended: dict[str, tuple[int, bytes]]) -> None:
        super().__init__("a commit was not answered")
        self.appended = appended


class _Lane:
    """One thread and its connection."""

    def __init__(self, dsn: str, schema: str, clock: Callable[[], float], *, queue: bool, name: str) -> None:
        self._dsn = dsn
        self._schema = schema
        self._clock = clock
        self._queue_first = queue
        self._raw: Raw | None = None
        self._kept: Kept | None = None
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        # A daemon: leaving without close() is like a crash, which loses nothing that was acknowledged.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a job."""
        self._waiting.put(job)

    def stop(self) -> None:
        """Let the thread end after what is queued."""
        self._waiting.put(None)

    def join(self) -> None:
        """Wait until it has, and close the connection."""
        self._thread.join()
        if self._raw is not None:
            self._raw.close()

    def _run(self) -> None:
        while jobs := take(self._waiting):
            # Under load a short wait makes groups larger and the whole faster; a lone request does not wait.
            coming = len(jobs) > 1
            for _ in range(_GATHER_MS):
                if not coming or len(jobs) >= GROUP:
                    break
                time.sleep(0.001)
                more = take_more(self._waiting, GROUP - len(jobs))
                jobs, coming = jobs + more, bool(more)
            by_log: dict[str | None, list[Job]] = {}
            for job in jobs:
                if not job.future.cancelled():
                    by_log.setdefault(job.log_id, []).append(job)
            for log_id, group in by_log.items():
                outcome = Outcome()
                with outcome:
                    self._commit(log_id, group)
                answer(group, outcome.error)

    def _commit(self, log_id: str | None, jobs: Sequence[Job]) -> None:
        now_s = self._clock()
        issued_at = rfc3339(now_s)
        ready, refused = list[Job](), list[Job]()
        for job in jobs:
            signed = not isinstance(job, EntryJob) or job.make_ready(issued_at)
            (ready if signed else refused).append(job)
        answer(refused)
        if ready and not self._commit_group(log_id, ready, now_s):
            # One of them spoiled the group; alone, each gets its own answer.
            for job in ready:
                self._commit_group(log_id, [job], now_s)

    def _commit_group(self, log_id: str | None, jobs: Sequence[Job], now_s: float) -> bool:
        """Commit `jobs` together and deliver their outcomes. False, with nothing done: try them one by one."""
        outcome = Outcome()
        for _ in range(_TRIES):
            with outcome, postgres_errors(self._dsn):
                self._transact(log_id, jobs, now_s)
            if isinstance(outcome.error, ClockBehind):
                now_s = outcome.error.now_s
                for job in jobs:
                    if isinstance(job, EntryJob):
                        job.make_ready(rfc3339(now_s))
            elif not isinstance(outcome.error, HeadMoved):
                break
        error = outcome.error
        if isinstance(error, HeadMoved | ClockBehind):
            error = LedgerLocked(
                f"Others wrote to {place_of(self._dsn)} first, {_TRIES} times in a row. Ask again with the same ids."
            )
        if error is not None and len(jobs) > 1 and not isinstance(error, LedgerUnusable | LedgerLocked):
            return False
        answer(jobs, error)
        return True

    def _transact(self, log_id: str | None, jobs: Sequence[Job], now_s: float) -> None:
        """Do the jobs in one transaction.

        Raises:
            HeadMoved: nothing was done, and it may be done again.
        """
        session, kept = self._connected()
        try:
            with no_transaction(session.raw):
                self._in_transaction(session, kept, log_id, jobs, now_s)
        except _Unclear as unclear:
            self._disconnect()
            self._find_out(unclear)
        except (psycopg.errors.UniqueViolation, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            kept.forget()
            raise HeadMoved from None
        except BaseException as error:
            kept.forget()
            if isinstance(error, psycopg.OperationalError) and session.raw.closed:
                # Nothing of it was kept; a connection that broke is replaced, where the server answers.
                self._disconnect()
                raise HeadMoved from error
            raise

    def _in_transaction(
        self, session: Session, kept: Kept, log_id: str | None, jobs: Sequence[Job], now_s: float
    ) -> None:
        session.begin(EVERY_LOG if log_id is None else log_id)
        transaction = PostgresTransaction(session, kept, now_s, queue=self._queue_first)
        if log_id is None:
            transaction.queue_for_all()
        else:
            transaction.queue_for(log_id)
            append_together(transaction, log_id, [job for job in jobs if isinstance(job, EntryJob)])
            open_together(transaction, log_id, [job for job in jobs if isinstance(job, OpenJob)])
        for job in jobs:
            if not isinstance(job, EntryJob | OpenJob):
                job.run(transaction)
        transaction.finish()
        try:
            session.raw.execute("COMMIT")
        except psycopg.OperationalError as error:
            raise _Unclear(transaction.appended()) from error

    def _find_out(self, unclear: _Unclear) -> None:
        """Whether a commit that was not answered took place: then its entries are where they were put.

        Raises:
            HeadMoved: it did not, and may be done again.
            LedgerUnusable: it appended nothing by which to tell.
        """
        if not unclear.appended:
            raise LedgerUnusable(
                f"{place_of(self._dsn)} closed the connection before it answered. Ask again with the same request_id: "
                "nothing is spent twice."
            )
        session, _ = self._connected()
        with no_transaction(session.raw):
            session.begin(EVERY_LOG)
            for log_id, (seq, leaf) in unclear.appended.items():
                sql = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq = ?"
                row = session.execute(sql, (log_id, seq)).fetchone()
                if row is None or leaf_hash(row[0]) != leaf:
                    raise HeadMoved(log_id)

    def _connected(self) -> tuple[Session, Kept]:
        if self._raw is None or self._kept is None or self._raw.closed:
            self._raw = connect(self._dsn, self._schema)
            session = Session(self._raw)
            session.prefer_indexes()
            self._kept = Kept(session)
        return self._kept.session, self._kept

    def _disconnect(self) -> None:
        if self._raw is not None:
            self._raw.close()
        self._raw = None
        self._kept = None
