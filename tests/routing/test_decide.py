"""Which deployment is chosen, which are excluded, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.grid import Reading
from wattproof.resources.routing import (
    PRESETS,
    Candidate,
    Decision,
    Health,
    LogScale,
    Policy,
    decide,
    parse_model,
)

NOW = "2026-11-22T10:00:00Z"
NOW_S = 1795341600.0
USAGE = Usage(1000, 400)

Make = Callable[..., Candidate]


def choose(policy: Policy, *candidates: Candidate, dry_run: bool = True) -> Decision:
    return decide(policy, USAGE, candidates, now=NOW, dry_run=dry_run)


def providers(decision: Decision) -> list[str]:
    return [r.candidate.deployment.provider for r in decision.allowed]


def excluded(decision: Decision) -> dict[str, list[str]]:
    found = {r.candidate.deployment.provider: [x.reason for x in r.excluded_by] for r in decision.ranked}
    return {provider: reasons for provider, reasons in found.items() if reasons}


def test_the_test_clock_agrees_with_itself() -> None:
    from datetime import datetime

    assert datetime.fromisoformat(NOW).timestamp() == NOW_S


# -- the carbon ceiling ------------------------------------------------------------------------------------------------


def test_a_ceiling_excludes_providers_of_unknown_location(candidate: Make) -> None:
    decision = choose(Policy(max_carbon_intensity=1e9), candidate("groq", None, 143), candidate("ovhcloud", "FR", 31))
    assert providers(decision) == ["ovhcloud"]
    assert excluded(decision) == {"groq": ["location unknown"]}


def test_a_ceiling_holds_at_its_exact_value(candidate: Make) -> None:
    decision = choose(Policy(max_carbon_intensity=68), candidate("on", "FI", 68), candidate("over", "DE", 68.001))
    assert providers(decision) == ["on"]
    assert excluded(decision)["over"][0].startswith("68.001 gCO2e/kWh (DE, annual) is above 68")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_carbon_intensity", float("nan")),
        ("max_carbon_gco2e", -1.0),
        ("max_cost_usd", float("inf")),
        ("max_latency_ms", -5),
        ("min_renewable_bps", 10_001),
        ("min_location_evidence", "certain"),
        ("preset", "eko"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=field):
        Policy(**{field: value})  # pyright: ignore[reportArgumentType]


def test_the_ceiling_is_tested_on_the_newest_usable_reading(candidate: Make, reading: Callable[..., Reading]) -> None:
    dirty_now = reading("FR", 95.0, evidence="estimated", temporal_match="live", source="live")
    decision = choose(Policy(max_carbon_intensity=50), candidate("ovhcloud", "FR", 31, newest=dirty_now))
    assert providers(decision) == []
    assert "95" in excluded(decision)["ovhcloud"][0]


@pytest.mark.parametrize("change", [{"basis": "marginal"}, {"factor_scope": "direct"}])
def test_a_marginal_or_direct_reading_never_satisfies_a_ceiling(
    candidate: Make, reading: Callable[..., Reading], change: dict[str, str]
) -> None:
    flattering = reading("DE", 5.0, temporal_match="live", source="live", **change)
    decision = choose(Policy(max_carbon_intensity=50), candidate("stackit", "DE", 342, newest=flattering))
    assert excluded(decision) == {"stackit": ["342 gCO2e/kWh (DE, annual) is above 50"]}


def test_a_limit_on_grams_counts_the_high_bound(candidate: Make) -> None:
    decision = choose(Policy(max_carbon_gco2e=0.01), candidate("alpha", grams_high=0.011))
    assert excluded(decision)["alpha"] == ["0.011 gCO2e (high bound) is above 0.01"]
    assert providers(choose(Policy(max_carbon_gco2e=0.01), candidate("alpha", grams_high=0.01))) == ["alpha"]


# -- the other limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(providers=("beta",)), "alpha is not in beta"),
        (Policy(exclude_providers=("alpha",)), "alpha is excluded"),
        (Policy(zones=("SE", "FI")), "FR is not in SE, FI"),
        (Policy(exclude_zones=("FR",)), "FR is excluded"),
        (Policy(min_location_evidence="contractual"), "location is declared, contractual is required"),
        (Policy(min_renewable_bps=5000), "2700 bps is below 5000 bps"),
        (Policy(max_cost_usd=0.0001), "0.001 USD is above 0.0001 USD"),
        (Policy(max_latency_ms=3999), "4000 ms expected, above 3999 ms"),
    ],
)
def test_each_limit_names_the_value_and_what_is_allowed(candidate: Make, policy: Policy, reason: str) -> None:
    assert excluded(choose(policy, candidate("alpha"))) == {"alpha": [reason]}


def test_an_unknown_price_fails_the_cost_limit_and_passes_without_one(candidate: Make) -> None:
    euros = candidate("scaleway", cost_usd=None, usd_per_mtok=None)
    assert excluded(choose(Policy(), euros)) == {"scaleway": ["price in USD unknown: state it in providers.toml"]}
    assert providers(choose(Policy(max_cost_usd=None), euros)) == ["scaleway"]


def test_an_unknown_renewable_share_fails_the_limit_on_it(candidate: Make) -> None:
    decision = choose(Policy(min_renewable_bps=1), candidate("a", renewable_bps=None), candidate("groq", None))
    assert excluded(decision) == {"a": ["renewable share unknown"], "groq": ["location unknown"]}


def test_measured_latency_is_believed_before_published_speed(candidate: Make) -> None:
    slow = candidate("slow", speed=1000.0, health=Health(latency_ms=9000))
    assert excluded(choose(Policy(max_latency_ms=5000), slow)) == {"slow": ["9000 ms expected, above 5000 ms"]}


def test_the_published_renewable_share_of_the_newest_reading_counts(
    candidate: Make, reading: Callable[..., Reading]
) -> None:
    windy = reading("DE", 100.0, source="live", temporal_match="fresh", renewable_ratio_bps=9000)
    decision = choose(Policy(min_renewable_bps=8000), candidate("a", "DE", 342, newest=windy, renewable_bps=5000))
    assert providers(decision) == ["a"]


def test_an_unknown_latency_passes_and_is_flagged(candidate: Make) -> None:
    decision = choose(Policy(max_latency_ms=1), candidate("alpha", speed=None))
    assert "latency_unknown" in decision.allowed[0].flags


def test_zone_limits_never_pass_an_unknown_location(candidate: Make) -> None:
    for policy in (Policy(zones=("FR",)), Policy(exclude_zones=("US",))):
        assert excluded(choose(policy, candidate("groq", None))) == {"groq": ["location unknown"]}


def test_a_country_covers_its_parts_but_not_its_namesakes(candidate: Make) -> None:
    decision = choose(Policy(zones=("SE",)), candidate("evroc", "SE-SE3"), candidate("other", "SEX"))
    assert providers(decision) == ["evroc"]


def test_outside_zones_come_last_and_only_when_allowed(candidate: Make) -> None:
    near = candidate("near", "FR", 31, usd_per_mtok=15.0)
    far = candidate("far", "SE", 21, usd_per_mtok=0.02)
    assert providers(choose(Policy(zones=("FR",)), near, far)) == ["near"]
    decision = choose(Policy(zones=("FR",), allow_fallback_region=True), near, far)
    assert providers(decision) == ["near", "far"]
    assert decision.decided_by == "zones"
    assert "fallback_region" in decision.allowed[1].flags


def test_a_missing_key_excludes_a_real_run_and_not_a_dry_run(candidate: Make) -> None:
    keyless = candidate("ovhcloud", unusable="no key: set OVHCLOUD_API_KEY")
    assert excluded(choose(Policy(), keyless, dry_run=False)) == {"ovhcloud": ["no key: set OVHCLOUD_API_KEY"]}
    dry = choose(Policy(), keyless)
    assert dry.allowed[0].flags == ("unusable: no key: set OVHCLOUD_API_KEY",)


def test_a_cooling_deployment_is_left_alone_until_its_time(candidate: Make) -> None:
    cooling = candidate("alpha", health=Health(cooling_until=NOW_S + 12))
    assert excluded(choose(Policy(), cooling, dry_run=False))["alpha"][0].endswith("next try in 12 s")
    over = cooling._replace(health=Health(cooling_until=NOW_S))
    assert providers(choose(Policy(), over, dry_run=False)) == ["alpha"]


def test_every_candidate_is_listed_with_every_reason(candidate: Make) -> None:
    policy = Policy(max_carbon_intensity=50, max_cost_usd=0.0001, providers=("alpha",))
    decision = choose(policy, candidate("alpha"), candidate("beta", "PL", 565), candidate("groq", None))
    assert len(decision.ranked) == 3
    (groq,) = (r for r in decision.ranked if r.candidate.deployment.provider == "groq")
    assert [limit.name for limit in groq.excluded_by] == [
        "providers",
        "max_cost_usd",
        "max_carbon_intensity",
    ]


# -- ranking -----------------------------------------------------------------------------------------------------------


def test_carbon_decides_under_eco_where_the_difference_is_meaningful(candidate: Make) -> None:
    decision = choose(
        Policy(preset="eco"),
        candidate("poland", "PL", 565, usd_per_mtok=0.1),
        candidate("france", "FR", 31, usd_per_mtok=0.3),
    )
    assert providers(decision) == ["france", "poland"]
    assert decision.decided_by == "environment"
    assert [r.in_best_band for r in decision.allowed] == [True, False]


def test_inside_the_band_price_decides_even_under_eco(candidate: Make) -> None:
    # 20 and 21 g/kWh: their logs differ by 0.05, the sources of each by 0.2.
    decision = choose(
        Policy(preset="eco"),
        candidate("cheap", "NO", 21, usd_per_mtok=0.29),
        candidate("dear", "SE", 20, usd_per_mtok=0.30),
    )
    assert providers(decision) == ["cheap", "dear"]
    assert decision.decided_by == "price"
    assert all(r.in_best_band for r in decision.allowed)
    environment = [dict(r.terms)["environment"] for r in decision.allowed]
    assert environment[0] == environment[1]


def test_the_grid_spread_cancels_between_candidates_of_one_zone(candidate: Make) -> None:
    # The same zone, so only the PUE differs: 5 % is then meaningful, though the grid figure is uncertain by 20 %.
    one = candidate("one", "FR", 31, energy_wh=0.060)
    other = candidate("other", "FR", 31, energy_wh=0.063)
    assert [r.in_best_band for r in choose(Policy(preset="eco"), one, other).allowed] == [True, False]


@pytest.mark.parametrize(("ratio", "in_band"), [(1.20, True), (1.22, False)])
def test_the_band_ends_where_the_probability_of_beating_the_best_is_a_quarter(
    candidate: Make, ratio: float, in_band: bool
) -> None:
    # sd of the difference of logs = 0.2 * sqrt(2); P = 0.25 at exp(0.6745 * 0.2828) = 1.2102.
    decision = choose(Policy(preset="eco"), candidate("best", "SE", 100), candidate("next", "FI", 100 * ratio))
    assert decision.allowed[-1].in_best_band is in_band


def test_environment_counts_energy_and_pue_not_only_the_grid(candidate: Make) -> None:
    lean = candidate("lean", "DE", 100, energy_wh=0.06)
    wasteful = candidate("wasteful", "FR", 90, energy_wh=0.60, sigma_grid=0.01)
    assert providers(choose(Policy(preset="eco"), wasteful, lean))[0] == "lean"


def test_an_unknown_price_or_speed_scores_a_quarter_and_is_flagged(candidate: Make) -> None:
    decision = choose(Policy(max_cost_usd=None), candidate("groq", None, speed=None, usd_per_mtok=None))
    (only,) = decision.allowed
    assert dict(only.terms) == {"environment": 0.0, "price": 0.25, "speed": 0.25}
    assert only.flags == ("environment_unknown", "price_unknown", "speed_unknown")
    assert only.score == pytest.approx(0.8 * 0.25)
    assert not only.in_best_band


def test_errors_lower_the_speed_term(candidate: Make) -> None:
    decision = choose(
        Policy(preset="speed"),
        candidate("flaky", health=Health(error_rate=0.5)),
        candidate("steady", usd_per_mtok=0.31),
    )
    assert providers(decision) == ["steady", "flaky"]
    assert decision.decided_by == "speed"


def test_one_source_ranks_all_and_the_trace_names_who_forced_the_annual_edition(
    candidate: Make, reading: Callable[..., Reading]
) -> None:
    live_fr = reading("FR", 60.0, source="live", evidence="estimated", temporal_match="live")
    live_se = reading("SE", 20.0, source="live", evidence="estimated", temporal_match="live")
    both = choose(
        Policy(), candidate("france", "FR", 31, newest=live_fr), candidate("sweden", "SE", 21, newest=live_se)
    )
    assert (both.ranking_source, both.forced_annual_by) == ("live", None)
    one = choose(Policy(), candidate("france", "FR", 31, newest=live_fr), candidate("sweden", "SE", 21))
    assert (one.ranking_source, one.forced_annual_by) == ("annual-2025", "sweden/gpt-oss-120b")


def test_equals_are_ordered_by_name(candidate: Make) -> None:
    decision = choose(Policy(), candidate("b"), candidate("a"))
    assert providers(decision) == ["a", "b"]
    assert decision.decided_by == "name"


@given(
    values=st.lists(st.floats(5, 1500), min_size=2, max_size=6),
    prices=st.lists(st.floats(0.001, 50), min_size=6, max_size=6),
    preset=st.sampled_from(sorted(PRESETS)),
    bad=st.floats(5, 1500),
)
def test_an_excluded_candidate_never_changes_the_order_of_the_others(
    candidate: Make, values: list[float], prices: list[float], preset: Any, bad: float
) -> None:
    pool = [candidate(f"p{i}", f"Z{i}", value, usd_per_mtok=prices[i]) for i, value in enumerate(values)]
    policy = Policy(preset=preset, exclude_providers=("noise",))
    assert providers(choose(policy, *pool)) == providers(choose(policy, candidate("noise", "XX", bad), *pool))


@given(values=st.lists(st.floats(1, 2000), min_size=1, max_size=6), ceiling=st.floats(0, 2000))
def test_whatever_is_allowed_satisfies_the_ceiling(candidate: Make, values: list[float], ceiling: float) -> None:
    pool = [candidate(f"p{i}", None if i % 3 == 2 else "FR", value) for i, value in enumerate(values)]
    decision = choose(Policy(max_carbon_intensity=ceiling), *pool)
    assert len(decision.ranked) == len(pool)
    for ranked in decision.allowed:
        assert ranked.candidate.ceiling_reading.zone_known
        assert ranked.candidate.ceiling_reading.value_gco2e_per_kwh <= ceiling
        assert ranked.score is not None
        assert 0.0 <= ranked.score <= 1.0


# -- the smaller parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("gpt-oss-120b", ("gpt-oss-120b", None)),
        ("gpt-oss-120b:eco", ("gpt-oss-120b", "eco")),
        ("llama3.2:3b", ("llama3.2:3b", None)),
        ("llama3.2:3b:batch", ("llama3.2:3b", "batch")),
        (":eco", (":eco", None)),
        ("m:ECO", ("m:ECO", None)),
    ],
)
def test_a_preset_suffix_is_split_off_and_a_tag_is_not(spec: str, expected: tuple[str, str | None]) -> None:
    assert parse_model(spec) == expected


def test_the_weights_of_every_preset_add_up_to_one() -> None:
    for weights in PRESETS.values():
        assert weights.environment + weights.price + weights.speed == pytest.approx(1.0)


def test_a_log_scale_is_linear_in_the_logarithm_and_clipped() -> None:
    scale = LogScale(10, 1000)
    assert [scale.score(x) for x in (0, 10, 100, 1000, 5000)] == pytest.approx([1, 1, 0.5, 0, 0])
