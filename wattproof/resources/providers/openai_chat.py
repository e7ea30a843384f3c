"""Chat completions over the OpenAI-compatible wire: one streaming request, every failure named.

Redirects are never followed (the key would travel along), compressed bodies are refused (their size is unknown before
it is too late), and a response beyond 8 MiB is cut.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
import httpx2
import orjson

from wattproof.methodology.errors import InvalidInput, UpstreamError
from wattproof.resources.providers.chat_answer import ChatAnswer
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest, Deployment
from wattproof.resources.providers.sse import Event, EventReader
from wattproof.resources.providers.upstream_failures import http_failure, quoted, transport_failure

__all__ = ["MAX_RESPONSE_BYTES", "stream_chat"]

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 10.0
# How long to wait for the end of the body after [DONE], so that the connection can be used again.
_DRAIN_S = 0.2


async def stream_chat(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    request: ChatRequest,
    *,
    api_key: str | None,
    timeout_s: float,
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` to `deployment` and yield the answer's pieces, then exactly one `ChatEnd`.

    `timeout_s` bounds the whole call, from connecting to the last byte. Usage comes from the provider; where it sends
    none, it is counted locally and marked `local_count`. Closing the iterator early closes the connection.

    Source: OpenAI API reference, "Create chat completion": with `stream_options.include_usage` the last chunk has usage
        and no choices.

    Raises:
        UpstreamError: the call failed; reasons are listed in `upstream_failures`. Once an answer had begun, the error
            carries what had arrived and what it cost (`partial_text`, `partial_usage`).
    """
    call = _Call(deployment, request, api_key, anyio.current_time() + timeout_s)
    async with _opened(client, call, timeout_s) as response:
        answer = ChatAnswer(request, response.headers)
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


@dataclass(frozen=True, slots=True)
class _Call:
    deployment: Deployment
    request: ChatRequest
    api_key: str | None
    deadline: float

    @property
    def host(self) -> str:
        return f"{self.deployment.provider} ({httpx2.URL(self.deployment.base_url).host})"

    def left_s(self) -> float:
        return self.deadline - anyio.current_time()

    def late(self) -> UpstreamError:
        return UpstreamError("timeout", f"{self.host} did not finish before the deadline.", retryable=True)

    def cut(self) -> UpstreamError:
        return UpstreamError("cut_stream", f"{self.host} cut the answer off.", retryable=True)


@asynccontextmanager
async def _opened(client: httpx2.AsyncClient, call: _Call, timeout_s: float) -> AsyncGenerator[httpx2.Response]:
    """The response once its status is known to be 200."""
    upstream = client.build_request(
        "POST",
        call.deployment.base_url.rstrip("/") + "/chat/completions",
        content=_body(call.deployment, call.request),
        headers=_headers(call.api_key),
        timeout=httpx2.Timeout(max(timeout_s, 0.001), connect=min(max(timeout_s, 0.001), _CONNECT_TIMEOUT_S)),
    )
    try:
        with anyio.fail_after(call.left_s()):
            response = await client.send(upstream, stream=True, follow_redirects=False)
    except TimeoutError as error:
        raise call.late() from error
    except httpx2.TransportError as error:
        raise transport_failure(error, call.host, streaming=False) from error
    try:
        if response.status_code != 200:
            body = await _error_body(response, call)
            raise http_failure(response.status_code, response.headers, body, call.host, call.api_key)
        yield response
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()


