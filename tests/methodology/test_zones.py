from __future__ import annotations

import math
import statistics

import pytest

from wattproof.methodology.errors import UnknownZone
from wattproof.methodology.zones import all_zones, mixture, zone_average


def test_the_edition_has_352_zones() -> None:
    assert len(all_zones()) == 352
    assert list(all_zones()) == sorted(all_zones())


def test_france_is_at_31_g_with_27_percent_renewable() -> None:
    france = zone_average("FR")
    assert france.value_gco2e_per_kwh == 31.0
    assert france.renewable_ratio_bps == 2700
    assert france.carbon_free_ratio_bps == 9600
    assert (france.year, france.licence, france.source_id) == (2025, "ODbL-1.0", "electricitymaps-2025")


def test_case_does_not_matter() -> None:
    assert zone_average("se-se3").zone == "SE-SE3"


def test_an_unknown_zone_names_three_others() -> None:
    with pytest.raises(UnknownZone) as raised:
        zone_average("SE-SE9")
    assert len(raised.value.closest) == 3
    assert all(name.startswith("SE") for name in raised.value.closest)


def test_a_part_of_a_country_has_the_spread_of_its_country() -> None:
    assert zone_average("SE-SE3").sigma_ln == zone_average("SE").sigma_ln


def test_a_country_with_one_source_has_the_wide_default_spread() -> None:
    assert zone_average("AX").sigma_ln == 0.31


def test_sources_that_copy_each_other_do_not_make_a_zone_certain() -> None:
    assert min(zone_average(zone).sigma_ln for zone in all_zones()) == 0.05


def test_ratios_are_shares() -> None:
    for zone in all_zones():
        average = zone_average(zone)
        assert 0 <= average.renewable_ratio_bps <= average.carbon_free_ratio_bps + 100 <= 10_100
        assert average.value_gco2e_per_kwh > 0


def test_the_mixture_spans_the_zones() -> None:
    values = [zone_average(zone).value_gco2e_per_kwh for zone in all_zones()]
    spread = mixture()
    assert (round(spread.low), round(spread.high)) == (30, 699)
    assert spread.median == pytest.approx(statistics.geometric_mean(values))
    inside = [value for value in values if spread.low <= value <= spread.high]
    assert len(inside) / len(values) == pytest.approx(0.9, abs=0.01)
    one_sigma = [value for value in values if abs(math.log(value / spread.median)) <= 1.6449 * spread.sigma_ln]
    assert len(one_sigma) / len(values) == pytest.approx(0.9, abs=0.03)
