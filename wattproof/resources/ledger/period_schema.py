"""The tables of closed periods and restatements, and the rollups made anew where their columns changed."""

from __future__ import annotations

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.rollups import rebuild
from wattproof.resources.ledger.schema import guard

__all__ = ["add_period_tables"]

_TABLES = (
    # `size` and `root` are of the log when the period was closed: what it held then can be shown later.
    """CREATE TABLE closed_period (
  log_id TEXT NOT NULL REFERENCES log,
  period TEXT NOT NULL,
  closed_at TEXT NOT NULL,
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  PRIMARY KEY (log_id, period)
) STRICT, WITHOUT ROWID""",
    # A period under another method, beside the entries. `results_sha256` is over the result of each entry, so that
    # computing it again shows whether anything differs.
    """CREATE TABLE restatement (
  log_id TEXT NOT NULL REFERENCES log,
  id TEXT NOT NULL,
  period TEXT NOT NULL,
  method_id TEXT NOT NULL,
  method_sha256 TEXT NOT NULL,
  edition TEXT NOT NULL,
  edition_sha256 TEXT NOT NULL,
  grid TEXT NOT NULL,
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  created_at TEXT NOT NULL,
  results_sha256 TEXT NOT NULL,
  json TEXT NOT NULL,
  PRIMARY KEY (log_id, id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX restatement_period ON restatement (log_id, period, created_at)",
    # Adjustments are few, and looked for by when they were made and by what they adjust.
    "CREATE INDEX entry_adjustment ON entry (log_id, occurred_at) WHERE kind = 'adjustment'",
    "CREATE INDEX entry_adjusts ON entry (log_id, adjusts) WHERE adjusts IS NOT NULL",
)
_TRIGGERS = (
    guard("closed_period", "UPDATE", "a closed period stays closed"),
    guard("closed_period", "DELETE", "a closed period stays closed"),
    guard("restatement", "UPDATE", "a restatement is never changed"),
    guard("restatement", "DELETE", "a restatement is never removed"),
)


def add_period_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, and the rollups again with the columns that they have now."""
    for statement in (*_TABLES, *_TRIGGERS):
        connection.execute(statement)
    rebuild(connection)
