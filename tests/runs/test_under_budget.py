"""Runs under budgets: refused before anything is sent, and going on to what a budget allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wattproof.methodology.errors import BudgetExceeded, OperationClosed, UpstreamError
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey, Headroom
from wattproof.resources.operations import closing_of
from wattproof.resources.runs import Retry

if TYPE_CHECKING:
    from tests.runs.conftest import Bench

# Of the fixed prices of the bench, in micro-dollars; see test_limits_over_tries.py.
FIRST, SECOND, SPENT = 11, 33, 2
# 8 tokens in the question as counted here, 100 at most in the answer.
TOKENS = 108


async def limit(bench: Bench, amount: int, unit: Any = "cost_usd", scope: Any = "tenant", name: str = "") -> None:
    key = BudgetKey("local", scope, name, "total", unit)
    await bench.ledger.budgets.set(BudgetDraft(key, amount), by="owner")


async def held(bench: Bench) -> Headroom:
    (found,) = await bench.ledger.budgets.all("local")
    return found


async def test_a_run_within_its_budget_tells_what_is_left(bench: Bench) -> None:
    await limit(bench, 1000, "tokens")
    run = await bench.run()
    (left,) = run.settled.budgets
    assert (left.spent, left.reserved, left.remaining) == (50, 0, 950)


async def test_a_run_that_no_budget_allows_sends_and_records_nothing(bench: Bench) -> None:
    await limit(bench, TOKENS - 1, "tokens")
    with pytest.raises(BudgetExceeded, match="this run may take 108 tokens"):
        await bench.run()
    assert bench.provider.received == []
    assert await bench.states() == []
    assert await bench.entry_count() == 0
    assert (await held(bench)).reserved == 0


async def test_where_the_first_choice_costs_too_much_the_next_one_runs(bench: Bench) -> None:
    bench.serve("cheap", "dear")
    bench.deps = replace(bench.deps, catalogue=tuple(reversed(bench.deps.catalogue)))
    await limit(bench, FIRST)
    run = await bench.run()
    assert run.settled.draft.deployment == "cheap/gpt-oss-120b"


async def test_the_refusal_told_is_of_the_deployment_that_would_have_taken_least(bench: Bench) -> None:
    await limit(bench, FIRST - 1)
    with pytest.raises(BudgetExceeded) as caught:
        await bench.run()
    assert (caught.value.asked, caught.value.remaining) == (FIRST, FIRST - 1)


async def test_a_fallback_that_the_budget_forbids_is_not_tried_and_what_was_spent_is_settled(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    await limit(bench, FIRST + SECOND - 1)
    with pytest.raises(UpstreamError, match=r"Not tried: two/gpt-oss-120b \(a budget has too little left\)"):
        await bench.run()
    assert len(bench.provider.received) == 1
    entry = await bench.ledger.get("local", request_id="r1")
    assert entry is not None
    assert (entry.draft.status, entry.draft.cost_micros) == ("failed", SPENT)
    found = await held(bench)
    assert (found.spent, found.reserved) == (SPENT, 0)


async def test_a_fallback_reserves_beside_what_the_first_try_spent(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    await limit(bench, FIRST + SECOND)
    run = await bench.run()
    assert run.settled.draft.deployment == "two/gpt-oss-120b"
    await bench.sound()


async def test_a_try_that_spent_nothing_leaves_its_reservation_to_the_next(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("503", "ok")
    await limit(bench, SECOND)
    assert (await bench.run()).settled.draft.deployment == "two/gpt-oss-120b"


async def test_a_run_counts_for_its_operation_and_its_tags(bench: Bench) -> None:
    await limit(bench, 1000, "tokens", "operation", "op_1")
    await limit(bench, 1000, "tokens", "tag", "nightly")
    await limit(bench, 1000, "tokens", "tag", "daily")
    run = await bench.run(bench.request(operation_id="op_1", tags=("nightly",)))
    assert {(left.budget.key.name, left.spent) for left in run.settled.budgets} == {("op_1", 50), ("nightly", 50)}
    await limit(bench, 0, "tokens", "tag", "daily")
    with pytest.raises(BudgetExceeded, match="tag 'daily' has 0 tokens"):
        await bench.run(bench.request("r2", tags=("daily",)))


async def test_of_runs_at_once_as_many_start_as_the_budget_holds(bench: Bench) -> None:
    await limit(bench, 3 * TOKENS, "tokens")
    bench.provider.script("hang")
    outcomes: list[str] = []

    async def one(number: int) -> None:
        try:
            await bench.run(bench.request(f"r{number}"))
        except BudgetExceeded:
            outcomes.append("refused")
        except (UpstreamError, anyio.get_cancelled_exc_class()):
            outcomes.append("ran")
            raise

    with anyio.move_on_after(20):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(one, number)
            await bench.heard(3)
            while len(outcomes) < 5:
                await anyio.sleep(0.005)
            assert outcomes == ["refused"] * 5
            assert len(bench.provider.received) == 3
            group.cancel_scope.cancel()
    found = await held(bench)
    assert found.reserved == 0
    assert found.spent <= 3 * TOKENS


async def test_a_run_in_an_operation_that_ended_is_refused_before_anything_is_sent(bench: Bench) -> None:
    await bench.ledger.operations.begin("local", "op_1")
    view = await bench.ledger.operations.view("local", "op_1")
    closing = closing_of(view, (), local=False, now_s=bench.deps.clock(), nonce=bytes(16))
    await bench.ledger.operations.end(closing.draft, closing.statement, closing.seqs)
    with pytest.raises(OperationClosed, match="ended at"):
        await bench.run(bench.request(operation_id="op_1"))
    assert bench.provider.received == []
