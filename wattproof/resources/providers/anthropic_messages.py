"""Anthropic's Messages API: one streaming request, named events, every failure named."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import anyio
import httpx2

from wattproof.resources.providers.anthropic_answer import AnthropicAnswer
from wattproof.resources.providers.anthropic_body import messages_body
from wattproof.resources.providers.event_stream import stream_answer
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest, Deployment
from wattproof.resources.providers.upstream_call import UpstreamCall, encoded

__all__ = ["stream_messages"]

_VERSION = ("anthropic-version", "2023-06-01")


async def stream_messages(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    request: ChatRequest,
    *,
    api_key: str | None,
    timeout_s: float,
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` (in OpenAI's shape) to `deployment` and yield the answer's pieces, then exactly one `ChatEnd`.

    Where inference ran, as the provider states it, is in `ChatEnd.reported["inference_geo"]`; where that differs from
    what the row pins, `reported["inference_geo_mismatch"]` holds both.

    Source: Anthropic API reference, "Create a Message" and "Streaming Messages".

    Raises:
        UpstreamError: as `stream_chat`; `bad_request` where the request has no counterpart in this API.
    """
    call = UpstreamCall(
        deployment, "/messages", api_key, anyio.current_time() + timeout_s, expects="a message", headers=(_VERSION,)
    )
    body = encoded(messages_body(deployment, request))

    def begin(headers: Mapping[str, str]) -> AnthropicAnswer:
        return AnthropicAnswer(request, headers, pinned_geo=deployment.request_fields.get("inference_geo"))

    async with aclosing(stream_answer(client, call, body, begin)) as events:
        async for event in events:
            yield event
