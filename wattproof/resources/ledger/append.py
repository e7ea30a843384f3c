"""One write transaction: entries get their place in the log, their receipt and their share of every rollup.

Everything that can be refused is refused before the first row is written, so that one bad request in a group commit
does not spoil its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wattproof.methodology.errors import RequestConflict, RequestInFlight
from wattproof.resources.ledger import budgets
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.interning import Interning
from wattproof.resources.ledger.periods import closed_through, require_open
from wattproof.resources.ledger.records import AttemptState, EntryDraft, EntryStatus, Settled
from wattproof.resources.ledger.rollups import Rollups
from wattproof.resources.ledger.rows import INSERT_ENTRY, SELECT_ENTRY, Place, from_row, to_row
from wattproof.resources.ledger.tiling import add_tiles
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import Frontier, entry_hash, leaf_hash, receipt_id

__all__ = [
    "STATE_AFTER",
    "Log",
    "PayloadBuilder",
    "Remembered",
    "Signed",
    "Transaction",
    "append",
    "find_request",
    "next_place",
]

PayloadBuilder = Callable[[str], Mapping[str, Any]]
"""`issued_at` (RFC 3339 UTC) -> the payload to sign. May be called again if a group commit is repeated."""


class Signed(NamedTuple):
    """A receipt, and what the entry keeps of its payload in case the receipt is erased."""

    jws: str
    method_sha256: str | None = None
    edition_sha256: str | None = None


_GROW = "UPDATE head SET size = ?, frontier = ?, updated_at = ? WHERE log_id = ?"
STATE_AFTER: Mapping[EntryStatus, AttemptState] = {
    "completed": "settled",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""How the try ends that led to an entry."""


@dataclass(slots=True)
class Log:
    """A log within one transaction: its frontier before, the leaves that came since, and their tags as (seq, tag)."""

    frontier: Frontier
    leaves: list[bytes] = field(default_factory=list[bytes])
    tagged: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    in_operations: bool = False
    closed_through: str | None = None

    @property
    def next_seq(self) -> int:
        return self.frontier.size + len(self.leaves)


class Remembered:
    """What one connection knows from its last transaction, so that the next need not ask again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._version = -1
        self.interning = Interning(connection)
        self.rollups = Rollups(connection)
        self.frontiers: dict[str, Frontier] = {}

    def refresh(self) -> None:
        """Forget what another process may have changed; called within the transaction, before anything is read."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self.rollups.forget()
            self.frontiers.clear()

    def forget(self) -> None:
        """Drop everything; called after a rollback."""
        self.interning.forget()
        self.rollups.forget()
        self.frontiers.clear()


class Transaction:
    """What a group commit shares: the connection, the time, and the heads of the logs it appends to."""

    def __init__(self, connection: sqlite3.Connection, remembered: Remembered, now_s: float) -> None:
        remembered.refresh()
        self.connection = connection
        self.interning = remembered.interning
        self.now_s = now_s
        self.now = rfc3339(now_s)
        self._remembered = remembered
        self._logs: dict[str, Log] = {}

    def log(self, log_id: str) -> Log:
        """The log's head; an empty log is begun."""
        known = self._logs.get(log_id)
        if known is not None:
            return known
        frontier = self._remembered.frontiers.get(log_id)
        self._logs[log_id] = begun = Log(self._stored_frontier(log_id) if frontier is None else frontier)
        return begun

    def _stored_frontier(self, log_id: str) -> Frontier:
        row = self.connection.execute("SELECT frontier FROM head WHERE log_id = ?", (log_id,)).fetchone()
        if row is not None:
            return Frontier.from_bytes(row[0])
        self.connection.execute("INSERT OR IGNORE INTO log VALUES (?, ?)", (log_id, self.now))
        self.connection.execute("INSERT INTO head VALUES (?, 0, ?, ?)", (log_id, Frontier().to_bytes(), self.now))
        return Frontier()

    def head(self, log_id: str) -> tuple[int, bytes]:
        """Size and root of the log with what this transaction appended so far."""
        log = self.log(log_id)
        grown = log.frontier.extend(log.leaves)
        return grown.size, grown.root()

    def closed_through(self, log_id: str) -> str:
        """The last month that takes no more entries; empty where all are open."""
        log = self.log(log_id)
        if log.closed_through is None:
            log.closed_through = closed_through(self.connection, log_id) or ""
        return log.closed_through

    def finish(self) -> None:
        """Write the heads and add the new entries to the rollups; the last step before COMMIT."""
        for log_id, log in self._logs.items():
            if log.leaves:
                grown = log.frontier.extend(log.leaves)
                add_tiles(self.connection, log_id, log.frontier.size, grown.size)
                self.connection.execute(_GROW, (grown.size, grown.to_bytes(), self.now, log_id))
                first, count = log.frontier.size, len(log.leaves)
                self._remembered.rollups.add(log_id, first, count, self.now, log.tagged, log.in_operations)
                self._remembered.frontiers[log_id] = grown


def append(
    transaction: Transaction,
    draft: EntryDraft,
    sign: Callable[[str], Signed],
    attempt_no: int | None,
) -> Settled:
    """Give `draft` the next place in its log; where its source and external_id have an entry already, return that.

    `sign` gives the receipt issued at an instant (RFC 3339 UTC).

    Raises:
        PeriodClosed: it occurred in a month that was closed.
        RequestConflict: its request_id has an entry already.
        RequestInFlight: it comes without a try of its own, while another try of the request is made.
        InvalidInput: the payload cannot be signed.
    """
    settled = _already(transaction, draft, attempt_no)
    if settled is not None:
        return settled
    require_open(transaction, draft.log_id, draft.occurred_at)
    signed = sign(transaction.now)
    log = transaction.log(draft.log_id)
    place = next_place(transaction, draft, signed)
    _insert(transaction.connection, draft, place, signed.jws)
    _close_attempt(transaction, draft, attempt_no)
    left = budgets.settle(transaction, draft, place.seq)
    log.in_operations = log.in_operations or draft.operation_id is not None
    log.tagged.extend((place.seq, tag) for tag in draft.tags)
    log.leaves.append(leaf_hash(place.entry_hash))
    return Settled(
        draft.log_id, place.seq, place.receipt_id, signed.jws, place.entry_hash, transaction.now, draft, left
    )


