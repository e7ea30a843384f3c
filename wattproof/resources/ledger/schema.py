"""The tables of the ledger, and how a file becomes one.

The schema is made and changed by sqlite-utils migrations, each in one transaction, while the ledger's lock is held; the
package is imported only when there is something to do. Appending uses plain SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, MAX_TERMS, ROLLUPS, rollup_table

__all__ = ["APPLICATION_ID", "ENTRY_COLUMNS", "STEPS", "VERSION", "Step", "guard", "prepare"]

APPLICATION_ID = 0x57505246  # "WPRF"

Step = Callable[[sqlite3.Connection], None]
"""Adds one version of the tables, statement by statement."""

_AMOUNTS = ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")

# column -> declaration; the order of this mapping is the order of the row.
ENTRY_COLUMNS: dict[str, str] = {
    "log_id": "TEXT NOT NULL",
    "seq": "INTEGER NOT NULL CHECK (seq >= 0)",
    "kind": "TEXT NOT NULL",
    "status": "TEXT NOT NULL",
    "request_id": "TEXT",
    "request_digest": "BLOB",
    "occurred_at": "TEXT NOT NULL",
    "recorded_at": "TEXT NOT NULL",
    "period": "TEXT NOT NULL",
    "project": "TEXT",
    "workload": "TEXT NOT NULL",
    "tags": "TEXT NOT NULL",
    "operation_id": "TEXT",
    "parent_id": "TEXT",
    "step_kind": "TEXT",
    "retry_of": "TEXT",
    "adjusts": "INTEGER",
    "source": "TEXT NOT NULL",
    "external_id": "TEXT",
    "provider_request_id": "TEXT",
    "provider": "TEXT NOT NULL",
    "model": "TEXT NOT NULL",
    "resolved_model": "TEXT",
    "deployment": "TEXT NOT NULL",
    "zone": "TEXT NOT NULL",
    "location_evidence": "TEXT NOT NULL",
    "energy_source": "TEXT NOT NULL",
    "renewable_ratio_bps": "INTEGER",
    "temporal_match": "TEXT NOT NULL",
    "grid_source": "TEXT NOT NULL",
    "input_tokens": "INTEGER NOT NULL",
    "cached_input_tokens": "INTEGER NOT NULL",
    "output_tokens": "INTEGER NOT NULL",
    "reasoning_tokens": "INTEGER NOT NULL",
    "usage_source": "TEXT NOT NULL",
    "attempts": "INTEGER NOT NULL",
    "latency_ms": "INTEGER",
    "finish_reason": "TEXT",
    "method_id": "TEXT NOT NULL",
    "method_sha256": "TEXT",
    "edition": "TEXT NOT NULL",
    "edition_sha256": "TEXT",
    "tier": "TEXT NOT NULL",
    "boundary": "TEXT NOT NULL",
    **{f"{name}{end}": "INTEGER" for name in _AMOUNTS for end in ("", "_low", "_high")},
    "reasons": "TEXT NOT NULL",
    "signature_id": "INTEGER NOT NULL REFERENCES factor_signature",
    **{f"e{k}": "INTEGER" for k in range(MAX_TERMS)},
    **{f"c{k}": "INTEGER" for k in range(MAX_TERMS)},
    "energy_own_variance": "REAL",
    "carbon_own_variance": "REAL",
    "cost_micros": "INTEGER",
    "currency": "TEXT",
    "instrument_id": "TEXT",
    "synthetic": "INTEGER NOT NULL CHECK (synthetic IN (0, 1))",
    "dim": "INTEGER NOT NULL REFERENCES dimension",
    "receipt_id": "TEXT NOT NULL",
    "entry_hash": "BLOB NOT NULL CHECK (length(entry_hash) = 32)",
    "row_check": "BLOB",
}


def prepare(connection: sqlite3.Connection, path: Path, *, now: str, simulation: bool) -> None:
    """Make `path` a ledger of this version, or check that it is one. The caller holds the lock.

    A file of another program is left as it was.

    Raises:
        LedgerUnusable: another program's file, a newer schema, or a home of the other kind (real or simulation).
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise LedgerUnusable(
            f"{path} is a SQLite database of another program. Move it away, or set WATTPROOF_HOME to another folder."
        )
    if version > VERSION:
        raise LedgerUnusable(
            f"{path} has schema {version}; this version of wattproof reads up to {VERSION}. Upgrade wattproof."
        )
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise LedgerUnusable(
            f"{path} cannot keep a write-ahead log on this file system. Set WATTPROOF_HOME to a folder on a local disk."
        )
    if version < VERSION:
        _migrate(connection, now=now, simulation=simulation)
    _check_kind(connection, path, simulation)


