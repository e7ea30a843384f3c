"""Limits that look at the request's size, at quality, and at the reading that a ceiling may use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.grid import Reading
from wattproof.resources.routing import Candidate, Decision, Health, Policy, decide

NOW = "2026-11-22T10:00:00Z"
NOW_S = 1795341600.0

Make = Callable[..., Candidate]
Read = Callable[..., Reading]


def choose(policy: Policy, *candidates: Candidate, usage: Usage | None = None, dry_run: bool = True) -> Decision:
    return decide(policy, usage or Usage(1000, 400), candidates, now=NOW, dry_run=dry_run)


def providers(decision: Decision) -> list[str]:
    return [r.candidate.deployment.provider for r in decision.allowed]


def excluded(decision: Decision) -> dict[str, list[tuple[str, str]]]:
    found = {r.candidate.deployment.provider: [(x.code, x.reason) for x in r.excluded_by] for r in decision.ranked}
    return {provider: limits for provider, limits in found.items() if limits}


# -- context and quality -----------------------------------------------------------------------------------------------


def test_a_context_that_is_too_small_excludes_and_says_what_output_would_fit(candidate: Make) -> None:
    decision = choose(Policy(), candidate("a", context=1300), candidate("b", context=1400))
    assert providers(decision) == ["b"]
    reason = "context of 1300 tokens is below 1400 (1000 input and up to 400 output)"
    assert excluded(decision) == {"a": [("context_too_small", reason)]}
    assert [(r.limit, r.to) for r in decision.relax] == [("max_output_tokens", "300")]


def test_where_the_input_alone_is_too_long_its_fitting_length_is_said(candidate: Make) -> None:
    decision = choose(Policy(), candidate("a", context=1000))
    assert [(r.limit, r.to) for r in decision.relax] == [("input_tokens", "600")]


def test_where_neither_alone_would_fit_nothing_is_promised(candidate: Make) -> None:
    decision = choose(Policy(), candidate("a", context=300))
    assert excluded(decision)["a"][0][0] == "context_too_small"
    assert decision.relax == ()


@pytest.mark.parametrize(("tokens", "flags"), [(4096, ()), (4097, ("context_unknown",))])
def test_an_unknown_context_passes_and_is_flagged_only_for_a_long_request(
    candidate: Make, tokens: int, flags: tuple[str, ...]
) -> None:
    decision = choose(Policy(), candidate("a", context=None), usage=Usage(tokens - 100, 100))
    assert decision.allowed[0].flags == flags


def test_a_quality_floor_needs_a_known_quality(candidate: Make) -> None:
    decision = choose(
        Policy(min_quality=70.0),
        candidate("good", quality=70.0),
        candidate("poor", quality=69.5),
        candidate("unheard"),
    )
    assert providers(decision) == ["good"]
    assert excluded(decision) == {
        "poor": [("below_quality", "quality 69.5 is below 70")],
        "unheard": [("quality_unknown", "quality unknown")],
    }


def test_a_quality_floor_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="min_quality"):
        Policy(min_quality=float("nan"))


# -- which reading a ceiling is tested on ------------------------------------------------------------------------------


@pytest.mark.parametrize("temporal_match", ["live", "fresh"])
def test_a_usable_reading_decides_against_the_annual_one_both_ways(
    candidate: Make, reading: Read, temporal_match: str
) -> None:
    dirty = reading("FR", 60.0, source="live", temporal_match=temporal_match, evidence="estimated")
    low = reading("DE", 40.0, source="live", temporal_match=temporal_match, evidence="estimated")
    decision = choose(
        Policy(max_carbon_intensity=50),
        candidate("france", "FR", 31, newest=dirty),
        candidate("germany", "DE", 342, newest=low),
    )
    assert providers(decision) == ["germany"]
    assert excluded(decision) == {"france": [("above_ceiling", "60 gCO2e/kWh (FR, estimated) is above 50")]}


@pytest.mark.parametrize("value", [10.0, 900.0])
def test_an_old_reading_gives_way_to_the_annual_one(candidate: Make, reading: Read, value: float) -> None:
    week_before = reading("FR", value, source="live", temporal_match="fallback", evidence="measured")
    decision = choose(Policy(max_carbon_intensity=31), candidate("france", "FR", 31, newest=week_before))
    assert providers(decision) == ["france"]
    decision = choose(Policy(max_carbon_intensity=30), candidate("france", "FR", 31, newest=week_before))
    assert excluded(decision) == {"france": [("above_ceiling", "31 gCO2e/kWh (FR, annual) is above 30")]}


def test_the_renewable_share_is_that_of_the_reading_used(candidate: Make, reading: Read) -> None:
    old = reading("DE", 100.0, source="live", temporal_match="fallback", renewable_ratio_bps=9000)
    unsaid = reading("FI", 60.0, source="live", temporal_match="live", renewable_ratio_bps=None)
    calm = reading("SE", 20.0, source="live", temporal_match="live", renewable_ratio_bps=5000)
    decision = choose(
        Policy(min_renewable_bps=8000),
        candidate("old", "DE", 342, newest=old, renewable_bps=5500),
        candidate("unsaid", "FI", 68, newest=unsaid, renewable_bps=8500),
        candidate("calm", "SE", 21, newest=calm, renewable_bps=9000),
    )
    assert providers(decision) == ["unsaid"]
    assert excluded(decision) == {
        "old": [("below_renewable", "5500 bps is below 8000 bps")],
        "calm": [("below_renewable", "5000 bps is below 8000 bps")],
    }


# -- one source for all ------------------------------------------------------------------------------------------------


def live(reading: Read, zone: str, value: float, **changes: str) -> Reading:
    return reading(zone, value, **{"source": "em-live", "temporal_match": "live", "evidence": "estimated", **changes})


def test_a_live_source_that_covers_all_ranks_all(candidate: Make, reading: Read) -> None:
    decision = choose(
        Policy(preset="eco"),
        candidate("france", "FR", 31, newest=live(reading, "FR", 300.0)),
        candidate("poland", "PL", 565, newest=live(reading, "PL", 30.0)),
    )
    assert (decision.ranking_source, decision.forced_annual_by) == ("em-live", None)
    assert providers(decision) == ["poland", "france"]


@pytest.mark.parametrize(
    ("changes", "forced_by"),
    [
        # Two live sources: the one that fewer candidates have, at equal counts the first by name.
        ({"source": "entsoe", "accounting": "production"}, "france/gpt-oss-120b"),
        ({"accounting": "production"}, "france/gpt-oss-120b"),
        # Not usable at all: this candidate has only its annual figure.
        ({"source": "neso", "factor_scope": "direct"}, "britain/gpt-oss-120b"),
        ({"source": "watttime", "basis": "marginal"}, "britain/gpt-oss-120b"),
        ({"temporal_match": "fallback"}, "britain/gpt-oss-120b"),
    ],
)
def test_readings_that_cannot_be_compared_put_all_on_the_annual_edition(
    candidate: Make, reading: Read, changes: dict[str, str], forced_by: str
) -> None:
    # Live, Britain would come first; by the year, France does.
    france = candidate("france", "FR", 31, newest=live(reading, "FR", 300.0))
    britain = candidate("britain", "GB", 176, newest=live(reading, "GB", 10.0, **changes))
    decision = choose(Policy(preset="eco"), britain, france)
    assert (decision.ranking_source, decision.forced_annual_by) == ("annual-2025", forced_by)
    assert providers(decision) == ["france", "britain"]


def test_an_unknown_location_forces_no_source(candidate: Make, reading: Read) -> None:
    decision = choose(
        Policy(),
        candidate("france", "FR", 31, newest=live(reading, "FR", 40.0)),
        candidate("sweden", "SE", 21, newest=live(reading, "SE", 20.0)),
        candidate("groq", None, 286),
    )
    assert (decision.ranking_source, decision.forced_annual_by) == ("em-live", None)


def test_an_excluded_candidate_forces_no_source(candidate: Make, reading: Read) -> None:
    decision = choose(
        Policy(exclude_providers=("britain",)),
        candidate("france", "FR", 31, newest=live(reading, "FR", 40.0)),
        candidate("britain", "GB", 176),
    )
    assert (decision.ranking_source, decision.forced_annual_by) == ("em-live", None)


def test_nothing_located_has_no_source(candidate: Make) -> None:
    assert choose(Policy(), candidate("groq", None)).ranking_source == "none"


# -- half open ---------------------------------------------------------------------------------------------------------


def test_while_one_call_probes_the_others_are_told_so(candidate: Make) -> None:
    probed = candidate("a", health=Health(cooling_until=NOW_S + 60, half_open=True))
    decision = choose(Policy(), probed, dry_run=False)
    assert excluded(decision) == {"a": [("cooling_down", "one call is trying it again; next try in 60 s")]}


def test_a_half_open_deployment_is_allowed_and_flagged(candidate: Make) -> None:
    decision = choose(Policy(), candidate("a", health=Health(half_open=True)), dry_run=False)
    assert decision.allowed[0].flags == ("half_open",)
