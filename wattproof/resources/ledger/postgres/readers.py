"""Read-only access: snapshots on connections that cannot write."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar, cast

import psycopg

from wattproof.methodology.errors import InvalidInput, LedgerError
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.postgres.connection import (
    EVERY_LOG,
    SETTING,
    Raw,
    Snapshot,
    connect,
    no_transaction,
    postgres_errors,
)

__all__ = ["PostgresReaders"]

_KEPT = 4

T = TypeVar("T")


class PostgresReaders:
    """A few connections to one database, lent to one reader at a time."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self._schema = schema
        self._gate = Lock()
        self._idle: list[Raw] = []
        self._closed = False

    def read(self, work: Callable[[sqlite3.Connection], T], log_id: str | None = None) -> T:
        """Give `work` a connection on which the database stands still, and shows the rows of `log_id` alone.

        Without `log_id` it shows every log.

        Raises:
            LedgerUnusable: the database cannot be read.
            LedgerError: the ledger was closed.
        """
        if log_id == EVERY_LOG:
            raise InvalidInput("log_id", f"is {log_id!r}, which stands for every log", "give another id")
        with postgres_errors(self._dsn), self._lent() as raw, no_transaction(raw):
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            raw.execute(f"SELECT set_config('{SETTING}', %s, true)", (EVERY_LOG if log_id is None else log_id,))
            return work(cast("sqlite3.Connection", Snapshot(raw)))

    def close(self) -> None:
        """Close the idle connections; one that is lent is closed when it comes back."""
        with self._gate:
            self._closed = True
            idle, self._idle = self._idle, []
        for raw in idle:
            raw.close()

    @contextmanager
    def _lent(self) -> Generator[Raw]:
        with self._gate:
            if self._closed:
                raise LedgerError("The ledger was closed; open it again.")
            raw = self._idle.pop() if self._idle else None
        if raw is None or not _answers(raw):
            raw = connect(self._dsn, self._schema)
        try:
            yield raw
        finally:
            self._give_back(raw)

    def _give_back(self, raw: Raw) -> None:
        with self._gate:
            keep = not self._closed and not raw.closed and len(self._idle) < _KEPT
            if keep:
                self._idle.append(raw)
        if not keep:
            raw.close()


def _answers(raw: Raw) -> bool:
    """Whether a connection that was idle still leads to the server."""
    try:
        raw.execute("")
    except psycopg.Error:
        raw.close()
        return False
    return True
