"""The tables of what is kept of an entry whose receipt is elsewhere or gone, and the checksum of every row."""

from __future__ import annotations

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.row_check import row_checker, stored_shape
from wattproof.resources.ledger.schema import ENTRY_COLUMNS, guard

__all__ = ["add_keeping_tables"]

_AT_ONCE = 1000

_TABLES = (
    # `statement` is a JWS of the issuer over all of this and the row's checksum; see erasure.py.
    """CREATE TABLE erasure (
  log_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at TEXT NOT NULL,
  reason TEXT NOT NULL,
  statement TEXT NOT NULL,
  PRIMARY KEY (log_id, seq), FOREIGN KEY (log_id, seq) REFERENCES entry
) STRICT, WITHOUT ROWID""",
    # The receipts of the entries first_seq … end_seq - 1 are in `file`, unless they were erased before; see archive.py.
    """CREATE TABLE archive (
  log_id TEXT NOT NULL REFERENCES log,
  first_seq INTEGER NOT NULL CHECK (first_seq >= 0),
  end_seq INTEGER NOT NULL CHECK (end_seq > first_seq),
  file TEXT NOT NULL,
  file_sha256 BLOB NOT NULL CHECK (length(file_sha256) = 32),
  at TEXT NOT NULL,
  statement TEXT NOT NULL,
  PRIMARY KEY (log_id, first_seq)
) STRICT, WITHOUT ROWID""",
    # A log that goes on from an older copy may contradict what was handed out since; see restore.py.
    """CREATE TABLE restoration (
  log_id TEXT NOT NULL,
  at TEXT NOT NULL,
  made_at TEXT NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  PRIMARY KEY (log_id, at)
) STRICT, WITHOUT ROWID""",
)
_TRIGGERS = (
    guard("erasure", "UPDATE", "an erasure is never changed"),
    guard("erasure", "DELETE", "an erasure is never undone"),
    guard("archive", "UPDATE", "an archive is never changed"),
    guard("restoration", "UPDATE", "a restoration is never changed"),
    guard("restoration", "DELETE", "a restoration is never forgotten"),
)


def add_keeping_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, and the checksums of the entries that exist already."""
    for statement in (*_TABLES, *_TRIGGERS):
        connection.execute(statement)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(entry)").fetchall()]
    if columns and "row_check" not in columns:
        connection.execute(f"ALTER TABLE entry ADD COLUMN row_check {ENTRY_COLUMNS['row_check']}")
        _check_rows(connection)


def _check_rows(connection: sqlite3.Connection) -> None:
    entry = ", ".join(f"e.{name}" for name in ENTRY_COLUMNS)
    unchecked = (
        f"SELECT {entry}, s.json, e.rowid FROM entry e JOIN factor_signature s ON s.id = e.signature_id "  # noqa: S608
        "WHERE e.row_check IS NULL AND e.rowid > ? ORDER BY e.rowid LIMIT ?"
    )
    check = row_checker(tuple(ENTRY_COLUMNS))
    (update,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_update'").fetchone()
    connection.execute("DROP TRIGGER entry_update")
    last = 0
    while rows := connection.execute(unchecked, (last, _AT_ONCE)).fetchall():
        sums = [(check(row, stored_shape(row[-2])), row[-1]) for row in rows]
        connection.executemany("UPDATE entry SET row_check = ? WHERE rowid = ?", sums)
        last = rows[-1][-1]
    connection.execute(update)
