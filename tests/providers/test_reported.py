"""Footprint blocks of providers: every published shape, every published contradiction, and any JSON at all."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.quantity import Quantity, Usage
from wattproof.resources.providers.chat_answer import ChatAnswer
from wattproof.resources.providers.records import ChatRequest
from wattproof.resources.providers.reported import (
    Flag,
    ReportedFootprint,
    cross_check,
    read_reported,
    stated_json,
)
from wattproof.resources.receipts import canonical
from wattproof.resources.receipts.stated import stated
from wattproof.tools.reported_text import brief_reported

# Shapes and figures as the vendors document them, 2026-11.
MELIOUS: dict[str, Any] = {
    "environment_impact": {
        "energy_kwh": 0.00015,
        "carbon_g_co2": 0.06,
        "water_liters": 0.0002,
        "renewable_percent": 85,
        "pue": 1.18,
        "provider_id": "ovhcloud",
        "location": "FR",
    },
    "billing_cost": {"energy": "0.0008", "credits": "0.0", "paid_with": "energy"},
}
LOWROUTER: dict[str, Any] = {
    "lowrouter": {
        "generation_id": "gen_01J9",
        "provider": "openai",
        "region": "eu-west",
        "eco": {
            "energy_wh": 0.0021,
            "carbon_g": 0.00057,
            "carbon_per_1k_tokens_g": 0.013,
            "accuracy": "accurate",
            "methodology_version": "v0.4-2026-01",
        },
    }
}
GREENPT: dict[str, Any] = {
    "impact": {
        "version": "20250922",
        "inferenceTime": {"total": 156, "unit": "ms"},
        "energy": {"total": 40433, "unit": "Wms"},
        "emissions": {"total": 1, "unit": "ugCO2e"},
    }
}
NEURALWATT: dict[str, Any] = {
    "energy": {
        "energy_joules": 1234.56,
        "energy_kwh": 0.000342933,
        "avg_power_watts": 0.0,
        "duration_seconds": 0.0,
        "attribution_method": "<string>",
        "attribution_ratio": 0.0,
        "carbon_g_co2eq": None,
    }
}
BATCHIN: dict[str, Any] = {
    "headers": {
        "X-Green-Region": "US clean-power compute regions",
        "X-Green-Energy-Source": "renewable",
        "X-Green-Methodology": "token-estimate-v1",
        "X-Green-Renewable-Ratio-Bps": "9200",
        "X-Green-Energy-MWh": "240",
        "X-Green-Carbon-Mg": "7.4",
    }
}
VETTED_TELEMETRY: dict[str, Any] = {
    "vetted": {
        "tier": "telemetry",
        "telemetry": {"gpu_wh": 0.198, "host_wh": 0.034, "idle_wh": 0.012, "pue_factor": 1.18, "samples": 31},
    }
}
SAMPLE_USAGE = Usage(18, 26)


def read(raw: dict[str, Any]) -> ReportedFootprint:
    found = read_reported(raw)
    assert found is not None
    return found


def codes(flags: tuple[Flag, ...]) -> set[str]:
    return {flag.code for flag in flags}


def checked(raw: dict[str, Any], usage: Usage = SAMPLE_USAGE, **given: Any) -> set[str]:
    return codes(cross_check(read(raw), usage=usage, **{"energy": None, **given}))


def test_a_melious_block_is_read_in_our_units() -> None:
    reported = read(MELIOUS)
    assert reported.vendor == "melious"
    assert reported.energy_wh == pytest.approx(0.15)
    assert reported.carbon_gco2e == 0.06
    assert reported.water_ml == pytest.approx(0.2)
    assert reported.renewable_ratio_bps == 8500
    assert reported.pue == 1.18
    assert (reported.zone, reported.evidence) == ("FR", "ovhcloud")
    assert reported.intensity_gco2e_per_kwh == pytest.approx(400)
    assert reported.flags == ()
    assert reported.raw_blocks == ("billing_cost", "environment_impact")


def test_a_price_that_is_called_energy_is_not_energy() -> None:
    assert read_reported({"billing_cost": MELIOUS["billing_cost"]}) is None


def test_a_lowrouter_block_is_read_with_its_own_words_for_place_and_method() -> None:
    reported = read(LOWROUTER)
    assert (reported.vendor, reported.energy_wh, reported.carbon_gco2e) == ("lowrouter", 0.0021, 0.00057)
    assert (reported.zone, reported.methodology, reported.accuracy) == ("EU-WEST", "v0.4-2026-01", "accurate")
    assert codes(reported.flags) == {"not_a_zone"}


def test_the_lowrouter_region_may_come_in_a_header() -> None:
    reported = read({"headers": {"X-LowRouter-Region": "FR"}})
    assert (reported.vendor, reported.zone, reported.energy_wh) == ("lowrouter", "FR", None)


def test_greenpt_watt_milliseconds_and_micrograms_become_watt_hours_and_grams() -> None:
    reported = read(GREENPT)
    assert reported.energy_wh == pytest.approx(40.433 / 3600)
    assert reported.carbon_gco2e == pytest.approx(1e-6)
    assert reported.duration_s == pytest.approx(0.156)
    assert reported.flags == ()


@pytest.mark.parametrize(
    ("unit", "wh"),
    [
        ("kWh", 1000.0),
        ("Wh", 1.0),
        ("mWh", 0.001),
        ("uWh", 0.000001),
        ("kJ", 0.2777777777777778),
        ("J", 0.0002777777777777778),
        ("Ws", 0.0002777777777777778),
        ("mJ", 2.777777777777778e-7),
        ("Wms", 2.777777777777778e-7),
    ],
)
def test_one_of_each_unit_of_energy_by_hand(unit: str, wh: float) -> None:
    assert read({"impact": {"energy": {"total": 1, "unit": unit}}}).energy_wh == pytest.approx(wh)


@pytest.mark.parametrize(("unit", "g"), [("kgCO2e", 1000.0), ("gCO2e", 1.0), ("mgCO2e", 0.001), ("ugCO2e", 1e-6)])
def test_one_of_each_unit_of_carbon_by_hand(unit: str, g: float) -> None:
    assert read({"impact": {"emissions": {"total": 1, "unit": unit}}}).carbon_gco2e == pytest.approx(g)


@pytest.mark.parametrize("unit", ["MWh", "wh", "BTU", "", None, 7, ["Wh"], {"Wh": 1}])
def test_an_unknown_unit_makes_the_amount_unknown_and_says_so(unit: object) -> None:
    reported = read({"impact": {"energy": {"total": 40433, "unit": unit}}})
    assert reported.energy_wh is None
    assert codes(reported.flags) == {"unknown_unit"}


def test_neuralwatt_joules_and_kilowatt_hours_that_agree_are_read_once() -> None:
    reported = read(NEURALWATT)
    assert reported.energy_wh == pytest.approx(1234.56 / 3600)
    assert reported.carbon_gco2e is None
    assert (reported.average_power_w, reported.duration_s) == (None, None)
    assert {(flag.code, flag.field) for flag in reported.flags} == {("zero", "average_power_w"), ("zero", "duration_s")}


def test_the_energy_comment_of_a_stream_is_read_like_the_block() -> None:
    answer = ChatAnswer(ChatRequest(({"role": "user", "content": "x"},), 5), {})
    answer.add_comment('energy {"energy_joules": 123.4, "energy_kwh": 0.00003428}')
    reported = answer.end().reported
    assert reported is not None
    assert read(dict(reported)).energy_wh == pytest.approx(0.034278, rel=1e-4)


def test_a_thousandfold_slip_from_joules_to_kilowatt_hours_is_left_out_as_a_contradiction() -> None:
    """A published sample prints 1234.56 J as 3.43e-07 kWh."""
    reported = read({"energy": {"energy_joules": 1234.56, "energy_kwh": 3.43e-07}})
    assert reported.energy_wh is None
    (flag,) = reported.flags
    assert (flag.code, flag.field) == ("self_contradiction", "energy_wh")
    assert "0.3429" in flag.detail
    assert "0.000343" in flag.detail


def test_statements_within_one_percent_are_rounding_and_beyond_it_a_contradiction() -> None:
    near, far = ({"energy": {"energy_joules": 3600, "energy_kwh": kwh}} for kwh in (0.00101, 0.001011))
    assert read(near).energy_wh == pytest.approx(1.0)
    assert read(far).energy_wh is None


def test_batchin_headers_are_read_as_milli_units_and_flagged_as_ambiguous() -> None:
    reported = read(BATCHIN)
    assert reported.energy_wh == pytest.approx(0.24)
    assert reported.carbon_gco2e == pytest.approx(0.0074)
    assert reported.renewable_ratio_bps == 9200
    assert (reported.methodology, reported.evidence) == ("token-estimate-v1", "renewable")
    assert reported.zone == "US CLEAN-POWER COMPUTE REGIONS"
    assert [flag.field for flag in reported.flags if flag.code == "ambiguous_unit"] == ["energy_wh", "carbon_gco2e"]
    assert "not_a_zone" in codes(reported.flags)


def test_the_placeholders_of_the_documented_headers_are_no_numbers() -> None:
    headers = {**BATCHIN["headers"], "X-Green-Energy-MWh": "<per request>", "X-Green-Carbon-Mg": "<per request>"}
    reported = read({"headers": headers})
    assert (reported.energy_wh, reported.carbon_gco2e, reported.renewable_ratio_bps) == (None, None, 9200)
    assert codes(reported.flags) == {"not_a_number", "not_a_zone"}


def test_greenjoules_states_joules_in_a_header() -> None:
    reported = read({"headers": {"x-energy-joules": "3600"}})
    assert (reported.vendor, reported.energy_wh) == ("greenjoules", pytest.approx(1.0))


def test_vetted_telemetry_is_the_sum_of_its_parts_times_pue() -> None:
    reported = read(VETTED_TELEMETRY)
    assert reported.energy_wh == pytest.approx((0.198 + 0.034 + 0.012) * 1.18)
    assert (reported.pue, reported.methodology) == (1.18, "telemetry")


@pytest.mark.parametrize("missing", ["gpu_wh", "host_wh", "idle_wh", "pue_factor"])
def test_a_sum_that_lacks_a_part_is_unknown(missing: str) -> None:
    telemetry = {name: v for name, v in VETTED_TELEMETRY["vetted"]["telemetry"].items() if name != missing}
    reported = read({"vetted": {"telemetry": telemetry}})
    assert reported.energy_wh is None
    assert "incomplete" in codes(reported.flags)


def test_a_live_grid_value_that_is_months_old_is_flagged() -> None:
    vetted = {
        "grid_intensity_source": "entsoe_derived_live",
        "grid_intensity_age_minutes": 200_736,
        "age_minutes": 199_445,
    }
    flags = read({"vetted": vetted}).flags
    assert codes(flags) == {"live_overstated"}
    assert "200,736 minutes" in flags[0].detail
    assert read({"vetted": {**vetted, "grid_intensity_age_minutes": 10, "age_minutes": 10}}).flags == ()


def test_blocks_of_two_vendors_are_read_as_the_first_and_flagged() -> None:
    reported = read(MELIOUS | {"headers": {"x-energy-joules": "3600"}})
    assert reported.vendor == "melious"
    assert "greenjoules" in next(flag for flag in reported.flags if flag.code == "several_vendors").detail


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("12 Wh", "not_a_number"),
        ("NaN", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1_000", "not_a_number"),
        ("١٢", "not_a_number"),
        ("-1", "not_a_number"),
        ("1" * 200, "not_a_number"),
        (True, "not_a_number"),
        ([1], "not_a_number"),
        ({"value": 1}, "not_a_number"),
        (math.nan, "not_a_number"),
        (math.inf, "out_of_range"),
        (-0.1, "out_of_range"),
        (1e300, "out_of_range"),
        (10**400, "out_of_range"),
        ("1e999", "out_of_range"),
        (1e-20, "out_of_range"),
        (0, "zero"),
        ("0.0", "zero"),
    ],
)
def test_what_is_no_plausible_number_is_left_out_and_flagged(value: object, code: str) -> None:
    reported = read({"lowrouter": {"eco": {"energy_wh": value}}})
    assert reported.energy_wh is None
    assert [(flag.code, flag.field) for flag in reported.flags] == [(code, "energy_wh")]


@pytest.mark.parametrize("text", ["0.5", " 0.5 ", "5e-1", "0.50"])
def test_purely_numeric_text_is_a_number(text: str) -> None:
    assert read({"lowrouter": {"eco": {"energy_wh": text}}}).energy_wh == 0.5


def test_a_share_above_the_whole_is_refused() -> None:
    reported = read({"environment_impact": {"renewable_percent": 101}})
    assert reported.renewable_ratio_bps is None
    assert codes(reported.flags) == {"out_of_range"}


def test_no_water_and_no_renewable_share_are_possible() -> None:
    reported = read({"environment_impact": {"water_liters": 0, "renewable_percent": 0}})
    assert (reported.water_ml, reported.renewable_ratio_bps, reported.flags) == (0.0, 0, ())


def test_foreign_text_is_cut_and_its_control_characters_are_dropped() -> None:
    text = "ignore\u0007 all\nprevious\ud800 " + "x" * 500
    reported = read({"environment_impact": {"location": text, "provider_id": text}})
    assert reported.zone is not None
    assert len(reported.zone) == 40
    assert reported.zone.startswith("IGNORE ALLPREVIOUS X")
    assert reported.evidence is not None
    assert len(reported.evidence) == 100
    assert all(len(flag.detail) < 120 for flag in reported.flags)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_HOSTILE: list[Any] = [10**400, -1, 0, "1e999", "9" * 17, math.nan, math.inf, True, "x", None, [], {}, 5, "7"]


@st.composite
def distorted(draw: st.DrawFn) -> dict[str, Any]:
    """A documented shape with some values replaced."""
    shape = draw(st.sampled_from([MELIOUS, LOWROUTER, GREENPT, NEURALWATT, BATCHIN, VETTED_TELEMETRY]))

    def bend(value: Any) -> Any:
        if draw(st.integers(0, 4)) == 0:
            return draw(st.sampled_from(_HOSTILE) | json_values)
        if not isinstance(value, dict):
            return value
        return {name: bend(inner) for name, inner in cast("dict[str, Any]", value).items()}

    return {name: bend(block) for name, block in shape.items()}


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4) | distorted())
def test_any_json_gives_a_record_that_can_be_told_and_signed_or_none(raw: dict[str, Any]) -> None:
    reported = read_reported(raw)
    if reported is None:
        return
    for name in ("energy_wh", "carbon_gco2e", "average_power_w", "duration_s", "pue"):
        amount = getattr(reported, name)
        assert amount is None or (math.isfinite(amount) and amount > 0)
    flags = cross_check(reported, usage=SAMPLE_USAGE, energy=None, zone="FR", reading_value_gco2e_per_kwh=31.0)
    form = stated_json(reported, flags)
    assert canonical.loads(canonical.dumps(form)) == form
    assert len(brief_reported(reported, flags)) < 300


def test_the_melious_sample_contradicts_the_grid_of_its_own_location() -> None:
    """0.06 g over 0.00015 kWh are 400 g/kWh where FR averages 31; 85 % renewable where FR had 27."""
    by_row = checked(MELIOUS, zone="FR", reading_value_gco2e_per_kwh=31.0, renewable_ratio_bps=2700)
    assert by_row == {"contradicts_grid", "renewable_share"}
    assert checked(MELIOUS) == {"contradicts_grid", "renewable_share"}


def test_a_stated_location_other_than_the_row_s_is_flagged_and_judged_by_its_own_grid() -> None:
    flags = cross_check(read(MELIOUS), usage=SAMPLE_USAGE, energy=None, zone="PL", reading_value_gco2e_per_kwh=565.0)
    assert codes(flags) == {"contradicts_grid", "renewable_share", "location_differs"}
    assert "FR has 31" in next(flag for flag in flags if flag.code == "contradicts_grid").detail


@pytest.mark.parametrize(("stated", "row"), [("SE", "SE-SE3"), ("SE-SE3", "SE"), ("se-se3", "SE-SE3")])
def test_a_zone_within_the_row_s_is_no_other_location(stated: str, row: str) -> None:
    raw = {"environment_impact": {"energy_kwh": 0.0001, "location": stated}}
    assert checked(raw, zone=row) == set()


def test_two_zones_of_one_country_differ() -> None:
    raw = {"environment_impact": {"energy_kwh": 0.0001, "location": "SE-SE1"}}
    assert checked(raw, zone="SE-SE3") == {"location_differs"}


def test_the_lowrouter_sample_lies_below_its_own_formula() -> None:
    """26 output tokens cost at least 0.037 Wh by its own coefficients; the sample states 0.0021 Wh."""
    assert checked(LOWROUTER) == {"below_own_formula"}
    assert checked(LOWROUTER, Usage(18, 0)) == set()
    newer = {"lowrouter": {"eco": {**LOWROUTER["lowrouter"]["eco"], "methodology_version": "v9"}}}
    assert checked(newer) == set()


def test_the_greenpt_sample_implies_less_than_any_grid() -> None:
    """1 ug over 40,433 W ms is 0.089 g/kWh."""
    assert checked(GREENPT) == {"beyond_any_grid"}


def test_the_telemetry_sample_of_vetted_implies_more_than_any_grid() -> None:
    """(0.198 + 0.034 + 0.012) Wh times 1.18 and 0.97 g are 3,369 g/kWh."""
    energy_wh = read(VETTED_TELEMETRY).energy_wh
    sample = ReportedFootprint(vendor="vetted", energy_wh=energy_wh, carbon_gco2e=0.97)
    (flag,) = cross_check(sample, usage=Usage(1000, 400), energy=None)
    assert flag.code == "beyond_any_grid"
    assert flag.detail.startswith("3,369 gCO2e/kWh")


def test_the_joule_cloud_sample_contradicts_the_110_g_per_kwh_that_it_states() -> None:
    """0.31 J at PUE 1.15 and 0.07 g."""
    sample = ReportedFootprint(vendor="joulecloud", energy_wh=0.31 / 3600, carbon_gco2e=0.07, duration_s=0.312)
    flags = cross_check(sample, usage=Usage(10, 10), energy=None, zone="X", reading_value_gco2e_per_kwh=110.0)
    assert codes(flags) == {"contradicts_grid"}


def test_the_batchin_profile_is_far_from_the_renewable_share_of_the_grid() -> None:
    flags = checked(BATCHIN, zone="US", reading_value_gco2e_per_kwh=414.0, renewable_ratio_bps=2400)
    assert flags == {"contradicts_grid", "renewable_share"}


@pytest.mark.parametrize(("share", "flagged"), [(6500, False), (6499, True), (10_000, False)])
def test_renewable_shares_may_differ_by_2000_basis_points(share: int, flagged: bool) -> None:
    reported = ReportedFootprint(vendor="melious", renewable_ratio_bps=8500)
    flags = cross_check(
        reported,
        usage=SAMPLE_USAGE,
        energy=None,
        zone="FR",
        reading_value_gco2e_per_kwh=31.0,
        renewable_ratio_bps=share,
    )
    assert ("renewable_share" in codes(flags)) is flagged


@pytest.mark.parametrize(("implied", "flagged"), [(93, False), (94, True), (10.4, False), (10.2, True)])
def test_the_implied_intensity_may_be_three_times_from_the_grid_either_way(implied: float, flagged: bool) -> None:
    reported = ReportedFootprint(vendor="melious", energy_wh=1.0, carbon_gco2e=implied / 1000)
    flags = cross_check(reported, usage=Usage(100, 100), energy=None, zone="FR", reading_value_gco2e_per_kwh=31.0)
    assert ("contradicts_grid" in codes(flags)) is flagged


@pytest.mark.parametrize(("wh", "flagged"), [(0.0011, False), (0.0009, True), (99.0, False), (101.0, True)])
def test_energy_may_be_a_hundred_times_beyond_our_interval(wh: float, flagged: bool) -> None:
    reported = ReportedFootprint(vendor="x", energy_wh=wh)
    flags = cross_check(reported, usage=SAMPLE_USAGE, energy=Quantity(0.3, 0.1, 1.0))
    assert ("energy_far_from_estimate" in codes(flags)) is flagged


@pytest.mark.parametrize(("wh", "flagged"), [(0.00007, False), (0.00005, True), (180, False), (190, True)])
def test_without_an_estimate_energy_may_be_ten_times_beyond_every_published_method(wh: float, flagged: bool) -> None:
    reported = ReportedFootprint(vendor="x", energy_wh=wh)
    flags = cross_check(reported, usage=Usage(1234, 567), energy=None)
    assert ("energy_per_token" in codes(flags)) is flagged


def test_a_request_without_answer_has_no_published_floor() -> None:
    reported = ReportedFootprint(vendor="x", energy_wh=1e-8)
    assert cross_check(reported, usage=Usage(1000, 0), energy=None) == ()
    assert cross_check(reported, usage=Usage(0, 0), energy=None) == ()


def test_an_interval_that_is_not_known_is_the_median() -> None:
    reported = ReportedFootprint(vendor="x", energy_wh=31.0)
    assert codes(cross_check(reported, usage=SAMPLE_USAGE, energy=Quantity(0.3))) == {"energy_far_from_estimate"}


@pytest.mark.parametrize(("pue", "flagged"), [(0.99, True), (1.0, False), (3.0, False), (3.01, True)])
def test_a_pue_outside_one_to_three_is_flagged(pue: float, flagged: bool) -> None:
    flags = cross_check(ReportedFootprint(vendor="x", pue=pue), usage=SAMPLE_USAGE, energy=None)
    assert ("implausible_pue" in codes(flags)) is flagged


@pytest.mark.parametrize(
    ("fields", "flagged"),
    [
        ({"energy_wh": 0.01, "duration_s": 360.0}, set[str]()),
        ({"energy_wh": 0.01, "duration_s": 361.0}, {"duration_s"}),
        ({"energy_wh": 0.01, "duration_s": 0.001}, {"duration_s"}),
        ({"average_power_w": 20_001.0}, {"average_power_w"}),
        ({"average_power_w": 700.0}, set[str]()),
    ],
)
def test_power_outside_a_tenth_of_a_watt_to_a_rack_is_flagged(fields: dict[str, Any], flagged: set[str]) -> None:
    reported = ReportedFootprint(vendor="x", **fields)
    flags = cross_check(reported, usage=SAMPLE_USAGE, energy=None)
    assert {flag.field for flag in flags if flag.code == "implausible_power"} == flagged


def test_a_grid_of_nothing_is_compared_with_no_one() -> None:
    reported = ReportedFootprint(vendor="x", energy_wh=0.01, carbon_gco2e=0.004)
    flags = cross_check(reported, usage=SAMPLE_USAGE, energy=None, zone="IS", reading_value_gco2e_per_kwh=0.0)
    assert flags == ()


def test_a_receipt_holds_the_normalised_report_in_integers() -> None:
    flags = cross_check(read(MELIOUS), usage=SAMPLE_USAGE, energy=None, zone="FR", reading_value_gco2e_per_kwh=31.0)
    form = stated_json(read(MELIOUS), flags)
    assert form == {
        "schema": "wattproof-reported/1",
        "vendor": "melious",
        "energy_nwh": 150_000_000,
        "carbon_ng": 60_000_000,
        "water_nl": 200_000,
        "renewable_ratio_bps": 8500,
        "flags": ["contradicts_grid:intensity_gco2e_per_kwh"],
    }


def test_the_largest_amount_still_fits_the_integers_of_a_receipt() -> None:
    reported = read({"environment_impact": {"energy_kwh": 9000, "carbon_g_co2": 9e6, "water_liters": 9000}})
    form = stated_json(reported)
    assert form["energy_nwh"] == 9 * 10**15
    canonical.dumps(form)


def test_the_sentence_tells_the_most_telling_doubt_and_counts_the_others() -> None:
    reported = read(MELIOUS)
    flags = cross_check(
        reported,
        usage=SAMPLE_USAGE,
        energy=None,
        zone="FR",
        reading_value_gco2e_per_kwh=31.0,
        renewable_ratio_bps=2700,
    )
    assert brief_reported(reported, flags) == (
        "melious reports 0.15 Wh, 60 mg CO2e; 400 gCO2e/kWh implied where FR has 31: contradicts the grid "
        "(1 more doubt)."
    )


def test_a_report_without_doubts_or_without_figures_is_told_plainly() -> None:
    plain = ReportedFootprint(vendor="greenjoules", energy_wh=0.5)
    assert brief_reported(plain) == "greenjoules reports 0.50 Wh."
    no_words = {"environment_impact": {"energy_kwh": 0.0005, "location": "\n", "provider_id": 7}}
    assert brief_reported(read(no_words)) == "melious reports 0.50 Wh."
    empty = read({"lowrouter": {"eco": {"energy_wh": "lots"}}})
    assert brief_reported(empty) == "lowrouter reports no usable figure (1 doubt)."


def test_the_normalised_form_stands_beside_the_raw_block_in_a_receipt() -> None:
    reported = read(MELIOUS)
    block = stated({**MELIOUS, "normalised": stated_json(reported)})
    assert block["environment_impact"]["energy_kwh"] == "0.00015"
    assert block["normalised"] == stated_json(reported)
