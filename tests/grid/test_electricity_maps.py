"""Electricity Maps v4, as unkind as it is: denials in a 401, shares above 100 %, nulls, other zones than asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.electricity_maps import ElectricityMaps
from wattproof.resources.grid.observation import GridConnection, Observation, Place, reading_at

TOKEN = "em-token-1234"
NOW = datetime(2026, 3, 12, 17, 40, tzinfo=UTC).timestamp()
FINLAND = Place("FI")
STOCKHOLM = Place("SE", "aws/eu-north-1")

# The shape of /v4/carbon-intensity/latest; the values are our own.
LATEST: dict[str, Any] = {
    "zone": "FI",
    "carbonIntensity": 82,
    "datetime": "2026-03-12T17:00:00.000Z",
    "updatedAt": "2026-03-12T17:24:08.708Z",
    "createdAt": "2026-03-11T22:35:11.365Z",
    "emissionFactorType": "lifecycle",
    "flowTraced": True,
    "isEstimated": True,
    "estimationMethod": "FORECASTS_HIERARCHY",
    "temporalGranularity": "hourly",
}
SHARE: dict[str, Any] = {
    "zone": "FI",
    "datetime": "2026-03-12T17:00:00.000Z",
    "unit": "%",
    "value": 54,
    "flowTraced": True,
    "isEstimated": True,
    "temporalGranularity": "hourly",
}
PLAN_DENIAL = {
    "error": "Request unauthorized for zoneKey=FI,requestType=past,dataType=carbon-intensity.",
    "message": "You do not have access to this specific endpoint for this specific zone.",
}

Handler = Callable[[httpx2.Request], httpx2.Response]


def raw(body: bytes) -> httpx2.Response:
    return httpx2.Response(200, content=body, headers={"content-type": "application/json"})


def answers(**by_signal: Any) -> Handler:
    """One body per signal: a mapping is JSON of a 200, anything else a response."""
    bodies = {
        "carbon-intensity": LATEST,
        "renewable-energy": SHARE,
        "carbon-free-energy": {**SHARE, "value": 91},
    } | {signal.replace("_", "-"): body for signal, body in by_signal.items()}

    def handle(request: httpx2.Request) -> httpx2.Response:
        body = bodies[request.url.path.split("/")[-2]]
        return httpx2.Response(200, json=body) if isinstance(body, dict) else body

    return handle


def unread(handler: Handler) -> Handler:
    """The same answers with a body that is still to be read, as from a socket."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        response = handler(request)
        body = httpx2.ByteStream(response.content)
        return httpx2.Response(response.status_code, headers=response.headers, stream=body)

    return handle


async def ask(
    handler: Handler,
    place: Place = FINLAND,
    *,
    what: str = "latest",
    until_s: float = NOW + 3600,
    environ: Mapping[str, str] | None = None,
) -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(unread(handler))) as client:
        connection = GridConnection(client, {"ELECTRICITYMAPS_TOKEN": TOKEN} if environ is None else environ, NOW, 5.0)
        source = ElectricityMaps()
        if what == "forecast":
            return await source.forecast(place, until_s, connection)
        return await (source.latest if what == "latest" else source.history)(place, connection)


async def refused(handler: Handler, place: Place = FINLAND, **kwargs: Any) -> GridUnavailable:
    with pytest.raises(GridUnavailable) as caught:
        await ask(handler, place, **kwargs)
    assert TOKEN not in str(caught.value)
    return caught.value


def intensity(**changes: Any) -> Handler:
    return answers(carbon_intensity={**LATEST, **changes})


async def test_the_hour_under_way_arrives_with_its_shares_and_its_provenance() -> None:
    observation = await ask(answers())
    assert observation == Observation(
        zone="FI",
        value_gco2e_per_kwh=82.0,
        starts_at=int(NOW) - 40 * 60,
        step_s=3600,
        received_at=int(NOW),
        basis="average",
        factor_scope="lifecycle",
        accounting="consumption",
        evidence="estimated",
        source="electricity-maps",
        licence="Electricity Maps, proprietary API terms",
        renewable_ratio_bps=5400,
        carbon_free_ratio_bps=9100,
    )
    assert reading_at(observation, NOW).temporal_match == "live"


async def test_what_is_asked_names_the_zone_the_factors_and_never_the_caller() -> None:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answers()(request)

    await ask(handle)
    assert len(seen) == 3
    for request in seen:
        assert request.url.params["disableCallerLookup"] == "true"
        assert request.url.params["zone"] == "FI"
        assert request.headers["auth-token"] == TOKEN
        assert TOKEN not in str(request.url)
    by_path = {request.url.path: request for request in seen}
    assert by_path["/v4/carbon-intensity/latest"].url.params["emissionFactorType"] == "lifecycle"


