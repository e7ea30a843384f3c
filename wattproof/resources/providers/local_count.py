"""Token counts where a provider states none: an approximation, always marked `local_count`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.methodology.quantity import Usage
from wattproof.resources.providers.records import ChatRequest, EmbeddingRequest, UpstreamRequest

__all__ = ["UTF8_BYTES_PER_TOKEN", "count_text", "usage_so_far"]

UTF8_BYTES_PER_TOKEN = 4


def count_text(text: str) -> int:
    """Tokens of `text`: one per 4 UTF-8 bytes, rounded up.

    A rule of thumb for English under a byte-pair vocabulary; other scripts and code are off by up to about 2x.
    """
    return -(-len(text.encode("utf-8", "replace")) // UTF8_BYTES_PER_TOKEN)


def usage_so_far(request: UpstreamRequest, answer: str, reasoning: str = "") -> Usage:
    """The usage of a request that sent `request` and received `answer` (and `reasoning`), counted locally.

    Of a chat, text parts are counted message by message; images, audio, tool definitions and the chat template are not.
    A reranker reads the query once with each document, so that is what is counted.

    Source: Voyage AI, "Rerankers": tokens = query tokens x number of documents + document tokens.
    """
    thought = count_text(reasoning)
    return Usage(
        input_tokens=_input_tokens(request),
        output_tokens=count_text(answer) + thought,
        reasoning_tokens=thought,
    )


def _input_tokens(request: UpstreamRequest) -> int:
    if isinstance(request, ChatRequest):
        return sum(count_text(_text_of(message)) for message in request.messages)
    if isinstance(request, EmbeddingRequest):
        return sum(map(count_text, request.inputs))
    return count_text(request.query) * len(request.documents) + sum(map(count_text, request.documents))


def _text_of(message: Mapping[str, Any]) -> str:
    content: object = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast("Mapping[str, object]", p).get("text") for p in cast("list[object]", content) if isinstance(p, dict)]
    return "".join(part for part in parts if isinstance(part, str))
