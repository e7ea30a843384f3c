"""Invented grid APIs speak the real wire: the real sources read them, faults included."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid import GridConnection, Observation, Place
from wattproof.resources.grid.electricity_maps import ElectricityMaps
from wattproof.resources.grid.energy_charts import EnergyCharts
from wattproof.resources.grid.neso import Neso
from wattproof.server.simulate.day import STARTS_AT
from wattproof.server.simulate.fleet import Outage
from wattproof.server.simulate.grid_desk import invented_sources, open_grid
from wattproof.server.simulate.grid_fleet import ElectricityMapsApi, EnergyChartsApi, GridProfile, NesoApi
from wattproof.server.simulate.grid_truth import HOUR_S, Curve
from wattproof.server.simulate.rows import ENVIRON

if TYPE_CHECKING:
    from tests.simulate.conftest import Play, Stage

FR, FI, GB = Place("FR"), Place("FI"), Place("GB")
DAY_S = 86_400


def maps(stage: Stage, **fields: Any) -> httpx2.AsyncClient:
    return stage.client(sim_electricitymaps=ElectricityMapsApi(GridProfile(**fields), stage.world))


def connection(stage: Stage, client: httpx2.AsyncClient) -> GridConnection:
    return GridConnection(client, ENVIRON, stage.world.clock(), 5.0)


SOURCE = ElectricityMaps("https://sim-electricitymaps.invalid/v4")
CHARTS = EnergyCharts("https://sim-energy-charts.invalid")
NESO = Neso("https://sim-neso.invalid")


async def refused(stage: Stage, client: httpx2.AsyncClient, place: Place = FR) -> str:
    with pytest.raises(GridUnavailable) as caught:
        await SOURCE.latest(place, connection(stage, client))
    return caught.value.reason


def test_electricity_maps_latest_is_read_with_its_shares(play: Play) -> None:
    async def act(stage: Stage) -> Observation:
        async with maps(stage) as client:
            return await SOURCE.latest(FI, connection(stage, client))

    seen = play(act)
    assert (seen.zone, seen.starts_at, seen.evidence) == ("FI", STARTS_AT, "estimated")
    assert 20 < seen.value_gco2e_per_kwh < 200
    assert seen.renewable_ratio_bps is not None
    assert seen.carbon_free_ratio_bps is not None


def test_an_estimate_is_corrected_once_the_hour_is_measured(play: Play) -> None:
    async def act(stage: Stage) -> tuple[Observation, Observation]:
        async with maps(stage) as client:
            first = await SOURCE.latest(FI, connection(stage, client))
            await anyio.sleep(2 * HOUR_S)
            history = await SOURCE.history(FI, connection(stage, client))
        return first, next(seen for seen in history if seen.starts_at == first.starts_at)

    estimated, measured = play(act)
    assert (estimated.evidence, measured.evidence) == ("estimated", "measured")
    assert estimated.value_gco2e_per_kwh != measured.value_gco2e_per_kwh


def test_the_forecast_covers_the_horizon(play: Play) -> None:
    async def act(stage: Stage) -> tuple[Observation, ...]:
        async with maps(stage) as client:
            return await SOURCE.forecast(FR, STARTS_AT + DAY_S, connection(stage, client))

    seen = play(act)
    assert [at.starts_at for at in seen] == [STARTS_AT + hour * HOUR_S for hour in range(24)]
    assert {at.evidence for at in seen} == {"forecast"}


def test_a_zone_outside_the_plan_is_refused_as_such(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with maps(stage, plan=frozenset({"FI"})) as client:
            assert (await SOURCE.latest(FI, connection(stage, client))).zone == "FI"
            assert await refused(stage, client) == "plan"

    play(act)


def test_a_late_publisher_answers_with_an_old_hour(play: Play) -> None:
    async def act(stage: Stage) -> Observation:
        async with maps(stage, lag_s=5 * HOUR_S) as client:
            return await SOURCE.latest(FR, connection(stage, client))

    seen = play(act)
    assert (seen.starts_at, seen.evidence) == (STARTS_AT - 5 * HOUR_S, "measured")


def test_a_missing_hour_is_no_data_and_history_leaves_it_out(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with maps(stage, null_rate=1.0) as client:
            assert await refused(stage, client) == "no_data"
            assert await SOURCE.history(FR, connection(stage, client)) == ()

    play(act)


@pytest.mark.parametrize(("kind", "reason"), [("refused", "connect"), ("503", "http_503"), ("silent", "timeout")])
def test_an_outage_ends_as_its_kind(play: Play, kind: str, reason: str) -> None:
    async def act(stage: Stage) -> None:
        outage = Outage(STARTS_AT, STARTS_AT + 60, kind)  # type: ignore[arg-type]
        async with maps(stage, outages=(outage,)) as client:
            assert await refused(stage, client) == reason

    play(act)


def test_a_cloud_region_is_answered_with_its_zone_and_an_unknown_one_by_the_zone(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with maps(stage, regions={"aws/eu-north-1": "SE-SE3"}) as client:
            for region, zone in (("aws/eu-north-1", "SE-SE3"), ("aws/xx-1", "SE")):
                seen = await SOURCE.latest(Place("SE", region), connection(stage, client))
                assert seen.zone == zone

    play(act)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v4/carbon-intensity/latest?zone=FR", {}, 401),
        ("/v4/carbon-intensity/latest?zone=XX&disableCallerLookup=true", {"auth-token": "t"}, 404),
        ("/v4/carbon-intensity/latest?disableCallerLookup=true", {"auth-token": "t"}, 400),
        ("/v4/carbon-intensity/forecast?zone=FR&horizonHours=7", {"auth-token": "t"}, 400),
        ("/v4/other/latest?zone=FR", {"auth-token": "t"}, 404),
    ],
)
def test_a_wrong_request_is_refused_as_the_real_one_does(
    play: Play, path: str, headers: dict[str, str], status: int
) -> None:
    async def act(stage: Stage) -> int:
        async with maps(stage) as client:
            return (await client.get(f"https://sim-electricitymaps.invalid{path}", headers=headers)).status_code

    assert play(act) == status


def test_without_a_zone_the_callers_own_place_is_answered_unless_that_is_forbidden(play: Play) -> None:
    async def act(stage: Stage) -> str:
        async with maps(stage) as client:
            url = "https://sim-electricitymaps.invalid/v4/carbon-intensity/latest"
            return (await client.get(url, headers={"auth-token": "t"})).json()["zone"]

    assert play(act) == "US-CAL-CISO"


def test_energy_charts_has_nulls_at_the_end_and_a_forecast_for_them(play: Play) -> None:
    async def act(stage: Stage) -> None:
        api = EnergyChartsApi(GridProfile(), stage.world)
        async with stage.client(sim_energy_charts=api) as client:
            await anyio.sleep(12 * HOUR_S)
            body = (await client.get("https://sim-energy-charts.invalid/co2eq?country=fr")).json()
            assert body["co2eq"][0] is not None
            assert body["co2eq"][-1] is None
            assert body["co2eq_forecast"][-1] is not None
            seen = await CHARTS.latest(FR, connection(stage, client))
            assert 0 < stage.world.clock() - seen.starts_at <= 3 * HOUR_S
            assert len(await CHARTS.history(FR, connection(stage, client))) > 80
            assert (await client.get("https://sim-energy-charts.invalid/co2eq?country=xx")).status_code == 400
            assert (await client.get("https://sim-energy-charts.invalid/other")).status_code == 404

    play(act)


def test_neso_is_read_now_ahead_and_back(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_neso=NesoApi(GridProfile(), stage.world)) as client:
            now = await NESO.latest(GB, connection(stage, client))
            assert (now.starts_at, now.evidence) == (STARTS_AT, "forecast")
            ahead = await NESO.forecast(GB, STARTS_AT + DAY_S, connection(stage, client))
            assert len(ahead) == 48
            back = await NESO.history(GB, connection(stage, client))
            assert len(back) == 48
            assert (await client.get("https://sim-neso.invalid/intensity/now/then")).status_code == 400
            assert (await client.get("https://sim-neso.invalid/other")).status_code == 400

    play(act)


def test_the_curve_swings_daily_around_the_annual_average(play: Play) -> None:
    async def act(stage: Stage) -> list[float]:
        curve = Curve(stage.world)
        return [curve.truth("DE", STARTS_AT + hour * HOUR_S) for hour in range(24 * 60)]

    hours = play(act)
    assert statistics.mean(hours) == pytest.approx(342, rel=0.1)
    assert max(hours[:24]) > 1.1 * min(hours[:24])


def test_readings_of_the_desk_say_that_they_are_simulated(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with maps(stage) as client:
            grid = open_grid(client, stage.world, stage.loop.time)
            reading = (await grid.readings([FR], stage.world.clock()))[FR]
            await grid.aclose()
        assert reading.temporal_match == "live"
        assert (reading.source, reading.licence) == ("simulated-electricity-maps", "none: invented by the simulator")

    play(act)
    assert all(source.name.startswith("simulated-") for source in invented_sources())
