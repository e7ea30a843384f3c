"""One write transaction in PostgreSQL: the ledger's own steps, on heads that no other process moves meanwhile.

The row of a log's head is locked first, so that the writers of one log queue there and those of another do not wait.
What makes the log right is not that lock but the compare-and-swap at the end: the head moves from the size that was
read to the new one, or the transaction is done again.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, cast

from wattproof.methodology.errors import LedgerError
from wattproof.resources.ledger.append import Log, Transaction
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.interning import Interning
from wattproof.resources.ledger.postgres.connection import Session
from wattproof.resources.ledger.postgres.rollups import PostgresRollups
from wattproof.resources.ledger.records import EntryDraft
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS
from wattproof.resources.ledger.tiling import add_tiles
from wattproof.resources.ledger.times import check_instant, rfc3339
from wattproof.resources.receipts import Frontier

__all__ = ["ClockBehind", "HeadMoved", "Kept", "PostgresTransaction", "content_id"]

_HEAD = "SELECT frontier, updated_at FROM head WHERE log_id = ?"
_ALL_HEADS = "SELECT log_id FROM head ORDER BY log_id"
_BEGIN_LOG = "INSERT INTO log (log_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
_BEGIN_HEAD = "INSERT INTO head (log_id, size, frontier, updated_at) VALUES (?, 0, ?, ?) ON CONFLICT DO NOTHING"
_SWAP = "UPDATE head SET size = ?, frontier = ?, updated_at = ? WHERE log_id = ? AND size = ?"
_LOGS_REMEMBERED = 1024
_SKEW_S = 2.0


class HeadMoved(Exception):
    """Another process appended to the log meanwhile."""


def content_id(*values: Any) -> int:
    """The id of a signature or dimension: 63 bits of the SHA-256 of what it says, the same for whoever adds it."""
    text = json.dumps(values, separators=(",", ":")).encode()
    return int.from_bytes(sha256(text).digest()[:8], "big") >> 1


class ClockBehind(Exception):
    """The log was written at `now_s` (Unix seconds), a moment later than this process believes it to be."""

    def __init__(self, now_s: float) -> None:
        super().__init__(rfc3339(now_s))
        self.now_s = now_s


class Kept:
    """What one connection knows from its last transactions."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.interning = _Interning(session)
        self.rollups = PostgresRollups(session)

    def forget(self) -> None:
        """Drop everything; called after a rollback."""
        self.interning.forget()
        self.rollups.forget()


