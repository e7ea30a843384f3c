"""Whether a provider's usage can be what it says: a wide check, which keeps the number and says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from wattproof.methodology.quantity import Usage
from wattproof.resources.providers.local_count import UTF8_BYTES_PER_TOKEN, usage_so_far
from wattproof.resources.providers.records import ChatRequest, UpstreamRequest

__all__ = ["implausible"]

# Judgement: no tokenizer makes 64 times our count of a text, and no limit is overrun twofold.
_INPUT_FACTOR, _INPUT_SLACK = 64, 4096
_OUTPUT_FACTOR, _OUTPUT_SLACK = 2, 64
# Some providers bill one picture as tens of thousands of tokens.
_PER_OTHER_PART = 65_536


def implausible(usage: Usage, request: UpstreamRequest) -> dict[str, int] | None:
    """What is implausible about a provider's `usage` of `request`: each count with the most that would pass, or None.

    The output may be up to twice the limit that was asked for and 64 more; the input up to 64 times our count and 4,096
    more, and 65,536 for each part that is not text.
    """
    found: dict[str, int] = {}
    if isinstance(request, ChatRequest):
        most_out = _OUTPUT_FACTOR * request.max_output_tokens + _OUTPUT_SLACK
        if usage.output_tokens > most_out:
            found |= {"output_tokens": usage.output_tokens, "output_tokens_at_most": most_out}
    if usage.input_tokens > _INPUT_SLACK:
        most_in = _most_input(request)
        if usage.input_tokens > most_in:
            found |= {"input_tokens": usage.input_tokens, "input_tokens_at_most": most_in}
    return found or None


def _most_input(request: UpstreamRequest) -> int:
    if not isinstance(request, ChatRequest):
        return _INPUT_FACTOR * usage_so_far(request, "").input_tokens + _INPUT_SLACK
    sent = orjson.dumps([request.messages, request.tools, request.response_format, request.extra])
    others = sum(_other_parts(message) for message in request.messages)
    return _INPUT_FACTOR * (len(sent) // UTF8_BYTES_PER_TOKEN + 1) + _INPUT_SLACK + _PER_OTHER_PART * others


def _other_parts(message: Mapping[str, Any]) -> int:
    content: object = message.get("content")
    if not isinstance(content, list):
        return 0
    parts = [cast("Mapping[str, object]", part) for part in cast("list[object]", content) if isinstance(part, dict)]
    return sum(part.get("type") != "text" for part in parts)
