"""What goes wrong between the desk and its sources, and what a request is served all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid import Place, annual_reading

if TYPE_CHECKING:
    from tests.grid.conftest import World

FR, SE, DE = Place("FR"), Place("SE-SE3"), Place("DE")
HOUR = 3600
NOW = 1_795_348_800


def stated(value: Any, starts_at: int = NOW, **fields: Any) -> dict[str, Any]:
    return {"value": value, "starts_at": starts_at, **fields}


FAULTS: dict[str, tuple[Any, str]] = {
    "null": (stated(None), "no_data"),
    "negative": (stated(-3), "bad_value"),
    "absurd": (stated(1e9), "bad_value"),
    "an interval that has not begun": (stated(50, NOW + HOUR), "bad_value"),
    "an endless interval": (stated(50, step_s=10**9), "bad_value"),
}
ANSWERS: dict[str, tuple[bytes, int, str, str]] = {
    "NaN": (b'{"value": NaN, "starts_at": 1795348800}', 200, "application/json", "bad_json"),
    "HTML": (b"<html>welcome</html>", 200, "text/html", "bad_content_type"),
    "no content type": (b'{"value": 50, "starts_at": 1795348800}', 200, "", "bad_content_type"),
    "cut JSON": (b'{"value": 5', 200, "application/json", "bad_json"),
    "bad UTF-8": (b'{"value": "\xff\xfe"}', 200, "application/json", "bad_json"),
    "a huge body": (b"[" + b"0," * 2**20 + b"0]", 200, "application/json", "too_large"),
    "a deep body": (b"[" * 200_000, 200, "application/json", "bad_json"),
    "a redirect": (b"", 302, "text/html", "http_302"),
    "an error page": (b"<html>down</html>", 503, "text/html", "http_503"),
    "not JSON of ours": (b"[1, 2]", 200, "application/json", "unexpected"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_an_unusable_value_leaves_the_annual_average_and_is_named(world: World, name: str) -> None:
    said, reason = FAULTS[name]
    world.answer = lambda request: said
    grid = world.desk()
    assert await grid.readings([FR], world.now_s) == {FR: annual_reading("FR", world.now_s)}
    await grid.refresh([FR])
    assert grid.status()[0].state == reason


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_unusable_answer_leaves_the_annual_average_and_is_named(world: World, name: str) -> None:
    body, status, content_type, reason = ANSWERS[name]
    world.answer = lambda request: world.respond(body, status, content_type)
    grid = world.desk()
    assert await grid.readings([FR], world.now_s) == {FR: annual_reading("FR", world.now_s)}
    await grid.refresh([FR])
    assert grid.status()[0].state == reason


async def test_a_value_of_yesterday_is_no_reading_of_today(world: World) -> None:
    world.answer = lambda request: stated(50, NOW - 86_400)
    grid = world.desk()
    assert (await grid.readings([FR], world.now_s))[FR].evidence == "annual"
    [(seen, judged)] = await grid.observations(FR, world.now_s)
    assert (seen.starts_at, judged.temporal_match) == (NOW - 86_400, "fallback")


async def test_one_refused_connection_stops_look_ups_for_all_places_for_a_while(world: World) -> None:
    world.answer = lambda request: httpx2.ConnectError("no route to host")
    grid = world.desk()
    await grid.readings([FR], world.now_s)
    await grid.readings([FR, SE, DE], world.now_s)
    assert len(world.asked) == 1
    [row] = grid.status()
    assert row.state == "connect"
    assert row.retry_at is not None
    assert world.now_s + 15 <= row.retry_at <= world.now_s + 30


async def test_without_a_network_only_the_first_request_waits(world: World) -> None:
    async def silence() -> None:
        await asyncio.Event().wait()

    world.answer = lambda request: silence()
    grid = world.desk(patience_s=0.05)
    loop = asyncio.get_running_loop()
    await grid.readings([FR], world.now_s)
    await grid.refresh([FR])
    assert grid.status()[0].state == "timeout"
    world.pass_s(60)
    started_s = loop.time()
    for place in (FR, SE, DE):
        await grid.readings([place], world.now_s)
    assert loop.time() - started_s < 0.05


async def test_an_open_circuit_lets_one_probe_through_and_closes_on_success(world: World) -> None:
    world.answer = lambda request: httpx2.ConnectError("no route to host")
    grid = world.desk()
    await grid.refresh([FR])
    world.pass_s(31)
    world.answer = lambda request: stated(50)
    await grid.refresh([FR, SE, DE])
    assert len(world.asked) == 2
    await grid.refresh([FR, SE, DE])
    assert len(world.asked) == 4
    assert grid.status()[0].state == "ok"


async def test_three_failures_in_a_row_open_the_circuit_and_further_ones_double_it_to_a_quarter_hour(
    world: World,
) -> None:
    world.answer = lambda request: world.respond(b"", 500, "text/plain")
    grid = world.desk()
    for place in (FR, SE, DE, Place("PL")):
        await grid.refresh([place])
    assert len(world.asked) == 3
    waits: list[float] = []
    for _ in range(9):
        retry_at = grid.status()[0].retry_at
        assert retry_at is not None
        waits.append(retry_at - world.now_s)
        world.pass_s(waits[-1] + 200)
        await grid.refresh([FR])
    assert 15 <= waits[0] <= 30
    assert waits[1] > 25
    assert 450 <= waits[-1] <= 900


async def test_a_failure_of_one_place_pauses_that_place_longer_each_time(world: World) -> None:
    world.answer = lambda request: world.respond(b"", 500, "text/plain")
    grid = world.desk()
    await grid.refresh([FR])
    world.pass_s(1)
    await grid.refresh([FR])
    assert len(world.asked) == 1
    world.pass_s(5)
    await grid.refresh([FR])
    assert len(world.asked) == 2
    world.pass_s(4)
    await grid.refresh([FR])
    assert len(world.asked) == 2


@pytest.mark.parametrize(
    "headers",
    [{"retry_after": "600"}, {"retry_after": "Sun, 22 Nov 2026 12:10:00 GMT", "date": "Sun, 22 Nov 2026 12:00:00 GMT"}],
)
async def test_what_a_source_asks_to_wait_is_waited(world: World, headers: dict[str, str]) -> None:
    world.answer = lambda request: world.respond(b"slow down", 429, "text/plain", **headers)
    grid = world.desk()
    await grid.refresh([FR])
    assert (grid.status()[0].state, grid.status()[0].retry_at) == ("http_429", world.now_s + 600)
    world.pass_s(599)
    await grid.refresh([FR, SE])
    assert len(world.asked) == 1
    world.pass_s(2)
    await grid.refresh([FR])
    assert len(world.asked) == 2


async def test_a_plan_that_lacks_one_place_does_not_cost_the_others(world: World) -> None:
    def api(request: httpx2.Request) -> Any:
        denied = world.respond(b'{"error": "your plan has no FR"}', 401)
        return denied if request.url.path.endswith("FR") else stated(50)

    world.answer = api
    grid = world.desk()
    for _ in range(3):
        await grid.refresh([FR])
        readings = await grid.readings([FR, SE], world.now_s)
        assert (readings[FR].evidence, readings[SE].source) == ("annual", "plain")
        world.pass_s(60)
    assert world.asked.count("plain /latest/FR") == 1


async def test_a_key_that_is_refused_stops_the_source_and_says_so(world: World) -> None:
    world.answer = lambda request: world.respond(b'{"message": "bad key"}', 401)
    grid = world.desk()
    await grid.refresh([FR])
    await grid.refresh([SE])
    assert len(world.asked) == 1
    [row] = grid.status()
    assert row.state == "unauthorized"
    assert row.detail == "plain.test answered 401: 'bad key'."


async def test_a_forecast_that_fails_is_empty_and_counts_against_the_source(world: World) -> None:
    world.answer = lambda request: httpx2.ConnectError("no route to host")
    grid = world.desk()
    assert await grid.forecast(FR, world.now_s, world.now_s + HOUR) == ()
    assert await grid.forecast(SE, world.now_s, world.now_s + HOUR) == ()
    assert len(world.asked) == 1
    with pytest.raises(GridUnavailable):
        await grid.history("plain", FR)
    with pytest.raises(GridUnavailable):
        await grid.history("another", FR)


async def test_a_body_that_trickles_from_a_real_socket_is_late_not_endless(world: World) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    from wattproof.resources.grid.http import fetch

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server, httpx2.AsyncClient(trust_env=False) as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GridUnavailable) as caught:
            await fetch(world.connection(client, timeout_s=0.15), f"http://127.0.0.1:{port}/")
        server.close()
    assert caught.value.reason == "timeout"


async def test_nothing_listens_on_a_real_port(world: World) -> None:
    from wattproof.resources.grid.http import fetch

    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(GridUnavailable) as caught:
            await fetch(world.connection(client), "http://127.0.0.1:1/")
        assert caught.value.reason == "connect"
        with pytest.raises(GridUnavailable) as caught:
            await fetch(world.connection(client), "gopher://127.0.0.1/")
        assert caught.value.reason == "bad_request"
        with pytest.raises(GridUnavailable) as caught:
            await fetch(world.connection(client), "http://127.0.0.1:1/", headers={"auth-token": "ключ"})
        assert caught.value.reason == "bad_request"


async def test_a_key_that_an_api_echoes_is_not_repeated(world: World) -> None:
    from wattproof.resources.grid.http import fetch, require_ok

    world.answer = lambda request: world.respond(b'{"error": {"message": "no such key s3cret\\n"}}', 403)
    answer = await fetch(world.connection(), "https://plain.test/", params={"key": "s3cret"}, secrets=("s3cret",))
    with pytest.raises(GridUnavailable) as caught:
        require_ok(answer)
    assert str(caught.value) == r"plain.test answered 403: 'no such key ***\n'."


async def test_a_compressed_body_is_not_unpacked(world: World) -> None:
    from wattproof.resources.grid.http import fetch, require_json

    world.answer = lambda request: world.respond(b"\x1f\x8b", 200, "application/json", content_encoding="gzip")
    with pytest.raises(GridUnavailable) as caught:
        require_json(await fetch(world.connection(), "https://plain.test/"))
    assert caught.value.reason == "bad_content_type"
