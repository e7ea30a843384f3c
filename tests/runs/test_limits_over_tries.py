"""The limits of a policy hold for all tries of a run together, under live readings too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import RoutingError, UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import Price
from wattproof.resources.receipts import parse
from wattproof.resources.routing import Policy
from wattproof.resources.runs import Retry, plan

if TYPE_CHECKING:
    from tests.runs.conftest import Bench, Signal

# Of the fixed prices of the bench, in micro-dollars: 108 tokens at most on the first and on the second deployment, and
# what a first try that is cut off after 11 tokens spends.
FIRST, SECOND, SPENT = 11, 33, 2


async def test_the_costs_of_the_bench_are_what_these_tests_count_on(bench: Bench) -> None:
    decision = (await plan(bench.request(), Policy(), bench.deps)).decision
    assert [ranked.candidate.cost_usd_micros for ranked in decision.allowed] == [FIRST, SECOND]


async def test_a_fallback_that_could_exceed_the_cost_limit_with_what_was_spent_is_not_tried(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    with pytest.raises(UpstreamError, match=r"Not tried: two/gpt-oss-120b .*max_cost_usd") as caught:
        await bench.run(policy=Policy(max_cost_usd=(SPENT + SECOND - 1) / 1e6))
    assert caught.value.reason == "cut_stream"
    assert len(bench.provider.received) == 1
    entry = await bench.ledger.get("local", request_id="r1")
    assert entry is not None
    assert (entry.draft.status, entry.draft.cost_micros) == ("failed", SPENT)


async def test_a_fallback_that_fits_with_what_was_spent_is_tried(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    run = await bench.run(policy=Policy(max_cost_usd=(SPENT + SECOND) / 1e6))
    assert run.settled.draft.deployment == "two/gpt-oss-120b"


async def test_a_second_try_on_the_same_deployment_counts_as_well(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.script("cut_mid", "ok")
    with pytest.raises(UpstreamError, match="Not tried: one/gpt-oss-120b"):
        await bench.run(policy=Policy(max_cost_usd=FIRST / 1e6))
    assert await bench.states() == [("one", "failed", "cut_stream")]


async def test_a_try_that_spent_nothing_leaves_the_whole_limit(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("503", "ok")
    run = await bench.run(policy=Policy(max_cost_usd=SECOND / 1e6))
    assert run.settled.draft.deployment == "two/gpt-oss-120b"


async def test_what_an_earlier_process_spent_on_the_request_counts(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.script("cut_mid")
    with pytest.raises(UpstreamError):
        await bench.run(bench.request("other"))
    opened = await bench.ledger.attempts("local", "other")
    assert opened[0].usage == Usage(8, 3)


@pytest.mark.parametrize(("room", "tried"), [(1.001, False), (3.0, True)])
async def test_the_carbon_limit_counts_what_earlier_tries_spent(bench: Bench, room: float, tried: bool) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    decision = (await plan(bench.request(), Policy(), bench.deps)).decision
    dearest = max(r.candidate.carbon_gco2e.high or 0 for r in decision.allowed if r.candidate.carbon_gco2e)
    policy = Policy(max_carbon_gco2e=dearest * room)
    if tried:
        assert (await bench.run(policy=policy)).settled.draft.attempts == 2
        return
    with pytest.raises(UpstreamError, match=r"gCO2e, above max_carbon_gco2e"):
        await bench.run(policy=policy)
    assert len(bench.provider.received) == 1


async def test_a_price_in_another_currency_counts_through_its_rate(bench: Bench) -> None:
    euros = Price(1_000_000, 1_000_000, None, "EUR", "test", "2026-11-01")
    bench.serve("one", price=euros)
    first = bench.deps.catalogue[0]
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid")
    expected = (await plan(bench.request(), Policy(), bench.deps)).decision.allowed[0].candidate.cost_usd_micros
    assert expected is not None
    bench.deps = replace(bench.deps, catalogue=(first, replace(first, provider="two")))
    with pytest.raises(UpstreamError, match="Not tried: two/gpt-oss-120b"):
        await bench.run(policy=Policy(max_cost_usd=expected / 1e6))


# -- live readings -----------------------------------------------------------------------------------------------------


def in_two_zones(bench: Bench) -> None:
    bench.serve("one", "two")
    first, second = bench.deps.catalogue
    bench.deps = replace(bench.deps, catalogue=(first, replace(second, zone="DE")), retry=Retry(tries_each=1))


async def test_no_fallback_above_the_ceiling_that_the_decision_was_made_under(bench: Bench, signal: Signal) -> None:
    in_two_zones(bench)
    signal.said = {"FR": 40.0, "DE": 101.0}
    bench.provider.script("503", "ok")
    with pytest.raises(UpstreamError):
        await bench.run(policy=Policy(max_carbon_intensity=100, allow_fallback_region=True))
    assert await bench.states() == [("one", "failed", "http_503")]


async def test_a_fallback_in_another_zone_below_the_ceiling_is_used_where_the_policy_allows_it(
    bench: Bench, signal: Signal
) -> None:
    in_two_zones(bench)
    signal.said = {"FR": 99.0, "DE": 100.0}
    bench.provider.script("503", "ok")
    run = await bench.run(policy=Policy(max_carbon_intensity=100, allow_fallback_region=True))
    assert run.settled.jws is not None
    accounting = parse(run.settled.jws).payload["grid"]["accounting"]
    assert (accounting["zone"], accounting["value_mgco2e_per_kwh"], accounting["temporal_match"]) == (
        "DE",
        100_000,
        "live",
    )


async def test_a_fallback_in_another_zone_is_never_silent_however_low_its_live_reading(
    bench: Bench, signal: Signal
) -> None:
    in_two_zones(bench)
    signal.said = {"FR": 60.0, "DE": 10.0}
    bench.provider.script("503", "ok")
    with pytest.raises(UpstreamError, match="allow_fallback_region=true"):
        await bench.run(policy=Policy(max_carbon_intensity=100, preset="price"))
    assert len(bench.provider.received) == 1


async def test_a_live_reading_above_the_ceiling_excludes_a_zone_whose_year_is_below_it(
    bench: Bench, signal: Signal
) -> None:
    bench.serve("one")
    signal.said = {"FR": 140.0}
    with pytest.raises(RoutingError, match="140 gCO2e/kWh"):
        await bench.run(policy=Policy(max_carbon_intensity=100))
    assert bench.provider.received == []
