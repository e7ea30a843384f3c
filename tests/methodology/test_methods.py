"""What holds for every method: its definition is frozen, and operands alone reproduce its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Activity, Method, all_methods, get_method
from wattproof.methodology.methods.method import FactorScope
from wattproof.methodology.models import all_model_ids
from wattproof.methodology.quantity import Boundary, IntervalKind, Operand, Tier

MakeActivity = Callable[..., Activity]

FROZEN_SHA256 = {
    "wattproof/param@1.0.0": "148855dcbe3b1c5005687a528682d55199f2760b44e6f92c46946c52b8fccc10",
    "wattproof/cpu-time@1.0.0": "154e372772e0be8399b23c62a1bea0363f6e1e008469e3e1a35ec8210bff0e20",
    "vetted/ladder@0.2.0": "befc6263ca1f76178cb5ef236b6eaf8285bbf76d2e708ef107cdb350ca944f82",
    "ecologits/llm@0.11.3": "c245eee031d830e521324fe7e5e930b8a82c7a8765d336be47861b38696c4caf",
    "ecologits/llm@0.4.0": "4844eec1648f6000b5afa0de10acf47c11182248ba18c6b1b287633d6761cc72",
    "factors/tokens@2026-11": "18d65f6d2d82de74e56398655504e2afb68c487f756379f395fbbc1a95026c3a",
    "lowrouter/ecologits@0.4-2026-01": "e2a1382c6b8290147f2948c49a9933d0344a497e8a254c686827bb89e3da2806",
    "melious/measured-token@1.0.0": "577112a490cf89da98029e6c0123861ecc5d6ecfc864af01a7cfb53ce4c5db83",
    "batchin/token-estimate@1.0.0": "5167d14fbcf2f9b180a710203750a2c2baa9914e4261bb4afae7d72cef9444cb",
}

methods = pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)


def numbers(method: Method, activity: Activity) -> dict[str, float]:
    return {operand.name: operand.number for operand in method.operands(activity)}


@methods
def test_a_published_definition_never_changes(method: Method) -> None:
    assert method.sha256 == FROZEN_SHA256[method.id]


@methods
def test_a_method_is_found_by_its_id_and_its_aliases(method: Method) -> None:
    for name in (method.id, *method.aliases):
        assert get_method(name) is method


def test_an_unknown_method_names_the_closest() -> None:
    with pytest.raises(UnknownMethod) as raised:
        get_method("wattproof/parm")
    assert "wattproof/param" in raised.value.closest


@methods
def test_operands_are_exactly_those_declared_sorted_with_their_units(method: Method, activity: MakeActivity) -> None:
    operands = method.operands(activity())
    names = [operand.name for operand in operands]
    absent = method.operand_units.keys() - set(names)
    assert names == sorted(method.operand_units.keys() - absent)
    assert absent == {name for group in method.optional_operands if not group & set(names) for name in group}
    assert all(operand.unit == method.operand_units[operand.name] for operand in operands)
    assert all(operand.source_id for operand in operands)
    assert all(abs(operand.value) < 2**53 and operand.exp10 <= 0 for operand in operands)


@methods
def test_the_formula_names_every_operand(method: Method) -> None:
    assert [name for name in method.operand_units if name not in method.formula] == []


@methods
def test_every_uncertain_factor_says_over_what_it_is_shared(method: Method, activity: MakeActivity) -> None:
    footprint = method.footprint(activity(cached_input_tokens=10, model="gpt-4o", hardware="TPU v5e"))
    factors = {factor for term in footprint.carbon_terms for factor, _ in term.loadings}
    assert factors <= method.factor_scopes.keys()
    assert set(method.factor_scopes.values()) <= set(get_args(FactorScope))


@methods
@given(
    model=st.sampled_from(all_model_ids()),
    input_tokens=st.integers(0, 10**6),
    cached_share=st.floats(0.0, 1.0),
    output_tokens=st.integers(0, 10**6),
    intensity=st.floats(0.1, 1500.0),
    sigma_ln=st.floats(0.0, 1.0),
    pue=st.none() | st.floats(1.0, 3.0),
    batch=st.none() | st.floats(1.0, 1000.0),
    cpu_seconds=st.none() | st.floats(0.001, 1e6),
    boundary=st.sampled_from(["narrow", "comprehensive"]),
)
def test_a_receipts_operands_give_the_same_integers_again(
    activity: MakeActivity,
    method: Method,
    model: str,
    input_tokens: int,
    cached_share: float,
    output_tokens: int,
    intensity: float,
    sigma_ln: float,
    pue: float | None,
    batch: float | None,
    cpu_seconds: float | None,
    boundary: Boundary,
) -> None:
    request = activity(
        input_tokens,
        output_tokens,
        cached_input_tokens=int(input_tokens * cached_share),
        model=model,
        intensity_gco2e_per_kwh=intensity,
        sigma_ln=sigma_ln if sigma_ln > 1e-6 else 0.0,
        pue=pue,
        batch=batch,
        cpu_seconds=cpu_seconds,
    )
    recorded = [(o.name, o.value, o.exp10, o.unit, o.source_id) for o in method.operands(request)]
    read_back = {operand.name: operand.number for operand in (Operand(*row) for row in recorded)}
    assert method.compute(read_back, boundary) == method.footprint(request, boundary)
    assert outputs(method.compute(read_back, boundary)) == outputs(method.footprint(request, boundary))
    assert method.energy_wh(request, boundary) == method.footprint(request, boundary).energy_wh
    shorter = replace(request, usage=replace(request.usage, output_tokens=output_tokens // 2))
    assert method.energy_wh(request, boundary, output_tokens=output_tokens // 2) == method.energy_wh(shorter, boundary)


@methods
def test_a_missing_operand_is_named(method: Method, activity: MakeActivity) -> None:
    given = numbers(method, activity())
    del given["input_tokens"]
    with pytest.raises(InvalidInput, match="input_tokens"):
        method.compute(given)


@methods
def test_an_unknown_operand_is_named(method: Method, activity: MakeActivity) -> None:
    with pytest.raises(InvalidInput, match="generosity"):
        method.compute({**numbers(method, activity()), "generosity": 1.0})


@methods
@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_negative_tokens_in_a_receipt_are_refused(method: Method, activity: MakeActivity, name: str) -> None:
    with pytest.raises(InvalidInput):
        method.compute({**numbers(method, activity()), name: -1.0})


@pytest.mark.parametrize(
    ("name", "number"), [("batch", 0.0), ("active_params_b", -1.0), ("fit_const", 1e6), ("sigma_ln_fit", 1e6)]
)
def test_an_operand_outside_the_domain_of_the_formula_is_refused(
    activity: MakeActivity, name: str, number: float
) -> None:
    method = get_method("param")
    with pytest.raises(InvalidInput, match="outside the domain"):
        method.compute({**numbers(method, activity()), name: number})


@methods
def test_the_texts_claim_nothing_that_we_do_not_say(method: Method) -> None:
    text = " ".join((method.title, method.summary, *method.not_covered)).lower()
    for word in ("saved", "avoided", "carbon neutral", "net zero", "green ", "clean", "sustainable", "verified"):
        assert word not in text


@pytest.mark.parametrize(
    ("alias", "interval"),
    [
        ("ecologits/llm", "range"),
        ("ecologits/llm@0.4.0", "range"),
        ("factors", "credible90"),
        ("lowrouter", "none"),
        ("melious", "none"),
        ("batchin/token-estimate", "none"),
    ],
)
def test_a_method_of_others_is_a_proxy_and_keeps_the_kind_of_interval_that_they_publish(
    activity: MakeActivity, alias: str, interval: str
) -> None:
    method = get_method(alias)
    footprint = method.footprint(activity(model="gpt-4o"))
    assert (footprint.method_id, footprint.interval, footprint.tier) == (method.id, interval, "proxy")
    assert (method.interval, method.tier) == (interval, "proxy")


@methods
def test_a_definition_uses_the_known_words(method: Method) -> None:
    assert method.interval in get_args(IntervalKind)
    assert method.tier in get_args(Tier)


@methods
@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
def test_terms_without_a_spread_add_up_to_the_figure(
    method: Method, activity: MakeActivity, boundary: Boundary
) -> None:
    footprint = method.footprint(activity(cached_input_tokens=600, model="gpt-4o"), boundary)
    for quantity, terms in (
        (footprint.energy_wh, footprint.energy_terms),
        (footprint.carbon_gco2e, footprint.carbon_terms),
    ):
        assert quantity is not None
        if not any(term.loadings for term in terms):
            assert sum(term.median for term in terms) == pytest.approx(quantity.median)


@pytest.mark.parametrize("alias", ["lowrouter", "melious", "batchin/token-estimate"])
def test_where_no_discount_is_published_cached_input_costs_as_much_as_input(activity: MakeActivity, alias: str) -> None:
    method = get_method(alias)
    assert method.footprint(activity(cached_input_tokens=600)) == method.footprint(activity())


@methods
def test_a_null_indicator_has_a_reason_and_a_known_one_has_none(method: Method, activity: MakeActivity) -> None:
    for boundary in get_args(Boundary):
        footprint = method.footprint(activity(), boundary)
        for indicator in ("carbon_market_gco2e", "water_ml", "adpe_kgsbeq", "energy_wh", "carbon_gco2e"):
            assert (indicator in footprint.reasons) == (getattr(footprint, indicator) is None), indicator
