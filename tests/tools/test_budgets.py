"""Budgets through the tools: what a run tells of them, what a refusal says would fit, what their owner may decide."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import BudgetExceeded, InvalidInput
from wattproof.tools.budget_control import BudgetRequest, amount_of, decide, show
from wattproof.tools.budget_left import budget_words
from wattproof.tools.run_inference import RunArgs, RunResult, brief, run_inference
from wattproof.tools.track_operation import OperationArgs, track_operation

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    return installation


async def run(deps: Deps, **more: Any) -> RunResult:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 500, **more}
    return await run_inference(RunArgs(model="gpt-oss-120b", **asked), deps)


async def budget(deps: Deps, decision: Any = "set", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"scope": "tenant", "name": "", "per": "total", "by": "owner", **more}
    return await decide(BudgetRequest(decision=decision, **given), deps)


async def test_a_run_shows_the_tightest_budget_in_data_and_words(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await budget(deps, limit="10 Wh")
        await budget(deps, limit="100 tokens", action="warn")
        result = await run(deps)
        assert result.budget is not None
        assert (result.budget["unit"], result.budget["spent"], result.budget["remaining"]) == ("tokens", 50, 50)
        assert "Budget left 50 of 100 tokens." in brief(result)
        plain = await run(deps)
        assert plain.budget is not None
        assert plain.budget["remaining"] == 0
        over = await run(deps)
    assert "Budget of tenant exceeded by 50 tokens (limit 100)." in brief(over)


async def test_without_a_budget_a_run_says_nothing_of_one(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        result = await run(deps)
    assert "budget" not in result.structured()
    assert "Budget" not in brief(result)


async def test_a_replay_shows_what_is_left_now(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await run(deps, request_id="r1", operation_id="op_1")
        given = {"action": "begin", "operation_id": "op_1", "budget": {"unit": "tokens", "limit": 60}}
        await track_operation(OperationArgs.model_validate(given), deps)
        again = await run(deps, request_id="r1", operation_id="op_1")
    assert again.replayed
    assert again.budget is not None
    assert again.budget["remaining"] == 10


@pytest.mark.parametrize("limit", ["0.05 Wh", "0.002 g", "300 tokens", "0.0002 USD"])
async def test_a_refusal_names_the_longest_answer_that_fits_and_it_does(at_fake: Installation, limit: str) -> None:
    async with at_fake.open() as deps:
        await budget(deps, limit=limit)
        with pytest.raises(BudgetExceeded) as caught:
            await run(deps)
        found = re.search(r"max_output_tokens ([0-9,]+) would fit\.$", str(caught.value))
        assert found is not None, caught.value
        fits = int(found[1].replace(",", ""))
        assert 0 < fits < 500
        with pytest.raises(BudgetExceeded):
            await run(deps, max_output_tokens=fits + 1)
        assert (await run(deps, max_output_tokens=fits)).status == "completed"


async def test_where_nothing_fits_the_refusal_says_so(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await budget(deps, limit="0 tokens")
        with pytest.raises(BudgetExceeded, match=r"Not even an answer of one token would fit\.$"):
            await run(deps)
        with pytest.raises(BudgetExceeded, match=r"Not even an answer of one token would fit\.$"):
            await run(deps, max_output_tokens=1)


async def test_an_unknown_price_is_refused_with_what_would_work(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    installation.deployments = (fake_provider.deployment(price=None),)
    installation.max_cost_usd = None
    async with installation.open() as deps:
        await budget(deps, limit="5 USD")
        with pytest.raises(
            BudgetExceeded, match="what this run may take in USD is unknown, so it may not start"
        ) as caught:
            await run(deps)
    assert "would fit" not in str(caught.value)


async def test_prices_in_euros_count_in_dollars(installation: Installation, fake_provider: FakeProvider) -> None:
    row = fake_provider.deployment()
    assert row.price is not None
    installation.deployments = (replace(row, price=replace(row.price, currency="EUR")),)
    async with installation.open() as deps:
        await budget(deps, limit="1 USD")
        result = await run(deps, detail="full")
    assert result.cost is not None
    assert result.budget is not None
    # A euro has been worth more than a dollar in every row that we ship.
    assert result.budget["spent"] * 1e6 > result.cost.micros


async def test_the_owner_sees_every_budget_and_the_last_decisions(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await budget(deps, limit="10 Wh", per="day", tz="Europe/Paris")
        await budget(deps, limit="100 tokens", scope="tag", name="nightly", action="warn")
        await budget(deps, "raise", limit="20 Wh", per="day", reason="busy")
        await budget(deps, "override", limit="1 kWh", per="day")
        found = await show(2, deps)
        words = [row["words"] for row in found["budgets"]]
        assert words == [
            "this ledger per day (2026-11-05, Europe/Paris): 0 Wh of 1,020 Wh counted, 1,020 Wh left.",
            "tag 'nightly': 0 tokens of 100 tokens counted, 100 tokens left, warns only.",
        ]
        told = [(d["decision"], d["amount"], d["by"], d["reason"]) for d in found["decisions"]]
        assert told == [("override", "1,000 Wh", "owner", None), ("raise", "20 Wh", "owner", "busy")]
        assert await budget(deps, "remove", unit="tokens", scope="tag", name="nightly") == {}
        assert len((await show(0, deps))["budgets"]) == 1


@pytest.mark.parametrize(
    ("text", "unit", "found"),
    [
        ("5 Wh", None, ("energy_wh", 5 * 10**9)),
        ("2kWh", None, ("energy_wh", 2 * 10**12)),
        ("0.5 mWh", None, ("energy_wh", 500_000)),
        ("2 kg", None, ("carbon_gco2e", 2 * 10**12)),
        ("1,5 g", "carbon_gco2e", ("carbon_gco2e", 15 * 10**8)),
        ("10_000 tokens", None, ("tokens", 10_000)),
        ("3 USD", None, ("cost_usd", 3_000_000)),
        ("1.2", "energy_wh", ("energy_wh", 12 * 10**8)),
    ],
)
def test_amounts_read_as_people_write_them(text: str, unit: str | None, found: tuple[str, int]) -> None:
    assert amount_of(text, unit) == found


@pytest.mark.parametrize(
    ("text", "unit", "told"),
    [
        ("much", None, "--limit is 'much'; give an amount such as '5 Wh'"),
        ("5", None, "--limit is '5'; give an amount such as '5 Wh'"),
        ("5 parsecs", None, "--limit is '5 parsecs'"),
        ("-5 Wh", None, "--limit is '-5 Wh'"),
        ("5 Wh", "tokens", "--unit is 'tokens', but the limit is in energy_wh; leave one of them out"),
        ("5", "joules", "--unit is 'joules'; give one of energy_wh, carbon_gco2e, tokens, cost_usd"),
        ("9" * 20, "tokens", "give an amount from 0 to"),
    ],
)
def test_what_is_no_amount_is_refused_with_what_is(text: str, unit: str | None, told: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(told)):
        amount_of(text, unit)


@given(st.text(max_size=30), st.none() | st.sampled_from(["energy_wh", "tokens", "x"]))
def test_no_text_crashes_the_reading_of_amounts(text: str, unit: str | None) -> None:
    try:
        _, amount = amount_of(text, unit)
    except InvalidInput:
        return
    assert amount >= 0


async def test_a_decision_without_its_amount_is_refused(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        with pytest.raises(InvalidInput, match="--limit is missing"):
            await budget(deps)


async def test_the_result_of_a_run_with_a_budget_is_plain_json(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await budget(deps, limit="10 Wh", per="month")
        result = await run(deps, detail="full")
    shown = json.loads(json.dumps(result.structured()))["budget"]
    assert (shown["of"], shown["period"], shown["action"]) == ("tenant per month", "2026-11", "refuse")
    assert budget_words(shown) == "Budget left 10 of 10 Wh (high bound counts)."
