"""Where API keys are kept on one machine: ``apikeys.sqlite3`` in the home, which every process of the server reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread

from wattproof.methodology.errors import KeyUnusable, LedgerUnusable
from wattproof.resources.ledger.driver import sqlite3
from wattproof.server.auth.api_keys import ApiKey

__all__ = ["COLUMNS", "FILE_NAME", "KeyFile", "key_from_row", "row_of"]

FILE_NAME = "apikeys.sqlite3"
COLUMNS = "id, sha256, name, subject, tenant, scopes, created_at, expires_at, last_used_at, revoked_at"

_TABLE = """CREATE TABLE IF NOT EXISTS api_key (
  id TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  tenant TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID"""
_WAIT_S = 2.0
# A request waits for the note of its key meanwhile.
_NOTE_WAIT_S = 0.1


def row_of(key: ApiKey) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    times = (key.created_at, key.expires_at, key.last_used_at, key.revoked_at)
    return (key.id, key.sha256, key.name, key.subject, key.tenant, " ".join(key.scopes), *times)


def key_from_row(row: tuple[Any, ...]) -> ApiKey:
    """The key whose `COLUMNS` these are."""
    key_id, sha256, name, subject, tenant, scopes, created, expires, used, revoked = row
    return ApiKey(
        id=key_id,
        sha256=sha256,
        name=name,
        subject=subject,
        tenant=tenant,
        scopes=tuple(scopes.split()),
        created_at=created,
        expires_at=expires,
        last_used_at=used,
        revoked_at=revoked,
    )


class KeyFile:
    """The keys of one home. Looking for a key makes no file; the file is readable by its owner alone.

    One look takes some 20 microseconds and is done where it is asked for; writing happens in a thread.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._reader: sqlite3.Connection | None = None
        self._inode = -1

    async def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, as it is at this moment.

        Raises:
            LedgerUnusable, KeyUnusable: the file cannot be read.
        """
        with _told(self._path):
            reader = self._current()
            if reader is None:
                return None
            row = reader.execute(f"SELECT {COLUMNS} FROM api_key WHERE id = ?", (key_id,)).fetchone()  # noqa: S608
        return None if row is None else key_from_row(row)

    async def used(self, key_id: str, now_s: int) -> None:
        """Note that it was used.

        Raises:
            LedgerUnusable: that cannot be written.
        """
        sql = "UPDATE api_key SET last_used_at = ? WHERE id = ? AND revoked_at IS NULL"
        await anyio.to_thread.run_sync(self._write, sql, (now_s, key_id), _NOTE_WAIT_S)

    def all(self) -> tuple[ApiKey, ...]:
        """Every key ever made, the oldest first.

        Raises:
            LedgerUnusable, KeyUnusable: the file cannot be read.
        """
        with _told(self._path):
            reader = self._current()
            if reader is None:
                return ()
            rows = reader.execute(f"SELECT {COLUMNS} FROM api_key ORDER BY created_at, id").fetchall()  # noqa: S608
        return tuple(map(key_from_row, rows))

    def add(self, key: ApiKey) -> None:
        """Keep a new key.

        Raises:
            LedgerUnusable, KeyUnusable: the file cannot be made or written.
        """
        with _told(self._path):
            if not self._path.exists():
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
            self._write(_TABLE, ())
        places = ", ".join("?" * 10)
        self._write(f"INSERT INTO api_key ({COLUMNS}) VALUES ({places})", row_of(key))  # noqa: S608

    def revoke(self, key_id: str, now_s: int) -> None:
        """Have it refused from now on.

        Raises:
            LedgerUnusable: the file cannot be written.
        """
        self._write("UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now_s, key_id))

    def close(self) -> None:
        """Close what is open; a later look opens it again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _current(self) -> sqlite3.Connection | None:
        """A connection to the file that has the name now: a backup may have been put in its place."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
            raise KeyUnusable(f"{self._path} can be read by others. Run: chmod 600 {self._path}")
        if self._reader is None or found.st_ino != self._inode:
            self.close()
            self._reader = self._connect("ro")
            self._inode = found.st_ino
        return self._reader

    def _connect(self, mode: str, wait_s: float = _WAIT_S) -> sqlite3.Connection:
        uri = f"{self._path.as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False)

    def _write(self, sql: str, values: tuple[Any, ...], wait_s: float = _WAIT_S) -> None:
        with _told(self._path):
            connection = self._connect("rw", wait_s)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(sql, values)
            finally:
                connection.close()


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerUnusable(f"The API keys in {path} cannot be used: {error}. Restore it from a backup.") from error
    except OSError as error:
        raise KeyUnusable(f"Cannot use {path}: {error.strerror}. Make its folder writable.") from error
