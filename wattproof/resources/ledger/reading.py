"""Read-only access: snapshots on connections that can neither write nor checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

from wattproof.methodology.errors import LedgerError
from wattproof.resources.ledger.driver import open_reader, sqlite3, sqlite_errors

__all__ = ["Readers"]

_KEPT = 4

T = TypeVar("T")


class Readers:
    """A few read-only connections to one database, lent to one reader at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gate = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def read(self, work: Callable[[sqlite3.Connection], T], log_id: str | None = None) -> T:
        """Give `work` a connection on which the database stands still.

        `log_id` names the one log that `work` reads, for a store that keeps logs apart; this one does not.

        Raises:
            LedgerUnusable: the database cannot be read.
            LedgerError: the ledger was closed.
        """
        with sqlite_errors(self._path), self._lent() as connection:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the idle connections; one that is lent is closed when it comes back."""
        with self._gate:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _lent(self) -> Generator[sqlite3.Connection]:
        with self._gate:
            if self._closed:
                raise LedgerError("The ledger was closed; open it again.")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = open_reader(self._path)
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._gate:
            keep = not self._closed and len(self._idle) < _KEPT
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
