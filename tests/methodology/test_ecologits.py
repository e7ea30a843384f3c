"""`ecologits/llm@0.11.3` and `@0.4.0` against the recorded results of the releases."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput, NotDefined, UnknownModel, UnknownZone
from wattproof.methodology.methods import Activity, Intensity, Method, get_method
from wattproof.methodology.methods.ecologits_registry import registered
from wattproof.methodology.models import all_model_ids, find_model
from wattproof.methodology.quantity import Quantity, Usage, Workload
from wattproof.methodology.zones import zone_average

MakeActivity = Callable[..., Activity]
Vector = dict[str, Any]

REL_TOL = 1e-9
V0_11, V0_4 = get_method("ecologits/llm@0.11.3"), get_method("ecologits/llm@0.4.0")
releases = pytest.mark.parametrize("method", [V0_11, V0_4], ids=lambda method: method.id)


def vectors(release: str) -> list[Vector]:
    path = Path(__file__).parent / "vectors" / f"ecologits_{release}.json"
    return json.loads(path.read_text("utf-8"))["vectors"]


def resolved(vector: Vector) -> Activity:
    """What a caller knows of the request of a vector; parameters, speed, PUE and on-site water are the method's."""
    mix = vector["resolved"]["mix"]
    return Activity(
        Workload.CHAT,
        Usage(0, vector["output_tokens"]),
        find_model(vector["model"]),
        Intensity(mix["gwp"] * 1000, 0.0, "test"),
        latency_s=vector["request_latency_s"],
        mix_adpe_kgsbeq_per_kwh=mix["adpe"],
        wue_offsite_l_per_kwh=mix.get("wue"),
    )


def name(vector: Vector) -> str:
    zone = vector.get("zone_arg", vector.get("zone"))
    return f"{vector['model']}-{vector['output_tokens']}-{vector['request_latency_s']}-{zone}"


def ends(published: float | dict[str, float]) -> tuple[float, float]:
    return (published["min"], published["max"]) if isinstance(published, dict) else (published, published)


def median(quantity: Quantity | None) -> float:
    assert quantity is not None
    return quantity.median


def assert_is(quantity: Quantity | None, published: float | dict[str, float], ratio: float) -> None:
    """The quantity is the published value or range, in units of 1/ratio of the published one."""
    assert quantity is not None
    low, high = ends(published)
    assert quantity.median == pytest.approx((low + high) / 2 * ratio, rel=REL_TOL)
    if quantity.low is None:
        assert low == high
    else:
        assert (quantity.low, quantity.high) == pytest.approx((low * ratio, high * ratio), rel=REL_TOL)


@pytest.mark.parametrize("vector", [v for v in vectors("0.11.3") if v.get("resolved")], ids=name)
def test_a_recorded_request_costs_the_same_in_0_11_3(vector: Vector) -> None:
    found, expected = V0_11.footprint(resolved(vector)), vector["expected"]
    assert_is(found.energy_wh, expected["energy_kwh"], 1000)
    assert_is(found.carbon_gco2e, expected["gwp_kgco2eq"], 1000)
    assert_is(found.carbon_embodied_gco2e, expected["embodied"]["gwp"], 1000)
    assert_is(found.adpe_kgsbeq, expected["adpe_kgsbeq"], 1)
    assert_is(found.water_ml, expected["wcf_l"], 1000)


@pytest.mark.parametrize("vector", vectors("0.4.0"), ids=name)
def test_a_recorded_request_costs_the_same_in_0_4_0(vector: Vector) -> None:
    found, expected = V0_4.footprint(resolved(vector)), vector["expected_exact_lookup"]
    assert_is(found.energy_wh, expected["energy_kwh"], 1000)
    assert_is(found.carbon_gco2e, expected["gwp_kgco2eq"], 1000)
    assert_is(found.carbon_embodied_gco2e, expected["embodied"]["gwp"], 1000)
    assert_is(found.adpe_kgsbeq, expected["adpe_kgsbeq"], 1)


