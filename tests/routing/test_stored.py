"""A decision in the ledger can be read back and decided again, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.grid import Reading
from wattproof.resources.providers import deployments_for, load_catalogue, unusable_reason
from wattproof.resources.routing import (
    PRESETS,
    Candidate,
    Decision,
    Health,
    Policy,
    Weights,
    assemble,
    decide,
    decision_from_json,
    decision_json,
    redecide,
)

NOW = "2026-11-22T10:00:00Z"
NOW_S = 1795341600.0
USAGE = Usage(1000, 400, 100, 20)

Make = Callable[..., Candidate]
Read = Callable[..., Reading]


def choose(policy: Policy, *candidates: Candidate, dry_run: bool = True, **changes: Any) -> Decision:
    return decide(policy, USAGE, candidates, now=NOW, dry_run=dry_run, **changes)


AMOUNT = st.floats(0, 1e6, allow_nan=False)

CANDIDATES = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(["FR", "SE", "DE", "PL", None]),
        "value": st.floats(0, 2000) | st.integers(0, 900),
        "cost_usd": st.none() | st.floats(0, 1),
        "usd_per_mtok": st.none() | AMOUNT,
        "speed": st.none() | st.floats(0.1, 5000),
        "pue": st.none() | st.floats(1, 2),
        "energy_wh": st.floats(0.001, 10),
        "evidence": st.sampled_from(["contractual", "declared", "caller", "inferred"]),
        "sigma_own": st.floats(0, 1),
        "sigma_grid": st.floats(0, 1),
        "renewable_bps": st.none() | st.integers(0, 10_000),
        "context": st.none() | st.integers(1, 5000),
        "quality": st.none() | st.floats(0, 100),
        "variant": st.none() | st.sampled_from(["us", "a@b", "é"]),
        "unusable": st.none() | st.sampled_from(["no key: set X", "spricht nur für sich"]),
        "stale": st.sampled_from([(), ("stale_row",), ("stale_row", "stale_rate")]),
        "health": st.builds(
            Health,
            st.none() | AMOUNT,
            st.none() | st.floats(0, 1),
            st.none() | AMOUNT,
            st.none() | AMOUNT,
            st.booleans(),
        ),
    }
)


@given(
    pool=st.lists(CANDIDATES, max_size=5),
    live=st.lists(st.tuples(st.floats(0, 900), st.sampled_from(["live", "fresh", "fallback"])), min_size=5, max_size=5),
    preset=st.sampled_from(sorted(PRESETS)),
    ceiling=st.none() | st.floats(0, 900),
    weights=st.none() | st.sampled_from([Weights(1, 0, 0), Weights(0.1, 0.2, 0.7)]),
    incumbent=st.none() | st.sampled_from(["p0/gpt-oss-120b", "p1/gpt-oss-120b"]),
    dry_run=st.booleans(),
)
def test_deciding_again_gives_the_same_bytes(
    candidate: Make,
    reading: Read,
    pool: list[dict[str, Any]],
    live: list[tuple[float, str]],
    preset: Any,
    ceiling: float | None,
    weights: Weights | None,
    incumbent: str | None,
    dry_run: bool,
) -> None:
    candidates: list[Candidate] = []
    for i, fields in enumerate(pool):
        value, match = live[i]
        newest = reading(fields["zone"], value, source=f"s{i % 2}", temporal_match=match) if fields["zone"] else None
        candidates.append(
            candidate(f"p{i}", newest=newest if i % 3 else None, unused=newest if i % 2 else None, **fields)
        )
    policy = Policy(preset=preset, max_carbon_intensity=ceiling, zones=("FR", "DE"), allow_fallback_region=True)
    decision = choose(policy, *candidates, weights=weights, incumbent=incumbent, dry_run=dry_run)
    text = decision_json(decision)
    stored = decision_from_json(text)
    assert decision_json(redecide(stored)) == text
    first = decision.allowed[0].candidate.deployment.id if decision.allowed else None
    assert stored.chosen == first


def test_a_decision_over_the_catalogue_comes_back_to_the_byte() -> None:
    offers = deployments_for("gpt-oss-120b", load_catalogue())
    pool = assemble(find_model("gpt-oss-120b"), USAGE, offers, NOW_S, unusable=lambda d: unusable_reason(d, {}))
    for policy in (Policy(), Policy(preset="eco", max_carbon_intensity=100), Policy(max_cost_usd=0.0)):
        text = decision_json(choose(policy, *pool))
        assert decision_json(redecide(decision_from_json(text))) == text


def test_the_same_candidates_are_decided_under_another_policy_and_other_weights(candidate: Make) -> None:
    pool = [candidate("dear", "SE", 20, usd_per_mtok=9.0), candidate("cheap", "PL", 565, usd_per_mtok=0.1)]
    stored = decision_from_json(decision_json(choose(Policy(preset="price"), *pool)))
    assert stored.chosen == "cheap/gpt-oss-120b"
    for again in (redecide(stored, weights=Weights(1, 0, 0)), redecide(stored, policy=Policy(preset="eco"))):
        assert again.allowed[0].candidate.deployment.id == "dear/gpt-oss-120b"


def test_own_weights_hold_for_the_stored_policy_and_not_for_another(candidate: Make) -> None:
    decision = choose(Policy(preset="price"), candidate("a"), weights=Weights(1, 0, 0))
    stored = decision_from_json(decision_json(decision))
    assert redecide(stored).weights == Weights(1, 0, 0)
    assert redecide(stored, policy=Policy(preset="speed")).weights == PRESETS["speed"]


def test_equal_decisions_give_equal_bytes_and_every_candidate_is_inside(candidate: Make) -> None:
    pool = [candidate("a"), candidate("groq", None)]
    content = decision_json(choose(Policy(max_carbon_intensity=100), *pool))
    assert content == decision_json(choose(Policy(max_carbon_intensity=100), *pool))
    document = json.loads(content)
    assert (document["schema"], document["scales"]) == ("wattproof-decision/2", "2026-11")
    assert [c["deployment"] for c in document["candidates"]] == ["a/gpt-oss-120b", "groq/gpt-oss-120b"]
    assert document["candidates"][1]["excluded_by"][0]["reason"] == "location unknown"
    assert len(document["readings"]["rows"]) == 2
    assert len(document["estimates"]["rows"]) == 1


def test_a_name_that_is_no_utf_8_is_stored_escaped_and_comes_back(candidate: Make) -> None:
    decision = choose(Policy(), candidate("a", unusable="model \ud800 unknown"))
    text = decision_json(decision)
    assert b"\\ud800" in text
    assert decision_json(redecide(decision_from_json(text))) == text


def test_a_decision_of_schema_1_says_why_it_cannot_be_decided_again() -> None:
    with pytest.raises(InvalidInput, match="schema 1"):
        decision_from_json('{"candidates":[],"policy":{},"readings":{}}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object"),
        ('{"schema":"wattproof-decision/3"}', "this version reads wattproof-decision/2"),
        ('{"schema":"wattproof-decision/2"}', "lacks a field"),
    ],
)
def test_what_is_no_decision_is_refused_and_says_so(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        decision_from_json(text)


DAMAGE: list[Any] = [None, "x", -1, [], {}, True, 1e308]


def inner_places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON document where a value is, as its container and key."""
    keys = cast("Iterable[Any]", node if isinstance(node, dict) else range(len(node)))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from inner_places(node[key])


@given(data=st.data())
def test_a_damaged_decision_is_refused_or_read_and_never_crashes(candidate: Make, data: st.DataObject) -> None:
    document = json.loads(decision_json(choose(Policy(), candidate("a"), candidate("groq", None))))
    places = list(inner_places(document))
    node, key = data.draw(st.sampled_from(places))
    node[key] = data.draw(st.sampled_from(DAMAGE))
    try:
        stored = decision_from_json(json.dumps(document))
    except InvalidInput:
        return
    redecide(stored, weights=Weights(1, 0, 0))


def test_more_than_one_candidate_of_a_provider_keeps_its_variant(candidate: Make) -> None:
    pool = [candidate("a", variant="us"), candidate("a", variant="eu", usd_per_mtok=9.0)]
    stored = decision_from_json(decision_json(choose(Policy(), *pool)))
    assert [c.deployment.id for c in stored.candidates] == ["a/gpt-oss-120b@us", "a/gpt-oss-120b@eu"]
    assert [c.deployment.variant for c in stored.candidates] == ["us", "eu"]
    assert replace(stored.candidates[0].deployment, variant=None).id == "a/gpt-oss-120b"
