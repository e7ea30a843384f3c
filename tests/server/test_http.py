"""The server over real HTTP sockets, in both protocol eras; and what its front door refuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from wattproof import __version__
from wattproof.methodology.errors import Refused
from wattproof.server.app import build_server
from wattproof.server.http import build_http_app

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.applications import Starlette

    from tests.fakes.installation import Installation

TOKEN = "a-long-random-word-for-tests"
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}
ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class Listening:
    """A server in a thread of its own."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def listening(installation: Installation, token: str | None) -> Generator[Listening]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        app = build_http_app(
            build_server(installation.open),
            token=token,
            host="127.0.0.1",
            port=port,
            allow_keyed_runs=token is not None,
        )
        config = uvicorn.Config(app, http="h11", log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        started = threading.Event()
        original = server.startup

        async def startup(sockets: list[socket.socket] | None = None) -> None:
            await original(sockets)
            started.set()

        server.startup = startup
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(20)
            yield Listening(port)
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def guarded(at_fake: Installation) -> Generator[Listening]:
    with listening(at_fake, TOKEN) as server:
        yield server


@pytest.fixture
def open_door(at_fake: Installation) -> Generator[Listening]:
    at_fake.allow_keyed_runs = False
    with listening(at_fake, None) as server:
        yield server


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_run_with_progress_and_its_receipt_over_http(guarded: Listening, era: Any) -> None:
    heard: list[str | None] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with (
        httpx2.AsyncClient(headers=bearer()) as http,
        Client(streamable_http_client(f"{guarded.url}/mcp", http_client=http), mode=era) as client,
    ):
        run = await client.call_tool("run_inference", RUN, progress_callback=listen)
        assert not run.is_error, run.content
        assert run.structured_content is not None
        receipt = {"receipt": run.structured_content["receipt_id"]}
        verified = await client.call_tool("verify_receipt", receipt)
    assert verified.structured_content is not None
    assert verified.structured_content["outcome"] == "established"
    assert "receiving the answer" in heard


async def test_without_a_token_keyed_providers_are_estimated_but_not_run(open_door: Listening, era: Any) -> None:
    async with Client(f"{open_door.url}/mcp", mode=era) as client:
        assert not (await client.call_tool("estimate_request", ESTIMATE)).is_error
        assert not (await client.call_tool("run_inference", {**RUN, "dry_run": True})).is_error
        assert (await client.call_tool("run_inference", RUN)).is_error


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": f"Basic {TOKEN}"}, bearer(TOKEN + "x")])
def test_a_request_without_the_token_is_told_which_header_to_send(guarded: Listening, headers: dict[str, str]) -> None:
    reply = httpx2.post(f"{guarded.url}/mcp", json=PING, headers={**ACCEPT, **headers})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in reply.json()["error"]


def test_health_needs_no_token_and_tells_the_version_only(guarded: Listening) -> None:
    reply = httpx2.get(f"{guarded.url}/healthz")
    assert reply.status_code == 200
    assert reply.json() == {"status": "ok", "version": __version__}


def test_another_host_name_is_refused_as_rebinding(guarded: Listening) -> None:
    reply = httpx2.post(f"{guarded.url}/mcp", json=PING, headers={**ACCEPT, **bearer(), "Host": "evil.example"})
    assert reply.status_code == 421


def test_a_page_of_another_origin_is_refused(guarded: Listening) -> None:
    headers = {**ACCEPT, **bearer(), "Origin": "http://evil.example"}
    assert httpx2.post(f"{guarded.url}/mcp", json=PING, headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_without_a_token_what_a_proxy_forwarded_is_refused(open_door: Listening, name: str) -> None:
    reply = httpx2.post(f"{open_door.url}/mcp", json=PING, headers={**ACCEPT, name: "203.0.113.9"})
    assert reply.status_code == 403


def test_a_body_beyond_the_limit_is_refused(guarded: Listening) -> None:
    reply = httpx2.post(f"{guarded.url}/mcp", content=b" " * (5 * 1024 * 1024), headers={**ACCEPT, **bearer()})
    assert reply.status_code == 413


async def test_on_all_addresses_any_name_is_served_but_not_to_a_page_from_elsewhere(server: MCPServer[Any]) -> None:
    app = build(server, host="0.0.0.0", token=TOKEN, allow_keyed_runs=True)
    headers = {**ACCEPT, **bearer(), "Host": "watt.example:8321"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://watt.example:8321") as http,
    ):
        assert (await http.post("/mcp", json=PING, headers=headers)).status_code == 200
        own = {**headers, "Origin": "http://watt.example:8321"}
        assert (await http.post("/mcp", json=PING, headers=own)).status_code == 200
        elsewhere = {**headers, "Origin": "http://evil.example"}
        assert (await http.post("/mcp", json=PING, headers=elsewhere)).status_code == 403
        assert (await http.post("/mcp", json=PING, headers={**headers, "Authorization": ""})).status_code == 401


async def test_named_hosts_are_served_and_no_others(server: MCPServer[Any]) -> None:
    app = build_http_app(
        server, token=TOKEN, host="0.0.0.0", port=8321, allow_keyed_runs=True, allowed_hosts=["watt.example"]
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://watt.example") as http,
    ):
        headers = {**ACCEPT, **bearer()}
        assert (await http.post("/mcp", json=PING, headers=headers)).status_code == 200
        assert (await http.post("/mcp", json=PING, headers={**headers, "Host": "evil.example"})).status_code == 421


def test_a_public_address_without_a_token_is_refused(server: MCPServer[Any]) -> None:
    for host in ("0.0.0.0", "192.0.2.7", "::", "example.org"):
        with pytest.raises(Refused, match="token"):
            build(server, host=host, token=None, allow_keyed_runs=False)


def test_keyed_runs_without_a_token_are_refused(server: MCPServer[Any]) -> None:
    with pytest.raises(Refused, match="key"):
        build(server, host="127.0.0.1", token=None, allow_keyed_runs=True)


def build(server: MCPServer[Any], *, host: str, token: str | None, allow_keyed_runs: bool) -> Starlette:
    return build_http_app(server, token=token, host=host, port=8321, allow_keyed_runs=allow_keyed_runs)
