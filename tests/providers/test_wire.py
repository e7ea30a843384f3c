"""Parsers of what providers send: event streams, usage blocks, Retry-After, footprint blocks."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import ChatRequest, count_text, usage_so_far
from wattproof.resources.providers.chat_answer import MAX_REPORTED_BYTES, ChatAnswer
from wattproof.resources.providers.sse import Event, EventReader
from wattproof.resources.providers.upstream_failures import quoted, retry_after_s
from wattproof.resources.providers.usage import (
    ANTHROPIC,
    EMBEDDINGS,
    OPENAI,
    RERANK,
    UsageDialect,
    normalise_usage,
)

HELLO = ChatRequest(({"role": "user", "content": "Hello"},), 16)


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + list(reader.end())


def test_comments_are_kept_beside_the_data() -> None:
    tail = b'data: {"choices":[]}\n\n: energy {"energy_joules": 123.4}\n\ndata: [DONE]\n\n'
    assert read(tail) == [
        Event("data", '{"choices":[]}'),
        Event("comment", 'energy {"energy_joules": 123.4}'),
        Event("data", "[DONE]"),
    ]


def test_line_ends_byte_order_marks_and_split_data_follow_the_standard() -> None:
    assert read(b"\xef\xbb\xbfdata:a\r\ndata: b\r\rdata:  c\n\nevent: x\nid: 1\ndata\n\n") == [
        Event("data", "a\nb"),
        Event("data", " c"),
        Event("data", ""),
    ]


def test_a_cut_line_is_dropped_and_a_whole_one_is_not() -> None:
    assert read(b"data: whole\ndata: cu") == [Event("data", "whole")]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.data(),
)
def test_where_the_bytes_are_cut_makes_no_difference(texts: list[str], newline: bytes, data: st.DataObject) -> None:
    stream = b"".join(b"data: " + text.encode() + newline * 2 for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == read(stream) == [Event("data", text) for text in texts]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    read(noise)


@pytest.mark.parametrize(
    ("block", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 5, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
        ({"input_tokens": 10, "output_tokens": 5}, Usage(10, 5)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 5, 0, 3),
        ),
    ],
)
def test_usage_blocks_of_several_dialects_mean_the_same(block: dict[str, Any], usage: Usage) -> None:
    assert normalise_usage(block, answered=True) == usage


@pytest.mark.parametrize(
    ("block", "usage"),
    [
        # OpenAI, DeepSeek and Cerebras, whose block has no cached count.
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "time_info": {}}, Usage(10, 5)),
        # Gemini: cached is a part of the prompt, thoughts and the results of tools are not part of anything.
        (
            {
                "promptTokenCount": 10,
                "cachedContentTokenCount": 4,
                "toolUsePromptTokenCount": 3,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 20,
                "totalTokenCount": 38,
            },
            Usage(13, 25, 4, 20),
        ),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(10, 5)),
        # Bedrock: the cache apart, unless the total says otherwise.
        ({"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100}, Usage(110, 5, 100)),
        (
            {
                "inputTokens": 10,
                "outputTokens": 5,
                "totalTokens": 145,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 30,
            },
            Usage(140, 5, 100),
        ),
        ({"inputTokens": 110, "outputTokens": 5, "totalTokens": 115, "cacheReadInputTokens": 100}, Usage(110, 5, 100)),
    ],
)
def test_usage_of_each_family_of_providers_means_the_same(block: dict[str, Any], usage: Usage) -> None:
    assert normalise_usage(block, answered=True) == usage


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_anthropic_input_is_the_sum_of_what_was_read_written_and_new(
    new: int, written: int, read: int, output: int
) -> None:
    block = {
        "input_tokens": new,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": output,
    }
    usage = normalise_usage(block, answered=True, dialect=ANTHROPIC)
    assert usage == (Usage(new + written + read, output, read) if new + written + read else None)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6), st.booleans())
def test_gemini_thoughts_are_output_with_or_without_a_total(
    prompt: int, candidates: int, thoughts: int, with_total: bool
) -> None:
    block = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts}
    total = {"totalTokenCount": prompt + candidates + thoughts} if with_total else {}
    assert normalise_usage(block | total, answered=True) == Usage(prompt, candidates + thoughts, 0, thoughts)


@pytest.mark.parametrize("dialect", [ANTHROPIC, EMBEDDINGS, OPENAI, RERANK])
@pytest.mark.parametrize("count", [-1, 10**13, 1.0, "1", True, [1]])
def test_a_count_that_is_none_is_refused_in_every_dialect(dialect: UsageDialect, count: object) -> None:
    for field in ("input", "output", "beside_input"):
        paths = {"input": dialect.input[:1], "output": dialect.output[:1], "beside_input": dialect.beside_input[:1]}
        block: dict[str, Any] = {}
        for name, (path, *_) in {name: found for name, found in paths.items() if found}.items():
            here = block
            for key in path[:-1]:
                here = here.setdefault(key, {})
            here[path[-1]] = count if name == field else 5
        if paths[field]:
            with pytest.raises(InvalidInput):
                normalise_usage(block, answered=True, dialect=dialect)


_COUNT_NAMES = st.sampled_from(
    sorted({path[0] for d in (ANTHROPIC, OPENAI, RERANK) for path in (*d.input, *d.output, *d.cached, *d.total)})
) | st.sampled_from(
    [
        *("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"),
        *("inputTokens", "outputTokens", "cacheReadInputTokens", "totalTokens"),
    ]
)


@given(
    st.dictionaries(_COUNT_NAMES, st.integers(-1, 100)),
    st.sampled_from([ANTHROPIC, EMBEDDINGS, OPENAI, RERANK]),
    st.booleans(),
)
def test_any_mixture_of_dialects_is_a_usage_or_nothing_or_refused(
    block: dict[str, Any], dialect: UsageDialect, answered: bool
) -> None:
    with contextlib.suppress(InvalidInput):
        usage = normalise_usage(block, answered=answered, dialect=dialect)
        assert usage is None or not answered or usage.input_tokens > 0


def test_reasoning_kept_apart_from_the_output_is_added_to_it() -> None:
    apart = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 35,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert normalise_usage(apart, answered=True) == Usage(10, 25, 0, 20)


@pytest.mark.parametrize("block", [{}, {"prompt_tokens": 10}, {"prompt_tokens": None, "completion_tokens": 3}])
def test_an_incomplete_usage_block_says_nothing(block: dict[str, Any]) -> None:
    assert normalise_usage(block, answered=True) is None


def test_zero_tokens_for_an_answer_are_unknown_and_not_zero() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0}
    assert normalise_usage(zeros, answered=True) is None
    assert normalise_usage({"prompt_tokens": 9, "completion_tokens": 0}, answered=False) == Usage(9, 0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"]
)


@given(st.dictionaries(_KEYS, _JSON | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), _JSON)))
def test_any_usage_block_is_a_usage_or_nothing_or_refused(block: dict[str, Any]) -> None:
    try:
        usage = normalise_usage(block, answered=True)
    except InvalidInput:
        return
    assert usage is None or usage.cached_input_tokens <= usage.input_tokens


_CHUNK_KEYS = st.sampled_from(["choices", "usage", "model", "id", "energy", "impact"])
_DELTA = st.dictionaries(st.sampled_from(["content", "tool_calls", "reasoning_content"]), _JSON, max_size=3)
_CHOICE = st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason"]), _JSON | _DELTA, max_size=4)


@given(st.dictionaries(_CHUNK_KEYS, _JSON | st.lists(_CHOICE, max_size=3)))
def test_any_chunk_is_taken_in_or_refused_and_never_breaks(chunk: dict[str, Any]) -> None:
    answer = ChatAnswer(HELLO, {})
    with contextlib.suppress(TypeError, ValueError):
        answer.add_chunk(chunk)
    usage, _ = answer.spent()
    assert usage.input_tokens >= 0


def test_tool_calls_are_put_together_from_their_pieces() -> None:
    answer = ChatAnswer(HELLO, {})
    for call in (
        {"index": 0, "id": "call_1", "function": {"name": "look_up", "arguments": '{"zone'}},
        {"index": 0, "function": {"arguments": '": "FR"}'}},
    ):
        answer.add_chunk({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    (kept,) = answer.end().tool_calls
    assert kept["id"] == "call_1"
    assert kept["function"] == {"name": "look_up", "arguments": '{"zone": "FR"}'}


def test_reasoning_is_counted_as_output_but_is_no_answer() -> None:
    answer = ChatAnswer(HELLO, {})
    assert answer.add_chunk({"choices": [{"delta": {"reasoning_content": "hmm, well"}}]}) == ""
    answer.add_chunk({"choices": [{"delta": {"content": "Hi."}, "finish_reason": "stop"}]})
    end = answer.end()
    assert end.text == "Hi."
    assert end.usage == Usage(2, 4, reasoning_tokens=3)


def test_a_footprint_block_beyond_the_cap_is_left_out() -> None:
    answer = ChatAnswer(HELLO, {})
    answer.add_chunk({"choices": [], "impact": {"x": "y" * MAX_REPORTED_BYTES}})
    answer.add_comment("energy {not json}")
    answer.add_comment('energy {"energy_joules": NaN}')
    answer.add_comment("ping")
    assert answer.end().reported is None


def test_labels_with_control_characters_are_left_out() -> None:
    answer = ChatAnswer(HELLO, {"x-request-id": "req-1"})
    answer.add_chunk({"choices": [], "id": "a\nb", "model": "m" * 500})
    end = answer.end()
    assert (end.provider_request_id, end.resolved_model) == ("req-1", None)


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90)), "date": format_datetime(NOW)}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90)), "date": format_datetime(NOW)}, 0.0),
        ({"retry-after": format_datetime(NOW)}, None),
        ({"retry-after": "999999999"}, 86_400.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_milliseconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str, date: str) -> None:
    waits = retry_after_s({"retry-after": value, "date": date})
    assert waits is None or 0 <= waits <= 86_400


@given(st.text(max_size=400))
def test_quoted_text_is_one_printable_ascii_line(text: str) -> None:
    shown = quoted(text)
    assert shown.isascii()
    assert shown.isprintable()


@given(st.text(max_size=200))
def test_a_token_is_at_most_4_utf8_bytes(text: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    assert count_text(text) * 4 - 3 <= size <= count_text(text) * 4 or size == 0


def test_text_parts_of_a_message_are_counted_and_images_are_not() -> None:
    parts = [{"type": "text", "text": "12345678"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    request = ChatRequest(({"role": "user", "content": parts}, {"role": "assistant", "content": None}), 16)
    assert usage_so_far(request, "1234") == Usage(2, 1)


def test_a_completion_of_llama_cpp_is_understood() -> None:
    body = json.loads(
        '{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"Paris."}}],'
        '"model":"smollm2-135m-instruct","usage":{"completion_tokens":8,"prompt_tokens":42,"total_tokens":50,'
        '"prompt_tokens_details":{"cached_tokens":0}},"id":"chatcmpl-1","timings":{"cache_n":0}}'
    )
    answer = ChatAnswer(HELLO, {})
    assert answer.add_chunk(body) == "Paris."
    assert answer.end().usage == Usage(42, 8)
