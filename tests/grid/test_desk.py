"""Which reading a request is served, and what is asked of whom for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from wattproof.methodology.errors import GridUnavailable, UnknownZone
from wattproof.resources.grid import GridCache, Place, annual_reading

if TYPE_CHECKING:
    from tests.grid.conftest import World

FR, SE = Place("FR"), Place("SE-SE3")
HOUR = 3600


async def test_a_live_value_is_the_reading_with_its_provenance(world: World) -> None:
    grid = world.desk()
    reading = (await grid.readings([FR], world.now_s))[FR]
    assert (reading.value_gco2e_per_kwh, reading.temporal_match, reading.evidence) == (50, "live", "measured")
    assert (reading.source, reading.observed_at, reading.age_minutes) == ("plain", "2026-11-22T12:00:00Z", 0)


async def test_an_unknown_zone_is_named(world: World) -> None:
    grid = world.desk(world.source(zones=frozenset()))
    with pytest.raises(UnknownZone):
        await grid.readings([Place("XX")], world.now_s)


async def test_a_source_is_not_asked_again_before_its_next_interval_begins(world: World) -> None:
    grid = world.desk()
    for _ in range(3):
        await grid.readings([FR], world.now_s)
        world.pass_s(1100)
    await grid.refresh([FR])
    assert len(world.asked) == 1
    world.pass_s(HOUR)
    await grid.refresh([FR])
    assert len(world.asked) == 2


async def test_a_clock_that_was_set_back_does_not_stop_look_ups(world: World) -> None:
    grid = world.desk()
    await grid.refresh([FR])
    world.now_s -= 86_400
    world.answer = lambda request: {"value": 60, "starts_at": int(world.now_s)}
    await grid.refresh([FR])
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 60


async def test_a_value_is_served_while_a_newer_one_is_looked_up(world: World) -> None:
    grid = world.desk()
    await grid.refresh([FR])
    world.pass_s(HOUR + 60)
    release = asyncio.Event()

    async def slow() -> dict[str, Any]:
        await release.wait()
        return {"value": 70, "starts_at": int(world.now_s) - 60}

    world.answer = lambda request: slow()
    before = (await grid.readings([FR], world.now_s))[FR]
    assert (before.value_gco2e_per_kwh, before.temporal_match) == (50, "live")
    release.set()
    await grid.refresh([FR])
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 70


async def test_a_slow_source_costs_a_request_its_patience_once(world: World) -> None:
    release = asyncio.Event()

    async def slow() -> dict[str, Any]:
        await release.wait()
        return {"value": 50, "starts_at": int(world.now_s)}

    world.answer = lambda request: slow()
    grid = world.desk(patience_s=0.05)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    assert (await grid.readings([FR], world.now_s))[FR] == annual_reading("FR", world.now_s)
    assert 0.04 < loop.time() - started_s < 0.3
    started_s = loop.time()
    await grid.readings([FR], world.now_s)
    assert loop.time() - started_s < 0.04
    release.set()
    await grid.refresh([FR])
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 50
    assert len(world.asked) == 1


async def test_many_requests_at_once_make_one_look_up_per_place(world: World) -> None:
    grid = world.desk()
    answers = await asyncio.gather(*(grid.readings([FR, SE], world.now_s) for _ in range(50)))
    assert {reading.value_gco2e_per_kwh for answer in answers for reading in answer.values()} == {50}
    assert sorted(world.asked) == ["plain /latest/FR", "plain /latest/SE-SE3"]


async def test_the_first_live_source_wins_and_later_ones_are_not_asked(world: World) -> None:
    grid = world.desk(world.source(name="first"), world.source(name="second"))
    assert (await grid.readings([FR], world.now_s))[FR].source == "first"
    assert world.asked == ["first /latest/FR"]


async def test_a_source_that_lags_gives_way_to_a_live_one(world: World) -> None:
    world.answer = lambda request: {
        "value": 40,
        "starts_at": int(world.now_s) - (7200 if "first" in str(request.url) else 0),
    }
    grid = world.desk(world.source(name="first"), world.source(name="second"))
    await grid.refresh([FR])
    assert (await grid.readings([FR], world.now_s))[FR].source == "second"


async def test_a_source_without_its_key_is_never_asked(world: World) -> None:
    grid = world.desk(world.source(name="keyed", key_env=("A_USER", "A_PASSWORD")))
    world.environ["A_USER"] = "someone"
    assert (await grid.readings([FR], world.now_s))[FR].evidence == "annual"
    assert grid.status()[0].state == "no_key"
    world.environ["A_PASSWORD"] = "secret"
    assert (await grid.readings([FR], world.now_s))[FR].source == "keyed"
    assert grid.status()[0].state == "ok"


async def test_a_last_value_is_fresh_for_three_hours_and_then_no_more(world: World) -> None:
    grid = world.desk()
    await grid.refresh([FR])
    world.answer = lambda request: httpx2.ConnectError("no network")
    world.pass_s(HOUR + 3 * HOUR - 60)
    reading = (await grid.readings([FR], world.now_s))[FR]
    assert (reading.value_gco2e_per_kwh, reading.temporal_match) == (50, "fresh")
    world.pass_s(120)
    assert (await grid.readings([FR], world.now_s))[FR].evidence == "annual"


async def test_the_same_hour_of_the_week_before_comes_before_the_annual_average(world: World) -> None:
    cache = GridCache(world.folder / "grid.sqlite3")
    await world.desk(cache=cache).refresh([FR])
    world.answer = lambda request: httpx2.ConnectError("no network")
    world.pass_s(7 * 86_400 + 600)
    grid = world.desk(cache=GridCache(world.folder / "grid.sqlite3"))
    reading = (await grid.readings([FR], world.now_s))[FR]
    assert (reading.source, reading.evidence) == ("plain (a week before)", "measured")
    assert (reading.value_gco2e_per_kwh, reading.temporal_match, reading.age_minutes) == (50, "fallback", 10_090)


@pytest.mark.parametrize("fields", [{"basis": "marginal"}, {"factor_scope": "direct"}])
async def test_direct_and_marginal_values_never_become_readings(world: World, fields: dict[str, Any]) -> None:
    grid = world.desk(world.source(**fields))
    assert (await grid.readings([FR], world.now_s))[FR] == annual_reading("FR", world.now_s)
    assert world.asked == []
    await grid.refresh([FR])
    assert (await grid.readings([FR], world.now_s))[FR] == annual_reading("FR", world.now_s)
    [(seen, judged)] = await grid.observations(FR, world.now_s)
    assert (seen.value_gco2e_per_kwh, judged.temporal_match) == (50, "live")


async def test_a_marginal_value_is_had_by_asking_for_it(world: World) -> None:
    grid = world.desk(world.source(basis="marginal"))
    reading = await grid.marginal(FR, world.now_s)
    assert reading is not None
    assert (reading.basis, reading.value_gco2e_per_kwh) == ("marginal", 50)
    assert await world.desk().marginal(FR, world.now_s) is None


async def test_offline_asks_nobody_but_uses_what_is_on_disk(world: World) -> None:
    await world.desk(cache=GridCache(world.folder / "grid.sqlite3")).refresh([FR])
    world.asked.clear()
    grid = world.desk(cache=GridCache(world.folder / "grid.sqlite3"), offline=True)
    readings = await grid.readings([FR, SE], world.now_s)
    assert (readings[FR].value_gco2e_per_kwh, readings[SE].evidence) == (50, "annual")
    assert await grid.forecast(FR, world.now_s, world.now_s + HOUR) == ()
    await grid.refresh([FR, SE])
    with pytest.raises(GridUnavailable):
        await grid.history("plain", FR)
    assert world.asked == []
    assert [row.state for row in grid.status()] == ["off"]


async def test_closing_ends_a_look_up_under_way(world: World) -> None:
    stopped = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    world.answer = lambda request: never()
    grid = world.desk(patience_s=0.01)
    await grid.readings([FR], world.now_s)
    await grid.aclose()
    assert stopped.is_set()
    assert (await grid.readings([FR], world.now_s))[FR].evidence == "annual"


@pytest.fixture
def ahead(world: World) -> list[dict[str, Any]]:
    return [
        {"value": 50 + hour, "starts_at": int(world.now_s) + hour * HOUR, "evidence": "forecast"} for hour in range(30)
    ]


async def test_a_forecast_runs_from_now_until_the_deadline_and_is_kept(world: World, ahead: list[Any]) -> None:
    world.answer = lambda request: ahead
    grid = world.desk()
    first = await asyncio.gather(*(grid.forecast(FR, world.now_s + 60, world.now_s + 4 * HOUR) for _ in range(5)))
    assert {tuple(at.value_gco2e_per_kwh for at in intervals) for intervals in first} == {(50, 51, 52, 53)}
    world.pass_s(1700)
    assert len(await grid.forecast(FR, world.now_s + HOUR, world.now_s + 2 * HOUR)) == 2
    assert len(world.asked) == 1
    world.pass_s(200)
    await grid.forecast(FR, world.now_s, world.now_s + HOUR)
    assert len(world.asked) == 2


async def test_a_forecast_is_of_one_source_lifecycle_first(world: World, ahead: list[Any]) -> None:
    world.answer = lambda request: ahead if "direct" in str(request.url) else []
    grid = world.desk(
        world.source(name="direct", factor_scope="direct"),
        world.source(name="marginal", basis="marginal"),
        world.source(name="empty"),
    )
    intervals = await grid.forecast(FR, world.now_s, world.now_s + 2 * HOUR)
    assert {(at.source, at.factor_scope) for at in intervals} == {("direct", "direct")}
    assert world.asked == ["empty /forecast/FR", "direct /forecast/FR"]


async def test_a_correction_of_a_past_hour_is_found_beside_what_was_said_before(world: World) -> None:
    grid = world.desk(cache=GridCache(world.folder / "grid.sqlite3"))
    await grid.refresh([FR])
    world.pass_s(HOUR)
    world.answer = lambda request: [{"value": 90, "starts_at": int(world.now_s) - HOUR}]
    await grid.history("plain", FR)
    await grid.history("plain", FR)
    start = int(world.now_s) - HOUR
    newest = await grid.corrected("plain", FR, start)
    assert newest is not None
    assert newest.value_gco2e_per_kwh == 90
    assert [said.value_gco2e_per_kwh for said in await grid.revisions("plain", FR, start)] == [50, 90]
    assert await grid.corrected("plain", FR, start - HOUR) is None
