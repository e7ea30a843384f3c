"""Energy-Charts' quarter-hours of European countries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.methodology.zones import all_zones
from wattproof.resources.grid import Place
from wattproof.resources.grid.energy_charts import COUNTRY_OF_ZONE, EnergyCharts, quarter_hours

if TYPE_CHECKING:
    from tests.grid.conftest import World

DE = Place("DE")
START = 1_783_893_600
# The form is that of a real answer: measured values end, forecasts begin, in arrays of one length.
STATED = {
    "unix_seconds": [START, START + 900, START + 1800, START + 2700, START + 3600],
    "co2eq": [491.5, 497.4, 502.6, None, None],
    "co2eq_forecast": [None, None, None, 505.0, 508.0],
    "deprecated": False,
}


async def test_the_newest_value_that_is_not_null_is_taken(world: World) -> None:
    world.answer = lambda request: STATED
    world.now_s = START + 3700
    seen = await EnergyCharts().latest(DE, world.connection())
    assert (seen.value_gco2e_per_kwh, seen.starts_at, seen.step_s, seen.evidence) == (
        502.6,
        START + 1800,
        900,
        "estimated",
    )
    assert (seen.basis, seen.factor_scope, seen.accounting) == ("average", "direct", "production")


async def test_without_a_value_of_the_last_three_hours_the_forecast_of_now_stands_in(world: World) -> None:
    later = START + 4 * 3600
    world.answer = lambda request: {
        "unix_seconds": [START, later, later + 900],
        "co2eq": [491.5, None, None],
        "co2eq_forecast": [None, 300, 310],
    }
    world.now_s = later + 60
    seen = await EnergyCharts().latest(DE, world.connection())
    assert (seen.value_gco2e_per_kwh, seen.evidence, seen.starts_at) == (300, "forecast", later)


@pytest.mark.parametrize(
    "content",
    [
        {"unix_seconds": [], "co2eq": []},
        {"unix_seconds": [START], "co2eq": [None]},
        {"unix_seconds": [START + 7200], "co2eq": [400]},
        {"unix_seconds": ["noon"], "co2eq": [400]},
        {"unix_seconds": [True], "co2eq": [400]},
    ],
)
async def test_nothing_that_has_begun_is_no_data(world: World, content: Any) -> None:
    world.answer = lambda request: content
    world.now_s = START + 60
    with pytest.raises(GridUnavailable) as caught:
        await EnergyCharts().latest(DE, world.connection())
    assert caught.value.reason == "no_data"


@pytest.mark.parametrize("content", [[], {}, {"unix_seconds": [START], "co2eq": []}, {"unix_seconds": 3, "co2eq": 3}])
async def test_arrays_of_unequal_length_are_not_guessed_at(world: World, content: Any) -> None:
    world.answer = lambda request: content
    with pytest.raises(GridUnavailable) as caught:
        await EnergyCharts().latest(DE, world.connection())
    assert caught.value.reason == "bad_json"


async def test_an_unknown_country_is_a_plain_text_400(world: World) -> None:
    said = b"'xx' is not the code for an available country. Please refer to the API doc"
    world.answer = lambda request: world.respond(said, 400, "text/plain")
    with pytest.raises(GridUnavailable, match="is not the code for an available country") as caught:
        await EnergyCharts().latest(DE, world.connection())
    assert caught.value.reason == "not_covered"


async def test_too_many_requests_carry_what_to_wait(world: World) -> None:
    world.answer = lambda request: world.respond(b"", 429, "text/plain", retry_after="42")
    with pytest.raises(GridUnavailable) as caught:
        await EnergyCharts().latest(DE, world.connection())
    assert (caught.value.reason, caught.value.retry_after_s) == ("http_429", 42)


async def test_the_forecast_runs_from_now_to_the_deadline(world: World) -> None:
    world.answer = lambda request: STATED
    world.now_s = START + 2800
    ahead = await EnergyCharts().forecast(DE, START + 3600, world.connection())
    assert [at.value_gco2e_per_kwh for at in ahead] == [505]
    assert ahead[0].evidence == "forecast"


async def test_history_holds_values_not_forecasts(world: World) -> None:
    world.answer = lambda request: STATED
    world.now_s = START + 3700
    past = await EnergyCharts().history(DE, world.connection())
    assert [at.value_gco2e_per_kwh for at in past] == [491.5, 497.4, 502.6]


def test_every_covered_zone_is_bundled_and_is_a_whole_grid() -> None:
    assert set(COUNTRY_OF_ZONE) <= set(all_zones())
    assert COUNTRY_OF_ZONE["GB"] == "uk"
    assert not EnergyCharts().covers(Place("SE-SE3"))


async def test_a_zone_that_it_does_not_cover_is_not_asked_for(world: World) -> None:
    with pytest.raises(GridUnavailable) as caught:
        await EnergyCharts().history(Place("US"), world.connection())
    assert caught.value.reason == "not_covered"
    assert world.asked == []


@given(
    st.fixed_dictionaries(
        {"unix_seconds": st.lists(st.integers(-10, 10**12) | st.none() | st.text() | st.booleans(), max_size=6)}
    ),
    st.lists(st.none() | st.floats() | st.text() | st.integers(), min_size=6, max_size=6),
)
def test_columns_come_out_in_order_with_possible_steps(content: dict[str, Any], values: list[Any]) -> None:
    content["co2eq"] = values[: len(content["unix_seconds"])]
    rows = quarter_hours(content)
    assert [row.starts_at for row in rows] == sorted(row.starts_at for row in rows)
    assert all(0 < row.step_s <= 3600 for row in rows)