@pytest.mark.parametrize("vector", [v for v in vectors("0.11.3") if v.get("resolved")], ids=name)
def test_a_recorded_request_was_served_from_the_facility_that_the_edition_lists(vector: Vector) -> None:
    numbers = {operand.name: operand.number for operand in V0_11.operands(resolved(vector))}
    for field, operand in (("pue", "pue"), ("wue", "wue_onsite_l_per_kwh")):
        assert (numbers[f"{operand}_min"], numbers[f"{operand}_max"]) == ends(vector["resolved"][field])


@pytest.mark.parametrize("vector", [v for v in vectors("0.11.3") if not v.get("resolved")], ids=name)
def test_what_the_release_does_not_know_is_unknown_here_too(vector: Vector) -> None:
    with pytest.raises((UnknownModel, UnknownZone)):
        Intensity(zone_average(vector["zone_arg"][:2]).value_gco2e_per_kwh, 0.0, find_model(vector["model"]).id)


def test_a_row_of_a_registry_cannot_be_changed() -> None:
    row = registered("ecologits/models_0.4.0.json", find_model("gpt-4o"))
    with pytest.raises(FrozenInstanceError):
        setattr(row, "tokens_per_s", 1.0)  # noqa: B010


def test_gpt_4o_is_not_taken_for_gpt_4_as_the_old_release_does(activity: MakeActivity) -> None:
    sizes = {operand.name: operand.number for operand in V0_4.operands(activity(model="gpt-4o"))}
    assert (sizes["active_params_b_min"], sizes["active_params_b_max"]) == (55, 220)


def test_each_release_computes_with_its_own_registry(activity: MakeActivity) -> None:
    sizes = {operand.name: operand.number for operand in V0_11.operands(activity(model="gpt-4o"))}
    assert (sizes["active_params_b_min"], sizes["active_params_b_max"]) == (44, 132)


def test_a_known_error_of_the_registry_is_used_as_published_said_and_corrected_elsewhere(
    activity: MakeActivity,
) -> None:
    request = activity(model="open-mixtral-8x7b")
    sizes = {operand.name: operand.number for operand in V0_4.operands(request)}
    assert sizes["active_params_b_max"] == 46.7
    assert any("activates 12.9e9" in caveat for caveat in V0_4.caveats(request))
    assert request.model.active_b.median == 12.9


def test_a_model_outside_the_registry_has_the_parameters_of_the_edition_and_says_so(activity: MakeActivity) -> None:
    request = activity(model="gpt-oss-120b")
    operands = {operand.name: operand for operand in V0_4.operands(request)}
    assert operands["active_params_b_max"].number == request.model.active_b.median
    assert operands["active_params_b_max"].source_id == request.model.source_id
    assert any("not in this release's registry" in caveat for caveat in V0_4.caveats(request))


def test_a_range_of_the_edition_comes_back_exactly_for_a_model_outside_the_registry(activity: MakeActivity) -> None:
    sizes = {operand.name: operand.number for operand in V0_4.operands(activity(model="gpt-5"))}
    assert (sizes["active_params_b_min"], sizes["active_params_b_max"]) == (30, 90)


def test_a_stated_pue_and_water_take_the_place_of_the_providers_range(activity: MakeActivity) -> None:
    stated = replace(activity(model="gpt-oss-120b"), pue=1.3, wue_onsite_l_per_kwh=0.2, wue_source="operator")
    operands = {operand.name: operand for operand in V0_11.operands(stated)}
    assert (operands["pue_min"].number, operands["pue_max"].number) == (1.3, 1.3)
    assert operands["pue_min"].source_id == "caller"
    assert operands["wue_onsite_l_per_kwh_max"].source_id == "operator"


