"""Stored decisions under other weights: what would have gone elsewhere, and what was expected of either choice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wattproof.methodology.quantity import Usage
from wattproof.resources.routing import Candidate, Policy, Weights, decide, decision_from_json, decision_json
from wattproof.resources.routing.replaying import NOWHERE, Compared, Move, replay_one, replayed

NOW = "2026-11-22T10:00:00Z"
USAGE = Usage(1000, 400)

Make = Callable[..., Candidate]


def again(
    policy: Policy, *candidates: Candidate, weights: Weights | None = None, preset: str | None = None
) -> Compared:
    decision = decide(policy, USAGE, candidates, now=NOW, dry_run=False)
    stored = decision_from_json(decision_json(decision))
    return replay_one(stored, preset=preset, weights=weights)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def pool(candidate: Make) -> list[Candidate]:
    return [
        candidate("dear", "SE", 20, usd_per_mtok=9.0, cost_usd=0.009, speed=200.0),
        candidate("cheap", "PL", 565, usd_per_mtok=0.1, cost_usd=0.0001, speed=100.0),
    ]


def test_what_would_go_elsewhere_is_counted_by_where_from_and_where_to(pool: list[Candidate]) -> None:
    result = replayed(
        [
            again(Policy(preset="price"), *pool, preset="eco"),
            again(Policy(preset="price"), *pool, preset="eco"),
            again(Policy(preset="price"), *pool, preset="price"),
        ]
    )
    assert (result.decisions, result.changed) == (3, 2)
    assert result.moves == (Move("cheap/gpt-oss-120b", "dear/gpt-oss-120b", 2),)


def test_amounts_are_sums_over_the_decisions_that_know_both(pool: list[Candidate]) -> None:
    result = replayed(again(Policy(preset="price"), *pool, weights=Weights(1, 0, 0)) for _ in range(2))
    carbon, cost, latency = result.carbon_gco2e, result.cost_usd, result.latency_ms
    assert carbon is not None
    assert cost is not None
    assert latency is not None
    grams_before, grams_after = 2 * 0.072 * 565 / 1000, 2 * 0.072 * 20 / 1000
    assert (carbon.count, carbon.before.median) == (2, pytest.approx(grams_before))
    assert carbon.before.low == pytest.approx(grams_before / 3)
    assert carbon.after.high == pytest.approx(grams_after * 3)
    assert carbon.difference == pytest.approx(grams_after - grams_before)
    assert cost.difference == pytest.approx(2 * (0.009 - 0.0001))
    assert cost.before.low is None
    assert (latency.before.median, latency.after.median) == (4000, 2000)


def test_what_one_side_does_not_know_is_left_out_and_not_counted_as_nothing(candidate: Make) -> None:
    policy = Policy(preset="eco", max_cost_usd=None)
    unpriced = candidate("unpriced", "SE", 20, cost_usd=None, usd_per_mtok=None, speed=None)
    result = replayed([again(policy, unpriced, candidate("cheap", "PL", 565, usd_per_mtok=0.02), preset="price")])
    assert result.changed == 1
    assert result.carbon_gco2e is not None
    assert (result.cost_usd, result.latency_ms) == (None, None)


def test_limits_stay_as_they_were(candidate: Make) -> None:
    policy = Policy(preset="eco", max_carbon_intensity=100)
    low, high = candidate("low", "SE", 20, usd_per_mtok=9.0), candidate("high", "PL", 565, usd_per_mtok=0.02)
    assert replayed([again(policy, low, high, preset="price")]).changed == 0


def test_a_decision_that_excluded_all_goes_nowhere_again(candidate: Make) -> None:
    compared = again(Policy(max_carbon_intensity=1), candidate("a"), preset="eco")
    assert (compared.before, compared.after) == (None, None)
    assert replayed([compared]).changed == 0
    assert replayed([Compared(candidate("a"), None, 1)]).moves == (Move("a/gpt-oss-120b", NOWHERE, 1),)


def test_nothing_replayed_has_no_figures() -> None:
    result = replayed([])
    assert (result.decisions, result.changed, result.moves) == (0, 0, ())
    assert (result.carbon_gco2e, result.cost_usd, result.latency_ms) == (None, None, None)
