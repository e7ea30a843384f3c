"""`vetted/ladder@0.2.0` from made-up numbers by hand: both boundaries, metered and modelled, at its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, Telemetry, get_method
from wattproof.methodology.methods.accelerator import accelerator_rates
from wattproof.methodology.quantity import Boundary, Footprint

MakeActivity = Callable[..., Activity]
LADDER = get_method("vetted/ladder")

SHARED = {
    "cached_input_tokens": 200.0,
    "input_tokens": 1000.0,
    "intensity_gco2e_per_kwh": 300.0,
    "output_tokens": 400.0,
    "pue": 1.25,
    "sigma_ln_basic": 0.3,
    "variance_completeness": 0.01,
    "variance_geographical": 0.02,
    "variance_reliability": 0.03,
    "variance_technological": 0.04,
    "variance_temporal": 0.06,
}
SIGMA_LN = 0.5
METERED = {
    **SHARED,
    "gpu_wh": 0.2,
    "host_wh": 0.05,
    "idle_wh": 0.03,
    "resolution_ms": 100.0,
    "samples": 30.0,
    "tier_code": 3.0,
}
MODELLED = {
    **SHARED,
    "active_params_b": 8.0,
    "attention_free_tokens": 100.0,
    "attention_wh_per_token2_b": 1e-8,
    "batch": 32.0,
    "bytes_per_param": 0.5,
    "cached_input_ratio": 0.25,
    "fit_b200": -0.7,
    "fit_const": -9.0,
    "fit_ln_active_params": 0.3,
    "fit_ln_batch": -0.5,
    "fit_ln_weights": 0.6,
    "fit_long_reasoning": 0.4,
    "generates": 1.0,
    "host_ratio": 0.4,
    "idle_ratio": 0.2,
    "is_b200": 1.0,
    "is_long_reasoning": 1.0,
    "longest_prompt_tokens": 1000.0,
    "prefill_wh_per_token_b": 2e-6,
    "tier_code": 2.0,
    "total_params_b": 40.0,
}
MANUFACTURE = {
    "accelerator_adpe_kgsbeq": 0.006,
    "accelerator_gwp_kgco2e": 200.0,
    "accelerator_load_ratio": 0.8,
    "accelerators_per_server": 4.0,
    "lifetime_h": 20_000.0,
    "provisioned_ratio": 1.3,
    "rated_w": 500.0,
    "server_adpe_kgsbeq": 0.4,
    "server_gwp_kgco2e": 3000.0,
}
MARKET = {"market_gco2e_per_kwh": 40.0}
MIX = {"mix_adpe_kgsbeq_per_kwh": 0.5}
WATER = {"wue_offsite_l_per_kwh": 3.0, "wue_onsite_l_per_kwh": 0.4}


def amounts(footprint: Footprint) -> dict[str, float]:
    """The median of every indicator that is known; each has the width of the tier."""
    found: dict[str, float] = {}
    for name in (
        "energy_wh",
        "carbon_gco2e",
        "carbon_market_gco2e",
        "carbon_embodied_gco2e",
        "water_ml",
        "water_onsite_ml",
        "water_offsite_ml",
        "adpe_kgsbeq",
    ):
        quantity = getattr(footprint, name)
        if quantity is not None:
            found[name] = quantity.median
            spread = math.exp(1.6448536269514722 * SIGMA_LN)
            assert quantity.low == pytest.approx(quantity.median / spread, rel=1e-12, abs=0.0)
            assert quantity.high == pytest.approx(quantity.median * spread, rel=1e-12, abs=0.0)
    return found


def modelled_gpu_wh() -> float:
    return math.fsum(accelerator_rates(MODELLED).terms_wh(1000, 200, 400))


@pytest.mark.parametrize(
    ("numbers", "gpu_wh", "it_wh", "tier"),
    [
        (METERED, 0.2, 0.28, "telemetry"),
        (MODELLED, modelled_gpu_wh(), 1.6 * modelled_gpu_wh(), "parametric"),
        ({**MODELLED, "tier_code": 1.0}, modelled_gpu_wh(), 1.6 * modelled_gpu_wh(), "proxy"),
        ({**METERED, "tier_code": 4.0, "opinions": 1.0}, 0.2, 0.28, "audited"),
    ],
)
def test_every_indicator_by_hand(numbers: Mapping[str, float], gpu_wh: float, it_wh: float, tier: str) -> None:
    everything = {**numbers, **MANUFACTURE, **MARKET, **MIX, **WATER}
    machine, wall_wh = gpu_wh / (500 * 0.8 * 20_000), it_wh * 1.25
    whole = LADDER.compute(everything)
    embodied = 1000 * 1.3 * machine * (200 + 750)
    assert (whole.tier, whole.interval, whole.boundary, dict(whole.reasons)) == (
        tier,
        "credible90",
        "comprehensive",
        {},
    )
    assert amounts(whole) == pytest.approx(
        {
            "energy_wh": wall_wh,
            "carbon_gco2e": wall_wh * 0.3 + embodied,
            "carbon_market_gco2e": wall_wh * 0.04 + embodied,
            "carbon_embodied_gco2e": embodied,
            "water_ml": it_wh * 0.4 + wall_wh * 3,
            "water_onsite_ml": it_wh * 0.4,
            "water_offsite_ml": wall_wh * 3,
            "adpe_kgsbeq": 1.3 * machine * (0.006 + 0.1) + wall_wh * 5e-4,
        },
        rel=1e-12,
        abs=0.0,
    )
    ((energy,), (carbon,)) = whole.energy_terms, whole.carbon_terms
    assert (energy.name, energy.median, carbon.name) == ("request", pytest.approx(wall_wh), "request")
    assert carbon.median == pytest.approx(wall_wh * 0.3 + embodied)
    assert energy.loadings == carbon.loadings == ((tier, pytest.approx(SIGMA_LN)),)

    narrow = LADDER.compute(everything, "narrow")
    assert amounts(narrow) == pytest.approx(
        {
            "energy_wh": gpu_wh,
            "carbon_gco2e": gpu_wh * 0.3 + 1000 * machine * 200,
            "carbon_market_gco2e": gpu_wh * 0.04 + 1000 * machine * 200,
            "carbon_embodied_gco2e": 1000 * machine * 200,
            "adpe_kgsbeq": machine * 0.006 + gpu_wh * 5e-4,
        },
        rel=1e-12,
        abs=0.0,
    )
    outside = "not within the narrow boundary"
    assert narrow.reasons == dict.fromkeys(("water_onsite_ml", "water_offsite_ml", "water_ml"), outside)


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
def test_resource_depletion_without_a_factor_of_the_electricity_is_manufacture_alone(boundary: Boundary) -> None:
    found = amounts(LADDER.compute({**METERED, **MANUFACTURE}, boundary))["adpe_kgsbeq"]
    made = 0.006 if boundary == "narrow" else 1.3 * (0.006 + 0.1)
    assert found == pytest.approx(0.2 / (500 * 0.8 * 20_000) * made, rel=1e-12, abs=0.0)


def test_without_a_manufacture_figure_a_climate_that_includes_it_is_unknown() -> None:
    found = LADDER.compute({**METERED, **MARKET, **MIX})
    assert found.carbon_gco2e is None
    assert found.carbon_market_gco2e is None
    assert found.carbon_terms == ()
    unlisted = "no published manufacture figure for this hardware"
    assert found.reasons == {
        "carbon_gco2e": unlisted,
        "carbon_market_gco2e": unlisted,
        "carbon_embodied_gco2e": unlisted,
        "water_onsite_ml": "no WUE",
        "water_offsite_ml": "no WUE",
        "water_ml": "no WUE",
        "adpe_kgsbeq": unlisted,
    }


@pytest.mark.parametrize("known", WATER)
def test_one_part_of_the_water_is_not_the_whole(known: str) -> None:
    found = LADDER.compute({**METERED, **MANUFACTURE, known: WATER[known]})
    missing = {"water_ml", *(name.replace("wue_", "water_").replace("_l_per_kwh", "_ml") for name in WATER)}
    missing -= {known.replace("wue_", "water_").replace("_l_per_kwh", "_ml")}
    assert found.reasons == {**dict.fromkeys(missing, "no WUE"), "carbon_market_gco2e": "no instrument"}
    assert not amounts(found).keys() & found.reasons.keys()


@pytest.mark.parametrize("name", ["gpu_wh", "host_wh", "idle_wh", "input_tokens", "output_tokens"])
def test_a_metered_request_may_have_none_of_something_and_not_less(name: str) -> None:
    nothing = {**METERED, "cached_input_tokens": 0.0, name: 0.0}
    assert LADDER.compute(nothing).energy_wh is not None
    for less in (-5e-324, -0.5, -2.0):
        with pytest.raises(InvalidInput, match="negative"):
            LADDER.compute({**nothing, name: less})


def test_metered_cached_input_is_a_part_of_input() -> None:
    assert LADDER.compute({**METERED, "cached_input_tokens": 1000.0}) == LADDER.compute(METERED)
    assert LADDER.compute({**METERED, "input_tokens": 0.0, "cached_input_tokens": 0.0}) == LADDER.compute(METERED)
    for cached in (1000.5, -0.5):
        with pytest.raises(InvalidInput, match="negative"):
            LADDER.compute({**METERED, "cached_input_tokens": cached})


@pytest.mark.parametrize(
    "wrong",
    [
        {**METERED, "opinions": 1.0},
        {**METERED, "tier_code": 4.0},
        {**METERED, "tier_code": 2.0},
        {**METERED, "tier_code": 5.0},
        {**METERED, "tier_code": 0.0},
        {**MODELLED, "tier_code": 3.0},
        {**SHARED, "tier_code": 3.0},
        {**SHARED, "tier_code": 1.0},
    ],
)
def test_operands_of_another_tier_are_refused(wrong: Mapping[str, float]) -> None:
    with pytest.raises(InvalidInput, match="tier_code"):
        LADDER.compute(wrong)


@pytest.mark.parametrize(
    ("supplied", "code"),
    [
        ({}, 1),
        ({"batch": 8.0}, 1),
        ({"hardware": "H100"}, 1),
        ({"batch": 8.0, "hardware": "H100"}, 2),
        ({"samples": Telemetry(0.2, 0.05, 0.03, 30, 100.0)}, 3),
        ({"samples": Telemetry(0.2, 0.05, 0.03, 30, 100.0), "opinion_ref": "isae-1"}, 4),
    ],
)
def test_what_is_supplied_decides_the_tier(activity: MakeActivity, supplied: dict[str, object], code: int) -> None:
    request = replace(
        activity(), **supplied, mix_adpe_kgsbeq_per_kwh=5e-8, wue_onsite_l_per_kwh=0.2, wue_offsite_l_per_kwh=1.5
    )
    found = {operand.name: operand.number for operand in LADDER.operands(request)}
    assert found["tier_code"] == code
    assert ("fit_const" in found, "gpu_wh" in found, found.get("opinions")) == (
        code < 3,
        code >= 3,
        1.0 if code == 4 else None,
    )
    assert (found["mix_adpe_kgsbeq_per_kwh"], found["wue_onsite_l_per_kwh"]) == (5e-8, 0.2)
    assert {name for name in found if name.startswith("sigma_ln_")} == {"sigma_ln_basic"}
    if code >= 3:
        assert [found[name] for name in ("gpu_wh", "host_wh", "idle_wh", "samples", "resolution_ms")] == [
            *(0.2, 0.05, 0.03),
            *(30.0, 100.0),
        ]


def test_what_nobody_supplied_is_named_by_tier(activity: MakeActivity) -> None:
    metered = replace(activity(), samples=Telemetry(0.2, 0.05, 0.03, 30, 100.0))
    assert LADDER.assumed(activity()) == ("batch", "pue")
    assert LADDER.assumed(metered) == ("pue",)
    assert LADDER.assumed(replace(metered, pue=1.1)) == ()
