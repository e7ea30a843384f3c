"""A client that calls tools for a policy and keeps what it cost: calls, tokens, errors."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from mcp import Client
from mcp.types import TextContent

from evaluation.seen import Mode, Seen

__all__ = ["Agent", "count_tokens"]

ENCODING = "o200k_base"


@cache
def _encoding() -> Any:
    with warnings.catch_warnings():
        # The package opens its vocabulary in a way that Python 3.11 calls old.
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai  # pyright: ignore[reportMissingTypeStubs]

        return bpe_openai.get_encoding(ENCODING)


def count_tokens(text: str) -> int:
    """Tokens of `text` in the encoding that several current models share."""
    return len(_encoding().encode(text))


@dataclass(slots=True)
class Agent:
    """Calls tools as a host would for its model, and forwards one half of each result.

    `given` is what the user handed over with the request. `errors` are the texts of refusals that were met.
    """

    client: Client
    mode: Mode
    given: dict[str, Any]
    calls: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])
    argument_tokens: int = 0
    result_tokens: int = 0

    async def call(self, tool: str, /, **arguments: Any) -> Seen:
        """One call. A refusal is an answer like any other: the policy decides what to do with it."""
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        self.calls.append(tool)
        self.texts.append(text)
        self.argument_tokens += count_tokens(_wire(arguments))
        if result.is_error:
            self.errors.append(text)
        forwards_data = self.mode == "structured" and not result.is_error
        seen = Seen(text, result.structured_content if forwards_data else None, bool(result.is_error))
        self.result_tokens += count_tokens(text if seen.data is None else _wire(seen.data))
        return seen


def _wire(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