def _headers(api_key: str | None) -> dict[str, str]:
    headers = {
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    return headers


def _body(deployment: Deployment, request: ChatRequest) -> bytes:
    """The request body: unread extra fields first, so that none of them replaces one of ours."""
    body: dict[str, Any] = {
        **request.extra,
        "model": deployment.native_model,
        "messages": list(request.messages),
        "stream": True,
        deployment.output_limit_field: request.max_output_tokens,
    }
    if deployment.ask_stream_usage:
        body["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.response_format is not None:
        body["response_format"] = request.response_format
    if request.tools:
        body["tools"] = list(request.tools)
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise UpstreamError("bad_request", f"The request is not JSON: {error}.", retryable=False) from error


async def _error_body(response: httpx2.Response, call: _Call) -> bytes:
    """As much of an error page as its message can need; what cannot be read does not matter."""
    body = bytearray()
    with anyio.move_on_after(min(max(call.left_s(), 0.0), 5.0)):
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_ERROR_BYTES:
                    break
        except httpx2.TransportError:
            pass
    return bytes(body[:_MAX_ERROR_BYTES])


async def _deltas(response: httpx2.Response, answer: ChatAnswer, call: _Call) -> AsyncGenerator[ChatDelta, None]:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity") or media_type not in ("text/event-stream", "application/json"):
        what = f"{media_type or 'no content type'}" + ("" if encoding in ("", "identity") else f", {encoding}")
        raise UpstreamError(
            "bad_content_type", f"{call.host} sent {quoted(what)} where an event stream was asked for.", retryable=True
        )
    chunks = _chunks(response, call)
    async with aclosing(chunks):
        source = _whole(chunks, answer, call) if media_type == "application/json" else _events(chunks, answer, call)
        async with aclosing(source) as deltas:
            async for delta in deltas:
                yield delta


async def _whole(
    chunks: AsyncGenerator[bytes, None], answer: ChatAnswer, call: _Call
) -> AsyncGenerator[ChatDelta, None]:
    """A server that ignores `stream` sends one JSON body."""
    body = b"".join([chunk async for chunk in chunks])
    text = _absorb(body, answer, call)
    if text:
        yield ChatDelta(text)


async def _events(
    chunks: AsyncGenerator[bytes, None], answer: ChatAnswer, call: _Call
) -> AsyncGenerator[ChatDelta, None]:
    reader = EventReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            if event.kind == "data" and event.text.strip() == "[DONE]":
                await _drain(chunks)
                return
            text = _take(event, answer, call)
            if text:
                yield ChatDelta(text)
    done = False
    for event in reader.end():
        done = done or event.text.strip() == "[DONE]"
        text = "" if done else _take(event, answer, call)
        if text:
            yield ChatDelta(text)
    # Some servers never send [DONE]; an orderly end after a finish reason is complete as well.
    if not done and answer.finish_reason is None:
        raise call.cut()


def _take(event: Event, answer: ChatAnswer, call: _Call) -> str:
    if event.kind == "comment":
        answer.add_comment(event.text)
        return ""
    return _absorb(event.text.encode(), answer, call)


def _absorb(content: bytes, answer: ChatAnswer, call: _Call) -> str:
    try:
        chunk: object = orjson.loads(content)
        if not isinstance(chunk, dict):
            raise TypeError("not an object")
        fields = cast("dict[str, Any]", chunk)
        if fields.get("error"):
            raise _stream_error(fields["error"], call)
        return answer.add_chunk(fields)
    except (TypeError, ValueError) as error:
        raise UpstreamError(
            "bad_json", f"{call.host} sent something that is not a chat completion.", retryable=True
        ) from error


def _stream_error(error: object, call: _Call) -> UpstreamError:
    said: object = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    text = str(said).replace(call.api_key, "***") if call.api_key else str(said)
    return UpstreamError(
        "stream_error", f"{call.host} reported an error in its answer: {quoted(text)}.", retryable=True
    )


async def _chunks(response: httpx2.Response, call: _Call) -> AsyncGenerator[bytes, None]:
    """The body's bytes, under the deadline and the cap."""
    raw = response.aiter_raw()
    size = 0
    while True:
        try:
            with anyio.fail_after(max(call.left_s(), 0.0)):
                chunk = await anext(raw, None)
        except TimeoutError as error:
            raise call.late() from error
        except httpx2.TransportError as error:
            raise transport_failure(error, call.host, streaming=True) from error
        if chunk is None:
            return
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            raise UpstreamError(
                "too_large", f"{call.host} sent more than {MAX_RESPONSE_BYTES:,} bytes.", retryable=False
            )
        yield chunk


async def _drain(chunks: AsyncGenerator[bytes, None]) -> None:
    with anyio.move_on_after(_DRAIN_S):
        try:
            async for _ in chunks:
                pass
        except UpstreamError:
            # The answer is complete; how the connection ends no longer matters.
            return


def _end(answer: ChatAnswer, call: _Call) -> ChatEnd:
    if answer.is_empty:
        raise call.cut()
    try:
        return answer.end()
    except InvalidInput as error:
        raise UpstreamError(
            "bad_usage", f"{call.host} stated an impossible usage: {quoted(str(error))}.", retryable=False
        ) from error