async def test_a_value_is_measured_only_where_it_says_so() -> None:
    assert (await ask(intensity(isEstimated=False))).evidence == "measured"
    assert (await ask(intensity(isEstimated=None))).evidence == "estimated"
    assert (await ask(answers(carbon_intensity={k: v for k, v in LATEST.items() if k != "isEstimated"}))).evidence == (
        "estimated"
    )


async def test_a_cloud_region_selects_its_data_centre_in_lower_case() -> None:
    seen: list[httpx2.QueryParams] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.params)
        return httpx2.Response(200, json={**LATEST, "zone": "SE-SE3"})

    observation = await ask(handle, Place("SE", "AWS/EU-North-1"))
    assert observation.zone == "SE-SE3"
    assert all(p["dataCenterProvider"] == "aws" and p["dataCenterRegion"] == "eu-north-1" for p in seen)
    assert not any("zone" in p for p in seen)


@pytest.mark.parametrize("status", [400, 404])
async def test_an_unknown_data_centre_leaves_the_zone_to_be_asked(status: int) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if "dataCenterRegion" in request.url.params:
            return httpx2.Response(status, json={"status": "error", "message": "unknown data center"})
        assert request.url.params["zone"] == "SE"
        return httpx2.Response(200, json={**LATEST, "zone": "SE"})

    assert (await ask(handle, STOCKHOLM)).zone == "SE"


async def test_a_data_centre_beyond_the_plan_leaves_the_zone_to_be_asked() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if "dataCenterRegion" in request.url.params:
            return httpx2.Response(401, json=PLAN_DENIAL)
        return httpx2.Response(200, json={**LATEST, "zone": "SE"})

    assert (await ask(handle, STOCKHOLM)).zone == "SE"


async def test_a_part_of_the_zone_is_taken_under_its_own_name() -> None:
    assert (await ask(intensity(zone="SE-SE3"), Place("SE"))).zone == "SE-SE3"


@pytest.mark.parametrize("zone", ["SE", "FIN", "fi-nland", "", None, 3, "x" * 10_000])
async def test_another_zone_than_was_asked_for_is_refused(zone: object) -> None:
    assert (await refused(intensity(zone=zone))).reason == "not_covered"


async def test_a_data_centre_in_a_zone_that_is_not_bundled_is_refused() -> None:
    assert (await refused(intensity(zone="ATLANTIS"), STOCKHOLM)).reason == "not_covered"


@pytest.mark.parametrize("signal", ["renewable_energy", "carbon_free_energy"])
@pytest.mark.parametrize(
    "answer",
    [
        {**SHARE, "value": 104},
        {**SHARE, "value": 100.6},
        {**SHARE, "value": -1},
        {**SHARE, "value": None},
        {**SHARE, "value": "NaN"},
        {**SHARE, "value": True},
        {**SHARE, "unit": "gCO2"},
        {**SHARE, "zone": "EE"},
        {**SHARE, "datetime": "2026-03-12T16:00:00.000Z"},
        {},
        httpx2.Response(401, json=PLAN_DENIAL),
        httpx2.Response(500, text="oops"),
        httpx2.Response(200, html="<html>"),
    ],
)
async def test_a_share_that_cannot_be_had_or_cannot_be_is_unknown_and_loses_nothing(signal: str, answer: Any) -> None:
    observation = await ask(answers(**{signal: answer}))
    assert observation.value_gco2e_per_kwh == 82
    unknown = "renewable_ratio_bps" if signal == "renewable_energy" else "carbon_free_ratio_bps"
    assert getattr(observation, unknown) is None


async def test_a_share_of_another_zone_than_the_intensity_is_unknown() -> None:
    bodies = answers(carbon_intensity={**LATEST, "zone": "SE-SE3"}, renewable_energy={**SHARE, "zone": "SE-SE4"})
    observation = await ask(bodies, STOCKHOLM)
    assert (observation.zone, observation.renewable_ratio_bps) == ("SE-SE3", None)


async def test_shares_get_half_of_the_time() -> None:
    async def handle(request: httpx2.Request) -> httpx2.Response:
        if "energy" in request.url.path:
            await anyio.sleep_forever()
        return unread(answers())(request)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        connection = GridConnection(client, {"ELECTRICITYMAPS_TOKEN": TOKEN}, NOW, 1.0)
        with anyio.fail_after(0.9):
            assert (await ElectricityMaps().latest(FINLAND, connection)).renewable_ratio_bps is None


