"""`wattproof/param@1.0.0` beyond energy: water, market, manufacture, resources, long prompts, what a caller knows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.hardware import all_accelerators, find_accelerator
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.methods.param import rates
from wattproof.methodology.quantity import Footprint, Quantity

MakeActivity = Callable[..., Activity]
PARAM = get_method("wattproof/param")

INDICATORS = (
    "energy_wh",
    "carbon_gco2e",
    "carbon_market_gco2e",
    "carbon_embodied_gco2e",
    "water_ml",
    "water_onsite_ml",
    "water_offsite_ml",
    "adpe_kgsbeq",
)

KNOWN = {
    "wue_onsite_l_per_kwh": 0.2,
    "wue_offsite_l_per_kwh": 1.5,
    "wue_source": "operator report",
    "market_gco2e_per_kwh": 12.0,
    "instrument_id": "go-2026-17",
    "mix_adpe_kgsbeq_per_kwh": 5e-8,
}


def medians(footprint: Footprint) -> dict[str, float]:
    return {name: getattr(footprint, name).median for name in INDICATORS if getattr(footprint, name) is not None}


def quantity(footprint: Footprint, name: str) -> tuple[float, float, float]:
    found: Quantity | None = getattr(footprint, name)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.median, found.low, found.high


def test_every_indicator_by_hand(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(replace(activity(), **KNOWN))
    energy = sum(term.median for term in footprint.energy_terms)
    accelerator = energy / (1.571 * 1.2)
    machine = 1.25 * accelerator / (700 * 0.7 * 35064)
    by_hand = {
        "carbon_gco2e": energy * 0.031,
        "carbon_market_gco2e": energy * 0.012,
        "water_onsite_ml": energy / 1.2 * 0.2,
        "water_offsite_ml": energy * 1.5,
        "carbon_embodied_gco2e": 1000 * machine * (295 + 5700 / 8),
        "adpe_kgsbeq": machine * (0.00722 + 0.37 / 8) + energy * 5e-8 / 1000,
    }
    at = medians(footprint)
    # A matched sum's median lies a little off the sum of its terms' medians; products are exact.
    ratio = at["energy_wh"] / energy
    for name in ("carbon_gco2e", "carbon_market_gco2e", "water_onsite_ml", "water_offsite_ml"):
        assert at[name] / ratio == pytest.approx(by_hand[name], rel=1e-9), name
    for name in ("carbon_embodied_gco2e", "adpe_kgsbeq"):
        assert at[name] / ratio == pytest.approx(by_hand[name], rel=0.1), name


def test_water_is_the_sum_of_its_parts_in_the_mean(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(replace(activity(), **KNOWN))
    median, low, high = quantity(footprint, "water_ml")
    onsite, offsite = quantity(footprint, "water_onsite_ml"), quantity(footprint, "water_offsite_ml")

    def mean(median: float, low: float, high: float) -> float:
        return median * math.exp((math.log(high / low) / (2 * 1.6448536269514722)) ** 2 / 2)

    assert mean(median, low, high) == pytest.approx(mean(*onsite) + mean(*offsite))


def test_one_part_of_the_water_alone_is_not_the_water(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(replace(activity(), wue_onsite_l_per_kwh=0.2))
    assert footprint.water_onsite_ml is not None
    assert footprint.water_ml is None
    assert footprint.reasons["water_offsite_ml"] == "no off-site WUE"


def test_the_instrument_is_the_source_of_the_market_based_figure(activity: MakeActivity) -> None:
    operands = {operand.name: operand for operand in PARAM.operands(replace(activity(), **KNOWN))}
    assert operands["market_gco2e_per_kwh"].source_id == "go-2026-17"
    assert operands["wue_onsite_l_per_kwh"].source_id == "operator report"


def test_what_nobody_knows_is_no_operand(activity: MakeActivity) -> None:
    names = {operand.name for operand in PARAM.operands(activity())}
    assert not names & {"market_gco2e_per_kwh", "wue_onsite_l_per_kwh", "sigma_ln_mix_adpe"}


def test_the_embodied_share_is_beside_the_climate_figure_and_not_in_it(activity: MakeActivity) -> None:
    assert not PARAM.embodied_included
    clean_grid = PARAM.footprint(activity(intensity_gco2e_per_kwh=0.0))
    assert quantity(clean_grid, "carbon_gco2e") == (0.0, 0.0, 0.0)
    assert quantity(clean_grid, "carbon_embodied_gco2e")[0] > 0


@given(input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**5), cached_share=st.floats(0, 1))
def test_the_narrow_boundary_is_within_the_comprehensive_one_for_every_indicator(
    activity: MakeActivity, input_tokens: int, output_tokens: int, cached_share: float
) -> None:
    cached = int(input_tokens * cached_share)
    request = replace(activity(input_tokens, output_tokens, cached_input_tokens=cached), **KNOWN)
    narrow, comprehensive = PARAM.footprint(request, "narrow"), PARAM.footprint(request)
    assert medians(narrow).keys() == medians(comprehensive).keys() - {"water_ml", "water_onsite_ml", "water_offsite_ml"}
    for name in medians(narrow):
        assert quantity(narrow, name)[0] <= quantity(comprehensive, name)[0]
        assert quantity(narrow, name)[2] <= quantity(comprehensive, name)[2]


def test_water_is_not_within_the_narrow_boundary_and_says_so(activity: MakeActivity) -> None:
    narrow = PARAM.footprint(replace(activity(), **KNOWN), "narrow")
    assert narrow.water_ml is None
    assert "narrow boundary" in narrow.reasons["water_ml"]


def test_zero_tokens_are_zero_in_every_indicator(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(replace(activity(0, 0), **KNOWN))
    assert {name: quantity(footprint, name) for name in INDICATORS} == dict.fromkeys(INDICATORS, (0.0, 0.0, 0.0))


def test_hardware_without_a_manufacture_figure_is_null_and_not_an_h100(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(activity(hardware="TPU v5e"))
    assert footprint.carbon_embodied_gco2e is None
    assert footprint.adpe_kgsbeq is None
    assert "hardware" in footprint.reasons["carbon_embodied_gco2e"]
    assert "hardware" in footprint.reasons["adpe_kgsbeq"]


@pytest.mark.parametrize("hardware", [row.id for row in all_accelerators()])
def test_every_listed_accelerator_has_its_manufacture(activity: MakeActivity, hardware: str) -> None:
    row = find_accelerator(hardware.lower())
    assert row is not None
    footprint = PARAM.footprint(activity(hardware=hardware))
    assert quantity(footprint, "carbon_embodied_gco2e")[0] > 0
    extrapolated = {factor for term in footprint.energy_terms for factor, _ in term.loadings if factor == "hardware"}
    assert bool(extrapolated) != row.in_energy_fit


def test_an_alias_of_an_accelerator_is_the_same_accelerator(activity: MakeActivity) -> None:
    assert PARAM.footprint(activity(hardware="NVIDIA B200")) == PARAM.footprint(activity(hardware="b200"))


def test_the_batch_interface_needs_about_half(activity: MakeActivity) -> None:
    request = activity(10, 1000)
    online = PARAM.footprint(request)
    offline = PARAM.footprint(replace(request, batch_api=True))
    assert quantity(offline, "energy_wh")[0] / quantity(online, "energy_wh")[0] == pytest.approx(0.49, abs=0.01)
    assert PARAM.footprint(replace(request, batch_api=True, batch=8)) == PARAM.footprint(replace(request, batch=8))


def test_fewer_bytes_per_parameter_need_less_and_narrow_the_interval(activity: MakeActivity) -> None:
    request = activity(model="llama-3.3-70b-instruct")
    unknown = quantity(PARAM.footprint(request), "energy_wh")
    bf16 = quantity(PARAM.footprint(replace(request, weight_bytes_per_param=2)), "energy_wh")
    fp8 = quantity(PARAM.footprint(replace(request, weight_bytes_per_param=1)), "energy_wh")
    assert fp8[0] < bf16[0] == pytest.approx(unknown[0], rel=0.02)
    assert bf16[2] / bf16[1] < unknown[2] / unknown[1]
    assert "precision" in PARAM.assumed(request)
    assert "precision" not in PARAM.assumed(replace(request, weight_bytes_per_param=1))


def test_a_precision_does_not_disclose_a_models_size(activity: MakeActivity) -> None:
    request = activity(model="gpt-4o")
    unknown = quantity(PARAM.footprint(request), "energy_wh")
    stated = quantity(PARAM.footprint(replace(request, weight_bytes_per_param=1)), "energy_wh")
    assert stated == unknown


def test_prompts_of_a_few_thousand_tokens_are_linear(activity: MakeActivity) -> None:
    names = {term.name for term in PARAM.footprint(activity(5000, 400)).energy_terms}
    assert names == {"decode", "prefill"}


@given(input_tokens=st.integers(5001, 3 * 10**6), more=st.integers(1, 10**5))
def test_long_prompts_need_more_per_token(activity: MakeActivity, input_tokens: int, more: int) -> None:
    def attention_wh(tokens: int) -> float:
        return {t.name: t.median for t in PARAM.footprint(activity(tokens, 1)).energy_terms}.get("attention", 0.0)

    base, longer = attention_wh(input_tokens), attention_wh(input_tokens + more)
    assert longer > base
    assert longer / (input_tokens + more) >= base / input_tokens * (1 - 1e-9)


def test_attention_is_quadratic_up_to_the_longest_prompt_and_linear_beyond(activity: MakeActivity) -> None:
    def attention_wh(tokens: int) -> float:
        return {t.name: t.median for t in PARAM.footprint(activity(tokens, 1)).energy_terms}["attention"]

    assert attention_wh(405_000) / attention_wh(205_000) == pytest.approx(4)
    assert attention_wh(5_000_000) / attention_wh(1_000_000) == pytest.approx(5)


def test_cached_input_attends_to_nothing_again(activity: MakeActivity) -> None:
    whole = {t.name: t.median for t in PARAM.footprint(activity(100_000, 1)).energy_terms}
    half = {t.name: t.median for t in PARAM.footprint(activity(100_000, 1, cached_input_tokens=50_000)).energy_terms}
    assert half["attention"] == pytest.approx(whole["attention"] * (95**2 - 45**2) / 95**2)


@pytest.mark.parametrize(("input_tokens", "published_wh"), [(10_000, 2.5), (100_000, 40.0)])
def test_long_contexts_agree_with_the_published_analysis(
    activity: MakeActivity, input_tokens: int, published_wh: float
) -> None:
    """Epoch AI's figures for GPT-4o with 500 output tokens: the only published ones for long prompts."""
    median, low, high = quantity(PARAM.footprint(activity(input_tokens, 500, model="gpt-4o")), "energy_wh")
    assert low < published_wh < high
    assert 0.5 < median / published_wh < 2


