"""Embeddings and rerankings: what is asked, and which answers are believed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import (
    ChatEnd,
    Deployment,
    EmbeddingRequest,
    RerankRequest,
    WireProtocol,
    usage_so_far,
)
from wattproof.resources.providers.adapters import Connection, stream

TEXTS = EmbeddingRequest(("one two", "three"))
DOCUMENTS = RerankRequest("which number is even?", ("one", "two", "three"))


def row(protocol: WireProtocol) -> Deployment:
    return Deployment(
        "fake", "m", "native-m", "https://unset.invalid/v1", protocol, (), "FR", "declared", "test", "2026-11"
    )


async def answered(
    request: EmbeddingRequest | RerankRequest, content: object, headers: Mapping[str, str] | None = None
) -> tuple[ChatEnd, dict[str, Any]]:
    """The end of a call that is answered with `content`, and the body that was sent."""
    sent: list[dict[str, Any]] = []

    def answer(asked: httpx2.Request) -> httpx2.Response:
        sent.append({"path": asked.url.path, **json.loads(asked.content)})
        said = {"content-type": "application/json", **(headers or {})}
        return httpx2.Response(200, content=pieces(), headers=said)

    async def pieces() -> AsyncIterator[bytes]:
        body = json.dumps(content).encode()
        yield body[:7]
        yield body[7:]

    protocol = "rerank" if isinstance(request, RerankRequest) else "openai-embeddings"
    async with (
        httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client,
        aclosing(stream(row(protocol), request, Connection(client, "k", 10))) as events,
    ):
        (end,) = [event async for event in events]
    assert isinstance(end, ChatEnd)
    return end, sent[0]


async def refusal(request: EmbeddingRequest | RerankRequest, content: object) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await answered(request, content)
    assert caught.value.partial_usage == usage_so_far(request, "")
    return caught.value


def vectors(*rows: tuple[object, object], **rest: Any) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": vector} for index, vector in rows], **rest}


def ranked(*rows: tuple[object, object], **rest: Any) -> dict[str, Any]:
    return {"results": [{"index": index, "relevance_score": score} for index, score in rows], **rest}


async def test_vectors_come_in_the_order_of_the_inputs() -> None:
    content = vectors((1, [1, 0.5]), (0, [0.25, -1]), model="m-1", usage={"prompt_tokens": 5, "total_tokens": 5})
    end, sent = await answered(TEXTS, content, {"x-request-id": "req-1", "x-energy-joules": "1.5"})
    assert end.vectors == ((0.25, -1.0), (1.0, 0.5))
    assert (end.text, end.usage, end.usage_source) == ("", Usage(5, 0), "provider")
    assert (end.resolved_model, end.provider_request_id) == ("m-1", "req-1")
    assert end.reported == {"headers": {"x-energy-joules": "1.5"}}
    assert sent == {
        "path": "/v1/embeddings",
        "model": "native-m",
        "input": ["one two", "three"],
        "encoding_format": "float",
    }


async def test_dimensions_are_sent_only_where_they_were_asked_for() -> None:
    _, sent = await answered(EmbeddingRequest(("x",), dimensions=2), vectors((0, [1, 2])))
    assert sent["dimensions"] == 2


@pytest.mark.parametrize(
    "content",
    [
        vectors((0, [1.0])),
        vectors((0, [1.0]), (0, [1.0])),
        vectors((0, [1.0]), (2, [1.0])),
        vectors((0, [1.0]), (1, [1.0]), (2, [1.0])),
        vectors((0, [1.0]), (1, [1.0, 2.0])),
        vectors((0, [1.0]), (1, [])),
        vectors((0, [1.0]), (1, ["1"])),
        vectors((0, [1.0]), (1, [True])),
        vectors((0, [1.0]), (1, [None])),
        vectors((0, [1.0]), (1, "AACAPw==")),
        vectors((0, [1.0]), ("1", [1.0])),
        {"data": [[1.0], [2.0]]},
        {"data": None},
        {},
        [],
        "text",
    ],
)
async def test_vectors_that_are_not_one_per_input_are_refused(content: object) -> None:
    assert (await refusal(TEXTS, content)).reason == "bad_json"


async def test_a_number_that_is_not_finite_is_refused() -> None:
    assert (await refusal(TEXTS, vectors((0, [1.0]), (1, [float("nan")])))).reason == "bad_json"


async def test_a_ranking_comes_best_first() -> None:
    content = ranked((2, 0.1), (0, 0.9), (1, 0.9), id="rr-1", usage={"total_tokens": 33})
    end, sent = await answered(DOCUMENTS, content)
    assert end.ranking == ((0, 0.9), (1, 0.9), (2, 0.1))
    assert (end.usage, end.usage_source, end.provider_request_id) == (Usage(33, 0), "provider", "rr-1")
    assert sent == {
        "path": "/v1/rerank",
        "model": "native-m",
        "query": "which number is even?",
        "documents": ["one", "two", "three"],
    }


async def test_fewer_documents_come_back_where_fewer_were_asked_for() -> None:
    request = RerankRequest(DOCUMENTS.query, DOCUMENTS.documents, top_n=1)
    end, sent = await answered(request, ranked((1, -0.5)))
    assert (end.ranking, sent["top_n"]) == (((1, -0.5),), 1)
    assert (await refusal(request, ranked((1, 0.5), (0, 0.4)))).reason == "bad_json"


@pytest.mark.parametrize(
    "content",
    [
        ranked((0, 0.5), (0, 0.4)),
        ranked((3, 0.5)),
        ranked((-1, 0.5)),
        ranked((True, 0.5)),
        ranked((0, None)),
        ranked((0, "0.5")),
        ranked((0, float("inf"))),
        ranked(),
        {"results": [0, 1, 2]},
        {"results": {"0": 0.5}},
        {},
    ],
)
async def test_a_ranking_that_makes_no_sense_is_refused(content: object) -> None:
    assert (await refusal(DOCUMENTS, content)).reason == "bad_json"


@pytest.mark.parametrize(
    ("rest", "usage"),
    [
        ({"usage": {"total_tokens": 33}}, Usage(33, 0)),
        ({"usage": {"prompt_tokens": 30, "total_tokens": 33}}, Usage(30, 0)),
        ({"meta": {"tokens": {"input_tokens": 31, "output_tokens": 0}}}, Usage(31, 0)),
        ({"meta": {"billed_units": {"input_tokens": 32}}}, Usage(32, 0)),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({"usage": None}, None),
        ({"usage": {"total_tokens": 0}}, None),
        ({}, None),
    ],
)
async def test_usage_of_a_ranking_is_read_where_it_stands_and_counted_where_it_does_not(
    rest: dict[str, Any], usage: Usage | None
) -> None:
    end, _ = await answered(DOCUMENTS, ranked((0, 0.5), **rest))
    assert (end.usage, end.usage_source) == (
        (usage, "provider") if usage else (usage_so_far(DOCUMENTS, ""), "local_count")
    )


async def test_an_impossible_usage_is_never_believed() -> None:
    for stated in ({"prompt_tokens": "5"}, {"prompt_tokens": 10**13}, {"prompt_tokens": 1.5}):
        error = await refusal(TEXTS, vectors((0, [1.0]), (1, [1.0]), usage=stated))
        assert (error.reason, error.retryable) == ("bad_usage", False)


async def test_an_error_in_an_answer_is_no_answer() -> None:
    assert (await refusal(TEXTS, {"error": {"message": "no", "type": "invalid_request_error"}})).retryable is False


def test_a_query_is_counted_once_for_each_document() -> None:
    request = RerankRequest("12345678", ("1234", "12345678"))
    assert usage_so_far(request, "") == Usage(2 * 2 + 1 + 2, 0)
    assert usage_so_far(EmbeddingRequest(("1234", "12345")), "") == Usage(1 + 2, 0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_ROW = st.dictionaries(st.sampled_from(["index", "embedding", "relevance_score"]), _JSON | st.integers(0, 2))


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["data", "results", "usage", "meta", "model"]), _JSON | st.lists(_ROW)),
    st.sampled_from([TEXTS, DOCUMENTS]),
)
def test_any_body_is_an_answer_or_a_named_failure(
    content: dict[str, Any], request: EmbeddingRequest | RerankRequest
) -> None:
    async def reason() -> str | None:
        try:
            end, _ = await answered(request, content)
        except UpstreamError as error:
            return error.reason
        return None if end.usage.output_tokens == 0 else "invented output"

    assert anyio.run(reason) in (None, "bad_json", "bad_usage", "cut_stream", "stream_error")
