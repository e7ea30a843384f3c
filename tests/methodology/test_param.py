"""`wattproof/param@1.0.0`."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Footprint, Workload

MakeActivity = Callable[..., Activity]
PARAM = get_method("wattproof/param")

tokens = st.integers(0, 10**6)


def energy_wh(footprint: Footprint) -> tuple[float, float, float]:
    quantity = footprint.energy_wh
    assert quantity is not None
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.median, quantity.low, quantity.high


def carbon_gco2e(footprint: Footprint) -> tuple[float, float, float]:
    quantity = footprint.carbon_gco2e
    assert quantity is not None
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.median, quantity.low, quantity.high


def test_the_formula_by_hand(activity: MakeActivity) -> None:
    decode = math.exp(
        -10.38065693674902
        + 0.26933049817435917 * math.log(5.1)
        + 0.6608073494407836 * math.log(117 * 0.53)
        - 0.5181149286954174 * math.log(64)
    )
    accelerator_wh = 400 * decode + 8e-7 * 5.1 * (1000 - 200) + 0.1 * 8e-7 * 5.1 * 200
    terms = PARAM.footprint(activity(cached_input_tokens=200)).energy_terms
    assert sum(term.median for term in terms) == pytest.approx(accelerator_wh * 1.571 * 1.2, rel=1e-7)


def test_gpt_oss_120b_in_france_is_near_the_published_example(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(activity())
    assert energy_wh(footprint) == pytest.approx((0.072, 0.026, 0.20), rel=0.15)
    assert carbon_gco2e(footprint) == pytest.approx((0.0022, 0.00074, 0.0068), rel=0.15)
    assert footprint.interval == "credible90"
    assert footprint.tier == "parametric"


def test_what_nobody_knows_is_null_with_a_reason(activity: MakeActivity) -> None:
    footprint = PARAM.footprint(activity())
    assert dict(footprint.reasons) == {
        "carbon_market_gco2e": "no instrument",
        "water_ml": "no WUE",
        "water_onsite_ml": "no on-site WUE",
        "water_offsite_ml": "no off-site WUE",
    }
    assert all(getattr(footprint, indicator) is None for indicator in footprint.reasons)


@given(input_tokens=tokens, output_tokens=tokens, more=st.integers(1, 10**6))
def test_more_tokens_never_need_less(activity: MakeActivity, input_tokens: int, output_tokens: int, more: int) -> None:
    base = energy_wh(PARAM.footprint(activity(input_tokens, output_tokens)))
    more_in = energy_wh(PARAM.footprint(activity(input_tokens + more, output_tokens)))
    more_out = energy_wh(PARAM.footprint(activity(input_tokens, output_tokens + more)))
    assert more_in[0] > base[0]
    assert more_out[0] > base[0]
    assert more_in[2] > base[2]
    assert more_out[2] > base[2]


@given(pue=st.floats(1.0, 3.0), more=st.floats(0.01, 1.0))
def test_a_higher_pue_needs_more(activity: MakeActivity, pue: float, more: float) -> None:
    assert energy_wh(PARAM.footprint(activity(pue=pue + more))) > energy_wh(PARAM.footprint(activity(pue=pue)))


@given(intensity=st.floats(0.1, 1000.0), more=st.floats(0.1, 1000.0))
def test_a_dirtier_grid_emits_more_and_needs_the_same(activity: MakeActivity, intensity: float, more: float) -> None:
    base = PARAM.footprint(activity(intensity_gco2e_per_kwh=intensity))
    dirtier = PARAM.footprint(activity(intensity_gco2e_per_kwh=intensity + more))
    assert carbon_gco2e(dirtier) > carbon_gco2e(base)
    assert energy_wh(dirtier) == energy_wh(base)


@given(input_tokens=st.integers(0, 100), output_tokens=st.integers(1, 10**5), factor=st.integers(2, 50))
def test_n_times_the_tokens_is_n_times_the_footprint(
    activity: MakeActivity, input_tokens: int, output_tokens: int, factor: int
) -> None:
    base = PARAM.footprint(activity(input_tokens, output_tokens))
    scaled = PARAM.footprint(activity(input_tokens * factor, output_tokens * factor))
    assert energy_wh(scaled) == pytest.approx([factor * wh for wh in energy_wh(base)])
    assert carbon_gco2e(scaled) == pytest.approx([factor * g for g in carbon_gco2e(base)])


@given(input_tokens=tokens, output_tokens=tokens)
def test_the_narrow_boundary_is_never_above_the_comprehensive_one(
    activity: MakeActivity, input_tokens: int, output_tokens: int
) -> None:
    narrow = energy_wh(PARAM.footprint(activity(input_tokens, output_tokens), "narrow"))
    comprehensive = energy_wh(PARAM.footprint(activity(input_tokens, output_tokens), "comprehensive"))
    assert narrow[0] <= comprehensive[0]
    assert narrow[2] <= comprehensive[2]


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
def test_zero_tokens_are_zero_without_width(activity: MakeActivity, boundary: str) -> None:
    footprint = PARAM.footprint(activity(0, 0), "narrow" if boundary == "narrow" else "comprehensive")
    assert energy_wh(footprint) == (0.0, 0.0, 0.0)
    assert carbon_gco2e(footprint) == (0.0, 0.0, 0.0)
    assert footprint.energy_terms == ()


def test_cached_input_needs_less_than_fresh_input(activity: MakeActivity) -> None:
    fresh = energy_wh(PARAM.footprint(activity(10_000, 10)))
    cached = energy_wh(PARAM.footprint(activity(10_000, 10, cached_input_tokens=9_000)))
    assert cached[0] < fresh[0]


def test_a_known_batch_narrows_the_interval(activity: MakeActivity) -> None:
    unknown = energy_wh(PARAM.footprint(activity()))
    known = energy_wh(PARAM.footprint(activity(batch=64)))
    assert known[2] / known[1] < unknown[2] / unknown[1]


def test_an_undisclosed_model_has_a_wider_interval_than_a_published_one(activity: MakeActivity) -> None:
    closed = energy_wh(PARAM.footprint(activity(model="gpt-4o")))
    published = energy_wh(PARAM.footprint(activity()))
    assert closed[2] / closed[1] > published[2] / published[1]


def test_hardware_outside_the_fit_widens_the_interval(activity: MakeActivity) -> None:
    inside = energy_wh(PARAM.footprint(activity(hardware="H100")))
    outside = energy_wh(PARAM.footprint(activity(hardware="TPU v5e")))
    assert outside[2] / outside[1] > inside[2] / inside[1]
    assert energy_wh(PARAM.footprint(activity(hardware="B200")))[0] < inside[0]


def test_long_reasoning_models_need_more_per_token() -> None:
    assert find_model("o1").reasoning
    assert not find_model("gpt-oss-120b").reasoning


@pytest.mark.parametrize("workload", [Workload.EMBEDDING, Workload.RERANK])
def test_embedding_and_rerank_are_prefill_only(activity: MakeActivity, workload: Workload) -> None:
    footprint = PARAM.footprint(activity(1000, 50, workload=workload, model="qwen3-embedding-8b"))
    assert [term.name for term in footprint.energy_terms] == ["prefill"]


@pytest.mark.parametrize("workload", [Workload.IMAGE, Workload.SPEECH, Workload.TRANSCRIPTION, Workload.VIDEO])
def test_other_workloads_are_not_defined(activity: MakeActivity, workload: Workload) -> None:
    with pytest.raises(NotDefined, match="covers chat, embedding, rerank"):
        PARAM.operands(activity(workload=workload))


def test_what_nobody_supplied_is_listed(activity: MakeActivity) -> None:
    assert PARAM.assumed(activity()) == ("batch", "pue")
    assert PARAM.assumed(activity(model="gpt-4o")) == ("batch", "weights", "pue")
    assert PARAM.assumed(activity(model="llama-3.3-70b-instruct", batch=32, pue=1.1)) == ("precision",)
    assert PARAM.assumed(activity(batch=32, pue=1.1)) == ()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"pue": 0.9}, "pue"), ({"batch": 0}, "batch"), ({"pue": math.nan}, "pue"), ({"sigma_ln": -1.0}, "sigma_ln")],
)
def test_an_absurd_input_is_refused_by_name(activity: MakeActivity, wrong: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        activity(**wrong)