async def test_a_share_that_breaks_loses_nothing() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if "energy" in request.url.path:
            raise httpx2.ReadTimeout("slow")
        return httpx2.Response(200, json=LATEST)

    observation = await ask(handle)
    assert (observation.value_gco2e_per_kwh, observation.renewable_ratio_bps) == (82, None)


@given(percent=st.floats(0, 100))
async def test_a_share_is_stated_in_basis_points(percent: float) -> None:
    observation = await ask(answers(renewable_energy={**SHARE, "value": percent}))
    assert observation.renewable_ratio_bps == round(percent * 100)


async def test_a_share_rounded_up_above_the_whole_is_the_whole() -> None:
    assert (await ask(answers(renewable_energy={**SHARE, "value": 100.4}))).renewable_ratio_bps == 10_000


async def test_a_401_that_names_the_zone_is_the_plan_and_not_the_key() -> None:
    assert (await refused(answers(carbon_intensity=httpx2.Response(401, json=PLAN_DENIAL)))).reason == "plan"
    only_message = {"error": "Unauthorized", "message": PLAN_DENIAL["message"]}
    assert (await refused(answers(carbon_intensity=httpx2.Response(401, json=only_message)))).reason == "plan"


@pytest.mark.parametrize("body", [{"error": "Invalid auth-token"}, {"error": f"bad token {TOKEN}"}, {}])
async def test_any_other_401_is_the_key(body: dict[str, str]) -> None:
    assert (await refused(answers(carbon_intensity=httpx2.Response(401, json=body)))).reason == "unauthorized"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (httpx2.Response(400, json={"status": "error", "message": "no"}), "http_400"),
        (httpx2.Response(403, text="Access denied"), "http_403"),
        (httpx2.Response(403, html="<html>403</html>"), "http_403"),
        (httpx2.Response(404, json={"status": "error", "message": 'No recent data for zone "FI"'}), "no_data"),
        (httpx2.Response(302, headers={"location": "https://example.org"}), "http_302"),
        (httpx2.Response(500, text="oops"), "http_500"),
        (httpx2.Response(200, html="<html>"), "bad_content_type"),
        (httpx2.Response(200, json=[]), "not_covered"),
        (raw(b'{"carbonIntensity": NaN}'), "bad_json"),
        (raw(b"{"), "bad_json"),
        (raw(b" " * 3_000_000), "too_large"),
    ],
)
async def test_every_refusal_has_its_reason(response: httpx2.Response, reason: str) -> None:
    assert (await refused(answers(carbon_intensity=response))).reason == reason


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    limited = httpx2.Response(429, json={"error": "slow down"}, headers={"retry-after": "30"})
    error = await refused(answers(carbon_intensity=limited))
    assert (error.reason, error.retry_after_s) == ("http_429", 30)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"carbonIntensity": None}, "no_data"),
        ({"carbonIntensity": "NaN"}, "no_data"),
        ({"carbonIntensity": True}, "no_data"),
        ({"carbonIntensity": -5}, "bad_value"),
        ({"carbonIntensity": 1e9}, "bad_value"),
        ({"datetime": None}, "bad_value"),
        ({"datetime": "yesterday"}, "bad_value"),
        ({"datetime": "2026-03-12T18:00:00.000Z"}, "bad_value"),
        ({"datetime": "9999-12-31T23:00:00.000Z"}, "bad_value"),
        ({"temporalGranularity": "yearly"}, "bad_value"),
        ({"temporalGranularity": None}, "bad_value"),
        ({"temporalGranularity": ["hourly"]}, "bad_value"),
        ({"emissionFactorType": "direct"}, "bad_value"),
        ({"flowTraced": False}, "bad_value"),
    ],
)
async def test_what_is_no_lifecycle_value_of_now_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert (await refused(intensity(**changes))).reason == reason


async def test_a_value_as_text_is_read() -> None:
    assert (await ask(intensity(carbonIntensity="82.5"))).value_gco2e_per_kwh == 82.5


