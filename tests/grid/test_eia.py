"""EIA v2's fuel-type rows: text or numbers, nulls, hours that end at their label, pages, duplicates."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.eia import Eia, generation_by_source
from wattproof.resources.grid.observation import GridConnection, Observation, Place, reading_at

KEY = "eia-key-abcdef"
BONNEVILLE = Place("US-NW-BPAT")
HOUR = 3600
ELEVEN = int(datetime(2022, 10, 31, 11, tzinfo=UTC).timestamp())
NOW = ELEVEN + 90 * 60


def row(fuel: str, value: object, *, hour: int = 11, unit: str = "megawatthours", **changes: object) -> dict[str, Any]:
    """A row in the shape of the API (public domain)."""
    return {
        "period": f"2022-10-31T{hour:02}",
        "respondent": "BPAT",
        "respondent-name": "Bonneville Power Administration",
        "fueltype": fuel,
        "type-name": fuel.title(),
        "value": value,
        "value-units": unit,
        **changes,
    }


def body(*rows: object, total: object = None) -> dict[str, Any]:
    return {
        "response": {
            "query execution": 0.008,
            "total": len(rows) if total is None else total,
            "dateFormat": 'YYYY-MM-DD"T"HH24',
            "frequency": "hourly",
            "data": list(rows),
        },
        "request": {"command": "/v2/electricity/rto/fuel-type-data/data/"},
        "apiVersion": "2.1.4",
    }


MIX = (row("WAT", 700), row("NUC", "1100"), row("WND", 150), row("NG", "50.0"))


async def ask(
    answer: object,
    *,
    status: int = 200,
    media_type: str = "application/json",
    environ: Mapping[str, str] | None = None,
    seen: list[httpx2.Request] | None = None,
    place: Place = BONNEVILLE,
) -> Observation:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx2.Response(status, headers={"content-type": media_type}, stream=httpx2.ByteStream(raw))

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        connection = GridConnection(client, {"EIA_API_KEY": KEY} if environ is None else environ, NOW, 5.0)
        return await Eia().latest(place, connection)


async def refused(answer: object, **kwargs: Any) -> str:
    with pytest.raises(GridUnavailable) as caught:
        await ask(answer, **kwargs)
    assert KEY not in str(caught.value)
    return caught.value.reason


async def test_the_newest_hour_is_the_mean_of_the_factors_and_labelled_production() -> None:
    observation = await ask(body(*MIX))
    assert observation.value_gco2e_per_kwh == pytest.approx((700 * 24 + 1100 * 12 + 150 * 11 + 50 * 490) / 2000)
    assert (observation.zone, observation.basis, observation.factor_scope) == ("US-NW-BPAT", "average", "lifecycle")
    assert (observation.accounting, observation.evidence) == ("production", "estimated")
    assert (observation.source, observation.licence) == ("eia-930+ipcc-2014", "public domain (US EIA)")
    assert observation.renewable_ratio_bps == 4250
    assert observation.carbon_free_ratio_bps == 9750


async def test_a_period_names_the_end_of_its_hour() -> None:
    observation = await ask(body(*MIX))
    assert (observation.starts_at, observation.step_s) == (ELEVEN - HOUR, HOUR)
    assert reading_at(observation, NOW).temporal_match == "fresh"


async def test_what_is_asked_is_the_last_day_of_the_respondent_newest_first() -> None:
    seen: list[httpx2.Request] = []
    await ask(body(*MIX), seen=seen)
    assert seen[0].url.path == "/v2/electricity/rto/fuel-type-data/data/"
    assert dict(seen[0].url.params) == {
        "api_key": KEY,
        "frequency": "hourly",
        "data[]": "value",
        "facets[respondent][]": "BPAT",
        "start": "2022-10-30T12",
        "end": "2022-10-31T12",
        "sort[0][column]": "period",
        "sort[0][direction]": "desc",
        "length": "5000",
    }


async def test_the_key_in_the_query_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ask(body(*MIX))
    await refused({"error": KEY}, status=500)
    assert "api.eia.gov" in caplog.text
    assert KEY not in caplog.text


async def test_an_hour_in_which_a_big_source_is_null_or_missing_is_not_taken() -> None:
    earlier = [{**stated, "period": "2022-10-31T10"} for stated in MIX]
    for late in (row("NUC", None), row("NUC", "NaN"), row("NUC", ""), row("NUC", True), row("OTH", 0)):
        newest = [late if stated["fueltype"] == "NUC" else stated for stated in MIX]
        observation = await ask(body(*newest, *earlier))
        assert observation.starts_at == ELEVEN - 2 * HOUR


async def test_small_negative_generation_counts_as_zero() -> None:
    with_night = await ask(body(*MIX, row("SUN", -3)))
    assert with_night.value_gco2e_per_kwh == (await ask(body(*MIX))).value_gco2e_per_kwh


@pytest.mark.parametrize("storage", ["BAT", "PS", "OES", "UES"])
@pytest.mark.parametrize("value", [900, -900])
async def test_storage_counts_on_neither_side(storage: str, value: int) -> None:
    with_storage = await ask(body(*MIX, row(storage, value)))
    assert with_storage.value_gco2e_per_kwh == (await ask(body(*MIX))).value_gco2e_per_kwh
    assert with_storage.renewable_ratio_bps == 4250


async def test_sun_and_wind_with_batteries_are_sun_and_wind() -> None:
    observation = await ask(body(row("SNB", 100), row("WNB", 100)))
    assert observation.value_gco2e_per_kwh == pytest.approx((45 + 11) / 2)


@pytest.mark.parametrize("unknown", ["OTH", "UNK", "NEW"])
async def test_a_mix_with_more_than_a_tenth_of_other_sources_is_refused(unknown: str) -> None:
    assert (await ask(body(row("WAT", 900), row(unknown, 100)))).renewable_ratio_bps == 9000
    assert await refused(body(row("WAT", 899), row(unknown, 101))) == "unknown_mix"


def test_a_source_stated_twice_with_two_values_has_none_and_with_one_value_has_it() -> None:
    rows = (row("NG", 5), row("NG", "5.0"), row("WAT", 5), row("WAT", 6))
    assert generation_by_source(body(*rows), "BPAT") == {ELEVEN - HOUR: {"NG": 5.0}}


@pytest.mark.parametrize("total", [5000, "5000"], ids=["number", "text"])
def test_the_oldest_hour_of_a_page_of_more_rows_may_be_cut_and_is_left_out(total: object) -> None:
    rows = (*MIX, row("NG", 5, hour=10))
    assert sorted(generation_by_source(body(*rows, total=total), "BPAT")) == [ELEVEN - HOUR]
    assert sorted(generation_by_source(body(*rows), "BPAT")) == [ELEVEN - 2 * HOUR, ELEVEN - HOUR]


@given(mwh=st.floats(0, 1e6))
def test_a_value_reads_the_same_as_a_number_and_as_text(mwh: float) -> None:
    as_number = generation_by_source(body(row("NG", mwh)), "BPAT")
    assert generation_by_source(body(row("NG", repr(mwh))), "BPAT") == as_number == {ELEVEN - HOUR: {"NG": mwh}}


async def test_hours_to_come_are_not_taken() -> None:
    later = [{**stated, "period": "2022-10-31T13", "value": 1} for stated in MIX]
    assert (await ask(body(*MIX, *later))).starts_at == ELEVEN - HOUR


async def test_an_old_hour_is_told_with_its_age() -> None:
    old = [{**stated, "period": "2022-10-30T11"} for stated in MIX]
    assert reading_at(await ask(body(*old)), NOW).temporal_match == "fallback"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (body(), "no_data"),
        (body(row("NG", None)), "no_data"),
        (body(row("NG", 5, period="yesterday")), "no_data"),
        (body(row("NG", 5, period=None)), "no_data"),
        (body(row("NG", 5, fueltype=None)), "no_data"),
        (body(row("NG", 5, period="1970-01-01T00")), "no_data"),
        (body(row("NG", 1e12)), "bad_value"),
        (body(row("NG", 5, respondent="CISO")), "bad_value"),
        (body(row("NG", 5, unit="kilowatthours")), "bad_value"),
        (body("nonsense"), "bad_value"),
        ({"response": {"data": None}}, "bad_json"),
        ({"response": []}, "bad_json"),
        ({"error": "too many"}, "bad_json"),
        ([], "bad_json"),
        (None, "bad_json"),
        (b'{"response": {"data": [{"value": NaN}]}}', "bad_json"),
        (b'{"response": ', "bad_json"),
        (b" " * 3_000_000, "too_large"),
    ],
)
async def test_what_is_no_hour_of_generation_is_refused(answer: object, reason: str) -> None:
    assert await refused(answer) == reason


@pytest.mark.parametrize(
    ("status", "media_type", "answer", "reason"),
    [
        (403, "application/json", {"error": {"code": "API_KEY_INVALID", "message": f"bad key {KEY}"}}, "unauthorized"),
        (401, "application/json", {"error": "no"}, "unauthorized"),
        (403, "text/html", b"<html>403</html>", "unauthorized"),
        (400, "application/json", {"error": "Invalid facet", "code": 400}, "http_400"),
        (429, "application/json", {"error": {"code": "OVER_RATE_LIMIT"}}, "http_429"),
        (504, "text/html", b"<html>gateway</html>", "http_504"),
        (301, "text/html", b"", "http_301"),
        (200, "text/html", b"<html>maintenance</html>", "bad_content_type"),
    ],
)
async def test_every_refusal_has_its_reason(status: int, media_type: str, answer: object, reason: str) -> None:
    assert await refused(answer, status=status, media_type=media_type) == reason


async def test_without_a_key_or_a_respondent_nothing_is_sent() -> None:
    seen: list[httpx2.Request] = []
    assert await refused(body(*MIX), environ={"EIA_API_KEY": ""}, seen=seen) == "no_key"
    assert await refused(body(*MIX), place=Place("FI"), seen=seen) == "not_covered"
    assert seen == []
    assert Eia().covers(Place("US-TEX-ERCO"))
    assert Eia().covers(Place("US"))
    assert not Eia().covers(Place("US-HI"))


async def test_history_is_every_complete_hour_and_there_is_no_forecast() -> None:
    rows = [{**stated, "period": f"2022-10-31T{hour:02}"} for hour in (9, 10, 11) for stated in MIX]

    def handle(request: httpx2.Request) -> httpx2.Response:
        raw = json.dumps(body(*rows)).encode()
        return httpx2.Response(200, headers={"content-type": "application/json"}, stream=httpx2.ByteStream(raw))

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        connection = GridConnection(client, {"EIA_API_KEY": KEY}, NOW, 5.0)
        points = await Eia().history(BONNEVILLE, connection)
        assert await Eia().forecast(BONNEVILLE, NOW + HOUR, connection) == ()
    assert [point.starts_at for point in points] == [ELEVEN - 3 * HOUR, ELEVEN - 2 * HOUR, ELEVEN - HOUR]
