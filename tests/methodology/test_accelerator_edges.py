"""The energy of the accelerators and the operands that it rests on, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.methods.accelerator import (
    TERMS,
    AcceleratorRates,
    accelerator_loadings,
    accelerator_rates,
)
from wattproof.methodology.methods.param import rates
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Operand, Workload

MakeActivity = Callable[..., Activity]
PARAM = get_method("wattproof/param")

NUMBERS = {
    "active_params_b": 8.0,
    "attention_free_tokens": 100.0,
    "attention_wh_per_token2_b": 3.0,
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
    "is_b200": 1.0,
    "is_long_reasoning": 1.0,
    "longest_prompt_tokens": 1000.0,
    "prefill_wh_per_token_b": 0.02,
    "sigma_ln_active_params": 0.9,
    "sigma_ln_attention": 0.8,
    "sigma_ln_batch": 1.0,
    "sigma_ln_cached_input": 0.7,
    "sigma_ln_fit": 0.35,
    "sigma_ln_hardware": 0.5,
    "sigma_ln_prefill": 0.75,
    "sigma_ln_weights": 0.45,
    "total_params_b": 40.0,
}
RATES = AcceleratorRates(
    decode=2.0, prefill=3.0, cached=0.5, attention=1e-3, attention_free_tokens=100.0, longest_prompt_tokens=1000.0
)


def operands(activity: Activity) -> dict[str, Operand]:
    return {operand.name: operand for operand in PARAM.operands(activity)}


def factors(name: str) -> dict[str, float]:
    return read_edition("wattproof/factors.json")["factors"][name]["value"]


def test_the_rates_by_hand() -> None:
    rates = accelerator_rates(NUMBERS)
    exponent = -9.0 + 0.3 * math.log(8) + 0.6 * math.log(40 * 0.5) - 0.5 * math.log(32) - 0.7 + 0.4
    assert rates.decode == pytest.approx(math.exp(exponent), rel=1e-12)
    assert rates.prefill == pytest.approx(0.16, rel=1e-12)
    assert rates.cached == pytest.approx(0.04, rel=1e-12)
    assert rates.attention == pytest.approx(12.0, rel=1e-12)
    assert (rates.attention_free_tokens, rates.longest_prompt_tokens) == (100.0, 1000.0)


def test_every_term_has_its_loadings(activity: MakeActivity) -> None:
    numbers = {operand.name: operand.number for operand in PARAM.operands(activity())}
    whole = rates(numbers, "comprehensive")
    assert len(whole.footprint(numbers).energy_terms) == 2
    with pytest.raises(ValueError, match="zip"):
        replace(whole, carbon_loadings=whole.carbon_loadings[:3]).footprint(numbers)


def test_a_model_that_does_not_generate_has_no_decode() -> None:
    assert accelerator_rates({**NUMBERS, "generates": 0.0}).decode == 0.0


def test_the_loadings_by_hand() -> None:
    found = dict(zip(TERMS, map(dict, accelerator_loadings(NUMBERS, pue=0.11)), strict=True))
    prefill = {"active_params": 0.9, "hardware": 0.5, "prefill": 0.75, "pue": 0.11}
    assert found == {
        "decode": {
            "active_params": pytest.approx(0.27),
            "batch": pytest.approx(0.5),
            "fit": 0.35,
            "hardware": 0.5,
            "pue": 0.11,
            "weights": pytest.approx(0.27),
        },
        "prefill": prefill,
        "cached": {**prefill, "cached_input": 0.7},
        "attention": {**prefill, "active_params": pytest.approx(0.6), "attention": 0.8},
    }


def test_loadings_are_sorted_and_leave_out_what_is_certain() -> None:
    for term in accelerator_loadings({**NUMBERS, "sigma_ln_hardware": 0.0}, pue=0.11, grid=0.0, aaa=0.2):
        names = [name for name, _ in term]
        assert names == sorted(names)
        assert "aaa" in names
        assert not {"hardware", "grid"} & set(names)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((0, 0, 0), (0.0, 0.0, 0.0, 0.0)),
        ((10, 4, 7), (14.0, 18.0, 2.0, 0.0)),
        ((7, 7, 0), (0.0, 0.0, 3.5, 0.0)),
        ((100, 0, 0), (0.0, 300.0, 0.0, 0.0)),
        ((101, 0, 0), (0.0, 303.0, 0.0, 0.001)),
        ((600, 0, 0), (0.0, 1800.0, 0.0, 250.0)),
        ((600, 300, 0), (0.0, 900.0, 150.0, 210.0)),
        ((1000, 0, 0), (0.0, 3000.0, 0.0, 810.0)),
        ((1500, 0, 0), (0.0, 4500.0, 0.0, 1215.0)),
        ((3000, 1000, 0), (0.0, 6000.0, 500.0, 1620.0)),
    ],
)
def test_the_terms_by_hand(tokens: tuple[int, int, int], expected: tuple[float, float, float, float]) -> None:
    assert RATES.terms_wh(*tokens) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tokens", [(-1, 0, 0), (1, 2, 0), (1, -1, 0), (1, 0, -1), (0, 0, math.nan), (math.nan, 0, 0)])
def test_counts_that_cannot_be_are_refused(tokens: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput, match="input_tokens"):
        RATES.terms_wh(*tokens)


@given(tokens=st.integers(0, 5000), cached_share=st.floats(0, 1))
def test_attention_is_never_below_zero(tokens: int, cached_share: float) -> None:
    assert RATES.terms_wh(tokens, int(tokens * cached_share), 0)[3] >= 0.0


def test_operands_of_the_fit_are_its_coefficients(activity: MakeActivity) -> None:
    fit = read_edition("wattproof/energy_fit.json")
    found = operands(activity())
    for name, coefficient in (
        ("fit_const", "const"),
        ("fit_ln_active_params", "ln_active_params_b"),
        ("fit_ln_weights", "ln_weights_gb"),
        ("fit_ln_batch", "ln_batch"),
        ("fit_b200", "b200"),
        ("fit_long_reasoning", "long_reasoning"),
    ):
        assert found[name].number == pytest.approx(fit["coefficients"][coefficient], rel=1e-8)
        assert found[name].source_id == fit["source_id"]
    assert found["sigma_ln_fit"].number == pytest.approx(fit["leave_one_family_out_sigma_ln"], rel=1e-8)


@pytest.mark.parametrize("model_id", ["gpt-4o", "o1", "gpt-oss-120b", "llama-3.3-70b-instruct"])
def test_operands_of_the_model_are_its_row(activity: MakeActivity, model_id: str) -> None:
    model = find_model(model_id)
    found = operands(activity(model=model_id))
    for name, number in (
        ("active_params_b", model.active_b.median),
        ("total_params_b", model.total_b.median),
        ("bytes_per_param", model.bytes_per_param.median),
        ("sigma_ln_active_params", model.active_b.sigma_ln),
        ("sigma_ln_weights", model.sigma_ln_weights),
        ("is_long_reasoning", float(model.reasoning)),
    ):
        assert found[name].number == pytest.approx(number, rel=1e-8), name
        assert found[name].source_id == model.source_id


@pytest.mark.parametrize("model_id", ["gpt-4o", "llama-3.3-70b-instruct"])
def test_a_stated_precision_is_the_callers_and_leaves_the_spread_of_the_parameters(
    activity: MakeActivity, model_id: str
) -> None:
    model = find_model(model_id)
    found = operands(replace(activity(model=model_id), weight_bytes_per_param=0.5))
    assert (found["bytes_per_param"].number, found["bytes_per_param"].source_id) == (0.5, "caller")
    left = model.total_b.sigma_ln if model.open_weights else model.sigma_ln_weights
    assert found["sigma_ln_weights"].number == pytest.approx(left, rel=1e-8)


def test_batch_and_its_spread_follow_from_what_is_known(activity: MakeActivity) -> None:
    unknown, offline = operands(activity()), operands(replace(activity(), batch_api=True))
    stated = operands(replace(activity(batch=8), batch_api=True))
    assert (unknown["batch"].number, offline["batch"].number) == (factors("batch"), factors("batch_api_batch"))
    assert unknown["sigma_ln_batch"].number == offline["sigma_ln_batch"].number == factors("sigma_ln_batch")
    assert (stated["batch"].number, stated["batch"].source_id, stated["sigma_ln_batch"].number) == (8.0, "caller", 0.0)


@pytest.mark.parametrize(
    ("hardware", "is_b200", "spread"),
    [
        (None, 0.0, 0.0),
        ("H100", 0.0, 0.0),
        ("B200", 1.0, 0.0),
        ("nvidia b200", 1.0, 0.0),
        ("A100", 0.0, 0.5),
        ("TPU v5e", 0.0, 0.5),
    ],
)
def test_hardware_outside_the_regression_has_a_spread_of_its_own(
    activity: MakeActivity, hardware: str | None, is_b200: float, spread: float
) -> None:
    found = operands(activity(hardware=hardware))
    assert (found["is_b200"].number, found["sigma_ln_hardware"].number) == (is_b200, spread)


@pytest.mark.parametrize(("workload", "generates"), [("chat", 1.0), ("embedding", 0.0), ("rerank", 0.0)])
def test_only_chat_generates(activity: MakeActivity, workload: str, generates: float) -> None:
    assert operands(activity(workload=Workload(workload)))["generates"].number == generates


def test_assumptions_are_those_of_the_edition(activity: MakeActivity) -> None:
    found = operands(activity())
    for name in ("attention_free_tokens", "attention_wh_per_token2_b", "cached_input_ratio", "longest_prompt_tokens"):
        assert found[name].number == factors(name)
    for name in ("prefill_wh_per_token_b", "sigma_ln_attention", "sigma_ln_cached_input", "sigma_ln_prefill"):
        assert found[name].number == factors(name)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ("batch", "pue")),
        ({"batch": 32.0}, ("pue",)),
        ({"pue": 1.1}, ("batch",)),
        ({"model": find_model("gpt-4o"), "batch": 32.0, "pue": 1.1}, ("weights",)),
        ({"model": find_model("llama-3.3-70b-instruct"), "batch": 32.0, "pue": 1.1}, ("precision",)),
        (
            {
                "model": find_model("llama-3.3-70b-instruct"),
                "batch": 32.0,
                "pue": 1.1,
                "weight_bytes_per_param": 1.0,
            },
            (),
        ),
        ({"model": find_model("gpt-4o"), "batch": 32.0, "pue": 1.1, "weight_bytes_per_param": 1.0}, ("weights",)),
    ],
)
def test_what_nobody_supplied_is_named(
    activity: MakeActivity, changes: dict[str, object], names: tuple[str, ...]
) -> None:
    assert PARAM.assumed(replace(activity(), **changes)) == names
