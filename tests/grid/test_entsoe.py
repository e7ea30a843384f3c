"""ENTSO-E's A75 documents: omitted points, mixed resolutions, consumption series, acknowledgements, hostile XML."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.entsoe import Entsoe, generation_by_type
from wattproof.resources.grid.observation import GridConnection, Observation, Place, reading_at

TOKEN = "11111111-2222-3333-4444-555555555555"
FINLAND = Place("FI")
AREA = "10YFI-1--------U"
START = int(datetime(2025, 10, 24, 10, 0, tzinfo=UTC).timestamp())
HOUR, QUARTER = 3600, 900
NOW = START + 2 * HOUR + 57 * 60
NAMESPACE = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"


def at(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%MZ")


def series(
    code: str,
    points: Mapping[int, object],
    *,
    start: int = START,
    hours: float = 2,
    resolution: str = "PT15M",
    curve: str = "A03",
    side: str = "in",
    area: str = AREA,
    unit: str = "MAW",
) -> str:
    stated = "".join(f"<Point><position>{p}</position><quantity>{q}</quantity></Point>" for p, q in points.items())
    domain = f"{side}BiddingZone_Domain.mRID"
    return (
        f"<TimeSeries><mRID>1</mRID><businessType>A01</businessType><objectAggregation>A08</objectAggregation>"
        f'<{domain} codingScheme="A01">{area}</{domain}>'
        f"<quantity_Measure_Unit.name>{unit}</quantity_Measure_Unit.name><curveType>{curve}</curveType>"
        f"<MktPSRType><psrType>{code}</psrType></MktPSRType>"
        f"<Period><timeInterval><start>{at(start)}</start><end>{at(start + hours * HOUR)}</end></timeInterval>"
        f"<resolution>{resolution}</resolution>{stated}</Period></TimeSeries>"
    )


def document(*parts: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><GL_MarketDocument xmlns="{NAMESPACE}">'
        f"<mRID>6011</mRID><type>A75</type>{''.join(parts)}</GL_MarketDocument>"
    )


def acknowledgement(text: str = "No matching data found for Data item Actual Generation per type") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Acknowledgement_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"><mRID>ack</mRID>'
        f"<Reason><code>999</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"
    )


def parsed(*parts: str, now_s: float = NOW) -> tuple[int, dict[int, dict[str, float]]]:
    return generation_by_type(fromstring(document(*parts)), AREA, now_s)


async def ask(
    body: str | bytes,
    *,
    status: int = 200,
    media_type: str = "text/xml",
    environ: Mapping[str, str] | None = None,
    seen: list[httpx2.Request] | None = None,
    place: Place = FINLAND,
) -> Observation:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        raw = body if isinstance(body, bytes) else body.encode()
        return httpx2.Response(status, headers={"content-type": media_type}, stream=httpx2.ByteStream(raw))

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        connection = GridConnection(client, {"ENTSOE_TOKEN": TOKEN} if environ is None else environ, NOW, 5.0)
        return await Entsoe().latest(place, connection)


async def refused(body: str | bytes, **kwargs: object) -> str:
    with pytest.raises(GridUnavailable) as caught:
        await ask(body, **kwargs)  # pyright: ignore[reportArgumentType]
    assert TOKEN not in str(caught.value)
    return caught.value.reason


def contradiction(*parts: str) -> str:
    with pytest.raises(GridUnavailable) as caught:
        parsed(*parts)
    return caught.value.reason


MIX = (series("B14", {1: 2800}), series("B19", {1: 1100, 5: 900}), series("B12", {1: 1000}), series("B04", {1: 100}))


async def test_the_newest_quarter_is_the_mean_of_the_factors_and_labelled_production() -> None:
    observation = await ask(document(*MIX))
    grams = 2800 * 12 + 900 * 11 + 1000 * 24 + 100 * 490
    assert observation.value_gco2e_per_kwh == pytest.approx(grams / 4800)
    assert (observation.starts_at, observation.step_s) == (START + 7 * QUARTER, QUARTER)
    assert (observation.zone, observation.basis, observation.factor_scope) == ("FI", "average", "lifecycle")
    assert (observation.accounting, observation.evidence) == ("production", "estimated")
    assert observation.source == Entsoe.name == "entsoe-a75+ipcc-2014"
    assert observation.renewable_ratio_bps == round(10_000 * 1900 / 4800)
    assert observation.carbon_free_ratio_bps == round(10_000 * 4700 / 4800)
    assert reading_at(observation, NOW).temporal_match == "fresh"


async def test_what_is_asked_is_the_realised_generation_of_the_area() -> None:
    seen: list[httpx2.Request] = []
    await ask(document(*MIX), seen=seen)
    assert dict(seen[0].url.params) == {
        "securityToken": TOKEN,
        "documentType": "A75",
        "processType": "A16",
        "in_Domain": AREA,
        "periodStart": "202510240000",
        "periodEnd": "202510241300",
    }


async def test_the_token_in_the_query_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ask(document(*MIX))
    await refused("gone", status=500)
    assert "web-api.tp.entsoe.eu/api" in caplog.text
    assert TOKEN not in caplog.text


def test_an_omitted_point_repeats_the_one_before_it() -> None:
    step_s, energy = parsed(series("B14", {1: 400, 4: 800}))
    assert step_s == QUARTER
    assert [energy[START + i * QUARTER]["B14"] for i in range(8)] == [100, 100, 100, 200, 200, 200, 200, 200]


def test_an_omitted_point_of_a_plain_curve_is_missing() -> None:
    _, energy = parsed(series("B14", {1: 400, 4: 800}, curve="A01"))
    assert sorted(energy) == [START, START + 3 * QUARTER]


def test_before_the_first_point_nothing_is_known() -> None:
    _, energy = parsed(series("B14", {3: 400}))
    assert min(energy) == START + 2 * QUARTER


@pytest.mark.parametrize("hole", ["", "NaN", "n/a", "inf"])
def test_a_point_without_a_figure_is_not_filled(hole: str) -> None:
    _, energy = parsed(series("B14", {1: 400, 2: hole, 4: 800}))
    assert sorted(energy) == [START + i * QUARTER for i in (0, 3, 4, 5, 6, 7)]


def test_nothing_is_repeated_into_an_interval_that_has_not_ended() -> None:
    _, energy = parsed(series("B14", {1: 400}, hours=72), now_s=START + HOUR + 1)
    assert max(energy) == START + 3 * QUARTER


@given(
    values=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    keep=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_leaving_out_repeated_points_changes_nothing(values: list[int], keep: list[bool]) -> None:
    every = {i + 1: value for i, value in enumerate(values)}
    thinned = {p: v for p, v in every.items() if keep[p - 1] or p == 1 or values[p - 2] != v}
    hours, now_s = len(values) / 4, START + 40 * QUARTER
    plain = parsed(series("B14", every, hours=hours, curve="A01"), now_s=now_s)
    assert parsed(series("B14", thinned, hours=hours), now_s=now_s) == plain
    assert len(plain[1]) == len(values)


def test_quarters_and_hours_meet_in_hours() -> None:
    step_s, energy = parsed(
        series("B19", {1: 100, 2: 200, 3: 300, 4: 400, 5: 400}, hours=1.75),
        series("B14", {1: 2800, 2: 2700}, resolution="PT60M", curve="A01"),
    )
    assert step_s == HOUR
    assert energy == {START: {"B19": 250, "B14": 2800}, START + HOUR: {"B14": 2700}}


def test_the_energy_of_an_hour_does_not_depend_on_its_resolution() -> None:
    hourly = parsed(series("B14", {1: 2800}, hours=1, resolution="PT60M"))[1]
    quarters = parsed(series("B14", {1: 2800}, hours=1))[1]
    assert sum(codes["B14"] for codes in quarters.values()) == hourly[START]["B14"] == 2800


async def test_an_interval_that_a_big_type_has_not_reached_yet_is_not_taken() -> None:
    late = document(series("B14", {1: 2800}, hours=1), series("B19", {1: 1100}))
    assert (await ask(late)).starts_at == START + 3 * QUARTER


def test_consumption_series_are_left_out_whatever_their_type() -> None:
    alone = parsed(series("B10", {1: 300}), series("B19", {1: 1100}))
    pumped = (series("B10", {1: 900}, side="out"), series("B19", {1: 7}, side="out"))
    assert parsed(series("B10", {1: 300}), series("B19", {1: 1100}), *pumped) == alone


async def test_pumped_storage_counts_on_neither_side() -> None:
    with_pump = await ask(document(*MIX, series("B10", {1: 5000}), series("B25", {1: 500})))
    assert with_pump.value_gco2e_per_kwh == (await ask(document(*MIX))).value_gco2e_per_kwh


def test_one_type_may_come_in_several_series_of_different_times() -> None:
    _, energy = parsed(series("B14", {1: 400}, hours=1), series("B14", {1: 800}, start=START + HOUR, hours=1))
    assert [energy[START + i * QUARTER]["B14"] for i in range(8)] == [100] * 4 + [200] * 4


@pytest.mark.parametrize("second", [{1: 400}, {1: 401}])
def test_two_figures_for_one_type_and_time_are_a_contradiction(second: dict[int, object]) -> None:
    assert contradiction(series("B14", {1: 400}), series("B14", second)) == "bad_value"
    assert contradiction(series("B14", {1: 400}), series("B14", second, resolution="PT60M")) == "bad_value"


@pytest.mark.parametrize(
    "part",
    [
        series("B14", {1: 1}, area="10YFR-RTE------C"),
        series("B14", {1: 1}, unit="KWT"),
        series("B14", {1: 1}, curve="A05"),
        series("B14", {1: 1}, resolution="P1D"),
        series("B14", {1: 1}, resolution=""),
        series("B14", {0: 1}),
        series("B14", {9: 1}),
        series("B14", {-1: 1}),
        series("B14", {99999999: 1}),
        series("B14", {1: 1}, hours=0),
        series("B14", {1: 1}, hours=-2),
        series("B14", {1: 1}, hours=24 * 4000),
        series("B14", {1: 1}, start=START + 60),
        series("B14", {1: 1}).replace("<position>1<", "<position>one<"),
        series("B14", {1: 1, 2: 2}).replace("<position>2<", "<position>1<"),
        series("B14", {1: 1}).replace("<start>", "<start>soon "),
        series("B14", {1: 1}).replace("timeInterval", "interval"),
    ],
)
def test_a_series_that_contradicts_itself_or_the_question_is_refused(part: str) -> None:
    assert contradiction(part) == "bad_value"


async def test_a_mix_that_is_largely_waste_and_oil_shale_is_refused() -> None:
    assert await refused(document(series("B07", {1: 500}), series("B19", {1: 1000}))) == "unknown_mix"
    assert await refused(document(series("B99", {1: 500}), series("B19", {1: 1000}))) == "unknown_mix"
    assert (await ask(document(series("B17", {1: 50}), series("B19", {1: 1000})))).renewable_ratio_bps == 9524


async def test_an_empty_document_has_no_data() -> None:
    assert await refused(document()) == "no_data"
    assert await refused(document(series("B14", {}))) == "no_data"


async def test_an_acknowledgement_means_no_data() -> None:
    assert await refused(acknowledgement()) == "no_data"
    assert await refused(acknowledgement(), status=400) == "no_data"
    assert await refused(acknowledgement(f"securityToken {TOKEN}")) == "no_data"


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>
<GL_MarketDocument>&lol2;</GL_MarketDocument>"""
OUTSIDE = """<?xml version="1.0"?><!doctype x SYSTEM "file:///etc/passwd"><GL_MarketDocument/>"""


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        BOMB.encode("utf-16"),
        OUTSIDE,
        OUTSIDE.replace("<!doctype", "<! DOCTYPE"),
        document(*MIX)[:-30],
        document(*MIX).encode() + b"\xff",
        "",
        "   ",
        "not xml",
        "<html><body>maintenance</body></html>",
        "<Publication_MarketDocument/>",
        "<a>" * 100_000,
        b"\x00" * 100,
    ],
)
async def test_hostile_or_broken_xml_is_refused_unread(body: str | bytes) -> None:
    assert await refused(body) == "bad_xml"


