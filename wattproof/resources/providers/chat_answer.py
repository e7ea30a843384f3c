"""One answer as it arrives: OpenAI-style chunks in, text out, and at the end a `ChatEnd`.

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
from wattproof.resources.providers.records import ChatEnd, ChatRequest
from wattproof.resources.providers.usage import normalise_usage

__all__ = ["MAX_REPORTED_BYTES", "REPORTED_BLOCKS", "ChatAnswer"]

# Top-level blocks (and SSE comments of the same name) in which providers disclose a footprint.
REPORTED_BLOCKS = ("billing_cost", "energy", "environment_impact", "impact", "lowrouter", "vetted")
_REPORTED_HEADERS = ("x-green-", "x-energy-")
MAX_REPORTED_BYTES = 16_384
_MAX_ID_CHARS = 200


class ChatAnswer:
    """The state of one answer."""

    def __init__(self, request: ChatRequest, headers: Mapping[str, str]) -> None:
        self._request = request
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._usage: Mapping[str, Any] | None = None
        self._tools: dict[int, dict[str, Any]] = {}
        self._resolved_model: str | None = None
        self._id: str | None = _short(headers.get("x-request-id"))
        self._reported: dict[str, Any] = {}
        self.finish_reason: str | None = None
        green = {name: value for name, value in headers.items() if name.lower().startswith(_REPORTED_HEADERS)}
        if green:
            self._report("headers", green)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def is_empty(self) -> bool:
        """Nothing has come: no text, no reasoning, no tool call and no reason for finishing."""
        return not (self._text or self._reasoning or self._tools or self.finish_reason)

    def add_chunk(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk (or a whole completion) in; returns the text that it adds, perhaps "".

        Raises:
            TypeError, ValueError: the chunk is not shaped like a chat completion.
        """
        self._resolved_model = self._resolved_model or _short(chunk.get("model"))
        self._id = _short(chunk.get("id")) or self._id
        usage = _mapping(chunk.get("usage"))
        if usage:
            self._usage = usage
        for name in REPORTED_BLOCKS:
            self._report(name, chunk.get(name))
        choices: object = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise TypeError("choices is not a list")
        return "".join(self._add_choice(choice) for choice in cast("list[object]", choices))

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
        answered = bool(self._text or self._reasoning or self._tools)
        stated = None if self._usage is None else normalise_usage(self._usage, answered=answered)
        return (self._counted(), "local_count") if stated is None else (stated, "provider")

    def _counted(self) -> Usage:
        calls = "".join(str(tool["function"]["arguments"]) for tool in self._tools.values())
        return usage_so_far(self._request, self.text + calls, "".join(self._reasoning))

    def _add_choice(self, choice: object) -> str:
        fields = _mapping(choice)
        if fields is None:
            raise TypeError("a choice is not an object")
        if fields.get("index", 0) != 0:
            return ""
        self.finish_reason = _short(fields.get("finish_reason")) or self.finish_reason
        delta = _mapping(fields.get("delta")) or _mapping(fields.get("message")) or {}
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str):
            self._reasoning.append(thought)
        calls: object = delta.get("tool_calls")
        if isinstance(calls, list):
            for position, call in enumerate(cast("list[object]", calls)):
                self._add_tool_call(position, _mapping(call) or {})
        text = delta.get("content")
        if not isinstance(text, str) or not text:
            return ""
        self._text.append(text)
        return text

    def _add_tool_call(self, position: int, call: Mapping[str, Any]) -> None:
        index = call.get("index", position)
        if type(index) is not int or not 0 <= index < 128:
            raise ValueError("a tool call has an impossible index")
        function = _mapping(call.get("function")) or {}
        kept = self._tools.setdefault(
            index, {"id": None, "type": "function", "function": {"name": None, "arguments": ""}}
        )
        kept["id"] = kept["id"] or _short(call.get("id"))
        kept["function"]["name"] = kept["function"]["name"] or _short(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            kept["function"]["arguments"] += arguments

    def _report(self, name: str, block: object) -> None:
        if not isinstance(block, dict) or not block:
            return
        if len(orjson.dumps({**self._reported, name: block})) <= MAX_REPORTED_BYTES:
            self._reported[name] = block


def _mapping(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _short(value: object) -> str | None:
    """A label that a provider sent, if it is one: printable and short."""
    if isinstance(value, str) and value and len(value) <= _MAX_ID_CHARS and value.isprintable():
        return value
    return None
