"""From SQLite to PostgreSQL: the same leaves, so the same roots, and everything else that the ledger knows."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from wattproof.methodology.errors import LedgerForked, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery, open_ledger
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey
from wattproof.resources.ledger.postgres.migrate import MigratedLog, migrate, plan

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server

BUDGET = BudgetKey("local", "tenant", "", "month", "energy_wh")


def silent(log_id: str, done: int, size: int) -> None:
    del log_id, done, size


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    return tmp_path / "sqlite"


@pytest.fixture
async def old(old_home: Path, clock: Any, drafts: Any) -> AsyncIterator[Ledger]:
    """A ledger in SQLite with something of everything in it, which stays open."""
    async with open_ledger(old_home, clock=clock, random_bytes=os.urandom) as ledger:
        await ledger.budgets.set(BudgetDraft(BUDGET, 10**12, action="warn"), by="owner")
        for number in range(300):
            zone = "FR" if number % 3 else "FI"
            await drafts.settle(ledger, f"r{number}", zone=zone, tags=("t",) * (number % 2), decision_json="{}")
        opened = await ledger.open_attempt(drafts.attempt("settled", lease_expires_at=clock() + 60))
        entry = drafts.draft("settled", operation_id="op")
        await ledger.settle(entry, drafts.payload(entry), getattr(opened, "attempt_no", None))
        await ledger.open_attempt(drafts.attempt("running", lease_expires_at=clock() + 60, reserved_energy_nwh=5))
        await ledger.operations.begin("local", "op2", parent_id="op")
        await drafts.settle(ledger, "r1", log_id="tenant", occurred_at="2026-10-05T00:00:00Z")
        await ledger.periods.close("tenant", "2026-10")
        await ledger.log.rotate_issuer()
        await ledger.log.checkpoint("local")
        yield ledger


@pytest.fixture
def target(server: Server, home: Path) -> tuple[str, str]:
    """DSN and schema of an empty ledger in PostgreSQL."""
    return server.user, server.emptied(f"ledger_{home.name}")


Move = Callable[[], tuple[MigratedLog, ...]]


@pytest.fixture
def move(old_home: Path, target: tuple[str, str], clock: Any) -> Move:
    def moved() -> tuple[MigratedLog, ...]:
        dsn, schema = target
        return migrate(old_home / "ledger.sqlite3", dsn, schema=schema, clock=clock, progress=silent)

    return moved


@pytest.fixture
def new_home(open_home: Callable[..., Ledger], old: Ledger) -> Callable[[], Ledger]:
    """Opens what was migrated, with the keys of the old home, whose owner gives them now."""
    keys = {role: old.keyring.signers(role) for role in ("issuer", "log")}  # type: ignore[arg-type]
    return lambda: open_home(keep=True, issuer=keys["issuer"][0], log_keys=keys["log"])


async def test_every_root_is_the_same(old: Ledger, move: Move, new_home: Callable[[], Ledger]) -> None:
    done = move()
    assert [(log.log_id, log.size, log.before, log.now) for log in done] == [
        ("local", 302, 0, 302),
        ("tenant", 2, 0, 2),
    ]
    async with new_home() as new:
        for log in done:
            assert await new.head(log.log_id) == await old.head(log.log_id) == (log.size, log.root)
        report = await new.fsck()
    assert (report.entry_count, report.findings) == (304, ())


async def test_entries_receipts_totals_and_proofs_are_the_same(
    old: Ledger, move: Move, new_home: Callable[[], Ledger]
) -> None:
    move()
    async with new_home() as new:
        for seq in (0, 255, 256, 301):
            assert await new.get("local", seq=seq) == await old.get("local", seq=seq)
            assert await new.inclusion("local", seq) == await old.inclusion("local", seq)
        for query in (
            SummaryQuery("local", group_by="zone"),
            SummaryQuery("local", tag="t"),
            SummaryQuery("local", operation_id="op"),
            SummaryQuery("tenant", since="2026-10-01T00:00:00Z", until="2026-11-01T00:00:00Z"),
        ):
            assert await new.summary(query) == await old.summary(query)
        assert await new.log.checkpoint("local") == await old.log.checkpoint("local")


async def test_tries_budgets_operations_and_closed_months_come_along(
    old: Ledger, move: Move, new_home: Callable[[], Ledger], drafts: Any
) -> None:
    move()
    async with new_home() as new:
        assert await new.attempts("local", "running") == await old.attempts("local", "running")
        assert await new.budgets.all("local") == await old.budgets.all("local")
        assert await new.budgets.decisions("local") == await old.budgets.decisions("local")
        assert await new.operations.view("local", "op2") == await old.operations.view("local", "op2")
        assert await new.periods.closed("tenant") == await old.periods.closed("tenant")
        other = replace(BUDGET, unit="tokens")
        await new.budgets.set(BudgetDraft(other, 5), by="owner")
        assert [left.budget.key for left in await new.budgets.all("local")] == [BUDGET, other]
        assert (await drafts.settle(new, "after")).seq == 302
        assert (await new.fsck()).findings == ()


async def test_a_second_run_copies_what_came_since_and_what_was_erased(
    old: Ledger, move: Move, new_home: Callable[[], Ledger], drafts: Any, clock: Any
) -> None:
    move()
    erased = await old.get("local", seq=7)
    assert erased is not None
    await old.keeping.erase(erased.receipt_id, "asked for")
    await old.close_attempt("local", "running", 1, "failed", "timeout", None)
    await old.budgets.remove(BUDGET, by="owner")
    for number in range(30):
        await drafts.settle(old, f"later{number}")
    clock.now_s += 1
    await old.log.checkpoint("local")
    assert [(log.before, log.now) for log in move()] == [(302, 332), (2, 2)]
    assert [(log.before, log.now) for log in move()] == [(332, 332), (2, 2)]
    async with new_home() as new:
        assert await new.head("local") == await old.head("local")
        assert await new.get_jws(erased.receipt_id) is None
        assert await new.attempts("local", "running") == await old.attempts("local", "running")
        assert await new.budgets.all("local") == ()
        assert (await new.fsck()).findings == ()


async def test_a_run_that_was_cut_off_goes_on_where_it_stopped(
    old: Ledger,
    old_home: Path,
    target: tuple[str, str],
    move: Move,
    new_home: Callable[[], Ledger],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wattproof.resources.ledger.postgres.copying._AT_ONCE", 100)
    dsn, schema = target
    seen: list[int] = []

    def progress(log_id: str, done: int, size: int) -> None:
        assert (log_id, size) == ("local", 302)
        seen.append(done)
        if done == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(old_home / "ledger.sqlite3", dsn, schema=schema, clock=clock, progress=progress)
    assert seen == [0, 100, 200]
    (local, _) = move()
    assert (local.before, local.now) == (200, 302)
    async with new_home() as new:
        assert await new.head("local") == await old.head("local")
        assert (await new.fsck()).findings == ()


async def test_a_database_that_has_something_else_is_left_alone(
    old: Ledger, move: Move, new_home: Callable[[], Ledger], drafts: Any
) -> None:
    move()
    async with new_home() as new:
        await drafts.settle(new, "only here")
    with pytest.raises(LedgerForked, match="303 entries in PostgreSQL, which are not the first 303 of the 302"):
        move()
    await drafts.settle(old, "only there")
    with pytest.raises(LedgerForked, match="not the first 303 of the 303"):
        move()


@pytest.mark.usefixtures("old")
async def test_a_plan_says_what_is_to_do_and_makes_nothing(
    server: Server, old_home: Path, target: tuple[str, str]
) -> None:
    dsn, schema = target
    found = plan(old_home / "ledger.sqlite3", dsn, schema=schema)
    assert [(log.log_id, log.size, log.before) for log in found] == [("local", 302, 0), ("tenant", 2, 0)]
    plan(old_home / "ledger.sqlite3", server.owner, schema="nowhere")
    with psycopg.connect(server.superuser) as connection:
        assert connection.execute("SELECT to_regnamespace('nowhere')").fetchone() == (None,)


@pytest.mark.usefixtures("old")
async def test_a_database_of_the_other_kind_is_refused(server: Server, old_home: Path, home: Path, clock: Any) -> None:
    schema = server.emptied(f"ledger_{home.name}_simulated", simulation=True)
    with pytest.raises(LedgerUnusable, match="made for simulations"):
        migrate(old_home / "ledger.sqlite3", server.user, schema=schema, clock=clock, progress=silent)
