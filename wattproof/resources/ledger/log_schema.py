"""The tables of the transparency log: tiles and checkpoints."""

from __future__ import annotations

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.schema import guard
from wattproof.resources.ledger.tiling import add_tiles

__all__ = ["add_log_tables"]

_TABLES = (
    # `root` is the hash over `hashes`; see tiling.py for the order of the columns.
    """CREATE TABLE tile (
  log_id TEXT NOT NULL REFERENCES log,
  level INTEGER NOT NULL CHECK (level >= 0),
  idx INTEGER NOT NULL CHECK (idx >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
  PRIMARY KEY (log_id, level, idx)
) STRICT, WITHOUT ROWID""",
    # What was signed stays: a log that forgot it could sign another root for the same size.
    """CREATE TABLE checkpoint (
  log_id TEXT NOT NULL REFERENCES log,
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (log_id, size)
) STRICT, WITHOUT ROWID""",
)
_TRIGGERS = (
    guard("tile", "UPDATE", "a full tile is never changed"),
    guard("tile", "DELETE", "a full tile is never removed"),
    # Its signatures may change, with the keys of the log; what they are over may not.
    guard(
        "checkpoint", "UPDATE", "a signed root is never changed", "WHEN NEW.size <> OLD.size OR NEW.root <> OLD.root"
    ),
    guard("checkpoint", "DELETE", "a checkpoint is never removed"),
)


def add_log_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, and the tiles of the logs that exist already."""
    for statement in (*_TABLES, *_TRIGGERS):
        connection.execute(statement)
    for log_id, size in connection.execute("SELECT log_id, size FROM head").fetchall():
        add_tiles(connection, log_id, 0, size)
