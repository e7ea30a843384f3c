"""Row-level security: a transaction sees the log that it named, and nothing when it named none."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.postgres.tables import tables

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger_postgres.conftest import Server


@pytest.fixture
async def two_logs(ledger: Ledger, drafts: Any, clock: Any) -> Ledger:
    for log_id in ("alice", "bob"):
        for number in range(3):
            await drafts.settle(ledger, f"r{number}", log_id=log_id, tags=("t",), decision_json="{}", operation_id="op")
        await ledger.open_attempt(drafts.attempt("open", log_id=log_id, lease_expires_at=clock() + 60))
        await ledger.log.checkpoint(log_id)
    return ledger


@contextmanager
def session(dsn: str, home: Path, log_id: str | None) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """A transaction of the role in `dsn` that named `log_id`, or nothing."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"SET search_path = ledger_{home.name}".encode())
        if log_id is not None:
            connection.execute("SELECT set_config('wattproof.log_id', %s, true)", (log_id,))
        yield connection


def counts(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in tables():
        row = connection.execute(f"SELECT COUNT(*) FROM {name}".encode()).fetchone()
        assert row is not None
        found[name] = row[0]
    return {name: count for name, count in found.items() if count}


@pytest.mark.usefixtures("two_logs")
@pytest.mark.parametrize("role", ["user", "owner"])
async def test_a_query_that_names_no_log_returns_nothing(server: Server, home: Path, role: str) -> None:
    with session(getattr(server, role), home, None) as connection:
        assert counts(connection) == {}
    with session(getattr(server, role), home, "*") as connection:
        assert counts(connection)["entry"] == 6


@pytest.mark.usefixtures("two_logs")
async def test_a_query_sees_the_log_that_it_named_and_no_other(server: Server, home: Path) -> None:
    with session(server.user, home, "alice") as connection:
        found = counts(connection)
        logs = connection.execute("SELECT DISTINCT log_id FROM entry").fetchall()
    assert logs == [("alice",)]
    assert {found[name] for name in ("entry", "receipt", "decision", "entry_tag")} == {3}
    assert {found[name] for name in ("log", "head", "attempt", "checkpoint", "dimension", "factor_signature")} == {1}
    with session(server.user, home, "carol") as connection:
        assert counts(connection) == {}


@pytest.mark.usefixtures("two_logs")
async def test_no_row_goes_into_another_log_than_the_one_named(server: Server, home: Path) -> None:
    insert = "INSERT INTO attempt (log_id, request_id, attempt_no, request_digest, deployment, state, opened_at, "
    values = "lease_expires_at) VALUES ('bob', 'x', 1, '', 'd', 'open', '', 0)"
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        session(server.user, home, "alice") as connection,
    ):
        connection.execute((insert + values).encode())


@pytest.mark.usefixtures("two_logs")
async def test_the_log_that_one_transaction_named_is_not_that_of_the_next(server: Server, home: Path) -> None:
    with session(server.user, home, "alice") as connection:
        assert counts(connection)
        connection.commit()
        assert counts(connection) == {}


async def test_every_table_of_the_ledger_is_closed_even_to_its_owner(
    server: Server, home: Path, ledger: Ledger
) -> None:
    del ledger
    with psycopg.connect(server.superuser) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE n.nspname = %s AND relkind = 'r'",
            (f"ledger_{home.name}",),
        ).fetchall()
    assert {name for name, closed in rows if not closed} == {"installation", "published_key"}
    assert {name for name, closed in rows if closed} == set(tables())


async def test_what_the_ledger_reads_for_one_log_shows_no_other(two_logs: Ledger) -> None:
    def logs_seen(connection: Any, log_id: str) -> list[Any]:
        del log_id
        return connection.execute("SELECT DISTINCT log_id FROM entry").fetchall()

    assert await two_logs._read(logs_seen, "bob") == [("bob",)]  # pyright: ignore[reportPrivateUsage]


async def test_receipts_and_lists_of_logs_are_found_without_a_log(two_logs: Ledger) -> None:
    settled = await two_logs.get("bob", seq=1)
    assert settled is not None
    assert await two_logs.get_jws(settled.receipt_id) == settled.jws
    assert await two_logs.logs() == ("alice", "bob")
    report = await two_logs.fsck()
    assert (report.entry_count, report.findings) == (6, ())


async def test_totals_of_two_logs_stay_apart(two_logs: Ledger) -> None:
    rows = [(await two_logs.summary(SummaryQuery(log_id))).total for log_id in ("alice", "bob", "carol")]
    assert [row.request_count for row in rows] == [3, 3, 0]


async def test_no_log_can_be_called_what_stands_for_all(ledger: Ledger, drafts: Any) -> None:
    with pytest.raises(InvalidInput, match="stands for every log"):
        await drafts.settle(ledger, "r1", log_id="*")
    with pytest.raises(InvalidInput, match="stands for every log"):
        await ledger.head("*")


@pytest.mark.usefixtures("two_logs")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET input_tokens = 0",
        "DELETE FROM entry",
        "UPDATE receipt SET jws = ''",
        "UPDATE head SET size = 0",
        "DELETE FROM head",
        "UPDATE factor_signature SET json = '{}'",
        "DELETE FROM dimension",
        "DELETE FROM checkpoint",
    ],
)
async def test_what_is_append_only_cannot_be_changed_by_the_role_that_writes(
    server: Server, home: Path, statement: str
) -> None:
    with pytest.raises(psycopg.IntegrityError), session(server.user, home, "alice") as connection:
        connection.execute(statement.encode())
