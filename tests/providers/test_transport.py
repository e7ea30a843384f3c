"""Connections to providers: HTTP/2 where it is offered, reuse, real cancellation, and nothing in the logs."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import UpstreamError
from wattproof.resources.providers import ChatDelta, ChatEnd, ChatRequest, Deployment
from wattproof.resources.providers.openai_chat import stream_chat
from wattproof.resources.providers.transport import open_client

if TYPE_CHECKING:
    from tests.fakes.http2_server import Http2Provider
    from tests.fakes.provider import FakeProvider

PROMPT = "What is the capital of France? (ref 5512)"
REQUEST = ChatRequest(({"role": "user", "content": PROMPT},), max_output_tokens=64)
KEY = "sk-test-1234"
CANCEL = 8


def http2_server() -> ModuleType:
    folder = Path(__file__).parents[1] / "fakes"
    for name in ("dialects", "http2_server"):
        full = f"tests.fakes.{name}"
        if full not in sys.modules:
            spec = importlib.util.spec_from_file_location(full, folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[full] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[full])
    return sys.modules["tests.fakes.http2_server"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def http2_provider(tmp_path: Path) -> Iterator[Http2Provider]:
    with http2_server().serving(tmp_path) as provider:
        yield provider


@pytest.fixture
async def http2_client(http2_provider: Http2Provider) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client(http2_provider.trust) as opened:
        yield opened


def row(provider: Http2Provider, auth: Literal["bearer", "x-api-key", "api-key"] = "bearer") -> Deployment:
    url = provider.base_url
    return Deployment("fake", "m", "m", url, "openai-chat", (), "FR", "declared", "test", "2026-11", auth=auth)


async def ask(client: httpx2.AsyncClient, deployment: Deployment) -> ChatEnd:
    events = stream_chat(client, deployment, REQUEST, api_key=KEY, timeout_s=10)
    *_, end = [event async for event in events]
    assert isinstance(end, ChatEnd)
    return end


async def test_answers_share_one_http2_connection_where_it_is_offered(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    for _ in range(3):
        assert (await ask(http2_client, row(http2_provider))).text == "The capital of France is Paris."
    assert [stream_id for _, stream_id in http2_provider.streams] == [1, 3, 5]
    assert len({port for port, _ in http2_provider.streams}) == 1
    assert http2_provider.resets == []


async def test_concurrent_answers_share_the_connection_too(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    await ask(http2_client, row(http2_provider))
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask, http2_client, row(http2_provider))
    assert len(http2_provider.streams) == 21
    assert len({port for port, _ in http2_provider.streams}) == 1


async def test_leaving_an_http2_answer_resets_its_stream_and_no_other(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    http2_provider.hang = True
    stays = stream_chat(http2_client, row(http2_provider), REQUEST, api_key=KEY, timeout_s=10)
    async with aclosing(stays):
        assert await anext(stays) == ChatDelta("The capital ")
        leaves = stream_chat(http2_client, row(http2_provider), REQUEST, api_key=KEY, timeout_s=10)
        async with aclosing(leaves):
            assert await anext(leaves) == ChatDelta("The capital ")
        assert await anyio.to_thread.run_sync(http2_provider.wait_for_resets, 1)
        assert http2_provider.resets == [(3, CANCEL)]
        assert [event.text async for event in stays] == ["of France ", "is Paris.", "The capital of France is Paris."]


async def test_a_deadline_before_the_headers_resets_the_stream(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    http2_provider.mute = True
    with pytest.raises(UpstreamError) as caught:
        async for _ in stream_chat(http2_client, row(http2_provider), REQUEST, api_key=KEY, timeout_s=0.3):
            pass
    assert caught.value.reason == "timeout"
    assert await anyio.to_thread.run_sync(http2_provider.wait_for_resets, 1)
    assert http2_provider.resets == [(1, CANCEL)]


@pytest.mark.parametrize(("pieces", "text"), [(0, ""), (1, "The capital ")])
async def test_broken_framing_is_a_failure_like_any_other(
    pieces: int, text: str, http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    http2_provider.garble = pieces
    with pytest.raises(UpstreamError) as caught:
        await ask(http2_client, row(http2_provider))
    assert caught.value.partial_text in ("", text)
    http2_provider.garble = None
    assert (await ask(http2_client, row(http2_provider))).text == "The capital of France is Paris."


async def test_a_connection_on_which_an_answer_was_left_serves_no_new_call(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    for _ in range(3):
        http2_provider.mute = True
        with pytest.raises(UpstreamError):
            async for _ in stream_chat(http2_client, row(http2_provider), REQUEST, api_key=KEY, timeout_s=0.3):
                pass
        http2_provider.mute = False
        assert (await ask(http2_client, row(http2_provider))).text == "The capital of France is Paris."
    ports = [port for port, _ in http2_provider.streams]
    assert ports[0] != ports[1] == ports[2] != ports[3] == ports[4] != ports[5]


async def test_a_certificate_that_nobody_vouches_for_is_refused(http2_provider: Http2Provider) -> None:
    async with open_client() as client:
        with pytest.raises(UpstreamError) as caught:
            await ask(client, row(http2_provider))
    assert (caught.value.reason, caught.value.retryable) == ("tls", False)
    assert http2_provider.headers == []


async def test_a_proxy_of_the_environment_is_not_passed_by(
    http2_provider: Http2Provider, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", fake_provider.base_url)
    async with open_client(http2_provider.trust) as client:
        with pytest.raises(UpstreamError):
            await ask(client, row(http2_provider))
    assert http2_provider.streams == []


async def test_cookies_are_neither_kept_nor_sent(
    http2_client: httpx2.AsyncClient, http2_provider: Http2Provider
) -> None:
    for _ in range(2):
        await ask(http2_client, row(http2_provider))
    assert all("cookie" not in headers for headers in http2_provider.headers)


@pytest.mark.parametrize("auth", ["bearer", "x-api-key", "api-key"])
async def test_neither_prompt_nor_key_nor_answer_is_logged_at_any_level(
    auth: Literal["bearer", "x-api-key", "api-key"],
    http2_provider: Http2Provider,
    fake_provider: FakeProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = fake_provider.deployment(auth=auth)
    with caplog.at_level(logging.DEBUG):
        async with open_client(http2_provider.trust) as client:
            for deployment in (row(http2_provider, auth=auth), plain):
                await ask(client, deployment)
            fake_provider.script("401")
            with pytest.raises(UpstreamError):
                await ask(client, plain)
    assert caplog.records
    assert KEY not in caplog.text
    assert PROMPT not in caplog.text
    assert "is Paris" not in caplog.text
