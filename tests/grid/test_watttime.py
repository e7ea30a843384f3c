"""WattTime v3, as unkind as it is: a page of HTML for an expired token, a plan denial with the same status."""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.observation import GridConnection, Observation, Place, reading_at
from wattproof.resources.grid.watttime import WattTime, forecast_points

USER, PASSWORD = "ada", "pass:word-1234"
NOW = datetime(2022, 7, 15, 0, 7, tzinfo=UTC).timestamp()
CALIFORNIA = Place("US-CAL-CISO")

# Bodies as recorded by bachya/aiowatttime (MIT): the page of the web server, and the plan denial.
FORBIDDEN_PAGE = "<html><head><title>403 Forbidden</title></head><body><center>nginx</center></body></html>"
INVALID_SCOPE = {
    "error": "Invalid query parameters",
    "message": "Invalid scope. You do not have sufficient access to this resource.",
}
META: dict[str, Any] = {
    "data_point_period_seconds": 300,
    "region": "CAISO_NORTH",
    "warnings": [],
    "signal_type": "co2_moer",
    "model": {"date": "2023-03-01"},
    "units": "lbs_co2_per_mwh",
    "generated_at_period_seconds": 300,
}
POINTS: list[Any] = [
    {"point_time": "2022-07-15T00:00:00+00:00", "value": 870},
    {"point_time": "2022-07-15T00:05:00+00:00", "value": 860},
    {"point_time": "2022-07-15T00:10:00+00:00", "value": 850},
]
FORECAST: dict[str, Any] = {
    "data": [{"generated_at": "2022-07-15T00:00:00+00:00", "forecast": POINTS}],
    "meta": META,
}

Handler = (
    Callable[[httpx2.Request], httpx2.Response] | Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]
)


class Server:
    """Issues numbered tokens; `good` says which are accepted."""

    def __init__(self, answer: object = None) -> None:
        self.answer = FORECAST if answer is None else answer
        self.logins: list[str] = []
        self.asked: list[httpx2.Request] = []
        self.good: Callable[[str], bool] = lambda token: True

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await checkpoint()
        if request.url.path == "/login":
            self.logins.append(request.headers["authorization"])
            return unread(httpx2.Response(200, json={"token": f"jwt-{len(self.logins)}"}))
        self.asked.append(request)
        token = request.headers["authorization"].removeprefix("Bearer ")
        if not self.good(token):
            return unread(httpx2.Response(403, html=FORBIDDEN_PAGE))
        answer = self.answer
        return unread(answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer))


def unread(response: httpx2.Response) -> httpx2.Response:
    """The same response with a body that is still to be read, as from a socket."""
    body = httpx2.ByteStream(response.content)
    return httpx2.Response(response.status_code, headers=response.headers, stream=body)


def connect(handler: Handler, environ: Mapping[str, str] | None = None) -> GridConnection:
    account = {"WATTTIME_USER": USER, "WATTTIME_PASSWORD": PASSWORD}
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    return GridConnection(client, account if environ is None else environ, NOW, 5.0)


