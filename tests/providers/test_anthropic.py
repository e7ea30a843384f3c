"""Anthropic's Messages API: what is sent for a request in OpenAI's shape, and what comes back."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import ChatEnd, ChatRequest, Deployment
from wattproof.resources.providers.anthropic_answer import AnthropicAnswer
from wattproof.resources.providers.anthropic_body import messages_body
from wattproof.resources.providers.anthropic_messages import stream_messages

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

KEY = "sk-ant-1234"
ROW = Deployment(
    provider="anthropic",
    model="claude",
    native_model="claude-sonnet-4-6",
    base_url="https://unset.invalid/v1",
    protocol="anthropic-messages",
    key_env=("ANTHROPIC_API_KEY",),
    zone=None,
    location_evidence="unknown",
    location_source="test",
    checked_at="2026-11",
    auth="x-api-key",
)
HELLO = ChatRequest(({"role": "user", "content": "Hello"},), 64)
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as opened:
        yield opened


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return messages_body(ROW, ChatRequest(messages, 64, **fields))


def refusal(*messages: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(UpstreamError) as caught:
        body(*messages, **fields)
    assert (caught.value.reason, caught.value.retryable) == ("bad_request", False)
    return str(caught.value)


async def ask(client: httpx2.AsyncClient, provider: FakeProvider, request: ChatRequest = HELLO, **row: Any) -> ChatEnd:
    deployment = provider.deployment(protocol="anthropic-messages", auth="x-api-key", **row)
    async with aclosing(stream_messages(client, deployment, request, api_key=KEY, timeout_s=10)) as events:
        *_, end = [event async for event in events]
    assert isinstance(end, ChatEnd)
    return end


def absorbed(*chunks: dict[str, Any], request: ChatRequest = HELLO, pinned_geo: str | None = None) -> AnthropicAnswer:
    answer = AnthropicAnswer(request, {}, pinned_geo)
    for chunk in chunks:
        answer.add_chunk(chunk)
    return answer


def started(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": usage}}


def text(index: int, piece: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}


def ended(reason: str, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


async def test_a_request_carries_the_version_and_the_key_in_its_own_header(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    end = await ask(client, fake_provider)
    sent = fake_provider.received[0]
    assert sent.path == "/v1/messages"
    assert (sent.headers["x-api-key"], sent.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in sent.headers
    assert sent.body == {
        "model": "openai/gpt-oss-120b",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True,
        "max_tokens": 64,
    }
    assert end.text == "The capital of France is Paris."
    assert end.usage == Usage(42, 8, cached_input_tokens=10, reasoning_tokens=2)
    assert (end.finish_reason, end.provider_request_id) == ("stop", "msg_1")


def test_system_messages_leave_the_turns_and_neighbours_of_one_role_are_one_turn() -> None:
    sent = body(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": ""},
    )
    assert sent["system"] == "Be brief.\n\nIn French."
    assert sent["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}
    ]


def test_pictures_become_sources() -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in (PIXEL, "https://example.org/a.png")]
    assert body({"role": "user", "content": parts})["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    ]


def test_tool_calls_and_their_results_find_each_other_again() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"zone": "FR"}'}}
    bare = {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}
    turns = body(
        {"role": "user", "content": "How is France?"},
        {"role": "assistant", "content": None, "tool_calls": [call, bare]},
        {"role": "tool", "tool_call_id": "call_1", "content": "31 g"},
        {"role": "tool", "tool_call_id": "call_2", "content": ""},
    )["messages"]
    assert turns[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"zone": "FR"}},
        {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
    ]
    assert turns[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "31 g"}]},
            {"type": "tool_result", "tool_use_id": "call_2"},
        ],
    }


def test_functions_schemas_and_choices_are_put_in_its_words() -> None:
    function = {"name": "look_up", "description": "d", "parameters": {"type": "object"}, "strict": True}
    native = {"type": "web_search_20250305", "name": "web_search"}
    schema = {"type": "object", "additionalProperties": False}
    sent = body(
        {"role": "user", "content": "x"},
        tools=({"type": "function", "function": function}, {"type": "function", "function": {"name": "now"}}, native),
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        temperature=0.5,
        extra={
            "stop": "END",
            "user": "u1",
            "top_k": 5,
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "output_config": {"effort": "low"},
        },
    )
    assert sent["tools"] == [
        {"name": "look_up", "input_schema": {"type": "object"}, "description": "d", "strict": True},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        native,
    ]
    assert sent["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    assert sent["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert (sent["stop_sequences"], sent["metadata"], sent["top_k"]) == (["END"], {"user_id": "u1"}, 5)
    assert sent["temperature"] == 0.5
    assert not {"stop", "user", "parallel_tool_calls"} & set(sent)


@pytest.mark.parametrize(
    ("extra", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"tool_choice": {"type": "any"}}, {"type": "any"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_the_choice_of_tools_is_translated(extra: dict[str, Any], choice: dict[str, Any] | None) -> None:
    assert body({"role": "user", "content": "x"}, extra=extra).get("tool_choice") == choice


@pytest.mark.parametrize(
    ("message", "problem", "fix"),
    [
        ({"role": "wizard", "content": "x"}, "messages[0].role is 'wizard'", "use system, user, assistant or tool"),
        ({"role": ["user"], "content": "x"}, "messages[0].role is", "use system"),
        ({"role": "user", "content": 7}, "messages[0].content is neither", "give text or a list of parts"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "messages[0].content[0] is of type", "image_url"),
        ({"role": "user", "content": ["x"]}, "messages[0].content[0] is of type 'None'", "text or image_url"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]},
            "messages[0].content[0].image_url.url is no address",
            "image/png",
        ),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
            "messages[0] is a system message with a picture",
            "as the user",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
            "messages[0].tool_calls[0].function.arguments is not JSON",
            "JSON object",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]},
            "messages[0].tool_calls[0].function.arguments is not an object",
            "JSON object",
        ),
        ({"role": "assistant", "tool_calls": "x"}, "messages[0].tool_calls is not a list", "function calls"),
    ],
)
def test_a_message_without_a_counterpart_is_refused_by_name(message: dict[str, Any], problem: str, fix: str) -> None:
    said = refusal(message)
    assert problem in said
    assert fix in said


@pytest.mark.parametrize("wanted", [{"type": "json_object"}, {"type": "json_schema"}, {"type": "grammar"}])
def test_an_output_format_without_a_schema_is_refused(wanted: dict[str, Any]) -> None:
    assert "json_schema" in refusal({"role": "user", "content": "x"}, response_format=wanted)


def test_plain_text_needs_no_format_and_strange_tools_are_refused() -> None:
    assert "output_config" not in body({"role": "user", "content": "x"}, response_format={"type": "text"})
    assert "tools[0].function is missing" in refusal({"role": "user", "content": "x"}, tools=({"type": "function"},))
    assert "tool_choice" in refusal({"role": "user", "content": "x"}, extra={"tool_choice": "sometimes"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_PART = st.dictionaries(
    st.sampled_from(["type", "text", "image_url"]), _JSON | st.sampled_from(["text", "image_url", PIXEL])
)
_CALL = st.fixed_dictionaries({"function": st.dictionaries(st.sampled_from(["name", "arguments"]), _JSON)})
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | _JSON},
    optional={"content": _JSON | st.lists(_PART, max_size=3), "tool_calls": _JSON | st.lists(_CALL, max_size=2)},
)


@given(st.lists(_MESSAGE, max_size=4), _JSON | st.dictionaries(st.just("type"), _JSON))
def test_any_message_is_translated_or_refused(messages: list[dict[str, Any]], choice: object) -> None:
    with contextlib.suppress(UpstreamError):
        sent = body(*messages, extra={"tool_choice": choice})
        turns = [turn["role"] for turn in sent["messages"]]
        assert all(earlier != later for earlier, later in itertools.pairwise(turns))


def test_tokens_read_from_and_written_to_the_cache_are_input() -> None:
    usage = {"input_tokens": 25, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000}
    end = absorbed(started(**usage, output_tokens=1), text(0, "Hi."), ended("end_turn", output_tokens=15)).end()
    assert (end.usage, end.usage_source) == (Usage(1125, 15, cached_input_tokens=1000), "provider")


def test_thinking_is_a_part_of_the_output() -> None:
    thinking = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hmm."}}
    details = {"thinking_tokens": 90}
    end = absorbed(
        started(input_tokens=25, output_tokens=1),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        thinking,
        text(1, "Hi."),
        ended("end_turn", output_tokens=100, output_tokens_details=details),
    ).end()
    assert (end.text, end.usage) == ("Hi.", Usage(25, 100, reasoning_tokens=90))


def test_a_tool_call_is_put_together_from_its_pieces() -> None:
    def piece(json_part: str) -> dict[str, Any]:
        return {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": json_part},
        }

    block: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    end = absorbed(
        started(input_tokens=25, output_tokens=1),
        text(0, "Let me see."),
        {"type": "content_block_start", "index": 1, "content_block": block},
        piece('{"zone'),
        piece('": "FR"}'),
        ended("tool_use", output_tokens=20),
    ).end()
    assert end.finish_reason == "tool_calls"
    function = {"name": "look_up", "arguments": '{"zone": "FR"}'}
    assert end.tool_calls == ({"id": "toolu_1", "type": "function", "function": function},)


def test_a_message_that_is_not_streamed_means_the_same() -> None:
    content = [
        {"type": "thinking", "thinking": "Hmm.", "signature": "x"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"zone": "FR"}},
    ]
    usage = {"input_tokens": 25, "output_tokens": 20}
    whole = {"type": "message", "id": "msg_1", "content": content, "stop_reason": "tool_use", "usage": usage}
    end = absorbed(whole).end()
    assert (end.text, end.usage, end.usage_source) == ("Let me see.", Usage(25, 20), "provider")
    assert json.loads(end.tool_calls[0]["function"]["arguments"]) == {"zone": "FR"}


@pytest.mark.parametrize(
    ("stated", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_reasons_for_finishing_are_in_our_terms(stated: str, ours: str) -> None:
    assert absorbed(text(0, "x"), ended(stated, output_tokens=1)).finish_reason == ours


def test_an_answer_cut_short_costs_the_stated_input_and_the_larger_output() -> None:
    answer = absorbed(started(input_tokens=500, cache_read_input_tokens=1000, output_tokens=1), text(0, "x" * 400))
    assert answer.spent() == (Usage(1500, 100, cached_input_tokens=1000), "local_count")
    assert absorbed(started(input_tokens=-5, output_tokens=1)).spent() == (Usage(2, 0), "local_count")
    assert absorbed(started(input_tokens=0, output_tokens=0), text(0, "x")).spent() == (Usage(2, 1), "local_count")


@pytest.mark.parametrize(
    ("pinned", "echoed", "reported"),
    [
        ("us", "us", {"inference_geo": "us"}),
        ("us", "global", {"inference_geo": "global", "inference_geo_mismatch": {"asked": "us", "answered": "global"}}),
        (None, "global", {"inference_geo": "global"}),
        ("us", None, None),
    ],
)
def test_where_inference_ran_is_reported_and_compared_with_what_was_pinned(
    pinned: str | None, echoed: str | None, reported: dict[str, Any] | None
) -> None:
    usage = {"input_tokens": 25, "output_tokens": 1, "inference_geo": echoed}
    end = absorbed(started(**usage), text(0, "x"), ended("end_turn", output_tokens=5), pinned_geo=pinned).end()
    assert end.reported == reported


async def test_the_row_pins_the_place_and_the_answer_is_held_to_it(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    request = ChatRequest(HELLO.messages, 64, extra={"inference_geo": "global"})
    await ask(client, fake_provider, request, request_fields={"inference_geo": "us"})
    assert fake_provider.received[0].body["inference_geo"] == "us"


@pytest.mark.parametrize(
    ("kind", "retryable"), [("overloaded_error", True), ("api_error", True), ("invalid_request_error", False)]
)
def test_an_error_inside_an_answer_is_final_only_where_its_type_says_so(kind: str, retryable: bool) -> None:
    from wattproof.resources.providers.upstream_call import UpstreamCall, stream_error

    call = UpstreamCall(ROW, "/messages", KEY, 0, "a message")
    error = stream_error({"type": kind, "message": f"no {KEY}\n"}, call)
    assert (error.reason, error.retryable) == ("stream_error", retryable)
    assert KEY not in str(error)


async def test_leaving_early_closes_the_connection(client: httpx2.AsyncClient, fake_provider: FakeProvider) -> None:
    fake_provider.script("hang_mid", "ok")
    row = fake_provider.deployment(protocol="anthropic-messages")
    with anyio.fail_after(5):
        async with aclosing(stream_messages(client, row, HELLO, api_key=KEY, timeout_s=30)) as events:
            await anext(events)
        await ask(client, fake_provider)
    assert len({received.client_port for received in fake_provider.received}) == 2


_TYPES = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "message", "ping"]
)
_BLOCK = st.dictionaries(
    st.sampled_from(["type", "text", "thinking", "partial_json", "id", "name", "input", "stop_reason"]),
    _JSON | st.sampled_from(["text", "tool_use", "text_delta", "input_json_delta"]),
    max_size=4,
)
_CHUNK = st.fixed_dictionaries(
    {"type": _TYPES | _JSON},
    optional={
        "index": _JSON | st.integers(0, 3),
        "content_block": _BLOCK | _JSON,
        "delta": _BLOCK | _JSON,
        "message": _BLOCK | _JSON,
        "content": st.lists(_BLOCK | _JSON, max_size=2) | _JSON,
        "usage": _JSON | st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "inference_geo"]), _JSON),
    },
)


@given(st.lists(_CHUNK, max_size=5))
def test_any_events_are_taken_in_or_refused_and_never_break(chunks: list[dict[str, Any]]) -> None:
    answer = AnthropicAnswer(HELLO, {})
    for chunk in chunks:
        with contextlib.suppress(TypeError, ValueError):
            answer.add_chunk(chunk)
    usage, _ = answer.spent()
    assert usage.input_tokens >= 0
    with contextlib.suppress(InvalidInput):
        answer.end()
