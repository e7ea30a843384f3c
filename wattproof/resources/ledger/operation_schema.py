"""The tables of operations and budgets."""

from __future__ import annotations

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.schema import guard

__all__ = ["add_operation_tables"]

_TABLES = (
    # A row per operation that was begun, recorded into, or named as a parent; a run may name one without a row.
    """CREATE TABLE operation (
  log_id TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  parent_id TEXT,
  opened_at TEXT NOT NULL,
  ended_at TEXT,
  ended_seq INTEGER,
  PRIMARY KEY (log_id, operation_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX operation_parent ON operation (log_id, parent_id) WHERE parent_id IS NOT NULL",
    # Which entry a step that was made elsewhere became; `digest` is of what the caller said about it.
    """CREATE TABLE operation_step (
  log_id TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  idempotency_key TEXT,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  seq INTEGER NOT NULL,
  PRIMARY KEY (log_id, operation_id, step_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX operation_step_entry ON operation_step (log_id, seq)",
    """CREATE UNIQUE INDEX operation_step_key ON operation_step (log_id, operation_id, idempotency_key)
WHERE idempotency_key IS NOT NULL""",
    # `name` is the operation, the tag, or empty for the whole log. Amounts are integers; see budget_records.py.
    """CREATE TABLE budget (
  id INTEGER PRIMARY KEY,
  log_id TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('operation', 'tag', 'tenant')),
  name TEXT NOT NULL,
  per TEXT NOT NULL CHECK (per IN ('total', 'day', 'month')),
  tz TEXT NOT NULL,
  unit TEXT NOT NULL CHECK (unit IN ('energy_wh', 'carbon_gco2e', 'tokens', 'cost_usd')),
  amount INTEGER NOT NULL CHECK (amount >= 0),
  action TEXT NOT NULL CHECK (action IN ('refuse', 'warn')),
  may_ask INTEGER NOT NULL CHECK (may_ask IN (0, 1)),
  rates TEXT NOT NULL,
  from_seq INTEGER NOT NULL,
  from_bucket TEXT NOT NULL,
  UNIQUE (log_id, scope, name, per, unit)
) STRICT""",
    # What was counted and what was granted on top in each period of a budget; `bucket` is empty for a total.
    """CREATE TABLE budget_count (
  budget_id INTEGER NOT NULL,
  bucket TEXT NOT NULL,
  spent INTEGER NOT NULL DEFAULT 0,
  unknown INTEGER NOT NULL DEFAULT 0,
  granted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (budget_id, bucket)
) STRICT, WITHOUT ROWID""",
    # What tries may still spend; a row goes when its request is settled.
    """CREATE TABLE budget_reservation (
  log_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  attempt_no INTEGER NOT NULL,
  budget_id INTEGER NOT NULL,
  bucket TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  PRIMARY KEY (log_id, request_id, attempt_no, budget_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX budget_reserved ON budget_reservation (budget_id, bucket, amount)",
    # Who decided what about which budget, and when; kept also when the budget is removed.
    """CREATE TABLE budget_decision (
  id INTEGER PRIMARY KEY,
  log_id TEXT NOT NULL,
  decided_at TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('set', 'raise', 'override', 'remove')),
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  per TEXT NOT NULL,
  unit TEXT NOT NULL,
  amount INTEGER NOT NULL,
  bucket TEXT NOT NULL,
  reason TEXT
) STRICT""",
)
_DECIDED, _ENDED = "a decision about a budget stays as it was", "an operation that ended stays as it was"


def add_operation_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, empty."""
    for statement in _TABLES:
        connection.execute(statement)
    for table, event, text, when in (
        ("budget_decision", "UPDATE", _DECIDED, ""),
        ("budget_decision", "DELETE", _DECIDED, ""),
        ("operation", "UPDATE", _ENDED, "WHEN OLD.ended_at IS NOT NULL"),
        ("operation", "DELETE", _ENDED, "WHEN OLD.ended_at IS NOT NULL"),
    ):
        connection.execute(guard(table, event, text, when))
