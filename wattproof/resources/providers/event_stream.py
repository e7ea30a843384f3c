"""A streamed answer: events in, pieces of text out, then exactly one `ChatEnd`; the same for every chat protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

import httpx2
import orjson

from wattproof.methodology.errors import InvalidInput, UpstreamError
from wattproof.resources.providers.answer import AnswerSoFar
from wattproof.resources.providers.records import ChatDelta, ChatEnd
from wattproof.resources.providers.sse import Event, EventReader
from wattproof.resources.providers.upstream_call import (
    UpstreamCall,
    body_chunks,
    drain,
    opened,
    require_media_type,
    stream_error,
)
from wattproof.resources.providers.upstream_failures import quoted

__all__ = ["stream_answer"]

_MEDIA_TYPES = ("text/event-stream", "application/json")


async def stream_answer(
    client: httpx2.AsyncClient,
    call: UpstreamCall,
    body: bytes,
    begin: Callable[[Mapping[str, str]], AnswerSoFar],
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `body` and yield the pieces of the answer that `begin` makes of the response's headers, then its end.

    Raises:
        UpstreamError: the call failed; once a 200 response had begun, with what had arrived and what it cost.
    """
    async with opened(client, call, body) as response:
        answer = begin(response.headers)
        try:
            async with aclosing(_deltas(response, answer, call)) as deltas:
                async for delta in deltas:
                    yield delta
            end = _end(answer, call)
        except UpstreamError as error:
            error.partial_text = answer.text
            error.partial_usage, error.partial_usage_source = answer.spent()
            raise
    yield end


async def _deltas(
    response: httpx2.Response, answer: AnswerSoFar, call: UpstreamCall
) -> AsyncGenerator[ChatDelta, None]:
    media_type = require_media_type(response, call, _MEDIA_TYPES)
    async with aclosing(body_chunks(response, call)) as chunks:
        source = _whole(chunks, answer, call) if media_type == "application/json" else _events(chunks, answer, call)
        async with aclosing(source) as deltas:
            async for delta in deltas:
                yield delta


async def _whole(
    chunks: AsyncGenerator[bytes, None], answer: AnswerSoFar, call: UpstreamCall
) -> AsyncGenerator[ChatDelta, None]:
    """A server that ignores `stream` sends one JSON body."""
    body = b"".join([chunk async for chunk in chunks])
    if not body:
        raise call.cut()
    text = _absorb(body, answer, call)
    if text:
        yield ChatDelta(text)


async def _events(
    chunks: AsyncGenerator[bytes, None], answer: AnswerSoFar, call: UpstreamCall
) -> AsyncGenerator[ChatDelta, None]:
    reader = EventReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            text = _take(event, answer, call)
            if text:
                yield ChatDelta(text)
            if answer.is_done:
                await drain(chunks)
                return
    for event in reader.end():
        text = "" if answer.is_done else _take(event, answer, call)
        if text:
            yield ChatDelta(text)
    # Some servers never mark the end; an orderly end after a finish reason is complete as well.
    if not answer.is_done and answer.finish_reason is None:
        raise call.cut()


def _take(event: Event, answer: AnswerSoFar, call: UpstreamCall) -> str:
    if event.kind == "comment":
        answer.add_comment(event.text)
        return ""
    if event.text.strip() == "[DONE]":
        answer.is_done = True
        return ""
    return _absorb(event.text.encode(), answer, call)


def _absorb(content: bytes, answer: AnswerSoFar, call: UpstreamCall) -> str:
    try:
        chunk: object = orjson.loads(content)
        if not isinstance(chunk, dict):
            raise TypeError("not an object")
        fields = cast("dict[str, Any]", chunk)
        if fields.get("error"):
            raise stream_error(fields["error"], call)
        return answer.add_chunk(fields)
    except (TypeError, ValueError) as error:
        raise call.misshapen() from error


def _end(answer: AnswerSoFar, call: UpstreamCall) -> ChatEnd:
    if answer.is_empty:
        raise call.cut()
    try:
        return answer.end()
    except InvalidInput as error:
        raise UpstreamError(
            "bad_usage", f"{call.host} stated an impossible usage: {quoted(str(error))}.", retryable=False
        ) from error
