"""Every fault at every wire protocol: a named failure within the deadline, and what was spent is never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import ChatDelta, ChatEnd, ChatRequest, EmbeddingRequest, RerankRequest
from wattproof.resources.providers.adapters import Connection, stream
from wattproof.resources.providers.records import UpstreamRequest
from wattproof.resources.providers.transport import open_client

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

KEY = "sk-test-1234"
ANSWER = "The capital of France is Paris."


@dataclass(frozen=True)
class Wire:
    """A wire protocol, a request in it, what we count of its input, and how large a body it takes."""

    protocol: str
    path: str
    auth: str
    request: UpstreamRequest
    counted: int
    streams: bool
    huge_pieces: int = 200


CHAT = ChatRequest(({"role": "user", "content": "What is the capital of France?"},), max_output_tokens=64)
WIRES = (
    Wire("openai-chat", "/v1/chat/completions", "bearer", CHAT, 8, streams=True),
    Wire("anthropic-messages", "/v1/messages", "x-api-key", CHAT, 8, streams=True),
    Wire("openai-embeddings", "/v1/embeddings", "api-key", EmbeddingRequest(("one two", "three")), 4, False, 600),
    Wire("rerank", "/v1/rerank", "bearer", RerankRequest("one two", ("three four", "five")), 8, streams=False),
)


@pytest.fixture(params=WIRES, ids=lambda wire: wire.protocol)
def wire(request: pytest.FixtureRequest) -> Wire:
    return request.param


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client() as opened:
        yield opened


async def ask(
    client: httpx2.AsyncClient, provider: FakeProvider, wire: Wire, timeout_s: float = 10, **row: Any
) -> ChatEnd:
    deployment = provider.deployment(**{"protocol": wire.protocol, "auth": wire.auth, **row})
    connection = Connection(client, KEY, timeout_s)
    with anyio.fail_after(timeout_s + 5):
        async with aclosing(stream(deployment, wire.request, connection)) as events:
            *pieces, end = [event async for event in events]
    assert all(isinstance(piece, ChatDelta) for piece in pieces)
    assert isinstance(end, ChatEnd)
    return end


async def failure(
    client: httpx2.AsyncClient, provider: FakeProvider, wire: Wire, mode: str, **kwargs: Any
) -> UpstreamError:
    provider.script(mode)
    with pytest.raises(UpstreamError) as caught:
        await ask(client, provider, wire, **kwargs)
    assert KEY not in str(caught.value)
    assert str(caught.value).isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("mode", "reason", "retryable"),
    [
        ("cut_before_first", "connect", True),
        ("400", "http_400", False),
        ("401", "http_401", False),
        ("402", "http_402", False),
        ("403", "http_403", False),
        ("404", "http_404", False),
        ("408", "http_408", True),
        ("413", "http_413", False),
        ("429", "http_429", True),
        ("500", "http_500", True),
        ("502", "http_502", True),
        ("503", "http_503", True),
        ("504", "http_504", True),
        ("529", "http_529", True),
        ("redirect", "http_307", False),
    ],
)
async def test_a_refusal_is_named_and_costs_nothing(
    mode: str, reason: str, retryable: bool, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    error = await failure(client, fake_provider, wire, mode)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert (error.partial_text, error.partial_usage) == ("", None)
    assert [received.path for received in fake_provider.received] == [wire.path]


@pytest.mark.parametrize(
    ("mode", "reason", "retryable"),
    [
        ("html", "bad_content_type", True),
        ("gzip", "bad_content_type", True),
        ("empty", "cut_stream", True),
        ("cut_mid", "cut_stream", True),
        ("bad_json", "bad_json", True),
        ("bad_shape", "bad_json", True),
        ("error_mid", "stream_error", True),
        ("huge", "too_large", False),
        ("lying_usage", "bad_usage", False),
    ],
)
async def test_a_broken_answer_is_named_and_what_it_cost_is_kept(
    mode: str, reason: str, retryable: bool, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.huge_pieces = wire.huge_pieces
    error = await failure(client, fake_provider, wire, mode)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert error.partial_usage is not None
    assert error.partial_usage_source == "local_count"
    assert error.partial_usage.input_tokens in (wire.counted, 42)
    assert error.partial_usage.output_tokens >= -(-len(error.partial_text) // 4)


@pytest.mark.parametrize("mode", ["hang", "slow_headers", "hang_mid", "slow_body"])
async def test_nothing_outlives_the_deadline(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.slow_s = 30
    error = await failure(client, fake_provider, wire, mode, timeout_s=0.3)
    assert (error.reason, error.retryable) == ("timeout", True)
    assert (error.partial_usage is None) == (mode in ("hang", "slow_headers"))


async def test_a_slow_body_within_the_deadline_is_an_answer(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.slow_s = 0.01
    fake_provider.script("slow_body")
    assert (await ask(client, fake_provider, wire)).usage_source == "provider"


async def test_a_closed_port_and_a_failed_handshake_are_told_apart(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    closed = await failure(client, fake_provider, wire, "ok", base_url="http://127.0.0.1:1/v1")
    assert (closed.reason, closed.retryable, closed.partial_usage) == ("connect", True, None)
    plain = fake_provider.base_url.replace("http:", "https:")
    for address in (plain, plain.replace("127.0.0.1", "127.0.0.2")):
        handshake = await failure(client, fake_provider, wire, "ok", base_url=address)
        assert handshake.partial_usage is None
    assert fake_provider.received == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1", "http://a:b:c/v1", "nowhere"])
async def test_an_address_that_is_none_is_a_bad_request(
    url: str, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    error = await failure(client, fake_provider, wire, "ok", base_url=url)
    assert (error.reason, error.retryable) == ("bad_request", False)


async def test_bad_utf8_is_replaced_in_a_stream_and_refused_in_a_body(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    if wire.streams:
        fake_provider.script("bad_utf8")
        assert (await ask(client, fake_provider, wire)).text == "caf\N{REPLACEMENT CHARACTER}"
    else:
        assert (await failure(client, fake_provider, wire, "bad_utf8")).reason == "bad_json"


@pytest.mark.parametrize("mode", ["no_usage", "zero_usage"])
async def test_usage_that_is_missing_is_counted_and_marked(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script(mode)
    end = await ask(client, fake_provider, wire)
    assert end.usage == Usage(wire.counted, 8 if wire.streams else 0)
    assert end.usage_source == "local_count"


async def test_an_absurd_usage_is_kept_and_flagged(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script("absurd_usage")
    end = await ask(client, fake_provider, wire)
    assert (end.usage.input_tokens, end.usage_source) == (10**9, "provider")
    assert end.reported is not None
    flagged = end.reported["usage_implausible"]
    assert flagged["input_tokens"] == 10**9 > 100 * flagged["input_tokens_at_most"]


async def test_an_output_far_beyond_the_limit_is_kept_and_flagged(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script("over_limit_usage")
    end = await ask(client, fake_provider, wire)
    if wire.streams:
        assert end.usage.output_tokens == 10**6
        assert end.reported == {"usage_implausible": {"output_tokens": 10**6, "output_tokens_at_most": 192}}
    else:
        assert (end.usage.output_tokens, end.reported) == (0, None)


async def test_another_model_than_the_one_asked_for_is_shown(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script("wrong_model")
    end = await ask(client, fake_provider, wire)
    assert fake_provider.received[0].body["model"] == "openai/gpt-oss-120b"
    assert end.resolved_model == "llama-3.1-8b-instruct"


@pytest.mark.parametrize("mode", ["ok", "no_done", "whole"])
async def test_every_orderly_way_to_answer_is_understood(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script(mode)
    end = await ask(client, fake_provider, wire)
    assert end.usage_source == "provider"
    assert end.text == (ANSWER if wire.streams else "")


async def test_what_a_provider_discloses_is_kept_raw(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.script("disclosing")
    end = await ask(client, fake_provider, wire)
    assert end.reported is not None
    assert end.reported["headers"] == {"x-green-region": "FR", "x-green-energy-mwh": "0.31"}
    assert ("energy" in end.reported) == wire.streams


async def test_the_key_goes_where_the_row_says_and_nowhere_else(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    for auth in ("bearer", "x-api-key", "api-key"):
        await ask(client, fake_provider, wire, auth=auth)
    for auth, received in zip(("bearer", "x-api-key", "api-key"), fake_provider.received, strict=True):
        holding = {name: value for name, value in received.headers.items() if KEY in value}
        assert holding == ({"authorization": f"Bearer {KEY}"} if auth == "bearer" else {auth: KEY})


async def test_what_the_row_pins_is_in_the_body(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    await ask(client, fake_provider, wire, request_fields={"region": "eu", "model": "other"})
    body = fake_provider.received[0].body
    assert (body["region"], body["model"]) == ("eu", "openai/gpt-oss-120b")


async def test_a_pinned_field_wins_over_the_callers(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    request = ChatRequest(CHAT.messages, 64, extra={"region": "us", "seed": 7})
    for one in WIRES[:2]:
        asked = Wire(one.protocol, one.path, one.auth, request, 8, streams=True)
        await ask(client, fake_provider, asked, request_fields={"region": "eu"})
    assert [received.body["region"] for received in fake_provider.received] == ["eu", "eu"]
    assert [received.body["seed"] for received in fake_provider.received] == [7, 7]


async def test_the_address_of_the_connection_replaces_that_of_the_row(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    row = fake_provider.deployment(protocol=wire.protocol, base_url="https://unset.invalid/v1")
    connection = Connection(client, KEY, 10, base_url=fake_provider.base_url + "/")
    async with aclosing(stream(row, wire.request, connection)) as events:
        assert [event async for event in events]
    assert fake_provider.received[0].path == wire.path


async def test_a_request_that_the_protocol_does_not_serve_names_what_does(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    other = EmbeddingRequest(("x",)) if wire.streams else CHAT
    with pytest.raises(UpstreamError) as caught:
        stream(fake_provider.deployment(protocol=wire.protocol), other, Connection(client, KEY, 10))
    assert (caught.value.reason, caught.value.retryable) == ("bad_request", False)
    assert ("openai-embeddings" if wire.streams else "openai-chat") in str(caught.value)


async def test_one_connection_serves_several_calls(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    for _ in range(3):
        await ask(client, fake_provider, wire)
    assert len({received.client_port for received in fake_provider.received}) == 1


@pytest.mark.parametrize("wire", WIRES[:2], indirect=True, ids=lambda wire: wire.protocol)
async def test_a_consumer_that_stops_reading_stops_the_provider(
    client: httpx2.AsyncClient, fake_provider: FakeProvider, wire: Wire
) -> None:
    fake_provider.huge_pieces = 2_000
    fake_provider.script("huge")
    deployment = fake_provider.deployment(protocol=wire.protocol, auth=wire.auth)
    async with aclosing(stream(deployment, wire.request, Connection(client, KEY, 30))) as events:
        await anext(events)
        assert await anyio.to_thread.run_sync(fake_provider.wait_stalled, 20)
        accepted = fake_provider.accepted_bytes
    # What the buffers of both sockets hold, of the 131 MB that the provider would like to send.
    assert accepted < 16 * 1024 * 1024