@pytest.mark.parametrize(("source", "named"), [("operator", "operator"), (None, "caller")])
def test_stated_water_of_electricity_names_who_stated_it(
    activity: MakeActivity, source: str | None, named: str
) -> None:
    stated = replace(activity(), wue_offsite_l_per_kwh=3.0, wue_source=source)
    assert {one.name: one.source_id for one in V0_11.operands(stated)}["wue_offsite_l_per_kwh"] == named


def test_what_nobody_stated_is_listed_as_assumed(activity: MakeActivity) -> None:
    assert V0_11.assumed(activity()) == ("pue", "wue_onsite")
    assert V0_11.assumed(activity(model="gpt-4o")) == ("weights", "pue", "wue_onsite")
    assert V0_11.assumed(replace(activity(), pue=1.1, wue_onsite_l_per_kwh=0.0)) == ()
    assert V0_4.assumed(activity()) == ()
    assert V0_4.assumed(activity(model="gpt-4o")) == ("weights",)


@releases
def test_a_reader_is_told_whose_estimate_the_parameters_are(method: Method, activity: MakeActivity) -> None:
    assert method.caveats(activity(model="gpt-4o")) == (
        "parameters are an estimate by EcoLogits; the vendor discloses none",
    )
    assert method.caveats(activity(model="mistralai/Mixtral-8x7B-v0.1")) == ()


def test_without_any_range_there_is_one_value_and_no_width(activity: MakeActivity) -> None:
    found = V0_11.footprint(activity(model="mistral-large-latest"))
    assert found.interval == "none"
    assert found.energy_wh is not None
    assert (found.energy_wh.low, found.energy_wh.high) == (None, None)


@releases
def test_the_middle_of_a_range_is_arithmetic(method: Method, activity: MakeActivity) -> None:
    energy = method.footprint(activity(model="gpt-4o")).energy_wh
    assert energy is not None
    assert energy.low is not None
    assert energy.high is not None
    assert energy.median == (energy.low + energy.high) / 2


def test_indicators_without_a_mix_factor_are_null_with_the_reason(activity: MakeActivity) -> None:
    found = V0_11.footprint(activity(model="gpt-4o"))
    assert found.water_onsite_ml is not None
    for indicator in ("adpe_kgsbeq", "water_ml", "water_offsite_ml"):
        assert getattr(found, indicator) is None
        assert found.reasons[indicator] == "mix factor not bundled"


def test_indicators_with_their_mix_factor_have_no_reason_to_be_null(activity: MakeActivity) -> None:
    known = replace(activity(), mix_adpe_kgsbeq_per_kwh=1e-7, wue_offsite_l_per_kwh=3.0)
    assert V0_11.footprint(known).reasons.keys() == {"carbon_market_gco2e"}
    assert "adpe_kgsbeq" not in V0_4.footprint(known).reasons


@releases
@pytest.mark.parametrize("optional", ["latency_s", "mix_adpe_kgsbeq_per_kwh"])
def test_an_optional_operand_has_the_declared_unit(method: Method, activity: MakeActivity, optional: str) -> None:
    known = replace(activity(), latency_s=2.5, mix_adpe_kgsbeq_per_kwh=1e-7)
    assert {one.name: one.unit for one in method.operands(known)}[optional] == method.operand_units[optional]


def test_the_narrow_boundary_is_the_electricity_of_the_gpus(activity: MakeActivity) -> None:
    """gpt-oss-120b: 117e9 parameters of 16 bit need 281 GB, so 4 H100; of 4 bit 71 GB, so one A100."""
    request = replace(activity(0, 1000, intensity_gco2e_per_kwh=100.0), mix_adpe_kgsbeq_per_kwh=1e-7)
    f_e = 1.1665273170451914e-06 * math.exp(-0.011205921025579175 * 64) * 5.1 + 4.052928146734005e-05
    for method, gpu_wh in ((V0_11, 4 * 1000 * f_e), (V0_4, 1000 * (8.91e-5 * 5.1 + 1.43e-3))):
        found = method.footprint(request, "narrow")
        assert median(found.energy_wh) == pytest.approx(gpu_wh, rel=1e-9)
        assert median(found.carbon_gco2e) == pytest.approx(gpu_wh * 0.1, rel=1e-9)
        assert median(found.adpe_kgsbeq) == pytest.approx(gpu_wh * 1e-10, rel=1e-9)


