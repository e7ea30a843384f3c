"""The limits of what an activity may hold: the last value that is taken, and the first that is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, Intensity, Telemetry

MakeActivity = Callable[..., Activity]

METERED = Telemetry(gpu_wh=0.1, host_wh=0.04, idle_wh=0.01, samples=20, resolution_ms=100.0)
INSTRUMENT = {"market_gco2e_per_kwh": 10.0, "instrument_id": "guarantee-1"}

LEAST = [
    ("pue", 1.0),
    ("batch", 1.0),
    ("cpu_seconds", 0.0),
    ("latency_s", 0.0),
    ("wue_onsite_l_per_kwh", 0.0),
    ("wue_offsite_l_per_kwh", 0.0),
    ("market_gco2e_per_kwh", 0.0),
    ("mix_adpe_kgsbeq_per_kwh", 0.0),
]


def refused_field(make: Callable[..., Any], **wrong: Any) -> str:
    with pytest.raises(InvalidInput) as raised:
        make(**wrong)
    return raised.value.field


@pytest.mark.parametrize(("field", "least"), LEAST)
def test_the_least_value_is_taken_and_less_is_refused(activity: MakeActivity, field: str, least: float) -> None:
    base = replace(activity(), **INSTRUMENT)

    def with_field(number: float) -> Activity:
        return replace(base, **{field: number})

    assert getattr(with_field(least), field) == least
    for wrong in (math.nextafter(least, -math.inf), least - 0.005, -1.0, math.nan, math.inf, -math.inf):
        assert refused_field(with_field, number=wrong) == field


@pytest.mark.parametrize("number", [0.0, -0.5, math.nan, math.inf])
def test_weights_take_some_bytes(activity: MakeActivity, number: float) -> None:
    base = activity()
    assert replace(base, weight_bytes_per_param=5e-324).weight_bytes_per_param == 5e-324
    wrong = refused_field(partial(replace, base), weight_bytes_per_param=number)
    assert wrong == "weight_bytes_per_param"


@pytest.mark.parametrize(
    ("intensity", "field"),
    [
        ((-5e-324, 0.0), "intensity_gco2e_per_kwh"),
        ((math.inf, 0.0), "intensity_gco2e_per_kwh"),
        ((0.0, -5e-324), "sigma_ln_intensity"),
        ((0.0, math.nan), "sigma_ln_intensity"),
    ],
)
def test_a_grid_may_be_free_of_carbon_and_certain_but_not_below(intensity: tuple[float, float], field: str) -> None:
    assert Intensity(0.0, 0.0, "test").gco2e_per_kwh == 0.0
    assert refused_field(lambda: Intensity(*intensity, "test")) == field


@pytest.mark.parametrize("name", ["gpu_wh", "host_wh", "idle_wh"])
def test_a_meter_may_read_nothing_but_not_less(name: str) -> None:
    assert getattr(replace(METERED, **{name: 0.0}), name) == 0.0
    for wrong in (-5e-324, -1.0, math.nan, math.inf):
        assert refused_field(partial(replace, METERED), **{name: wrong}) == f"samples.{name}"


def test_there_is_one_sample_and_some_time_between_samples() -> None:
    assert replace(METERED, samples=1, resolution_ms=5e-324).samples == 1
    assert refused_field(lambda: replace(METERED, samples=0)) == "samples.samples"
    assert refused_field(lambda: replace(METERED, resolution_ms=0.0)) == "samples.resolution_ms"
    assert refused_field(lambda: replace(METERED, resolution_ms=-0.5)) == "samples.resolution_ms"


def test_an_instrument_and_its_intensity_come_together(activity: MakeActivity) -> None:
    base = activity()
    assert replace(base, **INSTRUMENT).instrument_id == "guarantee-1"
    for name in INSTRUMENT:
        assert refused_field(partial(replace, base), **{name: INSTRUMENT[name]}) == "instrument_id"


def test_seconds_may_be_given_without_being_measured_and_not_the_reverse(activity: MakeActivity) -> None:
    base = activity()
    assert not base.cpu_measured
    assert not base.batch_api
    assert replace(base, cpu_seconds=0.0, cpu_measured=True).cpu_measured
    assert replace(base, cpu_seconds=2.0).cpu_seconds == 2.0
    assert refused_field(lambda: replace(base, cpu_measured=True)) == "cpu_seconds"


@pytest.mark.parametrize("day", ["2026-01-31", "2026-12-01", "1999-10-20"])
def test_a_day_is_an_iso_date(activity: MakeActivity, day: str) -> None:
    assert replace(activity(), requested_on=day).requested_on == day


@pytest.mark.parametrize("day", ["2026-13-01", "2026-00-10", "2026-01-32", "26-01-01", "2026-01-01T00:00:00Z", ""])
def test_a_day_that_is_no_iso_date_is_refused(activity: MakeActivity, day: str) -> None:
    base = activity()
    assert refused_field(lambda: replace(base, requested_on=day)) == "requested_on"