def next_place(transaction: Transaction, draft: EntryDraft, signed: Signed) -> Place:
    """What the next place in its log gives an entry with this receipt."""
    entry = entry_hash(signed.jws)
    signature_id = transaction.interning.signature(draft)
    return Place(
        seq=transaction.log(draft.log_id).next_seq,
        recorded_at=transaction.now,
        period=draft.occurred_at[:7],
        method_sha256=signed.method_sha256,
        edition_sha256=signed.edition_sha256,
        signature_id=signature_id,
        dim=transaction.interning.dimension(draft, signature_id),
        receipt_id=receipt_id(entry),
        entry_hash=entry,
    )


def find_request(connection: sqlite3.Connection, log_id: str, request_id: str) -> Settled | None:
    """The entry of a request."""
    row = connection.execute(f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.request_id = ?", (log_id, request_id)).fetchone()
    return None if row is None else from_row(row)


def _already(transaction: Transaction, draft: EntryDraft, attempt_no: int | None) -> Settled | None:
    if draft.external_id is not None:
        sql = f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.source = ? AND e.external_id = ?"
        row = transaction.connection.execute(sql, (draft.log_id, draft.source, draft.external_id)).fetchone()
        if row is not None:
            return from_row(row)
    if draft.request_id is None:
        return None
    sql = "SELECT seq, receipt_id, request_digest FROM entry WHERE log_id = ? AND request_id = ?"
    row = transaction.connection.execute(sql, (draft.log_id, draft.request_id)).fetchone()
    if row is None:
        if attempt_no is None:
            _require_nobody_runs(transaction, draft)
        return None
    seq, name, digest = row
    # Asked again after an unclear answer: this very try wrote the entry, and nothing is written twice.
    if digest == draft.request_digest and _ended(transaction, draft, attempt_no):
        return find_request(transaction.connection, draft.log_id, draft.request_id)
    raise RequestConflict(
        f"request_id {draft.request_id!r} was settled before, as entry {seq} ({name}). "
        "An entry is never changed: record what was spent since as an adjustment, or use another request_id."
    )


def _require_nobody_runs(transaction: Transaction, draft: EntryDraft) -> None:
    """Tries that all failed are settled only while no other is made: its entry will count them too.

    Raises:
        RequestInFlight: one is.
    """
    sql = (
        "SELECT attempt_no FROM attempt WHERE log_id = ? AND request_id = ? AND state = 'open' "
        "AND lease_expires_at >= ?"
    )
    row = transaction.connection.execute(sql, (draft.log_id, draft.request_id, transaction.now_s)).fetchone()
    if row is not None:
        raise RequestInFlight(
            f"request_id {draft.request_id!r} is running (attempt {row[0]}); that try will settle it, with what the "
            "earlier ones spent. Wait, then ask again with the same request_id."
        )


def _ended(transaction: Transaction, draft: EntryDraft, attempt_no: int | None) -> bool:
    row = transaction.connection.execute(
        "SELECT state FROM attempt WHERE log_id = ? AND request_id = ? AND attempt_no = ?",
        (draft.log_id, draft.request_id, attempt_no),
    ).fetchone()
    return row is not None and row[0] == STATE_AFTER[draft.status]


def _insert(connection: sqlite3.Connection, draft: EntryDraft, place: Place, jws: str) -> None:
    connection.execute(INSERT_ENTRY, to_row(draft, place))
    connection.execute("INSERT INTO receipt VALUES (?, ?, ?)", (draft.log_id, place.seq, jws))
    if draft.decision_json is not None:
        connection.execute("INSERT INTO decision VALUES (?, ?, ?)", (draft.log_id, place.seq, draft.decision_json))
    for tag in draft.tags:
        connection.execute("INSERT INTO entry_tag VALUES (?, ?, ?)", (draft.log_id, tag, place.seq))


_OTHERS = """
SELECT COALESCE(SUM(input_tokens), 0), COALESCE(SUM(cached_input_tokens), 0), COALESCE(SUM(output_tokens), 0),
  COALESCE(SUM(reasoning_tokens), 0)
FROM attempt WHERE log_id = ? AND request_id = ? AND attempt_no <> ?
"""
_CLOSE = """
UPDATE attempt SET state = ?, reason = ?, closed_at = ?, input_tokens = ?, cached_input_tokens = ?, output_tokens = ?,
  reasoning_tokens = ?
WHERE log_id = ? AND request_id = ? AND attempt_no = ?
"""


def _close_attempt(transaction: Transaction, draft: EntryDraft, attempt_no: int | None) -> None:
    """End the try that led to the entry. The entry has the sum over all tries; what the others used stays theirs."""
    if attempt_no is None:
        return
    key = (draft.log_id, draft.request_id, attempt_no)
    usage = draft.usage
    whole = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens)
    others = transaction.connection.execute(_OTHERS, key).fetchone()
    own = [max(0, all_of - rest) for all_of, rest in zip(whole, others, strict=True)]
    values = (STATE_AFTER[draft.status], draft.finish_reason, transaction.now, *own, *key)
    transaction.connection.execute(_CLOSE, values)
