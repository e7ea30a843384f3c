"""NESO's half-hours of Great Britain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid import Place
from wattproof.resources.grid.fields import mapping
from wattproof.resources.grid.neso import Neso, half_hours

if TYPE_CHECKING:
    from tests.grid.conftest import World

GB = Place("GB")
NOW = 1_795_348_800


def half_hour(start: str, end: str, actual: Any, forecast: Any) -> dict[str, Any]:
    return {"from": start, "to": end, "intensity": {"forecast": forecast, "actual": actual, "index": "moderate"}}


async def test_an_actual_value_is_an_estimate_with_direct_factors(world: World) -> None:
    world.answer = lambda request: {"data": [half_hour("2026-11-22T12:00Z", "2026-11-22T12:30Z", 263, 266)]}
    seen = await Neso().latest(GB, world.connection())
    assert (seen.value_gco2e_per_kwh, seen.evidence, seen.starts_at, seen.step_s) == (263, "estimated", NOW, 1800)
    assert (seen.basis, seen.factor_scope, seen.accounting) == ("average", "direct", "consumption")
    assert (seen.renewable_ratio_bps, seen.licence) == (None, "CC BY 4.0")
    assert world.asked == ["api.carbonintensity.org.uk /intensity"]


async def test_where_the_actual_value_is_null_the_forecast_stands_in_and_says_so(world: World) -> None:
    world.answer = lambda request: {"data": [half_hour("2026-11-22T12:00Z", "2026-11-22T12:30Z", None, 266)]}
    seen = await Neso().latest(GB, world.connection())
    assert (seen.value_gco2e_per_kwh, seen.evidence) == (266, "forecast")


@pytest.mark.parametrize(
    "row",
    [
        half_hour("2026-11-22T12:00Z", "2026-11-22T12:30Z", None, None),
        half_hour("2026-11-22T12:30Z", "2026-11-22T13:00Z", 100, 100),
        half_hour("2026-11-22T12:30Z", "2026-11-22T12:00Z", 100, 100),
        half_hour("yesterday", "today", 100, 100),
        {"from": "2026-11-22T12:00Z", "to": "2026-11-22T12:30Z", "intensity": None},
        None,
    ],
)
async def test_a_row_without_a_value_of_now_is_no_data(world: World, row: Any) -> None:
    world.answer = lambda request: {"data": [row]}
    with pytest.raises(GridUnavailable) as caught:
        await Neso().latest(GB, world.connection())
    assert caught.value.reason == "no_data"


async def test_the_forecast_starts_with_the_half_hour_under_way(world: World) -> None:
    rows = [
        half_hour("2026-11-22T11:30Z", "2026-11-22T12:00Z", None, 150),
        half_hour("2026-11-22T12:00Z", "2026-11-22T12:30Z", None, 146),
        half_hour("2026-11-22T12:30Z", "2026-11-22T13:00Z", None, 148),
        half_hour("2026-11-22T13:00Z", "2026-11-22T13:30Z", None, None),
        half_hour("2026-11-22T13:30Z", "2026-11-22T14:00Z", None, 140),
    ]
    world.answer = lambda request: {"data": rows}
    world.now_s = NOW + 300
    ahead = await Neso().forecast(GB, NOW + 5400, world.connection())
    assert [(at.starts_at - NOW, at.value_gco2e_per_kwh) for at in ahead] == [(0, 146), (1800, 148)]
    assert {at.evidence for at in ahead} == {"forecast"}
    assert world.asked == ["api.carbonintensity.org.uk /intensity/2026-11-22T12:05Z/fw48h"]


async def test_history_holds_the_half_hours_with_an_actual_value(world: World) -> None:
    rows = [
        half_hour("2026-11-22T11:00Z", "2026-11-22T11:30Z", 150, 149),
        half_hour("2026-11-22T11:30Z", "2026-11-22T12:00Z", None, 149),
    ]
    world.answer = lambda request: {"data": rows}
    assert [at.value_gco2e_per_kwh for at in await Neso().history(GB, world.connection())] == [150]
    assert world.asked == ["api.carbonintensity.org.uk /intensity/2026-11-22T12:00Z/pt24h"]


async def test_its_error_body_is_quoted(world: World) -> None:
    body = json.dumps({"error": {"code": "400 Bad Request", "message": "Please enter a valid date"}}).encode()
    world.answer = lambda request: world.respond(body, 400)
    with pytest.raises(GridUnavailable, match="answered 400: 'Please enter a valid date'") as caught:
        await Neso("https://neso.test/").latest(GB, world.connection())
    assert caught.value.reason == "http_400"


def test_it_speaks_of_great_britain_only() -> None:
    assert Neso().covers(GB)
    assert not any(Neso().covers(Place(zone)) for zone in ("GB-NIR", "FR", "IE"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["data", "from", "to", "intensity", "actual", "forecast"]), inner)
        ),
    )
)
def test_any_json_is_read_or_refused(content: Any) -> None:
    if isinstance(mapping(content).get("data"), list):
        assert all(row.starts_at < row.ends_at for row in half_hours(content))
    else:
        with pytest.raises(GridUnavailable):
            half_hours(content)
