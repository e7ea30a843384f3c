"""Chat completions over the OpenAI-compatible wire: one streaming request, every failure named."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import httpx2

from wattproof.resources.providers.chat_answer import ChatAnswer
from wattproof.resources.providers.event_stream import stream_answer
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest, Deployment
from wattproof.resources.providers.upstream_call import UpstreamCall, encoded

__all__ = ["stream_chat"]


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
    call = UpstreamCall(
        deployment, "/chat/completions", api_key, anyio.current_time() + timeout_s, expects="a chat completion"
    )
    body = encoded(_body(deployment, request))
    async with aclosing(stream_answer(client, call, body, partial(ChatAnswer, request))) as events:
        async for event in events:
            yield event


def _body(deployment: Deployment, request: ChatRequest) -> dict[str, Any]:
    """The request body: the caller's unread fields first, then what the row pins, then ours, so that ours stand."""
    body: dict[str, Any] = {
        **request.extra,
        **deployment.request_fields,
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
    return body