def _check_kind(connection: sqlite3.Connection, path: Path, simulation: bool) -> None:
    (kind,) = connection.execute("SELECT value FROM meta WHERE name = 'kind'").fetchone()
    if kind != ("simulation" if simulation else "real"):
        raise LedgerUnusable(
            f"{path} was made for {'simulations' if kind == 'simulation' else 'real runs'} and cannot hold "
            f"{'simulations' if simulation else 'real runs'}. Set WATTPROOF_HOME to another folder."
        )


def _migrate(connection: sqlite3.Connection, *, now: str, simulation: bool) -> None:
    from sqlite_utils import Database, Migrations

    migrations = Migrations("wattproof.ledger")
    for version, (name, step) in enumerate(STEPS, start=1):

        @migrations(name=name)
        def _(db: Database, step: Step = step, version: int = version) -> None:
            step(db.conn)
            if version == 1:
                kind = "simulation" if simulation else "real"
                db.conn.execute("INSERT INTO meta VALUES ('kind', ?), ('created_at', ?)", (kind, now))
                db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.conn.execute(f"PRAGMA user_version = {version}")

    # One transaction around all of it: a crash leaves an empty file, which the next start completes.
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(Database(connection, execute_plugins=False))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def guard(table: str, event: str, text: str, when: str = "") -> str:
    """The trigger that refuses `event` (UPDATE or DELETE) on `table`, saying `text`."""
    body = f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
    return f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} {when} {body}"