def test_the_indicators_without_a_record_are_those_of_the_footprint(activity: MakeActivity) -> None:
    request = replace(activity(), **KNOWN)
    deployed = rates({operand.name: operand.number for operand in PARAM.operands(request)}, "comprehensive")
    footprint = PARAM.footprint(request)
    indicators = deployed.indicators(1000, 0, 400)
    assert indicators._asdict() == {name: getattr(footprint, name) for name in INDICATORS}
    assert deployed.figures(1000, 0, 400) == (footprint.energy_wh, footprint.carbon_gco2e)


def simulated(numbers: dict[str, float], z: dict[str, float]) -> dict[str, float]:
    """The published formula once, every uncertain input moved by its own standard normal `z`."""
    n = numbers
    wall = (
        n["overhead_ratio"] * n["pue"] * math.exp(n["sigma_ln_overhead"] * z["overhead"] + n["sigma_ln_pue"] * z["pue"])
    )
    it = n["overhead_ratio"] * math.exp(n["sigma_ln_overhead"] * z["overhead"])
    active = n["active_params_b"] * math.exp(n["sigma_ln_active_params"] * z["active_params"])
    weights = n["total_params_b"] * n["bytes_per_param"] * math.exp(n["sigma_ln_weights"] * z["weights"])
    batch = n["batch"] * math.exp(-n["sigma_ln_batch"] * z["batch"])
    decode = math.exp(
        n["fit_const"]
        + n["fit_ln_active_params"] * math.log(active)
        + n["fit_ln_weights"] * math.log(weights)
        + n["fit_ln_batch"] * math.log(batch)
        + n["sigma_ln_fit"] * z["fit"]
    )
    flops = math.exp(n["sigma_ln_prefill"] * z["prefill"])
    fresh = n["input_tokens"] - n["cached_input_tokens"]
    beyond = n["input_tokens"] - n["attention_free_tokens"]
    accelerator = (
        decode * n["output_tokens"]
        + n["prefill_wh_per_token_b"] * active * flops * fresh
        + n["prefill_wh_per_token_b"]
        * active
        * flops
        * n["cached_input_tokens"]
        * n["cached_input_ratio"]
        * math.exp(n["sigma_ln_cached_input"] * z["cached_input"])
        + n["attention_wh_per_token2_b"]
        * active ** (2 / 3)
        * flops
        * beyond**2
        * math.exp(n["sigma_ln_attention"] * z["attention"])
    )
    machine = accelerator * n["provisioned_ratio"] / (n["rated_w"] * n["accelerator_load_ratio"] * n["lifetime_h"])
    for name in ("accelerator_load", "lifetime", "provisioned"):
        machine *= math.exp(n[f"sigma_ln_{name}"] * z[name])

    def made(kind: str, unit: str) -> float:
        piece = n[f"accelerator_{unit}"] * math.exp(n[f"sigma_ln_accelerator_{kind}"] * z[f"accelerator_{kind}"])
        server = n[f"server_{unit}"] / 8 * math.exp(n[f"sigma_ln_server_{kind}"] * z[f"server_{kind}"])
        return machine * (piece + server)

    energy = accelerator * wall
    onsite = accelerator * it * n["wue_onsite_l_per_kwh"] * math.exp(n["sigma_ln_wue_onsite"] * z["wue_onsite"])
    offsite = energy * n["wue_offsite_l_per_kwh"] * math.exp(n["sigma_ln_wue_offsite"] * z["wue_offsite"])
    mix = n["mix_adpe_kgsbeq_per_kwh"] * math.exp(n["sigma_ln_mix_adpe"] * z["mix_adpe"])
    return {
        "energy_wh": energy,
        "carbon_gco2e": energy * n["intensity_gco2e_per_kwh"] / 1000 * math.exp(n["sigma_ln_intensity"] * z["grid"]),
        "carbon_market_gco2e": energy * n["market_gco2e_per_kwh"] / 1000,
        "carbon_embodied_gco2e": 1000 * made("gwp", "gwp_kgco2e"),
        "water_ml": onsite + offsite,
        "water_onsite_ml": onsite,
        "water_offsite_ml": offsite,
        "adpe_kgsbeq": made("adpe", "adpe_kgsbeq") + energy * mix / 1000,
    }


FACTORS = (
    *("overhead", "pue", "active_params", "weights", "batch", "fit", "prefill", "cached_input", "attention", "grid"),
    *("accelerator_load", "lifetime", "provisioned", "accelerator_gwp", "server_gwp"),
    *("accelerator_adpe", "server_adpe", "wue_onsite", "wue_offsite", "mix_adpe"),
)


def test_the_intervals_of_every_indicator_hold_90_percent_of_a_simulation(activity: MakeActivity) -> None:
    request = replace(activity(12_000, 600, cached_input_tokens=4_000, model="gpt-4o"), **KNOWN)
    numbers = {operand.name: operand.number for operand in PARAM.operands(request)}
    footprint = PARAM.footprint(request)
    noise = random.Random(20261122)
    inside: dict[str, list[bool]] = {name: [] for name in INDICATORS}
    for _ in range(8_000):
        drawn = simulated(numbers, {factor: noise.gauss(0, 1) for factor in FACTORS})
        for name, amount in drawn.items():
            _, low, high = quantity(footprint, name)
            inside[name].append(low <= amount <= high)
    for name, hits in inside.items():
        assert 0.89 <= fmean(hits) <= 0.93, (name, fmean(hits))
