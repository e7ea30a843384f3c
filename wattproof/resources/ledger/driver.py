"""SQLite connections as the ledger needs them, and its errors as ours.

Every connection is in autocommit mode: transactions are begun and ended by the code that means them. `pysqlite3` (the
extra `[sqlite]`) is used where it is installed and brings a SQLite without the race of 3.7.0 to 3.51.2 between
checkpoints and commits (https://www.sqlite.org/wal.html#walreset); the file lock closes that race for every version.
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wattproof.methodology.errors import LedgerUnusable

# The versions of SQLite that have the race.
_RACE_FROM, _RACE_FIXED = (3, 7, 0), (3, 51, 3)

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3
    else:
        if sqlite3.sqlite_version_info < _RACE_FIXED:
            import sqlite3

__all__ = ["BUSY_TIMEOUT_MS", "open_reader", "open_writer", "sqlite3", "sqlite_errors", "sqlite_note", "unusable"]

# Writers queue at the file lock; only a foreign program can make SQLite itself busy.
BUSY_TIMEOUT_MS = 10_000
_STATEMENTS = 256


def sqlite_note(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str | None:
    """What is known against the SQLite `version` in use, and why it does no harm here; None where nothing is.

    Source: https://www.sqlite.org/wal.html#walreset.
    """
    if not _RACE_FROM <= version < _RACE_FIXED:
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can damage a database when one connection resets the write-ahead log "
        "while another commits (3.7.0 to 3.51.2). The ledger's file lock keeps wattproof's own processes from doing "
        "that; another program that writes to the file does not know the lock"
    )


def open_writer(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """A read-write connection to an existing file, with full durability. The caller holds the ledger's lock.

    A program that does not know the lock is waited for `busy_timeout_ms` at most. The file is not touched: the journal
    mode is set by `schema.prepare`, once the file is known to be ours.
    """
    return _connect(
        path,
        "rw",
        "synchronous=FULL",
        "wal_autocheckpoint=0",
        "foreign_keys=ON",
        "secure_delete=ON",  # what was erased is overwritten, not only unlinked
        "fullfsync=ON",  # macOS: without it fsync stops at the drive's cache
        "checkpoint_fullfsync=ON",
        busy_timeout_ms=busy_timeout_ms,
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; it can neither write nor checkpoint."""
    return _connect(path, "ro")


def _connect(path: Path, mode: str, *pragmas: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )
    try:
        for pragma in (*pragmas, "trusted_schema=OFF", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def sqlite_errors(path: Path) -> Generator[None]:
    """Turn what SQLite reports about `path` into an error that says what would work.

    Raises:
        LedgerUnusable: with the file's name and the remedy.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a wrong record or a wrong call, not a fault of the file
    except (sqlite3.DatabaseError, OSError) as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: sqlite3.Error | OSError) -> LedgerUnusable:
    """The error for `path` that says what went wrong and what would work."""
    if isinstance(error, OSError):
        remedy = _FULL if error.errno in _FULL_CODES else _NOT_WRITABLE
        return LedgerUnusable(f"{path} cannot be used: {error.strerror or error}. {remedy}")
    # The low byte is the primary code; the rest refines it.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return LedgerUnusable(f"{path} cannot be used: {error}. {_REMEDIES.get(code, _LOOK)}")


_FULL = "The disk is full; free some space."
_FULL_CODES = frozenset(getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name))
_NOT_WRITABLE = "Make it and its folder writable for this user, or set WATTPROOF_HOME to another folder."
_DAMAGED = "Restore it from a backup, or move it away: a new, empty ledger is then created."
_LOOK = "Run `wattproof ledger fsck` to see what is wrong."
_REMEDIES = {
    5: "Another program has the database open and writes to it; close that program.",  # SQLITE_BUSY
    6: "Another program has the database open and writes to it; close that program.",  # SQLITE_LOCKED
    8: _NOT_WRITABLE,  # SQLITE_READONLY
    10: "The disk reported an error; check it before you go on.",  # SQLITE_IOERR
    11: _DAMAGED,  # SQLITE_CORRUPT
    13: _FULL,  # SQLITE_FULL
    14: _NOT_WRITABLE,  # SQLITE_CANTOPEN
    23: _NOT_WRITABLE,  # SQLITE_AUTH
    26: _DAMAGED,  # SQLITE_NOTADB
}