async def refused(handler: Handler, place: Place = CALIFORNIA, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(GridUnavailable) as caught:
        await WattTime().latest(place, connect(handler, environ))
    packed = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert not any(secret in str(caught.value) for secret in (PASSWORD, packed, "jwt-1"))
    return caught.value.reason


async def test_the_newest_point_that_has_begun_is_marginal_and_in_grams_per_kwh() -> None:
    observation = await WattTime().latest(CALIFORNIA, connect(Server()))
    assert observation == Observation(
        zone="US-CAL-CISO",
        value_gco2e_per_kwh=860 * 453.59237 / 1000,
        starts_at=int(NOW) - 120,
        step_s=300,
        received_at=int(NOW),
        basis="marginal",
        factor_scope="direct",
        accounting="production",
        evidence="forecast",
        source="watttime",
        licence="WattTime, proprietary API terms",
    )


async def test_the_first_point_is_an_estimate_of_the_moment_and_may_be_live() -> None:
    connection = replace(connect(Server()), now_s=NOW - 5 * 60)
    observation = await WattTime().latest(CALIFORNIA, connection)
    assert (observation.evidence, reading_at(observation, connection.now_s).temporal_match) == ("estimated", "live")


async def test_the_account_is_sent_at_the_login_only() -> None:
    server = Server()
    await WattTime().latest(CALIFORNIA, connect(server))
    assert server.logins == ["Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()]
    assert server.asked[0].headers["authorization"] == "Bearer jwt-1"
    assert dict(server.asked[0].url.params) == {
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "horizon_hours": "1",
    }


async def test_a_token_serves_for_half_an_hour_and_is_then_renewed_without_asking_in_vain() -> None:
    server, source = Server(), WattTime()
    connection = connect(server)
    for minutes in (0, 10, 28):
        await source.latest(CALIFORNIA, replace(connection, now_s=NOW + minutes * 60))
    assert len(server.logins) == 1
    await source.latest(CALIFORNIA, replace(connection, now_s=NOW + 30 * 60))
    assert len(server.logins) == 2
    assert len(server.asked) == 4


async def test_a_token_that_expired_early_is_renewed_once() -> None:
    server, source = Server(), WattTime()
    await source.latest(CALIFORNIA, connect(server))
    server.good = lambda token: token == "jwt-2"
    await source.latest(CALIFORNIA, connect(server))
    assert (len(server.logins), len(server.asked)) == (2, 3)


async def test_a_fresh_token_that_is_refused_too_ends_the_try() -> None:
    server = Server()
    server.good = lambda token: False
    assert await refused(server) == "unauthorized"
    assert (len(server.logins), len(server.asked)) == (2, 2)


async def test_many_who_ask_at_once_share_one_login() -> None:
    server, source = Server(), WattTime()
    connection = connect(server)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(source.latest, CALIFORNIA, connection)
    assert (len(server.logins), len(server.asked)) == (1, 8)


async def test_many_whose_token_expired_share_one_renewal() -> None:
    server, source = Server(), WattTime()
    connection = connect(server)
    await source.latest(CALIFORNIA, connection)
    server.good = lambda token: token == "jwt-2"
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(source.latest, CALIFORNIA, connection)
    assert len(server.logins) == 2


async def test_another_account_does_not_use_the_token_of_the_first() -> None:
    server, source = Server(), WattTime()
    await source.latest(CALIFORNIA, connect(server))
    await source.latest(CALIFORNIA, connect(server, {"WATTTIME_USER": "eve", "WATTTIME_PASSWORD": "other"}))
    assert len(server.logins) == 2


@pytest.mark.parametrize("status", [400, 403])
async def test_a_plan_denial_is_told_from_an_expired_token_and_costs_no_second_login(status: int) -> None:
    server = Server(httpx2.Response(status, json=INVALID_SCOPE))
    assert await refused(server) == "plan"
    assert len(server.logins) == 1


@pytest.mark.parametrize(
    ("login", "reason"),
    [
        (httpx2.Response(401, json={"error": f"no such user {USER} {PASSWORD}"}), "unauthorized"),
        (httpx2.Response(403, html=FORBIDDEN_PAGE), "unauthorized"),
        (httpx2.Response(429, json={"error": "too many logins"}), "http_429"),
        (httpx2.Response(500, text=PASSWORD), "http_500"),
        (httpx2.Response(200, html="<html>"), "bad_content_type"),
        (httpx2.Response(200, json={"token": None}), "bad_json"),
        (httpx2.Response(200, json={"token": ""}), "bad_json"),
        (httpx2.Response(200, json={"token": "a\r\nx: b"}), "bad_json"),
        (httpx2.Response(200, json=[]), "bad_json"),
    ],
)
async def test_a_login_that_fails_says_why_and_never_the_password(login: httpx2.Response, reason: str) -> None:
    assert await refused(lambda request: unread(login)) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx2.Response(404, json={"error": "No coverage available"}), "not_covered"),
        (httpx2.Response(429, json={"error": "slow down"}), "http_429"),
        (httpx2.Response(500, text="oops"), "http_500"),
        (httpx2.Response(302, headers={"location": "https://example.org"}), "http_302"),
        (httpx2.Response(200, html="<html>"), "bad_content_type"),
        ([], "bad_json"),
        ({"data": [], "meta": META}, "bad_json"),
        ({"data": POINTS}, "bad_json"),
        ({**FORECAST, "meta": {**META, "units": "percentile"}}, "bad_value"),
        ({**FORECAST, "meta": {**META, "signal_type": "health_damage"}}, "bad_value"),
        ({**FORECAST, "meta": {**META, "region": "PJM_NJ"}}, "bad_value"),
        ({"data": [{"point_time": "2022-07-15T00:05:00+00:00", "value": None}], "meta": META}, "no_data"),
        ({"data": [{"point_time": "2022-07-15T00:05:00+00:00", "value": "NaN"}], "meta": META}, "no_data"),
        ({"data": [{"point_time": "2022-07-15T00:05:00+00:00", "value": -5}], "meta": META}, "no_data"),
        ({"data": [{"point_time": "2022-07-15T00:05:00+00:00", "value": 1e9}], "meta": META}, "no_data"),
        ({"data": [{"point_time": None, "value": 5}], "meta": META}, "no_data"),
        ({"data": [{"point_time": "2022-07-15T00:10:00+00:00", "value": 5}], "meta": META}, "no_data"),
        ({"data": ["nonsense", None], "meta": META}, "no_data"),
        ({**FORECAST, "meta": {**META, "data_point_period_seconds": 0}}, "no_data"),
        ({**FORECAST, "meta": {**META, "data_point_period_seconds": None}}, "no_data"),
    ],
)
async def test_what_is_no_marginal_rate_of_now_is_refused(answer: object, reason: str) -> None:
    assert await refused(Server(answer)) == reason


