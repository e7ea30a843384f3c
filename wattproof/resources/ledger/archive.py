"""Retention: receipts and decisions of old entries go to a file; entries, leaves and totals stay.

The file is complete and on disk before anything is deleted. What is deleted is deleted in steps, so that nobody waits
long; a process that dies in between leaves receipts that are in both places, and archiving again goes on with them.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from wattproof.methodology.errors import LedgerError
from wattproof.resources.ledger.append import Transaction
from wattproof.resources.ledger.archive_file import SCHEMA, digest_of, json_line
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.new_file import NewFile
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.statements import archive_statement
from wattproof.resources.receipts import entry_hash

__all__ = ["STEP", "Archived", "Range", "Written", "delete", "enter", "left_behind", "plan", "require_sound", "write"]

STEP = 5000
"""Entries in one transaction when receipts are deleted or put back."""

_ROWS = (
    "SELECT e.seq, e.entry_hash, e.row_check, r.jws, d.json, x.seq FROM entry e "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "LEFT JOIN decision d ON d.log_id = e.log_id AND d.seq = e.seq "
    "LEFT JOIN erasure x ON x.log_id = e.log_id AND x.seq = e.seq "
    "WHERE e.log_id = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq"
)


class Range(NamedTuple):
    """Entries first_seq … end_seq - 1 of a log."""

    log_id: str
    first_seq: int
    end_seq: int


@dataclass(frozen=True, slots=True)
class Written:
    """An archive on disk: what it covers, and per range the digest over the row checks and how many were erased."""

    file: str
    file_sha256: bytes
    ranges: tuple[Range, ...]
    rows_sha256: tuple[bytes, ...]
    erased: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of an archive: `count` receipts of `ranges` are in `file`, or came back from it."""

    file: str
    ranges: tuple[Range, ...]
    count: int


def plan(connection: sqlite3.Connection, before: str) -> tuple[Range, ...]:
    """The oldest entries of each log that are in no archive yet and were recorded before `before`, without a gap."""
    found: list[Range] = []
    for log_id in logs(connection):
        sql = "SELECT first_seq, end_seq FROM archive WHERE log_id = ? ORDER BY first_seq"
        first, bound = 0, None
        for archived_from, archived_to in connection.execute(sql, (log_id,)).fetchall():
            if archived_from > first:
                bound = archived_from
                break
            first = archived_to
        sql = "SELECT MIN(seq) FROM entry WHERE log_id = ? AND seq >= ? AND recorded_at >= ?"
        (newer,) = connection.execute(sql, (log_id, first, before)).fetchone()
        (size,) = connection.execute("SELECT size FROM head WHERE log_id = ?", (log_id,)).fetchone()
        end = min(bound for bound in (newer, bound, size) if bound is not None)
        if end > first:
            found.append(Range(log_id, first, end))
    return tuple(found)


def write(connection: sqlite3.Connection, ranges: Sequence[Range], path: Path, made_at: str) -> Written:
    """Write the receipts and decisions of `ranges` to a new file, at `path` or with a name of its own in that folder.

    Raises:
        InvalidInput: the file exists.
        LedgerUnusable: it cannot be written.
        LedgerError: a receipt is missing, or is not that of its entry.
    """
    if path.is_dir():
        path /= f"wattproof-receipts-{made_at.replace(':', '')}.jsonl.gz"
    rows, erased, count = list[bytes](), list[int](), 0
    with NewFile(path) as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as packed:
            packed.write(json_line({"schema": SCHEMA, "made_at": made_at, "logs": [each._asdict() for each in ranges]}))
            for each in ranges:
                digest, gone = sha256(), 0
                for seq, entry, row_check, jws, decision, is_erased in connection.execute(_ROWS, each):
                    digest.update(row_check)
                    if is_erased is not None:
                        gone += 1
                        continue
                    require_sound(seq, entry, jws)
                    packed.write(json_line({"log_id": each.log_id, "seq": seq, "jws": jws, "decision": decision}))
                    count += 1
                rows.append(digest.digest())
                erased.append(gone)
            packed.write(json_line({"count": count}))
        file.keep()
    return Written(str(path.absolute()), digest_of(path), tuple(ranges), tuple(rows), tuple(erased), count)


def enter(transaction: Transaction, keyring: Keyring, written: Written) -> None:
    """Record that the receipts are in the file; from now on they may be deleted.

    Raises:
        LedgerError: a receipt was erased, or archived by somebody else, since the file was written.
    """
    connection = transaction.connection
    for each, rows_sha256, erased in zip(written.ranges, written.rows_sha256, written.erased, strict=True):
        sql = "SELECT COUNT(*) FROM erasure WHERE log_id = ? AND seq >= ? AND seq < ?"
        (now,) = connection.execute(sql, each).fetchone()
        sql = "SELECT COUNT(*) FROM archive WHERE log_id = ? AND end_seq > ? AND first_seq < ?"
        (others,) = connection.execute(sql, each).fetchone()
        if now != erased or others:
            raise LedgerError("A receipt was erased or archived meanwhile. Nothing was deleted; archive again.")
        statement = archive_statement(
            keyring.issuer, *each, at=transaction.now, file_sha256=written.file_sha256, rows_sha256=rows_sha256
        )
        connection.execute(
            "INSERT INTO archive (log_id, first_seq, end_seq, file, file_sha256, at, statement) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*each, written.file, written.file_sha256, transaction.now, statement),
        )


def left_behind(connection: sqlite3.Connection) -> list[Range]:
    """Archived ranges that still have receipts, because they came back or a process died while it deleted them.

    Raises:
        LedgerError: their archive is not where it was, or was changed.
    """
    sql = (
        "SELECT a.log_id, a.first_seq, a.end_seq, a.file, a.file_sha256 FROM archive a WHERE EXISTS "
        "(SELECT 1 FROM receipt r WHERE r.log_id = a.log_id AND r.seq >= a.first_seq AND r.seq < a.end_seq)"
    )
    found: list[Range] = []
    for *each, file, file_sha256 in connection.execute(sql).fetchall():
        path = Path(file)
        if not path.exists() or digest_of(path) != file_sha256:
            raise LedgerError(
                f"{file} holds receipts that are to be deleted here, and is gone or changed. Put it back."
            )
        found.append(Range(*each))
    return found


def delete(transaction: Transaction, each: Range) -> None:
    """Delete receipts and decisions of archived entries."""
    for table in ("receipt", "decision"):
        sql = f"DELETE FROM {table} WHERE log_id = ? AND seq >= ? AND seq < ?"  # noqa: S608
        transaction.connection.execute(sql, each)


def require_sound(seq: int, entry: bytes, jws: str | None) -> None:
    """Check that a receipt is that of an entry.

    Raises:
        LedgerError: it is not, or is missing.
    """
    if jws is None or not jws.isascii() or entry_hash(jws) != entry:
        problem = "is missing" if jws is None else "is not that of the entry"
        raise LedgerError(f"The receipt of entry {seq} {problem}; `wattproof ledger fsck` says more.")