@releases
def test_twice_the_power_of_the_server_adds_as_much_again(method: Method, activity: MakeActivity) -> None:
    given = {one.name: one.number for one in method.operands(activity())}

    def wh(power_kw: float) -> float:
        return median(method.compute({**given, "server_power_kw": power_kw}).energy_wh)

    assert wh(2.0) - wh(1.0) == pytest.approx(wh(1.0) - wh(0.0))


@releases
def test_carbon_holds_the_manufacture_that_is_also_shown_apart(method: Method, activity: MakeActivity) -> None:
    assert method.embodied_included
    found = method.footprint(activity(model="gpt-oss-120b", intensity_gco2e_per_kwh=0.0))
    assert found.carbon_gco2e == found.carbon_embodied_gco2e


@releases
def test_a_request_without_tokens_is_zero_without_width(method: Method, activity: MakeActivity) -> None:
    found = method.footprint(activity(0, 0, model="gpt-4o"))
    assert found.energy_wh == found.carbon_gco2e == Quantity(0.0, 0.0, 0.0)


def test_the_time_to_the_first_token_counts_even_without_output(activity: MakeActivity) -> None:
    found = V0_11.footprint(activity(1000, 0, model="gpt-4o"))
    assert found.energy_wh is not None
    assert found.energy_wh.median > 0


@releases
@given(
    model=st.sampled_from(all_model_ids()),
    output_tokens=st.integers(0, 10**6),
    latency_s=st.none() | st.integers(0, 100).map(float),
)
def test_the_narrow_boundary_is_within_the_comprehensive_one(
    activity: MakeActivity, method: Method, model: str, output_tokens: int, latency_s: float | None
) -> None:
    request = replace(activity(10, output_tokens, model=model), latency_s=latency_s)
    narrow, wide = method.footprint(request, "narrow"), method.footprint(request, "comprehensive")
    assert median(narrow.energy_wh) <= median(wide.energy_wh)
    assert median(narrow.carbon_gco2e) <= median(wide.carbon_gco2e)
    assert narrow.carbon_embodied_gco2e is None
    assert narrow.reasons["carbon_embodied_gco2e"] == "outside the narrow boundary"


@releases
def test_only_chat_is_covered(method: Method, activity: MakeActivity) -> None:
    with pytest.raises(NotDefined, match="embedding"):
        method.footprint(activity(workload=Workload.EMBEDDING))


@releases
@pytest.mark.parametrize(
    ("operand", "number"),
    [
        ("active_params_b_min", 1e9),
        ("total_params_b_min", -1.0),
        ("gpu_embodied_kgco2e", -0.5),
        ("lifetime_s", 0.0),
        ("latency_s", -0.5),
    ],
)
def test_operands_that_no_release_has_are_refused(
    method: Method, activity: MakeActivity, operand: str, number: float
) -> None:
    given = {one.name: one.number for one in method.operands(activity(model="gpt-4o"))}
    with pytest.raises(InvalidInput):
        method.compute({**given, operand: number})


@releases
def test_no_constant_lost_a_digit(method: Method, activity: MakeActivity) -> None:
    release = read_edition(f"ecologits/llm_{method.id.partition('@')[2]}.json")
    operands = {operand.name: operand for operand in method.operands(activity())}
    for constant, row in release["constants"].items():
        assert operands[constant].number == pytest.approx(row["value"], rel=1e-14, abs=0)
        assert operands[constant].unit == row["unit"]
