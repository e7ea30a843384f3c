"""One answer as it arrives, whatever protocol brings it: text, reasoning, tool calls, usage, and at last a `ChatEnd`.

Everything a provider sends is untrusted: shapes are checked where they are read, and what is not understood is left
out. The provider's own footprint blocks are kept raw, for cross-checking, and never believed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage, UsageSource
from wattproof.resources.providers.local_count import usage_so_far
from wattproof.resources.providers.plausible import implausible
from wattproof.resources.providers.records import ChatEnd, ChatRequest
from wattproof.resources.providers.usage import OPENAI, UsageDialect, normalise_usage

__all__ = [
    "MAX_REPORTED_BYTES",
    "REPORTED_BLOCKS",
    "AnswerSoFar",
    "as_mapping",
    "label",
    "reported_blocks",
    "reported_headers",
]

# Top-level blocks (and SSE comments of the same name) in which providers disclose a footprint.
REPORTED_BLOCKS = ("billing_cost", "energy", "environment_impact", "impact", "lowrouter", "vetted")
_REPORTED_HEADERS = ("x-green-", "x-energy-", "x-lowrouter-")
MAX_REPORTED_BYTES = 16_384
_MAX_ID_CHARS = 200
_MAX_TOOL_CALLS = 128


class AnswerSoFar:
    """The state of one answer; a subclass per wire protocol reads its chunks."""

    usage_dialect: UsageDialect | None = OPENAI

    def __init__(self, request: ChatRequest, headers: Mapping[str, str]) -> None:
        self.request = request
        self.finish_reason: str | None = None
        self.is_done = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._usage: Mapping[str, Any] | None = None
        self._tools: dict[int, dict[str, Any]] = {}
        self._resolved_model: str | None = None
        self._id: str | None = label(headers.get("x-request-id")) or label(headers.get("request-id"))
        self._reported: dict[str, Any] = {}
        self._report("headers", reported_headers(headers))

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def is_empty(self) -> bool:
        """Nothing has come: no text, no reasoning, no tool call and no reason for finishing."""
        return not (self._text or self._reasoning or self._tools or self.finish_reason)

    def add_chunk(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk (or a whole answer) in; returns the text that it adds, perhaps "".

        Raises:
            TypeError, ValueError: the chunk is not shaped like the protocol's.
        """
        raise NotImplementedError

    def add_comment(self, comment: str) -> None:
        """Take an SSE comment in: `energy {...}` is a footprint block, anything else a keep-alive."""
        name, _, rest = comment.strip().partition(" ")
        if name in REPORTED_BLOCKS and len(rest) <= MAX_REPORTED_BYTES:
            try:
                self._report(name, orjson.loads(rest))
            except ValueError:
                return

    def end(self) -> ChatEnd:
        """The finished answer.

        Raises:
            InvalidInput: the provider's usage block is impossible.
        """
        usage, source = self._final_usage()
        if source == "provider":
            self._report("usage_implausible", implausible(usage, self.request))
        return ChatEnd(
            text=self.text,
            usage=usage,
            usage_source=source,
            finish_reason=self.finish_reason,
            resolved_model=self._resolved_model,
            provider_request_id=self._id,
            tool_calls=tuple(self._tools[index] for index in sorted(self._tools)),
            reported=self._reported or None,
        )

    def spent(self) -> tuple[Usage, UsageSource]:
        """What is known to be spent when the answer breaks off: the provider's count if it makes sense, else ours."""
        try:
            return self._final_usage()
        except InvalidInput:
            return self._counted(), "local_count"

    def _final_usage(self) -> tuple[Usage, UsageSource]:
        stated = self._stated_usage()
        return (self._counted(), "local_count") if stated is None else (stated, "provider")

    def _stated_usage(self) -> Usage | None:
        if self._usage is None:
            return None
        answered = bool(self._text or self._reasoning or self._tools)
        return normalise_usage(self._usage, answered=answered, dialect=self.usage_dialect)

    def _counted(self) -> Usage:
        calls = "".join(str(tool["function"]["arguments"]) for tool in self._tools.values())
        return usage_so_far(self.request, self.text + calls, "".join(self._reasoning))

    def _say(self, text: object) -> str:
        if not isinstance(text, str) or not text:
            return ""
        self._text.append(text)
        return text

    def _think(self, thought: object) -> None:
        if isinstance(thought, str) and thought:
            self._reasoning.append(thought)

    def _tool_call(self, index: object) -> dict[str, Any]:
        """The tool call at `index`, begun if need be.

        Raises:
            ValueError: the index is impossible.
        """
        if type(index) is not int or not 0 <= index < _MAX_TOOL_CALLS:
            raise ValueError("a tool call has an impossible index")
        return self._tools.setdefault(
            index, {"id": None, "type": "function", "function": {"name": None, "arguments": ""}}
        )

    def _report(self, name: str, block: object) -> None:
        _keep(self._reported, name, block)


def reported_blocks(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The footprint blocks of one whole answer, as many as fit the cap."""
    kept: dict[str, Any] = {}
    for name in REPORTED_BLOCKS:
        _keep(kept, name, fields.get(name))
    return kept


def reported_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The response headers in which a provider discloses a footprint."""
    return {name: value for name, value in headers.items() if name.lower().startswith(_REPORTED_HEADERS)}


def as_mapping(value: object) -> dict[str, Any] | None:
    """`value` where it is a JSON object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def label(value: object) -> str | None:
    """A label that a provider sent, if it is one: printable and short."""
    if isinstance(value, str) and value and len(value) <= _MAX_ID_CHARS and value.isprintable():
        return value
    return None


def _keep(kept: dict[str, Any], name: str, block: object) -> None:
    """Put `block` among `kept` if it is one and all of them stay within the cap."""
    if not isinstance(block, dict) or not block:
        return
    try:
        size = len(orjson.dumps({**kept, name: block}))
    except orjson.JSONEncodeError:
        return
    if size <= MAX_REPORTED_BYTES:
        kept[name] = block
