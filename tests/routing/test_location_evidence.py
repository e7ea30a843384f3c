"""A guess of where a request runs never wins by the luck of its median."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.propagate import Z90
from wattproof.methodology.quantity import Usage
from wattproof.methodology.zones import mixture
from wattproof.resources.routing import SCALES, Candidate, Decision, Policy, decide

NOW = "2026-11-22T10:00:00Z"
USAGE = Usage(1000, 400)

Make = Callable[..., Candidate]


def choose(*candidates: Candidate) -> Decision:
    return decide(Policy(preset="eco"), USAGE, candidates, now=NOW, dry_run=True)


def environment(decision: Decision) -> dict[str, float]:
    return {r.candidate.deployment.provider: dict(r.terms)["environment"] for r in decision.allowed}


def test_an_unknown_location_scores_at_the_high_end_of_the_mixture(candidate: Make) -> None:
    (score,) = environment(choose(candidate("groq", None, 286, energy_wh=0.06))).values()
    assert score == pytest.approx(1 - math.log(699.45 / 10) / math.log(80))
    assert score < 0.04


@given(value=st.floats(5, 699), energy_wh=st.floats(0.06, 0.12))
def test_hiding_the_location_never_beats_stating_one_on_environment(
    candidate: Make, value: float, energy_wh: float
) -> None:
    found = environment(
        choose(
            candidate("hidden", None, 286, energy_wh=energy_wh), candidate("stated", "PL", value, energy_wh=energy_wh)
        )
    )
    assert found["hidden"] <= found["stated"]


@given(others=st.lists(st.floats(5, 1500), max_size=4))
def test_the_score_of_an_unknown_location_does_not_depend_on_the_others(candidate: Make, others: list[float]) -> None:
    alone = environment(choose(candidate("hidden", None, 286)))["hidden"]
    pool = [candidate(f"p{i}", f"Z{i}", value) for i, value in enumerate(others)]
    assert environment(choose(candidate("hidden", None, 286), *pool))["hidden"] == alone


def test_an_inferred_zone_is_ranked_at_its_high_end_and_flagged(candidate: Make) -> None:
    decision = choose(candidate("guess", "SE", 20, evidence="inferred", energy_wh=0.06))
    high = 20 * math.exp(Z90 * SCALES.inferred_sigma_ln)
    assert environment(decision)["guess"] == pytest.approx(SCALES.environment.score(high))
    assert "location_inferred" in decision.allowed[0].flags


def test_a_guess_with_a_slightly_better_figure_ties_with_a_statement(candidate: Make) -> None:
    decision = choose(
        candidate("guess", "SE", 20, evidence="inferred", usd_per_mtok=0.31),
        candidate("stated", "FR", 31, evidence="declared", usd_per_mtok=0.30),
    )
    assert [r.candidate.deployment.provider for r in decision.allowed] == ["stated", "guess"]
    assert decision.decided_by == "price"
    assert all(r.in_best_band for r in decision.allowed)


def test_a_guess_wins_where_the_difference_is_meaningful_even_so(candidate: Make) -> None:
    decision = choose(
        candidate("guess", "SE", 20, evidence="inferred", usd_per_mtok=0.31),
        candidate("stated", "PL", 565, evidence="declared", usd_per_mtok=0.30),
    )
    assert [r.candidate.deployment.provider for r in decision.allowed] == ["guess", "stated"]
    assert decision.decided_by == "environment"


@given(
    guess=st.floats(5, 1000),
    stated=st.floats(5, 1000),
    grid=st.floats(0.05, 0.5),
    own=st.floats(0, 0.6),
    third=st.floats(5, 1000),
)
def test_no_guess_scores_above_a_statement_unless_its_high_end_is_below_it(
    candidate: Make, guess: float, stated: float, grid: float, own: float, third: float
) -> None:
    spread = {"sigma_grid": grid, "sigma_own": own}
    found = environment(
        choose(
            candidate("guess", "SE", guess, evidence="inferred", **spread),
            candidate("stated", "FR", stated, **spread),
            candidate("third", "DE", third, **spread),
        )
    )
    band_could_lift_both = abs(math.log(third / guess)) < 3 * math.hypot(grid, own, SCALES.inferred_sigma_ln)
    if found["guess"] > found["stated"] and not band_could_lift_both:
        assert guess * math.exp(Z90 * SCALES.inferred_sigma_ln) < stated


def test_two_guesses_of_one_provider_share_their_error(candidate: Make) -> None:
    lean = candidate("guess", "SE", 20, evidence="inferred", energy_wh=0.060)
    other = candidate("guess", "SE", 20, evidence="inferred", energy_wh=0.063, variant="b")
    assert [r.in_best_band for r in choose(lean, other).allowed] == [True, False]


def test_the_spread_of_a_guess_is_half_of_that_of_knowing_nothing() -> None:
    assert SCALES.inferred_sigma_ln == pytest.approx(mixture().sigma_ln / 2, abs=0.01)
