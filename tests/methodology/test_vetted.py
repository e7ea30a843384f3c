"""`vetted/ladder@0.2.0`: tiers, boundaries and what each rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, Telemetry, get_method
from wattproof.methodology.quantity import Boundary, Footprint

MakeActivity = Callable[..., Activity]
LADDER = get_method("vetted/ladder")

SAMPLES = Telemetry(gpu_wh=0.198, host_wh=0.034, idle_wh=0.012, samples=300, resolution_ms=100)


def sigma(footprint: Footprint, indicator: str = "energy_wh") -> float:
    found = getattr(footprint, indicator)
    return math.log(found.high / found.low) / (2 * 1.6448536269514722)


def test_the_tier_follows_from_what_is_known(activity: MakeActivity) -> None:
    assert LADDER.footprint(activity()).tier == "proxy"
    assert LADDER.footprint(activity(batch=64)).tier == "proxy"
    assert LADDER.footprint(activity(batch=64, hardware="H100")).tier == "parametric"
    assert LADDER.footprint(replace(activity(), samples=SAMPLES)).tier == "telemetry"


def test_audited_needs_an_opinion_and_the_samples_that_it_is_about(activity: MakeActivity) -> None:
    metered = replace(activity(), samples=SAMPLES, opinion_ref="isae-3000/2026-17")
    assert LADDER.footprint(metered).tier == "audited"
    operand = next(operand for operand in LADDER.operands(metered) if operand.name == "opinions")
    assert operand.source_id == "isae-3000/2026-17"
    with pytest.raises(InvalidInput, match="samples"):
        LADDER.footprint(replace(activity(), opinion_ref="isae-3000/2026-17"))


def test_an_opinion_does_not_change_a_figure(activity: MakeActivity) -> None:
    metered = replace(activity(), samples=SAMPLES)
    audited = replace(metered, opinion_ref="isae-3000/2026-17")
    assert LADDER.footprint(audited).energy_wh == LADDER.footprint(metered).energy_wh
    assert LADDER.footprint(audited).carbon_gco2e == LADDER.footprint(metered).carbon_gco2e


def test_no_operands_make_a_receipt_audited_without_its_opinion(activity: MakeActivity) -> None:
    metered = replace(activity(), samples=SAMPLES)
    numbers = {operand.name: operand.number for operand in LADDER.operands(metered)}
    for code in (0.0, 1.0, 2.0, 2.5, 4.0, 5.0):
        with pytest.raises(InvalidInput, match="tier_code"):
            LADDER.compute({**numbers, "tier_code": code})
    modelled = {operand.name: operand.number for operand in LADDER.operands(activity())}
    with pytest.raises(InvalidInput, match="tier_code"):
        LADDER.compute({**modelled, "tier_code": 3.0})


@pytest.mark.parametrize("indicator", ["energy_wh", "carbon_gco2e", "adpe_kgsbeq"])
def test_better_evidence_has_a_narrower_interval(activity: MakeActivity, indicator: str) -> None:
    proxy = LADDER.footprint(activity())
    parametric = LADDER.footprint(activity(batch=64, hardware="H100"))
    telemetry = LADDER.footprint(replace(activity(), samples=SAMPLES))
    assert sigma(telemetry, indicator) < sigma(parametric, indicator) < sigma(proxy, indicator)


@pytest.mark.parametrize(("low", "high", "known"), [(0.85, 3.10, 0), (0.71, 1.58, 1), (0.83, 1.11, 2)])
def test_a_tiers_width_is_that_of_its_published_interval(
    activity: MakeActivity, low: float, high: float, known: int
) -> None:
    requests = (activity(), activity(batch=64, hardware="H100"), replace(activity(), samples=SAMPLES))
    assert sigma(LADDER.footprint(requests[known])) == pytest.approx(math.log(high / low) / 3.2897, abs=0.002)


def test_metered_energy_by_hand(activity: MakeActivity) -> None:
    request = replace(activity(pue=1.18), samples=SAMPLES, wue_onsite_l_per_kwh=0.2, wue_offsite_l_per_kwh=1.5)
    footprint = LADDER.footprint(request)
    assert footprint.energy_wh is not None
    assert footprint.energy_wh.median == pytest.approx((0.198 + 0.034 + 0.012) * 1.18)
    assert footprint.water_ml is not None
    assert footprint.water_ml.median == pytest.approx(0.244 * 0.2 + 0.244 * 1.18 * 1.5)
    narrow = LADDER.footprint(request, "narrow")
    assert narrow.energy_wh is not None
    assert narrow.energy_wh.median == pytest.approx(0.198)
    assert narrow.water_ml is None


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
def test_carbon_includes_the_share_of_manufacture(activity: MakeActivity, boundary: Boundary) -> None:
    assert LADDER.embodied_included
    footprint = LADDER.footprint(activity(intensity_gco2e_per_kwh=500.0), boundary)
    assert footprint.energy_wh is not None
    assert footprint.carbon_gco2e is not None
    assert footprint.carbon_embodied_gco2e is not None
    by_hand = footprint.energy_wh.median * 0.5 + footprint.carbon_embodied_gco2e.median
    assert footprint.carbon_gco2e.median == pytest.approx(by_hand)


@given(input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**5))
def test_the_narrow_boundary_is_never_above_the_comprehensive_one(
    activity: MakeActivity, input_tokens: int, output_tokens: int
) -> None:
    request = activity(input_tokens, output_tokens)
    narrow, comprehensive = LADDER.footprint(request, "narrow"), LADDER.footprint(request)
    for indicator in ("energy_wh", "carbon_gco2e", "carbon_embodied_gco2e", "adpe_kgsbeq"):
        inner, outer = getattr(narrow, indicator), getattr(comprehensive, indicator)
        assert inner.median <= outer.median
        assert inner.high <= outer.high


def test_zero_tokens_are_zero_without_width(activity: MakeActivity) -> None:
    footprint = LADDER.footprint(activity(0, 0))
    assert footprint.energy_wh is not None
    assert (footprint.energy_wh.median, footprint.energy_wh.low, footprint.energy_wh.high) == (0.0, 0.0, 0.0)
    assert footprint.energy_terms == ()


def test_metered_energy_assumes_no_batch(activity: MakeActivity) -> None:
    assert LADDER.assumed(replace(activity(), samples=SAMPLES)) == ("pue",)
    assert "batch" in LADDER.assumed(activity())


def test_the_operands_of_every_tier_give_the_same_figures_again(activity: MakeActivity) -> None:
    requests = (
        activity(),
        activity(batch=64, hardware="H100"),
        replace(activity(), samples=SAMPLES),
        replace(activity(), samples=SAMPLES, opinion_ref="x"),
    )
    for request in requests:
        numbers = {operand.name: operand.number for operand in LADDER.operands(request)}
        for boundary in ("narrow", "comprehensive"):
            assert LADDER.compute(numbers, boundary) == LADDER.footprint(request, boundary)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"gpu_wh": -0.1}, "gpu_wh"),
        ({"host_wh": math.nan}, "host_wh"),
        ({"idle_wh": math.inf}, "idle_wh"),
        ({"samples": 0}, "samples"),
        ({"resolution_ms": 0}, "resolution_ms"),
    ],
)
def test_absurd_samples_are_refused_by_name(wrong: dict[str, float], field: str) -> None:
    good = {"gpu_wh": 0.1, "host_wh": 0.1, "idle_wh": 0.1, "samples": 3, "resolution_ms": 100}
    with pytest.raises(InvalidInput, match=field):
        Telemetry(**(good | wrong))  # type: ignore[arg-type]
