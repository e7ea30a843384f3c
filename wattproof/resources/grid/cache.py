"""Observations kept on disk for 8 days and shared between processes: `grid.sqlite3` in the home.

It is a cache: a file that is corrupt, foreign, read-only or busy costs look-ups, never a request. What went wrong is in
`note`. A source that states another value for an interval is kept beside what it stated before, so that a reading on
which a run was accepted can still be compared with its correction.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.observation import Observation, Place

if TYPE_CHECKING:
    import sqlite3

__all__ = ["GridCache"]

KEPT_S = 8 * 86_400
_APPLICATION_ID = 0x77704763
_SCHEMA_VERSION = 1
_BUSY_MS = 100
_PRUNE_EVERY_WRITES = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS observation (
  place TEXT NOT NULL, source TEXT NOT NULL, starts_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
  step_s INTEGER NOT NULL, zone TEXT NOT NULL, value_gco2e_per_kwh REAL NOT NULL, basis TEXT NOT NULL,
  factor_scope TEXT NOT NULL, accounting TEXT NOT NULL, evidence TEXT NOT NULL, licence TEXT NOT NULL,
  renewable_ratio_bps INTEGER, carbon_free_ratio_bps INTEGER,
  PRIMARY KEY (place, source, starts_at, received_at)
) WITHOUT ROWID
"""
# The columns after `place`, in order.
_FIELDS = (
    "source", "starts_at", "received_at", "step_s", "zone", "value_gco2e_per_kwh", "basis", "factor_scope",
    "accounting", "evidence", "licence", "renewable_ratio_bps", "carbon_free_ratio_bps",
)  # fmt: skip
_INSERT = "INSERT OR REPLACE INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SOURCES = "SELECT DISTINCT source FROM observation WHERE place = ?"
_NEWEST = (
    "SELECT * FROM observation WHERE place = ? AND source = ? AND starts_at <= ? "
    "ORDER BY starts_at DESC, received_at DESC LIMIT 1"
)
_REVISIONS = "SELECT * FROM observation WHERE place = ? AND source = ? AND starts_at = ? ORDER BY received_at"
T = TypeVar("T")


class GridCache:
    """The observations of one home. `path` None keeps nothing. Every method runs SQLite in a thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._writes = 0
        self.note: str | None = None

    async def recall(self, place: Place, begun_by_s: float) -> tuple[Observation, ...]:
        """The newest observation of each source for `place` that had begun at `begun_by_s`."""
        return await self._run((), self._recall, place, begun_by_s)

    async def around(self, place: Place, at_s: float) -> tuple[Observation, ...]:
        """What each source now says of the interval around `at_s`, or of one that ends within the hour before."""
        found = await self.recall(place, at_s)
        return tuple(seen for seen in found if at_s - (seen.starts_at + seen.step_s) <= 3600)

    async def keep(self, place: Place, observations: Iterable[Observation]) -> None:
        """Keep what is new or differs from what its source said of the same interval before."""
        await self._run(None, self._keep, place, tuple(observations))

    async def revisions(self, source: str, place: Place, starts_at: int) -> tuple[Observation, ...]:
        """Everything that `source` has said of the interval that starts at `starts_at`, oldest statement first."""
        return await self._run((), self._revisions, source, place, starts_at)

    async def corrected(self, source: str, place: Place, starts_at: int) -> Observation | None:
        """What `source` said last of the interval that starts at `starts_at`, or None where it is not known here."""
        stated = await self.revisions(source, place, starts_at)
        return stated[-1] if stated else None

    async def aclose(self) -> None:
        """Close the file."""
        await anyio.to_thread.run_sync(self._close)

    async def _run(self, otherwise: T, work: Callable[..., T], *arguments: Any) -> T:
        if self._path is None:
            return otherwise
        return await anyio.to_thread.run_sync(self._guarded, otherwise, work, arguments)

    def _guarded(self, otherwise: T, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """Run `work`, or answer `otherwise` where the file does not allow it."""
        import sqlite3

        with self._lock:
            if self._path is None:
                return otherwise
            try:
                done = work(*arguments)
            except (sqlite3.Error, OSError, ValueError, TypeError, GridUnavailable) as error:
                self._note(error)
                return otherwise
            self.note = None
            return done

    def _note(self, error: Exception) -> None:
        import sqlite3

        busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        self.note = f"{self._path}: {error}"[:300]
        if not busy:
            # It would fail the same way again; the next process tries anew.
            self._path = None
            self._disconnect()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        import sqlite3

        assert self._path is not None
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            _prepare(connection)
            connection.execute("PRAGMA synchronous=OFF")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _recall(self, place: Place, begun_by_s: float) -> tuple[Observation, ...]:
        if not self._is_there():
            return ()
        connection = self._open()
        found: list[Observation] = []
        for (source,) in connection.execute(_SOURCES, (_key(place),)).fetchall():
            found += map(_observation, connection.execute(_NEWEST, (_key(place), source, int(begun_by_s))))
        return tuple(found)

    def _is_there(self) -> bool:
        """Reading makes no file: only what was heard does."""
        return self._connection is not None or (self._path is not None and self._path.exists())

    def _revisions(self, source: str, place: Place, starts_at: int) -> tuple[Observation, ...]:
        if not self._is_there():
            return ()
        return tuple(map(_observation, self._open().execute(_REVISIONS, (_key(place), source, starts_at))))

    def _keep(self, place: Place, observations: tuple[Observation, ...]) -> None:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for seen in observations:
                before = self._revisions(seen.source, place, seen.starts_at)
                if before and _stated(before[-1]) == _stated(seen):
                    continue
                connection.execute(_INSERT, (_key(place), *(getattr(seen, name) for name in _FIELDS)))
                self._prune(connection, seen.received_at)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _prune(self, connection: sqlite3.Connection, now_s: int) -> None:
        if self._writes % _PRUNE_EVERY_WRITES == 0:
            connection.execute("DELETE FROM observation WHERE starts_at < ?", (now_s - KEPT_S,))
        self._writes += 1

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close(self) -> None:
        with self._lock:
            self._disconnect()
            self._path = None


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table in a new file, or see that the file is ours.

    Raises:
        ValueError: the file belongs to another application or a newer version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version) == (_APPLICATION_ID, _SCHEMA_VERSION) and tables:
        return
    if tables and application != _APPLICATION_ID:
        raise ValueError("the file is of another application")
    if version > _SCHEMA_VERSION:
        raise ValueError("the file is of a newer version")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SCHEMA)
    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _key(place: Place) -> str:
    return place.zone if place.cloud_region is None else f"{place.zone}@{place.cloud_region}"


def _observation(row: tuple[Any, ...]) -> Observation:
    return Observation(**dict(zip(_FIELDS, row[1:], strict=True)))


def _stated(observation: Observation) -> tuple[Any, ...]:
    return tuple(getattr(observation, name) for name in _FIELDS if name != "received_at")
