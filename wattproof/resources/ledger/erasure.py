"""Erasing one receipt: what it said is gone, what it proved about the log stays.

Receipt and decision are deleted, and with the receipt its nonce, without which the leaf in the log says nothing. The
entry, its leaf and every total stay, and so do the labels that the caller gave the entry (request_id, tags, project,
operation_id, external_id): totals and the rule that nothing is recorded twice depend on them, and entries are
append-only. So labels are no place for personal data. Copies that left the ledger (handed-out receipts, archives,
backups) are not reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wattproof.methodology.errors import InvalidInput, LedgerError
from wattproof.resources.ledger.append import Transaction
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.fsck_entries import faults
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.rows import SELECT_ENTRY, check_name
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.statements import erasure_statement
from wattproof.resources.receipts import keys_from_jwks

__all__ = ["Erased", "erase", "log_of", "whereabouts"]

_LONGEST_REASON = 200
_ERASED = "SELECT at, reason FROM erasure WHERE log_id = ? AND seq = ?"
_ARCHIVED = "SELECT file, at FROM archive WHERE log_id = ? AND first_seq <= ? AND end_seq > ?"
_PLACE = (
    "SELECT e.log_id, e.seq, r.seq FROM entry e LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "WHERE e.receipt_id = ?"
)


@dataclass(frozen=True, slots=True)
class Erased:
    """Which receipt was erased, when (RFC 3339 UTC) and why."""

    log_id: str
    seq: int
    receipt_id: str
    at: str
    reason: str


def log_of(connection: sqlite3.Connection, receipt_id: str) -> str:
    """The log that holds the entry of a receipt.

    Raises:
        InvalidInput: there is no such entry.
    """
    row = connection.execute(_PLACE, (receipt_id,)).fetchone()
    if row is None:
        raise InvalidInput("receipt_id", f"is {receipt_id[:60]!r}, which no entry here has", "give one of this ledger")
    return row[0]


def whereabouts(connection: sqlite3.Connection, receipt_id: str) -> str | None:
    """Where a receipt is that is not beside its entry; None where it is there, or where no entry has this id."""
    place = connection.execute(_PLACE, (receipt_id,)).fetchone()
    if place is None or place[2] is not None:
        return None
    log_id, seq, _ = place
    erased = connection.execute(_ERASED, (log_id, seq)).fetchone()
    if erased is not None:
        return f"erased at {erased[0]}: {erased[1]}"
    archived = connection.execute(_ARCHIVED, (log_id, seq, seq)).fetchone()
    if archived is not None:
        # The folder is the operator's business; fsck tells it.
        name = Path(archived[0]).name
        return f"archived in {name} at {archived[1]}; wattproof ledger unarchive FILE brings it back"
    return "missing; wattproof ledger fsck says more"


def erase(transaction: Transaction, keyring: Keyring, receipt_id: str, reason: str) -> Erased:
    """Delete a receipt and its decision, and record that under the issuer's signature.

    Raises:
        InvalidInput: no entry has this receipt, it was erased, it is about a key, or the reason is no short text.
        LedgerError: the receipt is in an archive, or its entry was tampered with, which an erasure would cover up.
    """
    check_name("reason", reason, _LONGEST_REASON)
    connection = transaction.connection
    log_id = log_of(connection, receipt_id)
    sql = f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.receipt_id = ?"
    row = connection.execute(sql, (log_id, receipt_id)).fetchone()
    entry = dict(zip(ENTRY_COLUMNS, row, strict=False))
    _require_erasable(connection, receipt_id, entry["seq"], entry["kind"], log_id)
    wrong = list(faults(row, keys_from_jwks(keyring.jwks)))
    if wrong:
        raise LedgerError(
            f"Entry {entry['seq']} is not what its receipt says: {wrong[0]}. Nothing was erased. "
            "`wattproof ledger fsck --signatures` says more."
        )
    key = (log_id, entry["seq"])
    statement = erasure_statement(
        keyring.issuer, *key, at=transaction.now, reason=reason, entry=entry["entry_hash"], row_check=entry["row_check"]
    )
    connection.execute(
        "INSERT INTO erasure (log_id, seq, at, reason, statement) VALUES (?, ?, ?, ?, ?)",
        (*key, transaction.now, reason, statement),
    )
    connection.execute("DELETE FROM receipt WHERE log_id = ? AND seq = ?", key)
    connection.execute("DELETE FROM decision WHERE log_id = ? AND seq = ?", key)
    return Erased(*key, receipt_id, transaction.now, reason)


def _require_erasable(connection: sqlite3.Connection, receipt_id: str, seq: int, kind: str, log_id: str) -> None:
    erased = connection.execute(_ERASED, (log_id, seq)).fetchone()
    if erased is not None:
        raise InvalidInput("receipt_id", f"was erased at {erased[0]}", "nothing is left of it to erase")
    if kind == "key":
        raise InvalidInput("receipt_id", "is a statement about a key", "others need it; it holds no personal data")
    where = whereabouts(connection, receipt_id)
    if where is not None:
        raise LedgerError(f"The receipt {receipt_id} is {where}. Nothing was erased.")
