"""Operations: steps under one name, nested, and closed by an entry that no total counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, OperationClosed, RequestConflict, RequestInFlight
from wattproof.resources.ledger import Ledger, Opened, SummaryQuery
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey
from wattproof.resources.ledger.operation_tree import MAX_DEPTH
from wattproof.resources.ledger.operations import IDLE_S, StepDraft
from wattproof.resources.receipts.statement import Statement

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

HIGH_NWH = 192_780_040
WH = 1_000_000_000


def step(drafts: Drafts, step_id: str = "s1", operation_id: str = "op_1", **changed: Any) -> StepDraft:
    digest = changed.pop("digest", b"\x07" * 32)
    key = changed.pop("idempotency_key", None)
    entry = drafts.draft(None, kind="recorded", operation_id=operation_id, usage_source="caller", **changed)
    return StepDraft(step_id, key, digest, entry, Statement(dict(drafts.payload(entry)("2026-11-22T06:00:00Z"))))


def budget(operation_id: str, amount: int = WH, **more: Any) -> BudgetDraft:
    return BudgetDraft(BudgetKey("local", "operation", operation_id, "total", "energy_wh"), amount, **more)


async def end(ledger: Ledger, drafts: Drafts, operation_id: str = "op_1", seqs: list[int] | None = None) -> Any:
    nothing: dict[str, Any] = {"energy_nwh": None, "carbon_location_ng": None, "terms": ()}
    entry = drafts.draft(None, kind="operation", operation_id=operation_id, **nothing)
    statement = Statement(dict(drafts.payload(entry)("2026-11-22T06:00:00Z")))
    if seqs is None:
        seqs = [settled.seq for settled in await ledger.operations.steps("local", operation_id)]
    return await ledger.operations.end(entry, statement, seqs)


async def test_a_run_that_names_an_operation_is_a_step_of_it(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", operation_id="op_1")
    found = await ledger.operations.view("local", "op_1")
    assert (found.state, found.opened_at, found.step_count) == ("open", None, 1)
    assert [(s.step_id, s.kind, s.share) for s in found.steps] == [("r1", "inference", 1.0)]


async def test_what_nobody_named_is_unknown(ledger: Ledger) -> None:
    assert (await ledger.operations.view("local", "op_1")).state == "unknown"


async def test_beginning_twice_changes_nothing(ledger: Ledger) -> None:
    assert await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
    assert not await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
    assert len(await ledger.budgets.decisions("local")) == 1


async def test_whoever_spends_from_a_budget_cannot_change_it_by_beginning_again(ledger: Ledger) -> None:
    await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
    for other in (budget("op_1", 2 * WH), budget("op_1", action="warn")):
        with pytest.raises(RequestConflict, match="has a budget of 1 Wh already; only its owner can change it"):
            await ledger.operations.begin("local", "op_1", budget=other)
    with pytest.raises(RequestConflict, match="is open with no parent"):
        await ledger.operations.begin("local", "op_1", parent_id="op_0")


async def test_a_recorded_step_is_there_once_however_often_it_is_sent(ledger: Ledger, drafts: Drafts) -> None:
    first, second = step(drafts, "s1"), step(drafts, "s2")
    recorded = await ledger.operations.record("local", "op_1", [first])
    again = await ledger.operations.record("local", "op_1", [first, second])
    assert [(each.step_id, each.is_new, each.settled.seq) for each in (*recorded, *again)] == [
        ("s1", True, 0),
        ("s1", False, 0),
        ("s2", True, 1),
    ]
    assert (await ledger.operations.view("local", "op_1")).step_count == 2


async def test_the_same_step_id_with_another_body_is_a_conflict_and_records_nothing(
    ledger: Ledger, drafts: Drafts
) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts, "s1")])
    with pytest.raises(RequestConflict, match="Step 's1' of operation 'op_1' was recorded before, as entry 0"):
        await ledger.operations.record("local", "op_1", [step(drafts, "s2"), step(drafts, "s1", digest=b"\x08" * 32)])
    assert (await ledger.head("local"))[0] == 1


async def test_an_idempotency_key_marks_the_same_step_under_another_step_id(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts, "s1", idempotency_key="k")])
    (again,) = await ledger.operations.record("local", "op_1", [step(drafts, "s2", idempotency_key="k")])
    assert (again.is_new, again.settled.seq) == (False, 0)


async def test_the_same_step_id_in_another_operation_is_another_step(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts)])
    (other,) = await ledger.operations.record("local", "op_2", [step(drafts, operation_id="op_2")])
    assert other.is_new


@pytest.mark.parametrize("name", ["step_id", "idempotency_key"])
async def test_one_name_twice_in_one_call_is_refused(ledger: Ledger, drafts: Drafts, name: str) -> None:
    ids = ("s1", "s1") if name == "step_id" else ("s1", "s2")
    keys = (None, None) if name == "step_id" else ("k", "k")
    steps = [step(drafts, each, idempotency_key=key) for each, key in zip(ids, keys, strict=True)]
    with pytest.raises(InvalidInput, match=f"have the same {name} twice"):
        await ledger.operations.record("local", "op_1", steps)


async def test_no_steps_or_too_many_are_refused(ledger: Ledger, drafts: Drafts) -> None:
    for count in (0, 101):
        with pytest.raises(InvalidInput, match="give 1 to 100 at once"):
            await ledger.operations.record("local", "op_1", [step(drafts, f"s{n}") for n in range(count)])


async def test_totals_and_budgets_include_the_operations_below(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
    await ledger.operations.begin("local", "op_2", parent_id="op_1")
    await ledger.operations.begin("local", "op_3", parent_id="op_2")
    await drafts.settle(ledger, "r1", operation_id="op_1")
    await drafts.settle(ledger, "r2", operation_id="op_3")
    found = await ledger.operations.view("local", "op_1")
    assert (found.below, found.step_count, found.budgets[0].spent) == (("op_2", "op_3"), 2, 2 * HIGH_NWH)
    assert found.total == (await ledger.summary(SummaryQuery("local"))).total
    below = await ledger.operations.view("local", "op_3")
    assert (below.step_count, below.budgets) == (1, found.budgets)


async def test_what_an_operation_did_before_it_had_a_parent_counts_there(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
    await drafts.settle(ledger, "r1", operation_id="op_2")
    await ledger.operations.begin("local", "op_2", parent_id="op_1")
    assert (await ledger.operations.view("local", "op_1")).budgets[0].spent == HIGH_NWH


async def test_operations_form_no_circle_and_nest_to_a_bounded_depth(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="is the operation itself"):
        await ledger.operations.begin("local", "op_0", parent_id="op_0")
    for level in range(1, MAX_DEPTH):
        await ledger.operations.begin("local", f"op_{level}", parent_id=f"op_{level - 1}")
    with pytest.raises(InvalidInput, match="levels deep; begin it further up"):
        await ledger.operations.begin("local", "op_x", parent_id=f"op_{MAX_DEPTH - 1}")


async def test_shared_uncertainty_of_the_steps_stays_in_the_total(ledger: Ledger, drafts: Drafts) -> None:
    for number in range(10):
        await drafts.settle(ledger, f"r{number}", operation_id="op_1")
    one = (await ledger.operations.view("local", "op_1")).steps[0].energy_nwh
    whole = (await ledger.operations.view("local", "op_1")).total.energy_wh
    assert one is not None
    assert whole is not None
    assert one.high is not None
    assert whole[1] is not None
    assert whole[2] is not None
    assert whole[2] / whole[0] == pytest.approx(one.high / one.median)
    assert whole[0] == pytest.approx(10 * one.median / 1e9)


async def test_the_largest_steps_come_first_with_their_share_of_the_whole(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "small", operation_id="op_1")
    await drafts.settle(ledger, "large", operation_id="op_1", **_size(drafts, 9))
    nothing: dict[str, Any] = {"energy_nwh": None, "carbon_location_ng": None, "terms": ()}
    await drafts.settle(ledger, "unknown", operation_id="op_1", **nothing)
    found = await ledger.operations.view("local", "op_1", 2)
    assert [(s.step_id, s.share) for s in found.steps] == [("large", pytest.approx(0.9)), ("small", pytest.approx(0.1))]
    assert found.step_count == 3


def _size(drafts: Drafts, size: int) -> dict[str, Any]:
    entry = drafts.draft(None, size=size)
    return {name: getattr(entry, name) for name in ("energy_nwh", "carbon_location_ng", "terms", "usage")}


async def test_retries_and_runs_without_an_entry_are_counted(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts, "s1"), step(drafts, "s2", retry_of="s1")])
    await ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 60, operation_id="op_1"))
    found = await ledger.operations.view("local", "op_1")
    assert (found.retry_count, found.unsettled_count) == (1, 1)


async def test_an_operation_that_ended_takes_no_more_steps(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts)])
    settled = await end(ledger, drafts)
    found = await ledger.operations.view("local", "op_1")
    assert (found.state, found.receipt_id, found.late_count) == ("ended", settled.receipt_id, 0)
    told = f"ended at 2026-11-22T06:00:00Z with receipt {settled.receipt_id}; a receipt is never changed. Begin another"
    for attempted in (
        ledger.operations.record("local", "op_1", [step(drafts, "s2")]),
        ledger.operations.begin("local", "op_1"),
        ledger.operations.begin("local", "op_2", parent_id="op_1"),
        ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 60, operation_id="op_1")),
    ):
        with pytest.raises(OperationClosed, match=told):
            await attempted
    with pytest.raises(OperationClosed, match=f"its receipt is {settled.receipt_id}"):
        await end(ledger, drafts)
    # What was recorded before is still answered.
    (again,) = await ledger.operations.record("local", "op_1", [step(drafts)])
    assert not again.is_new


async def test_the_entry_that_closes_an_operation_is_in_no_total(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts)])
    before = await ledger.summary(SummaryQuery("local"))
    await end(ledger, drafts)
    assert (await ledger.summary(SummaryQuery("local"))).total == before.total
    assert (await ledger.operations.view("local", "op_1")).step_count == 1


async def test_an_operation_does_not_end_while_a_run_or_an_operation_below_is_open(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await ledger.operations.begin("local", "op_1")
    await ledger.operations.begin("local", "op_2", parent_id="op_1")
    with pytest.raises(RequestInFlight, match=r"'op_2' belongs to 'op_1' and is open\. End it first"):
        await end(ledger, drafts)
    opened = await ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 60, operation_id="op_2"))
    assert isinstance(opened, Opened)
    with pytest.raises(RequestInFlight, match="run 'r1' of operation 'op_2' is in flight, until 2026-11-22T06:01:00Z"):
        await end(ledger, drafts, "op_2")
    clock.now_s += 61
    await end(ledger, drafts, "op_2")
    await end(ledger, drafts)
    # Its process was alive after all: what it spent is recorded, after the end.
    entry = drafts.draft("r1", operation_id="op_2")
    await ledger.settle(entry, drafts.payload(entry), opened.attempt_no)
    assert (await ledger.operations.view("local", "op_1")).late_count == 1


async def test_what_nobody_began_cannot_end(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", operation_id="op_1")
    with pytest.raises(InvalidInput, match="was never begun; begin it"):
        await end(ledger, drafts)
    assert await ledger.operations.begin("local", "op_1")
    assert await end(ledger, drafts) is not None


async def test_an_end_over_other_steps_than_there_are_writes_nothing(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.record("local", "op_1", [step(drafts, "s1"), step(drafts, "s2")])
    assert await end(ledger, drafts, seqs=[0]) is None
    assert (await ledger.operations.view("local", "op_1")).state == "open"


async def test_an_operation_that_was_left_takes_no_steps_but_ends(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.operations.begin("local", "op_1")
    clock.now_s += IDLE_S - 10
    await ledger.operations.record("local", "op_1", [step(drafts, "s1")])
    clock.now_s += IDLE_S
    await ledger.operations.record("local", "op_1", [step(drafts, "s2")])
    clock.now_s += IDLE_S + 1
    assert (await ledger.operations.view("local", "op_1")).state == "left"
    with pytest.raises(OperationClosed, match="Nothing was added to operation 'op_1' for 7 days"):
        await ledger.operations.record("local", "op_1", [step(drafts, "s3")])
    assert await end(ledger, drafts) is not None


async def test_steps_recorded_at_once_are_each_there_once(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as one, open_home() as other:
        sent = [
            ledger.operations.record("local", "op_1", [step(drafts, f"s{n}")])
            for n in range(10)
            for ledger in (one, other)
        ]
        recorded = [each for call in await asyncio.gather(*sent) for each in call]
        assert sum(each.is_new for each in recorded) == 10
        assert (await one.operations.view("local", "op_1")).step_count == 10


async def test_budgets_count_steps_that_were_made_elsewhere_and_refuse_none(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.operations.begin("local", "op_1", budget=budget("op_1", 10))
    await ledger.operations.record("local", "op_1", [step(drafts)])
    (held,) = (await ledger.operations.view("local", "op_1")).budgets
    assert (held.spent, held.status) == (HIGH_NWH, "over")


async def test_an_operation_stays_as_it_ended(open_home: Callable[..., Ledger], drafts: Drafts, home: Any) -> None:
    import sqlite3

    async with open_home() as ledger:
        await ledger.operations.begin("local", "op_1", budget=budget("op_1"))
        await end(ledger, drafts)
    connection = sqlite3.connect(home / "ledger.sqlite3")
    for statement in (
        "UPDATE operation SET ended_at = NULL",
        "DELETE FROM operation",
        "UPDATE budget_decision SET amount = 1",
        "DELETE FROM budget_decision",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="stays as it was"):
            connection.execute(statement)
    connection.close()
