"""What loosening one limit would admit, and that it really does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import RoutingError
from wattproof.methodology.quantity import Usage
from wattproof.resources.routing import Candidate, Decision, Policy, decide, excluded_counts, require_allowed
from wattproof.resources.routing.relax import NOT_REMOVABLE

NOW = "2026-11-22T10:00:00Z"
USAGE = Usage(1000, 400)

Make = Callable[..., Candidate]


def choose(policy: Policy, *candidates: Candidate, dry_run: bool = True, usage: Usage = USAGE) -> Decision:
    return decide(policy, usage, candidates, now=NOW, dry_run=dry_run)


def test_relaxing_names_the_nearest_value_and_the_removal(candidate: Make) -> None:
    decision = choose(
        Policy(max_carbon_intensity=25),
        candidate("finland", "FI", 68),
        candidate("poland", "PL", 565),
        candidate("groq", None),
    )
    assert [(r.limit, r.to, r.admits) for r in decision.relax] == [
        ("max_carbon_intensity", "68", ("finland/gpt-oss-120b",)),
        (
            "max_carbon_intensity",
            "null",
            ("finland/gpt-oss-120b", "groq/gpt-oss-120b", "poland/gpt-oss-120b"),
        ),
    ]


def test_what_two_limits_stop_is_not_offered_by_relaxing_one(candidate: Make) -> None:
    decision = choose(Policy(max_carbon_intensity=25, max_cost_usd=0.0001), candidate("finland", "FI", 68))
    assert decision.relax == ()


def loosened(policy: Policy, usage: Usage, limit: str, to: str) -> tuple[Policy, Usage]:
    """The policy and the request after following one piece of advice."""
    if limit == "max_output_tokens":
        return policy, replace(usage, output_tokens=int(to))
    if limit == "input_tokens":
        return policy, replace(usage, input_tokens=int(to))
    value: Any = to
    if to == "null":
        value = getattr(Policy(max_cost_usd=None), limit)
    elif limit in ("max_latency_ms", "min_renewable_bps"):
        value = int(to)
    elif limit != "min_location_evidence":
        value = float(to)
    return replace(policy, **{limit: value}), usage


POLICIES = st.builds(
    Policy,
    max_carbon_intensity=st.none() | st.floats(0, 900),
    max_carbon_gco2e=st.none() | st.floats(0, 0.2),
    min_renewable_bps=st.none() | st.integers(0, 10_000),
    max_cost_usd=st.none() | st.floats(0, 0.01),
    max_latency_ms=st.none() | st.integers(0, 20_000),
    zones=st.sampled_from([(), ("FR", "SE"), ("DE",)]),
    exclude_zones=st.sampled_from([(), ("DE",)]),
    providers=st.sampled_from([(), ("p0", "p1")]),
    exclude_providers=st.sampled_from([(), ("p2",)]),
    min_location_evidence=st.sampled_from(["unknown", "inferred", "declared"]),
    min_quality=st.none() | st.floats(0, 100),
)

POOLS = st.lists(
    st.fixed_dictionaries(
        {
            "zone": st.sampled_from(["FR", "SE", "DE", "FI", None]),
            "value": st.floats(5, 1000),
            "cost_usd": st.none() | st.floats(0, 0.02),
            "speed": st.none() | st.floats(10, 1000),
            "evidence": st.sampled_from(["declared", "inferred", "contractual"]),
            "renewable_bps": st.none() | st.integers(0, 10_000),
            "quality": st.none() | st.floats(0, 100),
            "context": st.none() | st.sampled_from([600, 1000, 1300, 8192]),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(policy=POLICIES, pool=POOLS, usage=st.builds(Usage, st.integers(0, 3000), st.integers(0, 2000)))
def test_following_the_advice_admits_what_it_promises(
    candidate: Make, policy: Policy, pool: list[dict[str, Any]], usage: Usage
) -> None:
    candidates = [candidate(f"p{i}", **fields) for i, fields in enumerate(pool)]
    for advice in choose(policy, *candidates, usage=usage).relax:
        if advice.limit in NOT_REMOVABLE:
            continue
        then, asked = loosened(policy, usage, advice.limit, advice.to)
        admitted = {r.candidate.deployment.id for r in choose(then, *candidates, usage=asked).allowed}
        assert set(advice.admits) <= admitted


@given(policy=POLICIES, pool=POOLS, usage=st.builds(Usage, st.integers(0, 3000), st.integers(0, 2000)))
def test_whatever_one_limit_alone_stops_is_offered_unless_nothing_could_admit_it(
    candidate: Make, policy: Policy, pool: list[dict[str, Any]], usage: Usage
) -> None:
    candidates = [candidate(f"p{i}", **fields) for i, fields in enumerate(pool)]
    decision = choose(policy, *candidates, usage=usage)
    offered = {(r.limit, admitted) for r in decision.relax for admitted in r.admits}
    for ranked in decision.ranked:
        if len(ranked.excluded_by) == 1:
            (limit,) = ranked.excluded_by
            nearest_only = limit.name in ("max_output_tokens", "input_tokens")
            assert nearest_only or (limit.name, ranked.candidate.deployment.id) in offered


def test_evidence_is_relaxed_to_the_word_that_admits(candidate: Make) -> None:
    decision = choose(
        Policy(min_location_evidence="declared"), candidate("a", evidence="inferred"), candidate("groq", None)
    )
    assert [(r.limit, r.to, r.admits) for r in decision.relax] == [
        ("min_location_evidence", "inferred", ("a/gpt-oss-120b",)),
        ("min_location_evidence", "null", ("a/gpt-oss-120b", "groq/gpt-oss-120b")),
    ]


def test_a_limit_in_whole_numbers_is_relaxed_to_a_whole_number(candidate: Make) -> None:
    decision = choose(Policy(max_latency_ms=1000), candidate("a", speed=30.1))
    assert [r.to for r in decision.relax] == ["13290"]


def test_a_quality_floor_is_rounded_down(candidate: Make) -> None:
    decision = choose(Policy(min_quality=90.0), candidate("a", quality=77.7777))
    assert [r.to for r in decision.relax] == ["77.7777"]


def test_no_candidate_left_says_the_nearest_and_what_would_admit_it(candidate: Make) -> None:
    decision = choose(Policy(max_carbon_intensity=40), candidate("nebius", "FI", 68), candidate("groq", None))
    with pytest.raises(RoutingError) as caught:
        require_allowed(decision)
    text = str(caught.value)
    assert "1 above ceiling, 1 location unknown" in text
    assert "68 gCO2e/kWh (FI, annual) is above 40" in text
    assert "max_carbon_intensity=68 admits nebius/gpt-oss-120b" in text


def test_no_candidate_at_all_says_so() -> None:
    with pytest.raises(RoutingError, match="No provider in the catalogue"):
        require_allowed(choose(Policy()))


def test_exclusions_are_counted_by_code(candidate: Make) -> None:
    decision = choose(
        Policy(max_carbon_intensity=50),
        candidate("a", unusable="no key: set A"),
        candidate("b", None),
        candidate("c", "PL", 565),
        candidate("d", "DE", 342),
        dry_run=False,
    )
    assert excluded_counts(decision) == {"above_ceiling": 2, "location_unknown": 1, "no_key": 1}
