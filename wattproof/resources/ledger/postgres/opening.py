"""Opening a ledger in PostgreSQL: its tables, made by whoever comes first and may, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger.postgres.connection import (
    EVERY_LOG,
    SETTING,
    Raw,
    Session,
    connect,
    place_of,
    postgres_errors,
)
from wattproof.resources.ledger.postgres.keys import SharedKeyring, require_supplied
from wattproof.resources.ledger.postgres.ledger import PostgresLedger
from wattproof.resources.ledger.postgres.readers import PostgresReaders
from wattproof.resources.ledger.postgres.sequencer import PostgresWriter
from wattproof.resources.ledger.postgres.tables import take_step
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.schema import VERSION
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import RECEIPT_TYP, SIMULATION_TYP, Issuer
from wattproof.resources.receipts.checkpoint import local_origin

__all__ = ["SCHEMA", "open_postgres_ledger", "passes_row_security", "prepare"]

SCHEMA = "wattproof"

_TRIES = 5


def open_postgres_ledger(
    dsn: str,
    home: Path,
    *,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
    issuer: Issuer | None,
    log_keys: Sequence[Issuer],
    origin_of: Callable[[str], str] = local_origin,
    simulation: bool = False,
    schema: str = SCHEMA,
    lanes: int = 2,
) -> PostgresLedger:
    """Open the ledger in the database `dsn`; the first to come makes its tables. Blocks: call it in a thread.

    `home` gets copies of the public keys, nothing else. `issuer` and `log_keys` (newest first) must be the same in
    every process on this database. `lanes` is how many threads write, each to its logs.

    Raises:
        KeyUnusable: a key was not given.
        LedgerUnusable: the server cannot be used, or holds another program's tables, newer ones, or of the other kind.
    """
    key = require_supplied(issuer, log_keys)
    prepare(dsn, schema, now=rfc3339(clock()), simulation=simulation)
    keyring = SharedKeyring(
        _folder(home / "keys"),
        random_bytes=random_bytes,
        origin_of=origin_of,
        issuer=key,
        log_keys=log_keys,
        dsn=dsn,
        schema=schema,
    )
    keyring.ensure("issuer", has_signed=True)
    keyring.ensure("log", has_signed=True)
    keyring.exchange()
    readers = PostgresReaders(dsn, schema)
    keyring.publish_vkeys(readers.read(logs))
    return PostgresLedger(
        home,
        writer=PostgresWriter(dsn, schema, clock, lanes=lanes),
        readers=readers,
        keyring=keyring,
        typ=SIMULATION_TYP if simulation else RECEIPT_TYP,
        clock=clock,
    )


def prepare(dsn: str, schema: str, *, now: str, simulation: bool) -> None:
    """Make the tables of this version, or check that they are there.

    Raises:
        LedgerUnusable: as `open_postgres_ledger` does.
    """
    raw = connect(dsn, schema)
    try:
        with postgres_errors(dsn):
            _make_tables(raw, schema, now, "simulation" if simulation else "real")
            _check(raw, dsn, simulation=simulation)
    finally:
        raw.close()


def passes_row_security(dsn: str) -> bool:
    """Whether the role of `dsn` sees every log whatever row-level security says: a superuser, or with BYPASSRLS.

    Raises:
        LedgerUnusable: the server cannot be reached.
    """
    raw = connect(dsn, SCHEMA)
    try:
        with postgres_errors(dsn):
            row = raw.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
    finally:
        raw.close()
    return row is not None and bool(row[0])


def _make_tables(raw: Raw, schema: str, now: str, kind: str) -> None:
    for tries_left in reversed(range(_TRIES)):
        version = _version(raw)
        if version >= VERSION:
            return
        try:
            with raw.transaction():
                raw.execute("SELECT set_config('lock_timeout', '60s', true)")
                if version == 0:
                    raw.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
                raw.execute("SELECT set_config(%s, %s, true)", (SETTING, EVERY_LOG))
                for step in range(version + 1, VERSION + 1):
                    take_step(Session(raw), step)
                    if step == 1:
                        raw.execute("INSERT INTO installation VALUES ('kind', %s), ('created_at', %s)", (kind, now))
                    raw.execute(
                        "INSERT INTO installation VALUES ('version', %s) "
                        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                        (str(step),),
                    )
        except (
            psycopg.errors.UniqueViolation,
            psycopg.errors.DuplicateTable,
            psycopg.errors.DuplicateObject,
            psycopg.errors.DuplicateFunction,
            psycopg.errors.DuplicateSchema,
            psycopg.errors.DeadlockDetected,
        ):
            # Another process made them at the same moment.
            if not tries_left:
                raise


def _version(raw: Raw) -> int:
    """The version of the tables that are there; 0 without any."""
    found = raw.execute("SELECT to_regclass('installation')").fetchone()
    if found is None or found[0] is None:
        return 0
    row = raw.execute("SELECT value FROM installation WHERE name = 'version'").fetchone()
    return 0 if row is None else int(row[0])


def _check(raw: Raw, dsn: str, *, simulation: bool) -> None:
    version = _version(raw)
    if version > VERSION:
        raise LedgerUnusable(
            f"{place_of(dsn)} has schema {version}; this version of wattproof reads up to {VERSION}. Upgrade wattproof."
        )
    row = raw.execute("SELECT value FROM installation WHERE name = 'kind'").fetchone()
    kind = None if row is None else row[0]
    if kind != ("simulation" if simulation else "real"):
        raise LedgerUnusable(
            f"{place_of(dsn)} was made for {'simulations' if kind == 'simulation' else 'real runs'} and cannot hold "
            f"{'simulations' if simulation else 'real runs'}. Set WATTPROOF_LEDGER to another database."
        )


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"{folder} cannot be made: {error.strerror}. Set WATTPROOF_HOME to a folder.") from error
    return folder
