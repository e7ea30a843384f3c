"""The OpenAI-compatible adapter against a provider that misbehaves in every way we know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers.openai_chat import stream_chat
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

REQUEST = ChatRequest(({"role": "user", "content": "What is the capital of France?"},), max_output_tokens=64)
KEY = "sk-test-1234"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as opened:
        yield opened


async def ask(
    client: httpx2.AsyncClient,
    provider: FakeProvider,
    *,
    timeout_s: float = 10,
    request: ChatRequest = REQUEST,
    **row: Any,
) -> tuple[list[str], ChatEnd]:
    pieces: list[str] = []
    async for event in stream_chat(client, provider.deployment(**row), request, api_key=KEY, timeout_s=timeout_s):
        if isinstance(event, ChatEnd):
            return pieces, event
        pieces.append(event.text)
    raise AssertionError("no end")


async def failure(client: httpx2.AsyncClient, provider: FakeProvider, mode: str, **kwargs: Any) -> UpstreamError:
    provider.script(mode)
    with pytest.raises(UpstreamError) as caught:
        await ask(client, provider, **kwargs)
    return caught.value


async def test_an_answer_arrives_in_pieces_and_ends_with_the_providers_usage(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    pieces, end = await ask(client, fake_provider)
    assert pieces == ["The capital ", "of France ", "is Paris."]
    assert end.text == "The capital of France is Paris."
    assert end.usage == Usage(42, 8, cached_input_tokens=10, reasoning_tokens=2)
    assert (end.usage_source, end.finish_reason, end.resolved_model) == ("provider", "stop", "gpt-oss-120b-2026")
    assert end.provider_request_id == "chatcmpl-1"
    assert end.reported is None


async def test_the_request_asks_for_usage_and_carries_the_key(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    await ask(client, fake_provider)
    sent = fake_provider.received[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body == {
        "model": "openai/gpt-oss-120b",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 64,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_provider_row_decides_how_the_limit_is_called_and_whether_usage_is_asked_for(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    await ask(client, fake_provider, output_limit_field="max_completion_tokens", ask_stream_usage=False)
    body = fake_provider.received[0].body
    assert body["max_completion_tokens"] == 64
    assert not {"max_tokens", "stream_options"} & set(body)


async def test_unread_upstream_fields_pass_through_but_never_replace_ours(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    request = ChatRequest(REQUEST.messages, 64, temperature=0.0, extra={"seed": 7, "model": "other", "stream": False})
    await ask(client, fake_provider, request=request)
    body = fake_provider.received[0].body
    assert (body["seed"], body["temperature"]) == (7, 0.0)
    assert (body["model"], body["stream"]) == ("openai/gpt-oss-120b", True)


async def test_tools_and_a_response_format_are_sent_as_they_are(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    request = ChatRequest(REQUEST.messages, 64, response_format={"type": "json_object"}, tools=(tool,))
    await ask(client, fake_provider, request=request)
    body = fake_provider.received[0].body
    assert (body["tools"], body["response_format"]) == ([tool], {"type": "json_object"})


async def test_a_message_that_is_no_json_is_refused_before_anything_is_sent(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    request = ChatRequest(({"role": "user", "content": "\ud800"},), 64)
    error = await failure(client, fake_provider, "ok", request=request)
    assert (error.reason, error.retryable, fake_provider.received) == ("bad_request", False, [])


@pytest.mark.parametrize("mode", ["no_usage", "zero_usage"])
async def test_usage_that_is_not_stated_is_counted_and_marked(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.script(mode)
    _, end = await ask(client, fake_provider)
    assert end.usage_source == "local_count"
    assert end.usage == Usage(input_tokens=8, output_tokens=8)


@pytest.mark.parametrize("mode", ["no_done", "whole"])
async def test_other_ways_to_end_an_answer_are_understood(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.script(mode)
    _, end = await ask(client, fake_provider)
    assert (end.text, end.usage_source) == ("The capital of France is Paris.", "provider")


async def test_what_a_provider_discloses_is_kept_raw(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    fake_provider.script("disclosing")
    _, end = await ask(client, fake_provider)
    assert end.reported == {
        "headers": {"x-green-region": "FR", "x-green-energy-mwh": "0.31"},
        "environment_impact": {"energy_kwh": 0.00015, "location": "FR"},
        "energy": {"energy_joules": 123.4, "energy_kwh": 0.00003428},
    }


@pytest.mark.parametrize(
    ("mode", "reason", "retryable"),
    [
        ("cut_before_first", "connect", True),
        ("400", "http_400", False),
        ("401", "http_401", False),
        ("429", "http_429", True),
        ("500", "http_500", True),
        ("503", "http_503", True),
        ("redirect", "http_307", False),
    ],
)
async def test_a_refusal_before_the_answer_has_its_reason_and_costs_nothing(
    mode: str, reason: str, retryable: bool, client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    error = await failure(client, fake_provider, mode)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert (error.partial_text, error.partial_usage) == ("", None)
    assert len(fake_provider.received) == 1


@pytest.mark.parametrize(
    ("mode", "reason", "retryable", "text"),
    [
        ("cut_mid", "cut_stream", True, "The capital "),
        ("bad_json", "bad_json", True, "The capital "),
        ("error_mid", "stream_error", True, "The capital "),
        ("bad_shape", "bad_json", True, ""),
        ("empty", "cut_stream", True, ""),
        ("html", "bad_content_type", True, ""),
        ("gzip", "bad_content_type", True, ""),
        ("lying_usage", "bad_usage", False, "The capital of France is Paris."),
    ],
)
async def test_a_broken_answer_says_what_had_arrived_and_what_it_cost(
    mode: str, reason: str, retryable: bool, text: str, client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    error = await failure(client, fake_provider, mode)
    assert (error.reason, error.retryable, error.partial_text) == (reason, retryable, text)
    assert error.partial_usage == Usage(input_tokens=8, output_tokens=-(-len(text) // 4))
    assert error.partial_usage_source == "local_count"


@pytest.mark.parametrize(
    "lie",
    [
        {"prompt_tokens": 42, "completion_tokens": "8"},
        {"prompt_tokens": 42, "completion_tokens": 1e12},
        {"prompt_tokens": 42, "completion_tokens": 10**15},
        {"prompt_tokens": 42, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 43}},
        {"prompt_tokens": 42, "completion_tokens": True},
    ],
)
async def test_an_impossible_usage_is_never_believed(
    lie: dict[str, Any], client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.lie = lie
    assert (await failure(client, fake_provider, "lying_usage")).reason == "bad_usage"


@pytest.mark.parametrize("mode", ["hang", "slow_headers", "hang_mid"])
async def test_the_deadline_covers_the_whole_call(
    mode: str, client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.slow_s = 30
    error = await failure(client, fake_provider, mode, timeout_s=0.15)
    assert (error.reason, error.retryable) == ("timeout", True)


async def test_slow_headers_within_the_deadline_are_fine(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.slow_s = 0.05
    fake_provider.script("slow_headers")
    _, end = await ask(client, fake_provider)
    assert end.text == "The capital of France is Paris."


async def test_a_response_beyond_the_cap_is_cut(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    error = await failure(client, fake_provider, "huge")
    assert (error.reason, error.retryable) == ("too_large", False)
    assert error.partial_usage is not None
    assert 1_000_000 < len(error.partial_text) <= 8 * 1024 * 1024


async def test_a_closed_port_is_a_connect_failure(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    error = await failure(client, fake_provider, "ok", base_url="http://127.0.0.1:1/v1")
    assert (error.reason, error.retryable, error.partial_usage) == ("connect", True, None)


async def test_plain_http_behind_an_https_address_is_a_tls_failure(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    error = await failure(client, fake_provider, "ok", base_url=fake_provider.base_url.replace("http:", "https:"))
    assert (error.reason, error.retryable) == ("tls", False)


async def test_retry_after_is_read(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    error = await failure(client, fake_provider, "429")
    assert error.retry_after_s == 7
    assert "wait 7 s" in str(error)


async def test_an_error_text_is_quoted_on_one_line_and_never_shows_the_key(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    echo = str(await failure(client, fake_provider, "401"))
    assert KEY not in echo
    assert "'Incorrect API key provided: ***'" in echo
    coloured = str(await failure(client, fake_provider, "500"))
    assert coloured.isprintable()
    assert r"\x1b[31m error\nplease retry" in coloured


async def test_leaving_early_closes_the_connection(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    fake_provider.script("hang_mid")
    events = stream_chat(client, fake_provider.deployment(), REQUEST, api_key=KEY, timeout_s=30)
    with anyio.fail_after(5):
        async with aclosing(events):
            async for event in events:
                assert isinstance(event, ChatDelta)
                break


async def test_a_cancelled_caller_gets_its_cancellation(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.script("hang_mid")
    with anyio.move_on_after(0.1) as scope:
        await ask(client, fake_provider, timeout_s=30)
    assert scope.cancelled_caught


async def test_one_connection_serves_several_answers(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    for _ in range(3):
        await ask(client, fake_provider)
    assert len({request.client_port for request in fake_provider.received}) == 1
