"""Equals do not take turns: whoever served last stays until another is clearly better."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.routing import SCALES, Candidate, Decision, Incumbents, Policy, Weights, decide

NOW = "2026-11-22T10:00:00Z"
USAGE = Usage(1000, 400)

Make = Callable[..., Candidate]


def choose(*candidates: Candidate, incumbent: str | None, policy: Policy | None = None) -> Decision:
    return decide(policy or Policy(), USAGE, candidates, now=NOW, dry_run=False, incumbent=incumbent)


def providers(decision: Decision) -> list[str]:
    return [r.candidate.deployment.provider for r in decision.allowed]


def test_the_incumbent_stays_first_among_equals(candidate: Make) -> None:
    pool = [candidate("a"), candidate("b"), candidate("c")]
    assert providers(choose(*pool, incumbent=None)) == ["a", "b", "c"]
    decision = choose(*pool, incumbent="b/gpt-oss-120b")
    assert providers(decision) == ["b", "a", "c"]
    assert decision.decided_by == "incumbent"
    assert decision.incumbent == "b/gpt-oss-120b"


def test_an_incumbent_that_is_best_anyway_decided_nothing(candidate: Make) -> None:
    decision = choose(candidate("a", usd_per_mtok=0.1), candidate("b", usd_per_mtok=9.0), incumbent="a/gpt-oss-120b")
    assert decision.decided_by == "price"


def test_a_clearly_better_one_replaces_the_incumbent(candidate: Make) -> None:
    decision = choose(candidate("a", usd_per_mtok=0.1), candidate("b", usd_per_mtok=9.0), incumbent="b/gpt-oss-120b")
    assert providers(decision) == ["a", "b"]
    assert decision.decided_by == "price"


def test_an_excluded_incumbent_keeps_nothing(candidate: Make) -> None:
    policy = Policy(exclude_providers=("b",))
    decision = choose(candidate("a"), candidate("b"), incumbent="b/gpt-oss-120b", policy=policy)
    assert providers(decision) == ["a"]
    assert decision.decided_by == "only candidate"


def test_an_unknown_incumbent_changes_nothing(candidate: Make) -> None:
    assert providers(choose(candidate("a"), candidate("b"), incumbent="gone/model")) == ["a", "b"]
    assert providers(choose(incumbent="gone/model")) == []


def test_an_incumbent_outside_the_zones_never_goes_before_one_inside(candidate: Make) -> None:
    policy = Policy(zones=("FR",), allow_fallback_region=True)
    decision = choose(candidate("in", "FR"), candidate("out", "SE"), incumbent="out/gpt-oss-120b", policy=policy)
    assert providers(decision) == ["in", "out"]
    assert decision.decided_by == "zones"


@given(mine=st.floats(0.02, 20), theirs=st.floats(0.02, 20))
def test_the_incumbent_yields_exactly_where_another_total_is_above_the_tie(
    candidate: Make, mine: float, theirs: float
) -> None:
    pool = [candidate("holder", usd_per_mtok=mine), candidate("rival", usd_per_mtok=theirs)]
    decision = choose(*pool, incumbent="holder/gpt-oss-120b")
    totals = {r.candidate.deployment.provider: r.score for r in decision.allowed}
    assert totals["rival"] is not None
    assert totals["holder"] is not None
    clearly_better = round(totals["rival"], 9) > round(totals["holder"] * (1 + SCALES.hysteresis), 9)
    assert providers(decision)[0] == ("rival" if clearly_better else "holder")


def test_weights_replace_those_of_the_preset(candidate: Make) -> None:
    pool = [candidate("dear", "SE", 20, usd_per_mtok=9.0), candidate("cheap", "PL", 565, usd_per_mtok=0.1)]
    eco = decide(Policy(preset="price"), USAGE, pool, now=NOW, dry_run=False, weights=Weights(1.0, 0.0, 0.0))
    assert providers(eco) == ["dear", "cheap"]
    assert eco.weights == Weights(1.0, 0.0, 0.0)
    assert providers(decide(Policy(preset="price"), USAGE, pool, now=NOW, dry_run=False)) == ["cheap", "dear"]


@pytest.mark.parametrize(
    ("shares", "named"),
    [((0.5, 0.5, 0.5), "weights"), ((-0.1, 0.6, 0.5), "environment"), ((0.5, float("nan"), 0.5), "price")],
)
def test_weights_that_are_no_shares_are_refused(shares: tuple[float, float, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        Weights(*shares)


# -- the memory --------------------------------------------------------------------------------------------------------


def test_the_last_deployment_of_each_kind_is_remembered() -> None:
    last = Incumbents()
    assert last.get(("local", "gpt-oss-120b", "eco")) is None
    last.used(("local", "gpt-oss-120b", "eco"), "a/gpt-oss-120b")
    last.used(("local", "gpt-oss-120b", "price"), "b/gpt-oss-120b")
    last.used(("local", "gpt-oss-120b", "eco"), "c/gpt-oss-120b")
    assert last.get(("local", "gpt-oss-120b", "eco")) == "c/gpt-oss-120b"
    assert last.get(("local", "gpt-oss-120b", "price")) == "b/gpt-oss-120b"


def test_the_memory_is_bounded_and_forgets_the_kind_not_used_for_longest() -> None:
    last = Incumbents(most=2)
    last.used(1, "a")
    last.used(2, "b")
    last.used(1, "a")
    last.used(3, "c")
    assert [last.get(key) for key in (1, 2, 3)] == ["a", None, "c"]
