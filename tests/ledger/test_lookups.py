"""Look-ups read what they look for, however long the log: SQLite has no statistics here, so its choice is fixed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wattproof.resources.ledger import Ledger, attempts, fsck_batches, queries, record_proofs

CASES: dict[str, Callable[[Any], object]] = {
    "a receipt by its id": lambda c: queries.find(c, "local", "receipt_id", "r_x"),
    "a receipt of any log": lambda c: queries.jws_of(c, "r_x"),
    "a request": lambda c: queries.find(c, "local", "request_id", "r1"),
    "an entry by its place": lambda c: queries.find(c, "local", "seq", 0),
    "a record of a batch": lambda c: record_proofs.find_record(c, "local", "r_x"),
    "tries whose lease ran out": lambda c: attempts.abandon(SimpleNamespace(connection=c, now="", now_s=1.0), "local"),  # pyright: ignore[reportArgumentType]
}


@pytest.fixture
async def connection(open_home: Callable[..., Ledger], home: Path) -> AsyncIterator[sqlite3.Connection]:
    await open_home().aclose()
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as opened:
        yield opened


def searches(connection: sqlite3.Connection, look: Callable[[Any], object]) -> list[str]:
    """How SQLite finds the rows of every statement of a look-up."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    look(connection)
    connection.set_trace_callback(None)
    statements = [sql for sql in asked if sql.startswith(("SELECT", "UPDATE"))]
    return [row[3] for sql in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize("what", CASES)
async def test_a_look_up_does_not_read_the_whole_log(connection: sqlite3.Connection, what: str) -> None:
    found = searches(connection, CASES[what])

    assert found
    assert [line for line in found if line.startswith("SCAN") or line.endswith("(log_id=?)")] == []


async def test_the_batch_of_a_record_is_looked_up_when_the_ledger_is_examined(connection: sqlite3.Connection) -> None:
    found = searches(connection, lambda c: list(fsck_batches.check(c, "local", None)))

    assert "SEARCH p USING INDEX entry_receipt_log (receipt_id=? AND log_id=?) LEFT-JOIN" in found


async def test_a_ledger_of_the_version_before_gets_these_indexes(open_home: Callable[..., Ledger], home: Path) -> None:
    await open_home().aclose()
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as older:
        older.executescript(
            "DROP INDEX attempt_running; DROP INDEX entry_receipt_log; "
            "CREATE INDEX entry_receipt ON entry (receipt_id); "
            "DELETE FROM _sqlite_migrations WHERE name = '0007_lookups'; PRAGMA user_version = 6"
        )
    await open_home().aclose()
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as newer:
        names = {name for (name,) in newer.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}

    assert {"attempt_running", "entry_receipt_log"} < names
    assert "entry_receipt" not in names
