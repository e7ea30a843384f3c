"""Readings from the bundled edition."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, UnknownZone
from wattproof.methodology.zones import all_zones
from wattproof.resources.grid import annual_reading, reading_for, unknown_reading

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


def test_france_is_the_annual_average_with_its_provenance() -> None:
    reading = annual_reading("FR", NOON)
    assert reading.value_gco2e_per_kwh == 31
    assert (reading.renewable_ratio_bps, reading.carbon_free_ratio_bps) == (2700, 9600)
    assert (reading.basis, reading.factor_scope, reading.accounting) == ("average", "lifecycle", "consumption")
    assert (reading.temporal_match, reading.evidence) == ("fallback", "annual")
    assert (reading.observed_at, reading.requested_at) == ("2025-01-01T00:00:00Z", "2026-11-22T12:00:00Z")
    assert "ODbL" in reading.licence
    assert reading.zone_known


def test_a_zone_may_be_written_in_any_case() -> None:
    assert annual_reading("se-se3", NOON).zone == "SE-SE3"


def test_an_unknown_zone_names_the_closest() -> None:
    with pytest.raises(UnknownZone) as caught:
        annual_reading("SE-SE9", NOON)
    assert "SE-SE3" in caught.value.closest or len(caught.value.closest) == 3


def test_an_unknown_place_is_the_mixture_and_says_so() -> None:
    reading = unknown_reading("groq", NOON)
    assert reading.zone == "unknown:groq"
    assert not reading.zone_known
    assert reading.evidence == "mixture"
    assert reading.renewable_ratio_bps is None
    assert reading.carbon_free_ratio_bps is None
    assert reading.low_gco2e_per_kwh is not None
    assert reading.high_gco2e_per_kwh is not None
    assert 20 < reading.low_gco2e_per_kwh < reading.value_gco2e_per_kwh < reading.high_gco2e_per_kwh < 800


def test_reading_for_falls_back_to_the_mixture_only_without_a_zone() -> None:
    assert reading_for("FR", "ovhcloud", NOON) == annual_reading("FR", NOON)
    assert reading_for(None, "groq", NOON) == unknown_reading("groq", NOON)


@given(zone=st.sampled_from(all_zones()), at=st.floats(0, 4e9))
def test_every_zone_gives_a_complete_reading_at_any_time(zone: str, at: float) -> None:
    reading = annual_reading(zone, at)
    assert reading.zone == zone
    assert reading.value_gco2e_per_kwh > 0
    assert reading.sigma_ln > 0
    assert reading.age_minutes >= 0
    assert reading.temporal_match == "fallback"
    assert datetime.fromisoformat(reading.requested_at).timestamp() == int(at)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_time_that_is_none_is_refused(at: float) -> None:
    with pytest.raises(InvalidInput, match="requested_at"):
        annual_reading("FR", at)
