"""Bringing receipts back from an archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wattproof.methodology.errors import InvalidInput, LedgerError
from wattproof.resources.ledger.append import Transaction
from wattproof.resources.ledger.archive import Range, require_sound
from wattproof.resources.ledger.archive_file import Line, digest_of
from wattproof.resources.ledger.driver import sqlite3

__all__ = ["archives_of", "forget", "put_back"]


def archives_of(connection: sqlite3.Connection, path: Path) -> tuple[Range, ...]:
    """What of this ledger is in the file at `path`, by its content.

    Raises:
        InvalidInput: nothing is, or the file was changed.
    """
    sql = "SELECT log_id, first_seq, end_seq FROM archive WHERE file_sha256 = ? ORDER BY log_id, first_seq"
    found = tuple(Range(*row) for row in connection.execute(sql, (digest_of(path),)))
    if not found:
        raise InvalidInput("file", f"{path} is no archive of this ledger, or was changed", "give one that fsck names")
    return found


def put_back(transaction: Transaction, lines: Sequence[Line]) -> int:
    """Put receipts beside their entries again, but for those that are there or were erased; how many came back.

    Raises:
        LedgerError: a receipt is not that of its entry.
    """
    connection, came_back = transaction.connection, 0
    for line in lines:
        key = (line.log_id, line.seq)
        sql = (
            "SELECT e.entry_hash FROM entry e WHERE e.log_id = ? AND e.seq = ? "
            "AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.log_id = e.log_id AND r.seq = e.seq) "
            "AND NOT EXISTS (SELECT 1 FROM erasure x WHERE x.log_id = e.log_id AND x.seq = e.seq)"
        )
        row = connection.execute(sql, key).fetchone()
        if row is None:
            continue
        require_sound(line.seq, row[0], line.jws)
        connection.execute("INSERT INTO receipt (log_id, seq, jws) VALUES (?, ?, ?)", (*key, line.jws))
        if line.decision is not None:
            connection.execute("INSERT INTO decision (log_id, seq, json) VALUES (?, ?, ?)", (*key, line.decision))
        came_back += 1
    return came_back


def forget(transaction: Transaction, ranges: Sequence[Range]) -> None:
    """Record that the receipts of these ranges are beside their entries again.

    Raises:
        LedgerError: one is not.
    """
    for each in ranges:
        sql = (
            "SELECT MIN(e.seq) FROM entry e WHERE e.log_id = ? AND e.seq >= ? AND e.seq < ? "
            "AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.log_id = e.log_id AND r.seq = e.seq) "
            "AND NOT EXISTS (SELECT 1 FROM erasure x WHERE x.log_id = e.log_id AND x.seq = e.seq)"
        )
        (missing,) = transaction.connection.execute(sql, each).fetchone()
        if missing is not None:
            raise LedgerError(f"The archive lacks the receipt of entry {missing}. It stays recorded as archived.")
        sql = "DELETE FROM archive WHERE log_id = ? AND first_seq = ? AND end_seq = ?"
        transaction.connection.execute(sql, each)