async def test_a_stale_value_keeps_its_time_and_is_not_live() -> None:
    observation = await ask(intensity(datetime="2026-03-11T17:00:00.000Z"))
    assert reading_at(observation, NOW).temporal_match == "fallback"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "no_key"),
        ({"ELECTRICITYMAPS_TOKEN": "  "}, "no_key"),
        ({"ELECTRICITYMAPS_TOKEN": "schlüssel"}, "bad_key"),
        ({"ELECTRICITYMAPS_TOKEN": "a\r\nx-other: b"}, "bad_key"),
    ],
)
async def test_without_a_usable_key_nothing_is_sent(environ: dict[str, str], reason: str) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(request.url)

    assert (await refused(handle, environ=environ)).reason == reason


FORECAST: dict[str, Any] = {
    "zone": "FI",
    "forecast": [
        {"carbonIntensity": 84, "datetime": "2026-03-12T17:00:00.000Z"},
        {"carbonIntensity": None, "datetime": "2026-03-12T18:00:00.000Z"},
        {"carbonIntensity": 83, "datetime": "2026-03-12T19:00:00.000Z"},
        {"carbonIntensity": 82, "datetime": "2026-03-12T16:00:00.000Z"},
        {"carbonIntensity": -1, "datetime": "2026-03-12T19:00:00.000Z"},
        "nonsense",
        {"carbonIntensity": 81, "datetime": "2026-03-12T22:00:00.000Z"},
    ],
    "updatedAt": "2026-03-12T17:34:24.392Z",
    "temporalGranularity": "hourly",
}


async def test_a_forecast_runs_from_now_to_the_deadline_without_its_holes() -> None:
    points = await ask(answers(carbon_intensity=FORECAST), what="forecast", until_s=NOW + 3 * 3600)
    assert [point.value_gco2e_per_kwh for point in points] == [84, 83]
    assert {point.evidence for point in points} == {"forecast"}
    assert all(reading_at(point, NOW).temporal_match != "live" for point in points)


@pytest.mark.parametrize(("hours", "horizon"), [(0, "24"), (24, "24"), (24.1, "48"), (60, "72"), (200, "72")])
async def test_the_shortest_horizon_that_reaches_the_deadline_is_asked_for(hours: float, horizon: str) -> None:
    seen: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.params["horizonHours"])
        return httpx2.Response(200, json=FORECAST)

    await ask(handle, what="forecast", until_s=NOW + hours * 3600)
    assert seen == [horizon]


async def test_a_forecast_beyond_the_plan_says_so() -> None:
    denied = answers(carbon_intensity=httpx2.Response(401, json=PLAN_DENIAL))
    assert (await refused(denied, what="forecast")).reason == "plan"


async def test_history_tells_measured_hours_from_estimated_ones() -> None:
    rows: list[Any] = [
        {**LATEST, "datetime": "2026-03-12T16:00:00.000Z", "carbonIntensity": 77},
        {**LATEST, "datetime": "2026-03-12T15:00:00.000Z", "carbonIntensity": 79, "isEstimated": False},
        {**LATEST, "datetime": "2026-03-12T14:00:00.000Z", "carbonIntensity": None},
        {**LATEST, "datetime": "2026-03-12T13:00:00.000Z", "emissionFactorType": "direct"},
        {**LATEST, "datetime": "2026-03-13T13:00:00.000Z"},
        None,
    ]
    body = {"zone": "FI", "history": rows, "temporalGranularity": "hourly"}
    points = await ask(answers(carbon_intensity=body), what="history")
    assert [(point.value_gco2e_per_kwh, point.evidence) for point in points] == [(79, "measured"), (77, "estimated")]


@pytest.mark.parametrize("what", ["history", "forecast"])
@pytest.mark.parametrize("rows", [None, {}, "text"])
async def test_a_series_that_is_no_list_is_refused(what: str, rows: object) -> None:
    body = {"zone": "FI", what: rows, "temporalGranularity": "hourly"}
    assert (await refused(answers(carbon_intensity=body), what=what)).reason == "bad_json"


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(LATEST)), inner, max_size=6),
        max_leaves=12,
    )
)
async def test_whatever_is_answered_gives_an_observation_or_a_reason(body: Any) -> None:
    merged: Any = LATEST | cast("dict[str, Any]", body) if isinstance(body, dict) else body
    try:
        observation = await ask(answers(carbon_intensity=raw(json.dumps(merged).encode())))
    except GridUnavailable:
        return
    assert 0 <= observation.value_gco2e_per_kwh <= 3000


def test_every_bundled_zone_is_covered_and_no_other() -> None:
    source = ElectricityMaps()
    assert source.covers(Place("SE-SE3"))
    assert not source.covers(Place("ATLANTIS"))
    assert not source.covers(Place("unknown:groq"))