async def test_points_may_lie_flat_under_data() -> None:
    observation = await WattTime().latest(CALIFORNIA, connect(Server({"data": POINTS, "meta": META})))
    assert observation.value_gco2e_per_kwh == pytest.approx(860 * 0.45359237)


async def test_the_newest_of_several_forecasts_is_read() -> None:
    older = {"generated_at": "2022-07-14T23:00:00+00:00", "forecast": [{**POINTS[0], "value": 1}]}
    newer = {"generated_at": "2022-07-15T00:00:00+00:00", "forecast": POINTS[:1]}
    answer = {"data": [newer, older], "meta": META}
    assert (await WattTime().latest(CALIFORNIA, connect(Server(answer)))).value_gco2e_per_kwh > 300


async def test_a_forecast_covers_the_time_until_the_deadline() -> None:
    server, source = Server(), WattTime()
    points = await source.forecast(CALIFORNIA, NOW + 10 * 60, connect(server))
    assert [point.starts_at for point in points] == [int(NOW) - 120, int(NOW) + 180]
    assert {(point.basis, point.evidence) for point in points} == {("marginal", "forecast")}


@pytest.mark.parametrize(("hours", "horizon"), [(-1, "1"), (0.5, "1"), (23.5, "24"), (500, "72")])
async def test_the_horizon_is_what_the_api_allows(hours: float, horizon: str) -> None:
    server = Server()
    await WattTime().forecast(CALIFORNIA, NOW + hours * 3600, connect(server))
    assert server.asked[0].url.params["horizon_hours"] == horizon


async def test_there_is_no_history_because_marginal_rates_are_not_accounted() -> None:
    server = Server()
    assert await WattTime().history(CALIFORNIA, connect(server)) == ()
    assert server.asked == []


@pytest.mark.parametrize("missing", ["WATTTIME_USER", "WATTTIME_PASSWORD"])
async def test_half_an_account_is_no_account(missing: str) -> None:
    environ = {"WATTTIME_USER": USER, "WATTTIME_PASSWORD": PASSWORD, missing: ""}
    server = Server()
    assert await refused(server, environ=environ) == "no_key"
    assert server.logins == []


async def test_a_zone_that_is_many_regions_is_not_covered() -> None:
    server = Server()
    assert not WattTime().covers(Place("US-MIDA-PJM"))
    assert await refused(server, Place("US-MIDA-PJM")) == "not_covered"
    assert server.logins == []


@given(pounds=st.floats(0, 6000))
def test_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour(pounds: float) -> None:
    content = {"data": [{**POINTS[0], "value": pounds}], "meta": META}
    (point,) = forecast_points(content, "US-CAL-CISO", "CAISO_NORTH", int(NOW))
    assert point.value_gco2e_per_kwh == pytest.approx(pounds * 453.59237 / 1000)
