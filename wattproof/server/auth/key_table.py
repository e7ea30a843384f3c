"""Where API keys are kept when the ledger is in PostgreSQL: a table beside it, which every server reads."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import anyio.to_thread
import psycopg
from psycopg import sql

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger.postgres.connection import Raw, connect, postgres_errors
from wattproof.resources.ledger.postgres.opening import SCHEMA
from wattproof.server.auth.api_keys import ApiKey
from wattproof.server.auth.key_file import COLUMNS, key_from_row, row_of

__all__ = ["TABLE", "KeyTable"]

TABLE = """CREATE TABLE IF NOT EXISTS api_key (
  id TEXT COLLATE "C" PRIMARY KEY,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  tenant TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_used_at BIGINT,
  revoked_at BIGINT
)"""
_FIND = f"SELECT {COLUMNS} FROM api_key WHERE id = %s"  # noqa: S608
_ALL = f"SELECT {COLUMNS} FROM api_key ORDER BY created_at, id"  # noqa: S608
_ADD = f"INSERT INTO api_key ({COLUMNS}) VALUES ({', '.join(['%s'] * 10)})"  # noqa: S608
_USED = "UPDATE api_key SET last_used_at = %s WHERE id = %s AND revoked_at IS NULL"
_REVOKE = "UPDATE api_key SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL"


class KeyTable:
    """The keys of one database, over one connection that is opened when it is needed and again when it broke.

    Its methods do what those of `KeyFile` do, and raise LedgerUnusable where the database cannot be used.
    """

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self._dsn = dsn
        self._schema = schema
        self._raw: Raw | None = None
        self._gate = Lock()

    async def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, as it is at this moment."""
        rows = await anyio.to_thread.run_sync(self._rows, _FIND, (key_id,))
        return key_from_row(rows[0]) if rows else None

    async def used(self, key_id: str, now_s: int) -> None:
        """Note that it was used."""
        await anyio.to_thread.run_sync(self._rows, _USED, (now_s, key_id))

    def all(self) -> tuple[ApiKey, ...]:
        """Every key ever made, the oldest first."""
        return tuple(map(key_from_row, self._rows(_ALL)))

    def add(self, key: ApiKey) -> None:
        """Keep a new key; the first one makes the table."""
        self._make()
        self._rows(_ADD, row_of(key))

    def revoke(self, key_id: str, now_s: int) -> None:
        """Have it refused from now on."""
        self._rows(_REVOKE, (now_s, key_id))

    def close(self) -> None:
        """Close the connection; a later look opens one again."""
        with self._gate:
            self._drop()

    def _make(self) -> None:
        try:
            with self._gate, postgres_errors(self._dsn), self._connected() as raw:
                if not _is_there(raw):
                    raw.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._schema)))
                    raw.execute(TABLE.encode())
        except LedgerUnusable as error:
            if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise LedgerUnusable(
                    f"This role may not make the table of API keys. Have the owner run, with search_path = "
                    f"{self._schema}: {' '.join(TABLE.split())}; GRANT SELECT, INSERT, UPDATE ON api_key TO this role."
                ) from error
            raise

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._gate, postgres_errors(self._dsn):
            for tries_left in (1, 0):
                try:
                    with self._connected() as raw:
                        cursor = raw.execute(statement.encode(), values)
                        return cursor.fetchall() if cursor.description else []
                except psycopg.errors.UndefinedTable:
                    # No key was made yet.
                    return []
                except psycopg.OperationalError:
                    # The server was started anew, or somebody ended an idle connection.
                    if not tries_left:
                        raise
        return []

    @contextmanager
    def _connected(self) -> Generator[Raw]:
        raw = self._raw
        if raw is None or raw.closed:
            raw = self._raw = connect(self._dsn, self._schema)
        try:
            yield raw
        except psycopg.OperationalError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None


def _is_there(raw: Raw) -> bool:
    row = raw.execute("SELECT to_regclass('api_key')").fetchone()
    return row is not None and row[0] is not None