async def test_deep_nesting_is_harmless() -> None:
    assert (
        await refused("<GL_MarketDocument>" + "<a>" * 100_000 + "</a>" * 100_000 + "</GL_MarketDocument>") == "no_data"
    )


@pytest.mark.parametrize(
    ("status", "media_type", "body", "reason"),
    [
        (401, "text/html", "<html>Unauthorized</html>", "unauthorized"),
        (401, "text/plain", f"invalid security token {TOKEN}", "unauthorized"),
        (403, "text/html", "<html>forbidden</html>", "unauthorized"),
        (400, "text/xml", acknowledgement("Query parameter is wrong"), "http_400"),
        (429, "text/plain", "Too many requests", "http_429"),
        (503, "text/html", "<html>maintenance</html>", "http_503"),
        (302, "text/html", "", "http_302"),
        (200, "text/html", "<html>login</html>", "bad_content_type"),
        (200, "application/zip", "PK", "bad_content_type"),
        (200, "application/json", "{}", "bad_content_type"),
        (200, "text/xml", "<a>" + " " * 3_000_000, "too_large"),
    ],
)
async def test_every_refusal_has_its_reason(status: int, media_type: str, body: str, reason: str) -> None:
    assert await refused(body, status=status, media_type=media_type) == reason


@pytest.mark.parametrize("media_type", ["text/xml", "application/xml", "text/xml;charset=UTF-8"])
async def test_both_media_types_of_xml_are_read(media_type: str) -> None:
    assert (await ask(document(*MIX), media_type=media_type)).zone == "FI"


async def test_without_a_token_or_an_area_nothing_is_sent() -> None:
    seen: list[httpx2.Request] = []
    assert await refused(document(*MIX), environ={}, seen=seen) == "no_key"
    assert await refused(document(*MIX), place=Place("US-CAL-CISO"), seen=seen) == "not_covered"
    assert seen == []
    assert Entsoe().covers(Place("SE-SE3"))
    assert not Entsoe().covers(Place("GB"))


async def test_history_is_every_complete_interval_and_there_is_no_forecast() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        body = httpx2.ByteStream(document(*MIX).encode())
        return httpx2.Response(200, headers={"content-type": "text/xml"}, stream=body)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        connection = GridConnection(client, {"ENTSOE_TOKEN": TOKEN}, NOW, 5.0)
        points = await Entsoe().history(FINLAND, connection)
        assert await Entsoe().forecast(FINLAND, NOW + HOUR, connection) == ()
    assert [point.starts_at for point in points] == [START + i * QUARTER for i in range(8)]
