"""Lifecycle readings from Energy-Charts' generation by type, and the table of all sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid import Place
from wattproof.resources.grid.energy_charts_mix import EnergyChartsMix, generation_by_type
from wattproof.resources.grid.sources import SOURCES, default_sources

if TYPE_CHECKING:
    from tests.grid.conftest import World

DE = Place("DE")
NOW = 1_795_348_800
# 10 GW of coal, 10 of wind, 20 of gas for an hour; the last quarter-hour still lacks its gas.
STATED = {
    "unix_seconds": [NOW - 3600, NOW - 2700, NOW - 1800, NOW - 900],
    "production_types": [
        {"name": "Fossil hard coal", "data": [10_000.0] * 4},
        {"name": "Wind onshore", "data": [10_000.0] * 4},
        {"name": "Fossil gas", "data": [20_000.0, 20_000.0, 20_000.0, None]},
        {"name": "Hydro pumped storage", "data": [500.0] * 4},
        {"name": "Hydro pumped storage consumption", "data": [-4000.0] * 4},
        {"name": "Load", "data": [40_000.0] * 4},
        {"name": "Renewable share of load", "data": [25.0] * 4},
    ],
    "deprecated": False,
}


async def test_the_newest_complete_quarter_hour_is_weighed_with_lifecycle_factors(world: World) -> None:
    world.answer = lambda request: STATED
    seen = await EnergyChartsMix().latest(DE, world.connection())
    assert (seen.starts_at, seen.step_s) == (NOW - 1800, 900)
    assert seen.value_gco2e_per_kwh == pytest.approx((10 * 820 + 10 * 11 + 20 * 490) / 40)
    assert (seen.renewable_ratio_bps, seen.carbon_free_ratio_bps) == (2500, 2500)
    assert (seen.factor_scope, seen.accounting, seen.evidence) == ("lifecycle", "production", "estimated")
    assert world.asked == ["api.energy-charts.info /public_power"]


async def test_without_any_key_a_country_of_europe_has_a_fresh_reading(world: World) -> None:
    world.answer = lambda request: STATED
    grid = world.desk(*default_sources({}))
    reading = (await grid.readings([DE], world.now_s))[DE]
    assert (reading.source, reading.temporal_match) == ("energy-charts+ipcc-2014", "live")
    assert await EnergyChartsMix().forecast(DE, NOW + 3600, world.connection()) == ()
    assert len(await grid.history(reading.source, DE)) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unix_seconds": []}, "no_data"),
        ({"production_types": []}, "no_data"),
        ({"unix_seconds": [NOW, NOW + 7, NOW + 900, NOW + 1800]}, "bad_json"),
        ({"unix_seconds": [NOW, NOW, NOW, NOW]}, "bad_json"),
        ({"unix_seconds": ["now", "then", "later", "never"]}, "bad_json"),
        ({"production_types": [{"name": "Solar", "data": [1.0]}]}, "bad_json"),
        ({"production_types": [{"data": [1.0] * 4}]}, "bad_json"),
        ({"production_types": [{"name": "Solar", "data": [None] * 4}]}, "no_data"),
        ({"production_types": [{"name": "A new thing", "data": [5.0] * 4}]}, "unknown_mix"),
    ],
)
async def test_what_is_not_a_mix_is_refused(world: World, change: dict[str, Any], reason: str) -> None:
    world.answer = lambda request: STATED | change
    world.now_s = NOW + 3600
    with pytest.raises(GridUnavailable) as caught:
        await EnergyChartsMix().latest(DE, world.connection())
    assert caught.value.reason == reason


async def test_an_unknown_country_is_not_covered(world: World) -> None:
    world.answer = lambda request: world.respond(b"'xx' is not the code", 400, "text/plain")
    with pytest.raises(GridUnavailable) as caught:
        await EnergyChartsMix().latest(DE, world.connection())
    assert caught.value.reason == "not_covered"


@given(st.dictionaries(st.sampled_from(["unix_seconds", "production_types"]), st.lists(st.integers() | st.text())))
def test_any_arrays_are_read_or_refused(content: dict[str, Any]) -> None:
    with pytest.raises(GridUnavailable):
        generation_by_type(content)


def test_the_table_names_every_source_as_the_source_does() -> None:
    made = default_sources({})
    assert [source.name for source in made] == [row.name for row in SOURCES]
    keyed = [bool(source.key_env) for source in made]
    assert keyed == sorted(keyed, reverse=True)


async def test_a_source_can_be_asked_elsewhere(world: World) -> None:
    world.answer = lambda request: {"data": []}
    grid = world.desk(*default_sources({}, {"neso": "https://proxy.test/neso"}))
    await grid.refresh([Place("GB")])
    assert "proxy /neso/intensity" in world.asked
