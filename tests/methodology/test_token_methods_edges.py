"""The methods that multiply tokens or seconds, each by hand from made-up numbers: figures, widths, limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.methods.ecologits import constant_operands
from wattproof.methodology.methods.profile import declared_profile
from wattproof.methodology.quantity import Quantity, Term

CPU_TIME, BATCHIN = get_method("wattproof/cpu-time"), get_method("batchin/token-estimate")
MELIOUS, LOWROUTER, FACTORS = get_method("melious"), get_method("lowrouter"), get_method("factors/tokens")

TOKENS = {"input_tokens": 1000.0, "cached_input_tokens": 200.0, "output_tokens": 400.0}

CPU_TIME_NUMBERS = {
    **TOKENS,
    "cpu_measured": 0.0,
    "cpu_s_per_input_token": 0.01,
    "cpu_s_per_output_token": 0.05,
    "cpu_seconds": 7.0,
    "intensity_gco2e_per_kwh": 300.0,
    "pue": 1.5,
    "sigma_ln_cpu_s": 0.4,
    "sigma_ln_intensity": 0.2,
    "sigma_ln_watts_per_thread": 0.7,
    "watts_per_thread": 3.6,
}
BATCHIN_NUMBERS = {
    **TOKENS,
    "intensity_gco2e_per_kwh": 300.0,
    "renewable_ratio_bps": 9200.0,
    "residual_gco2e_per_kwh": 500.0,
    "wh_per_input_token": 1e-4,
    "wh_per_output_token": 5e-4,
}
MELIOUS_NUMBERS = {
    **TOKENS,
    "intensity_gco2e_per_kwh": 300.0,
    "kwh_per_input_token": 1e-7,
    "kwh_per_output_token": 5e-7,
    "pue": 1.2,
    "wue_base_it": 0.0,
    "wue_l_per_kwh": 2.0,
}
LOWROUTER_NUMBERS = {
    **TOKENS,
    "active_params_b": 8.0,
    "alpha": 1e-4,
    "beta": 2e-4,
    "intensity_gco2e_per_kwh": 300.0,
    "token_basis_output": 0.0,
}
FACTORS_NUMBERS = {
    **TOKENS,
    "intensity_gco2e_per_kwh": 300.0,
    "sigma_ln_factor": 0.6,
    "sigma_ln_intensity": 0.8,
    "wh_per_1k_cached_input": 0.25,
    "wh_per_1k_input": 0.5,
    "wh_per_1k_output": 2.0,
}


def assert_is(quantity: Quantity | None, median: float, sigma_ln: float | None = None) -> None:
    assert quantity is not None
    assert quantity.median == pytest.approx(median, rel=1e-12)
    if sigma_ln is None:
        assert (quantity.low, quantity.high) == (None, None)
    else:
        spread = math.exp(1.6448536269514722 * sigma_ln)
        assert quantity.low == pytest.approx(median / spread, rel=1e-12)
        assert quantity.high == pytest.approx(median * spread, rel=1e-12)


def assert_terms(found: tuple[Term, ...], name: str, median: float, loadings: Mapping[str, float]) -> None:
    (term,) = found
    assert (term.name, term.loadings) == (name, tuple(sorted(loadings.items())))
    assert term.median == pytest.approx(median, rel=1e-12)


def test_predicted_cpu_time_by_hand() -> None:
    found = CPU_TIME.compute(CPU_TIME_NUMBERS)
    wh = (800 * 0.01 + 400 * 0.05) * 3.6 / 3600 * 1.5
    assert (found.tier, found.interval, found.boundary) == ("parametric", "credible90", "comprehensive")
    assert_is(found.energy_wh, wh, math.hypot(0.4, 0.7))
    assert_is(found.carbon_gco2e, wh * 0.3, math.hypot(0.4, 0.7, 0.2))
    assert_terms(found.energy_terms, "cpu", wh, {"cpu_seconds": 0.4, "watts": 0.7})
    assert_terms(found.carbon_terms, "cpu", wh * 0.3, {"cpu_seconds": 0.4, "grid": 0.2, "watts": 0.7})


def test_measured_cpu_time_by_hand() -> None:
    found = CPU_TIME.compute({**CPU_TIME_NUMBERS, "cpu_measured": 1.0}, "narrow")
    assert (found.tier, found.boundary) == ("modelled", "narrow")
    assert_is(found.energy_wh, 0.007, 0.7)
    assert_is(found.carbon_gco2e, 0.0021, math.hypot(0.7, 0.2))
    assert_terms(found.energy_terms, "cpu", 0.007, {"watts": 0.7})
    assert_terms(found.carbon_terms, "cpu", 0.0021, {"grid": 0.2, "watts": 0.7})


def test_a_declared_profile_by_hand() -> None:
    found = BATCHIN.compute(BATCHIN_NUMBERS, "narrow")
    wh = 1000 * 1e-4 + 400 * 5e-4
    assert (found.tier, found.interval, found.boundary) == ("proxy", "none", "narrow")
    assert_is(found.energy_wh, wh)
    assert_is(found.carbon_gco2e, wh * 0.3)
    assert_is(found.carbon_market_gco2e, wh * 0.5 * 0.08)
    assert_terms(found.energy_terms, "tokens", wh, {})
    assert_terms(found.carbon_terms, "tokens", wh * 0.3, {})


def test_energy_per_token_with_pue_and_water_by_hand() -> None:
    found = MELIOUS.compute(MELIOUS_NUMBERS)
    it_wh = 1000 * 1e-4 + 400 * 5e-4
    assert (found.tier, found.interval) == ("proxy", "none")
    assert_is(found.energy_wh, it_wh * 1.2)
    assert_is(found.carbon_gco2e, it_wh * 1.2 * 0.3)
    assert_is(found.water_ml, it_wh * 1.2 * 2)
    assert found.water_onsite_ml == found.water_ml
    assert_terms(found.energy_terms, "tokens", it_wh * 1.2, {})
    assert_terms(found.carbon_terms, "tokens", it_wh * 1.2 * 0.3, {})
    per_it = MELIOUS.compute({**MELIOUS_NUMBERS, "wue_base_it": 1.0})
    assert_is(per_it.water_ml, it_wh * 2)
    narrow = MELIOUS.compute(MELIOUS_NUMBERS, "narrow")
    assert_is(narrow.energy_wh, it_wh)
    assert (narrow.water_ml, narrow.boundary) == (None, "narrow")


@pytest.mark.parametrize(("basis", "tokens"), [(0.0, 1400), (1.0, 400)])
def test_a_line_in_active_parameters_by_hand(basis: float, tokens: int) -> None:
    found = LOWROUTER.compute({**LOWROUTER_NUMBERS, "token_basis_output": basis})
    wh = tokens * (8 * 1e-4 + 2e-4)
    assert (found.tier, found.interval) == ("proxy", "none")
    assert_is(found.energy_wh, wh)
    assert_is(found.carbon_gco2e, wh * 0.3)
    assert_terms(found.energy_terms, "tokens", wh, {})
    assert_terms(found.carbon_terms, "tokens", wh * 0.3, {})


def test_a_dated_factor_by_hand() -> None:
    found = FACTORS.compute(FACTORS_NUMBERS)
    wh = (0.5 * 800 + 0.25 * 200 + 2 * 400) / 1000
    assert (found.tier, found.interval) == ("proxy", "credible90")
    assert_is(found.energy_wh, wh, 0.6)
    assert_is(found.carbon_gco2e, wh * 0.3, 1.0)
    assert_terms(found.energy_terms, "tokens", wh, {"model_tier": 0.6})
    assert_terms(found.carbon_terms, "tokens", wh * 0.3, {"model_tier": 0.6, "grid": 0.8})


def test_a_certain_factor_has_no_loading() -> None:
    found = FACTORS.compute({**FACTORS_NUMBERS, "sigma_ln_factor": 0.0, "sigma_ln_intensity": 0.0})
    assert_terms(found.energy_terms, "tokens", 1.25, {})
    assert found.energy_wh == Quantity(1.25, 1.25, 1.25)


NUMBERS_BY_METHOD = {
    CPU_TIME.id: CPU_TIME_NUMBERS,
    BATCHIN.id: BATCHIN_NUMBERS,
    MELIOUS.id: MELIOUS_NUMBERS,
    LOWROUTER.id: LOWROUTER_NUMBERS,
    FACTORS.id: FACTORS_NUMBERS,
}


@pytest.mark.parametrize("method", [CPU_TIME, BATCHIN, MELIOUS, LOWROUTER, FACTORS], ids=lambda method: method.id)
@pytest.mark.parametrize("count", [0.0, 0.5, 1.0])
def test_the_smallest_counts_are_taken_and_less_is_refused(method: Any, count: float) -> None:
    numbers = {**NUMBERS_BY_METHOD[method.id], **dict.fromkeys(TOKENS, count)}
    assert method.compute(numbers).energy_wh.median >= 0.0
    for name in TOKENS if method is not BATCHIN else ("input_tokens", "output_tokens"):
        with pytest.raises(InvalidInput, match="negative"):
            method.compute({**numbers, name: -5e-324})
    if method is not BATCHIN:
        with pytest.raises(InvalidInput, match="input_tokens"):
            method.compute({**numbers, "cached_input_tokens": count + 0.5})


def test_measured_seconds_may_be_none_and_not_less() -> None:
    measured = {**CPU_TIME_NUMBERS, "cpu_measured": 1.0, "cpu_seconds": 0.0}
    assert CPU_TIME.compute(measured).energy_wh == Quantity(0.0, 0.0, 0.0)
    with pytest.raises(InvalidInput):
        CPU_TIME.compute({**measured, "cpu_seconds": -5e-324})


COEFFICIENTS = [
    *((BATCHIN, name) for name in ("renewable_ratio_bps", "residual_gco2e_per_kwh")),
    *((BATCHIN, name) for name in ("wh_per_input_token", "wh_per_output_token")),
    *((MELIOUS, name) for name in ("kwh_per_input_token", "kwh_per_output_token", "wue_l_per_kwh")),
    *((LOWROUTER, name) for name in ("active_params_b", "alpha", "beta")),
    *((FACTORS, name) for name in ("wh_per_1k_cached_input", "wh_per_1k_input", "wh_per_1k_output")),
    *((FACTORS, name) for name in ("sigma_ln_factor", "sigma_ln_intensity", "intensity_gco2e_per_kwh")),
]


@pytest.mark.parametrize(("method", "name"), COEFFICIENTS, ids=lambda value: getattr(value, "id", value))
def test_a_coefficient_may_be_zero_and_not_less(method: Any, name: str) -> None:
    numbers = NUMBERS_BY_METHOD[method.id]
    assert method.compute({**numbers, name: 0.0}).energy_wh is not None
    with pytest.raises(InvalidInput):
        method.compute({**numbers, name: -5e-324})


@pytest.mark.parametrize(
    ("method", "name", "allowed", "refused"),
    [
        (BATCHIN, "renewable_ratio_bps", 10_000.0, 10_000.5),
        (MELIOUS, "pue", 1.0, 0.995),
        (MELIOUS, "wue_base_it", 1.0, 0.5),
        (MELIOUS, "wue_base_it", 0.0, 2.0),
        (LOWROUTER, "token_basis_output", 1.0, 0.5),
        (LOWROUTER, "token_basis_output", 0.0, 2.0),
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_the_limit_of_a_coefficient(method: Any, name: str, allowed: float, refused: float) -> None:
    numbers = NUMBERS_BY_METHOD[method.id]
    assert method.compute({**numbers, name: allowed}).energy_wh is not None
    with pytest.raises(InvalidInput, match="profile"):
        method.compute({**numbers, name: refused})


@pytest.mark.parametrize(
    ("given", "operands"),
    [
        ({}, (0.0, 0.0, "not measured")),
        ({"cpu_seconds": 2.5}, (0.0, 0.0, "not measured")),
        ({"cpu_seconds": 2.5, "cpu_measured": True}, (1.0, 2.5, "process CPU time")),
        ({"cpu_seconds": 0.0, "cpu_measured": True}, (1.0, 0.0, "process CPU time")),
    ],
)
def test_seconds_count_where_they_are_measured(
    activity: Callable[..., Activity], given: dict[str, Any], operands: tuple[float, float, str]
) -> None:
    found = {operand.name: operand for operand in CPU_TIME.operands(replace(activity(), **given))}
    seconds = found["cpu_seconds"]
    assert (found["cpu_measured"].number, seconds.number, seconds.source_id) == operands


@pytest.mark.parametrize("release", ["ecologits/llm_0.11.3.json", "ecologits/llm_0.4.0.json"])
def test_a_published_constant_keeps_fifteen_digits(release: str) -> None:
    published = read_edition(release)["constants"]
    found = constant_operands(release)
    assert max(len(str(abs(operand.value))) for operand in found) <= 15
    for operand in found:
        assert operand.number == pytest.approx(published[operand.name]["value"], rel=1e-14)


def test_a_declared_profile_is_the_same_in_any_order(activity: Callable[..., Activity]) -> None:
    profile = {"kwh_per_output_token": 5e-7, "kwh_per_input_token": 1e-7}
    backwards = dict(reversed(profile.items()))
    assert declared_profile(activity(profile=profile)) == declared_profile(activity(profile=backwards))
    assert declared_profile(activity()) is None
