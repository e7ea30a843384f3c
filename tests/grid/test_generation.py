"""Intensity from generation by fuel."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.methodology.zones import all_zones
from wattproof.resources.grid.eia import Eia
from wattproof.resources.grid.entsoe import Entsoe
from wattproof.resources.grid.generation import Generation, factors, mix_intensity, read_table
from wattproof.resources.grid.sources import SOURCES

WITH_FACTOR = sorted(fuel for fuel, factor in factors().items() if factor.gco2e_per_kwh is not None)
HOUR = 3600
MIXES = st.dictionaries(
    st.sampled_from(WITH_FACTOR), st.lists(st.floats(0.001, 1e5), min_size=1, max_size=3), min_size=1
)


def generation(by_interval: Mapping[int, Mapping[str, float]], *, received_at: int = 100 * HOUR) -> Generation:
    fuels = {"WND": "wind", "NG": "gas", "COL": "coal", "BAT": "storage", "OTH": "unknown"}
    return Generation("US-CAL-CISO", HOUR, received_at, by_interval, fuels, "test+ipcc-2014", "test")


def refused(energy_mwh: dict[str, list[float]]) -> str:
    with pytest.raises(GridUnavailable) as caught:
        mix_intensity(energy_mwh)
    return caught.value.reason


def test_half_gas_and_half_wind_is_the_mean_of_their_factors() -> None:
    mix = mix_intensity({"gas": [10.0], "wind": [6.0, 4.0]})
    assert mix.value_gco2e_per_kwh == pytest.approx((490 + 11) / 2)
    assert (mix.renewable_ratio_bps, mix.carbon_free_ratio_bps, mix.unknown_ratio_bps) == (5000, 5000, 0)


def test_the_factors_are_the_published_ones() -> None:
    values = {fuel: factor.gco2e_per_kwh for fuel, factor in factors().items()}
    assert values == {
        "coal": 820,
        "gas": 490,
        "oil": 650,
        "biomass": 230,
        "solar": 45,
        "hydro": 24,
        "nuclear": 12,
        "wind": 11,
        "geothermal": 38,
        "marine": 17,
        "other renewable": None,
        "unknown": None,
    }


@given(mix=MIXES)
def test_a_mix_lies_between_its_lowest_and_its_highest_factor(mix: dict[str, list[float]]) -> None:
    used = [factors()[fuel].gco2e_per_kwh or 0.0 for fuel in mix]
    value = mix_intensity(mix).value_gco2e_per_kwh
    assert min(used) * (1 - 1e-9) <= value <= max(used) * (1 + 1e-9)


@given(mix=MIXES, scale=st.floats(0.01, 50))
def test_a_mix_does_not_depend_on_the_size_of_the_grid(mix: dict[str, list[float]], scale: float) -> None:
    scaled = {fuel: [mwh * scale for mwh in figures] for fuel, figures in mix.items()}
    once, again = mix_intensity(mix), mix_intensity(scaled)
    assert math.isclose(once.value_gco2e_per_kwh, again.value_gco2e_per_kwh, rel_tol=1e-9)
    assert abs(once.renewable_ratio_bps - again.renewable_ratio_bps) <= 1


@given(mix=MIXES)
def test_shares_are_shares(mix: dict[str, list[float]]) -> None:
    found = mix_intensity(mix)
    assert 0 <= found.renewable_ratio_bps <= found.carbon_free_ratio_bps <= 10_000


def test_an_unknown_part_is_stated_and_counts_as_neither_renewable_nor_carbon_free() -> None:
    mix = mix_intensity({"wind": [95.0], "unknown": [5.0]})
    assert mix.value_gco2e_per_kwh == pytest.approx(11)
    assert (mix.unknown_ratio_bps, mix.renewable_ratio_bps, mix.carbon_free_ratio_bps) == (500, 9500, 9500)


def test_other_renewables_are_renewable_but_have_no_factor() -> None:
    mix = mix_intensity({"gas": [95.0], "other renewable": [5.0]})
    assert mix.value_gco2e_per_kwh == pytest.approx(490)
    assert (mix.unknown_ratio_bps, mix.renewable_ratio_bps) == (500, 500)


def test_a_mix_with_more_than_a_tenth_unknown_is_refused() -> None:
    assert mix_intensity({"wind": [90.0], "unknown": [10.0]}).unknown_ratio_bps == 1000
    assert refused({"wind": [89.9], "unknown": [10.1]}) == "unknown_mix"
    assert refused({"wind": [1.0], "no such fuel": [1.0]}) == "unknown_mix"


def test_what_storage_gives_back_counts_on_neither_side() -> None:
    assert mix_intensity({"gas": [10.0], "storage": [500.0, -700.0]}) == mix_intensity({"gas": [10.0]})


def test_negative_net_generation_counts_as_zero_and_is_named() -> None:
    mix = mix_intensity({"gas": [10.0], "solar": [-0.4]})
    assert mix.value_gco2e_per_kwh == pytest.approx(490)
    assert mix.counted_as_zero == ("solar",)


@pytest.mark.parametrize("energy_mwh", [{}, {"gas": [0.0]}, {"gas": [-3.0]}, {"storage": [5.0]}, {"gas": []}])
def test_without_generation_there_is_no_intensity(energy_mwh: dict[str, list[float]]) -> None:
    assert refused(energy_mwh) == "no_data"


@pytest.mark.parametrize("mwh", [math.nan, math.inf, -math.inf, 1e8, 1e308])
def test_an_impossible_generation_is_refused(mwh: float) -> None:
    assert refused({"gas": [10.0, mwh]}) == "bad_value"


def test_the_newest_interval_is_taken_and_labelled_for_what_it_is() -> None:
    observation = generation({HOUR: {"NG": 1.0}, 2 * HOUR: {"NG": 1.0, "WND": 1.0}}).newest()
    assert (observation.starts_at, observation.step_s) == (2 * HOUR, HOUR)
    assert observation.value_gco2e_per_kwh == pytest.approx(250.5)
    assert (observation.basis, observation.factor_scope) == ("average", "lifecycle")
    assert (observation.accounting, observation.evidence) == ("production", "estimated")
    assert observation.renewable_ratio_bps == 5000
    assert observation.source == "test+ipcc-2014"


def test_an_interval_whose_gas_is_still_missing_is_not_taken() -> None:
    intervals = {HOUR: {"NG": 50.0, "WND": 50.0}, 2 * HOUR: {"WND": 60.0}, 3 * HOUR: {"WND": 60.0}}
    assert generation(intervals).newest().starts_at == HOUR


def test_a_negligible_type_may_be_late() -> None:
    intervals = {HOUR: {"NG": 99.5, "COL": 0.5}, 2 * HOUR: {"NG": 100.0}}
    assert generation(intervals).newest().starts_at == 2 * HOUR


def test_an_interval_that_has_not_ended_is_not_taken() -> None:
    intervals = {HOUR: {"NG": 1.0}, 2 * HOUR: {"NG": 1.0}, 9 * HOUR: {"NG": 1.0}}
    assert generation(intervals, received_at=3 * HOUR - 1).newest().starts_at == HOUR
    assert generation(intervals, received_at=3 * HOUR).newest().starts_at == 2 * HOUR


def test_missing_storage_does_not_make_an_interval_incomplete() -> None:
    intervals = {HOUR: {"NG": 1.0, "BAT": 5.0}, 2 * HOUR: {"NG": 1.0}}
    assert generation(intervals).newest().starts_at == 2 * HOUR


def test_a_code_that_no_table_has_is_unknown() -> None:
    with pytest.raises(GridUnavailable) as caught:
        generation({HOUR: {"NG": 1.0, "XYZ": 1.0}}).newest()
    assert caught.value.reason == "unknown_mix"


@pytest.mark.parametrize("intervals", [{}, {HOUR: {}}, {HOUR: {"NG": 0.0}}, {HOUR: {"NG": -1.0}}, {-HOUR: {"NG": 1.0}}])
def test_without_a_complete_interval_there_is_no_data(intervals: dict[int, dict[str, float]]) -> None:
    with pytest.raises(GridUnavailable) as caught:
        generation(intervals).newest()
    assert caught.value.reason == "no_data"
    assert generation(intervals).observations() == ()


def test_every_complete_interval_with_a_value_is_observed_in_order() -> None:
    intervals = {
        3 * HOUR: {"NG": 9.0, "OTH": 0.1},
        HOUR: {"NG": 10.0, "OTH": 0.1},
        2 * HOUR: {"NG": 1.0, "OTH": 9.0},
        4 * HOUR: {"OTH": 0.1},
    }
    assert [observation.starts_at for observation in generation(intervals).observations()] == [HOUR, 3 * HOUR]


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("entsoe_areas.json", "areas"),
        ("eia_respondents.json", "respondents"),
        ("watttime_regions.json", "regions"),
    ],
)
def test_every_row_of_a_table_is_a_bundled_zone_with_a_code_of_its_own(table: str, field: str) -> None:
    content = read_table(table)
    rows: dict[str, str] = content[field]
    assert set(rows) <= set(all_zones())
    assert len(set(rows.values())) == len(rows)
    assert all(content[name] for name in ("source", "source_id", "checked_at", "licence", "limits"))


@pytest.mark.parametrize(
    ("table", "field"), [("entsoe_areas.json", "production_types"), ("eia_respondents.json", "energy_sources")]
)
def test_every_production_type_is_a_fuel_or_storage(table: str, field: str) -> None:
    assert set(read_table(table)[field].values()) <= {*factors(), "storage"}


@pytest.mark.parametrize("source", [Entsoe, Eia])
def test_a_computed_source_names_its_factors_and_is_listed_under_that_name(source: type[Entsoe | Eia]) -> None:
    assert source.name.endswith("+" + read_table("generation_factors.json")["name"])
    assert source.name in {row.name for row in SOURCES}


def test_an_eia_respondent_is_the_end_of_its_zone_key() -> None:
    respondents: dict[str, str] = read_table("eia_respondents.json")["respondents"]
    assert respondents.pop("US") == "US48"
    assert all(zone.split("-")[2] == respondent for zone, respondent in respondents.items())
    assert {zone for zone in all_zones() if zone.startswith("US-")} - set(respondents) == {
        "US-AK",
        "US-AK-SEAPA",
        "US-HI",
    }