_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE log (log_id TEXT PRIMARY KEY, created_at TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # `frontier` is receipts.merkle.Frontier.to_bytes(): the size and one hash per complete subtree.
    """CREATE TABLE head (
  log_id TEXT PRIMARY KEY REFERENCES log,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE factor_signature (
  id INTEGER PRIMARY KEY,
  json TEXT NOT NULL UNIQUE
) STRICT""",
    f"""CREATE TABLE dimension (
  id INTEGER PRIMARY KEY,
  {", ".join(f"{name} {'INTEGER' if name == 'signature_id' else 'TEXT'} NOT NULL" for name in DIMENSION_COLUMNS)},
  UNIQUE ({", ".join(DIMENSION_COLUMNS)})
) STRICT""",
    f"""CREATE TABLE entry (
  {", ".join(f"{name} {declared}" for name, declared in ENTRY_COLUMNS.items())},
  PRIMARY KEY (log_id, seq),
  FOREIGN KEY (log_id) REFERENCES log
) STRICT""",
    "CREATE UNIQUE INDEX entry_request ON entry (log_id, request_id) WHERE request_id IS NOT NULL",
    "CREATE INDEX entry_receipt ON entry (receipt_id)",
    "CREATE INDEX entry_time ON entry (log_id, occurred_at)",
    "CREATE INDEX entry_operation ON entry (log_id, operation_id, occurred_at) WHERE operation_id IS NOT NULL",
    """CREATE TABLE entry_tag (
  log_id TEXT NOT NULL, tag TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (log_id, tag, seq)
) STRICT, WITHOUT ROWID""",
    # Receipts and decisions may be erased; the leaf in `entry` stays, so the log still proves what it held.
    """CREATE TABLE receipt (
  log_id TEXT NOT NULL, seq INTEGER NOT NULL, jws TEXT NOT NULL,
  PRIMARY KEY (log_id, seq), FOREIGN KEY (log_id, seq) REFERENCES entry
) STRICT""",
    """CREATE TABLE decision (
  log_id TEXT NOT NULL, seq INTEGER NOT NULL, json TEXT NOT NULL,
  PRIMARY KEY (log_id, seq), FOREIGN KEY (log_id, seq) REFERENCES entry
) STRICT""",
    """CREATE TABLE attempt (
  log_id TEXT NOT NULL REFERENCES log,
  request_id TEXT NOT NULL,
  attempt_no INTEGER NOT NULL,
  request_digest BLOB NOT NULL,
  deployment TEXT NOT NULL,
  operation_id TEXT,
  state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'failed', 'cancelled', 'abandoned')),
  reason TEXT,
  opened_at TEXT NOT NULL,
  closed_at TEXT,
  lease_expires_at REAL NOT NULL,
  reserved_energy_nwh INTEGER,
  reserved_carbon_ng INTEGER,
  reserved_tokens INTEGER,
  reserved_cost_micros INTEGER,
  input_tokens INTEGER,
  cached_input_tokens INTEGER,
  output_tokens INTEGER,
  reasoning_tokens INTEGER,
  PRIMARY KEY (log_id, request_id, attempt_no)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX attempt_unsettled ON attempt (log_id, state, opened_at) WHERE state IN ('open', 'abandoned')",
    *(rollup_table(name) for name in ROLLUPS),
)

_TRIGGERS = (
    guard("entry", "UPDATE", "entries are append-only"),
    guard("entry", "DELETE", "entries are append-only"),
    guard("receipt", "UPDATE", "a receipt is never changed"),
    guard("decision", "UPDATE", "a decision is never changed"),
    guard("factor_signature", "UPDATE", "factor signatures are never changed"),
    guard("factor_signature", "DELETE", "factor signatures are never removed"),
    guard("dimension", "UPDATE", "dimensions are never changed"),
    guard("dimension", "DELETE", "dimensions are never removed"),
    guard("head", "UPDATE", "a log only grows", "WHEN NEW.size <= OLD.size"),
    guard("head", "DELETE", "a log is never removed"),
)


def _add_ledger(connection: sqlite3.Connection) -> None:
    for statement in (*_TABLES, *_TRIGGERS):
        connection.execute(statement)


def _add_external(connection: sqlite3.Connection) -> None:
    # What another source, or a correction, brings in comes in once.
    connection.execute(
        "CREATE UNIQUE INDEX entry_external ON entry (log_id, source, external_id) WHERE external_id IS NOT NULL"
    )


def _add_log(connection: sqlite3.Connection) -> None:
    from wattproof.resources.ledger.log_schema import add_log_tables

    add_log_tables(connection)


def _add_operations(connection: sqlite3.Connection) -> None:
    from wattproof.resources.ledger.operation_schema import add_operation_tables

    add_operation_tables(connection)


def _add_periods(connection: sqlite3.Connection) -> None:
    from wattproof.resources.ledger.period_schema import add_period_tables

    add_period_tables(connection)


def _add_keeping(connection: sqlite3.Connection) -> None:
    from wattproof.resources.ledger.keeping_schema import add_keeping_tables

    add_keeping_tables(connection)


def _add_lookups(connection: sqlite3.Connection) -> None:
    # Indexes that the planner takes without statistics, which no ledger has: to one without `log_id` it prefers any
    # that starts with it, and then reads every row of the log.
    # Of running tries, for which every run looks; `attempt_unsettled` holds abandoned ones too.
    connection.execute(
        "CREATE INDEX IF NOT EXISTS attempt_running ON attempt (log_id, lease_expires_at) WHERE state = 'open'"
    )
    # Of receipts by id, in one log or in any.
    connection.execute("CREATE INDEX IF NOT EXISTS entry_receipt_log ON entry (receipt_id, log_id)")
    connection.execute("DROP INDEX IF EXISTS entry_receipt")


STEPS: tuple[tuple[str, Step], ...] = (
    ("0001_ledger", _add_ledger),
    ("0002_external", _add_external),
    ("0003_log", _add_log),
    ("0004_operations", _add_operations),
    ("0005_periods", _add_periods),
    ("0006_keeping", _add_keeping),
    ("0007_lookups", _add_lookups),
)
"""Each version of the tables: its name, and what adds it to the version before. Every store takes the same steps."""

VERSION = len(STEPS)