class PostgresTransaction(Transaction):
    """A transaction of one log or, for what concerns them all, of every log."""

    def __init__(self, session: Session, kept: Kept, now_s: float, *, queue: bool) -> None:
        self.session = session
        self.connection = cast("sqlite3.Connection", session)
        self.interning = kept.interning
        self.now_s = now_s
        self.now = rfc3339(now_s)
        self._kept = kept
        self._locking = " FOR UPDATE" if queue else ""
        self._logs: dict[str, Log] = {}

    def log(self, log_id: str) -> Log:
        """The log's head, locked; an empty log is begun."""
        known = self._logs.get(log_id)
        if known is None:
            known = self._logs[log_id] = Log(self._stored_frontier(log_id))
        return known

    def queue_for(self, log_id: str) -> None:
        """Lock the log's head before anything is read; a log that nobody began has none.

        Raises:
            ClockBehind: another process wrote meanwhile, and its clock is a little ahead.
        """
        row = self.session.execute(_HEAD + self._locking, (log_id,)).fetchone()
        if row is None:
            return
        frontier, updated_at = row
        if updated_at > self.now:
            then_s = check_instant("updated_at", updated_at).timestamp()
            # A clock that is far behind went back; that stays visible in the log.
            if then_s <= self.now_s + _SKEW_S:
                raise ClockBehind(then_s)
        self._logs[log_id] = Log(Frontier.from_bytes(frontier))

    def queue_for_all(self) -> None:
        """Lock every head, in the one order that all processes take."""
        self.session.execute(_ALL_HEADS + self._locking).fetchall()

    def finish(self) -> None:
        """Write the heads and add the new entries to the rollups; the last step before COMMIT.

        Raises:
            HeadMoved: the log is not as long any more as when it was read.
        """
        for log_id, log in self._logs.items():
            if not log.leaves:
                continue
            size, grown = log.frontier.size, log.frontier.extend(log.leaves)
            swapped = self.session.execute(_SWAP, (grown.size, grown.to_bytes(), self.now, log_id, size))
            if swapped.rowcount != 1:
                raise HeadMoved(log_id)
            add_tiles(self.connection, log_id, size, grown.size)
            self._kept.rollups.add(log_id, size, self.now, log.tagged, in_operations=log.in_operations)

    def appended(self) -> dict[str, tuple[int, bytes]]:
        """Place and leaf of the last new entry of each log, by which a commit is recognised."""
        return {log_id: (log.next_seq - 1, log.leaves[-1]) for log_id, log in self._logs.items() if log.leaves}

    def _stored_frontier(self, log_id: str) -> Frontier:
        row = self.session.execute(_HEAD + self._locking, (log_id,)).fetchone()
        if row is None:
            self.session.execute(_BEGIN_LOG, (log_id, self.now))
            self.session.execute(_BEGIN_HEAD, (log_id, Frontier().to_bytes(), self.now))
            row = self.session.execute(_HEAD + self._locking, (log_id,)).fetchone()
        if row is None:
            raise LedgerError(f"Log {log_id!r} cannot be begun: this role may not see its own row of `head`.")
        return Frontier.from_bytes(row[0])


class _Interning(Interning):
    """Ids of signatures and dimensions by what they say; each log has its own rows."""

    def __init__(self, session: Session) -> None:
        super().__init__(cast("sqlite3.Connection", session))
        self._session = session
        self._by_log: dict[str, _OfOneLog] = {}

    def forget(self) -> None:
        """Drop what is remembered; called after a rollback."""
        self._by_log.clear()

    def signature(self, draft: EntryDraft) -> int:
        """The id of the factor signature of `draft`."""
        return self._of(draft.log_id).signature(draft)

    def dimension(self, draft: EntryDraft, signature_id: int) -> int:
        """The id of the dimension of `draft`."""
        return self._of(draft.log_id).dimension(draft, signature_id)

    def _of(self, log_id: str) -> _OfOneLog:
        known = self._by_log.get(log_id)
        if known is None:
            if len(self._by_log) >= _LOGS_REMEMBERED:
                self._by_log.clear()
            known = self._by_log[log_id] = _OfOneLog(self._session, log_id)
        return known


class _OfOneLog(Interning):
    def __init__(self, session: Session, log_id: str) -> None:
        super().__init__(cast("sqlite3.Connection", session))
        self._session = session
        self._log_id = log_id

    def _remember(self, key: tuple[Any, ...], find: str, add: str, values: tuple[Any, ...]) -> int:
        table, columns = ("factor_signature", ("json",)) if len(values) == 1 else ("dimension", DIMENSION_COLUMNS)
        number = content_id(table, *values)
        names = ", ".join(columns)
        places = ", ".join("?" * len(columns))
        added = self._session.execute(
            f"INSERT INTO {table} (log_id, id, {names}) VALUES (?, ?, {places}) ON CONFLICT DO NOTHING RETURNING id",  # noqa: S608
            (self._log_id, number, *values),
        )
        if added.fetchone() is None:
            sql = f"SELECT {names} FROM {table} WHERE log_id = ? AND id = ?"  # noqa: S608
            if self._session.execute(sql, (self._log_id, number)).fetchone() != values:
                raise LedgerError(f"Two rows of {table} have the id {number}. Run `wattproof ledger fsck`.")
        self._ids[key] = number
        return number
