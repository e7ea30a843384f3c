"""OpenAI-style chunks of a chat completion, taken into an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.resources.providers.answer import MAX_REPORTED_BYTES, REPORTED_BLOCKS, AnswerSoFar, as_mapping, label

__all__ = ["MAX_REPORTED_BYTES", "REPORTED_BLOCKS", "ChatAnswer"]


class ChatAnswer(AnswerSoFar):
    """The state of one chat completion."""

    def add_chunk(self, chunk: Mapping[str, Any]) -> str:
        self._resolved_model = self._resolved_model or label(chunk.get("model"))
        self._id = label(chunk.get("id")) or self._id
        usage = as_mapping(chunk.get("usage"))
        if usage:
            self._usage = usage
        for name in REPORTED_BLOCKS:
            self._report(name, chunk.get(name))
        choices: object = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise TypeError("choices is not a list")
        return "".join(self._add_choice(choice) for choice in cast("list[object]", choices))

    def _add_choice(self, choice: object) -> str:
        fields = as_mapping(choice)
        if fields is None:
            raise TypeError("a choice is not an object")
        if fields.get("index", 0) != 0:
            return ""
        self.finish_reason = label(fields.get("finish_reason")) or self.finish_reason
        delta = as_mapping(fields.get("delta")) or as_mapping(fields.get("message")) or {}
        self._think(delta.get("reasoning_content") or delta.get("reasoning"))
        calls: object = delta.get("tool_calls")
        if isinstance(calls, list):
            for position, call in enumerate(cast("list[object]", calls)):
                self._add_tool_call(position, as_mapping(call) or {})
        return self._say(delta.get("content"))

    def _add_tool_call(self, position: int, call: Mapping[str, Any]) -> None:
        function = as_mapping(call.get("function")) or {}
        kept = self._tool_call(call.get("index", position))
        kept["id"] = kept["id"] or label(call.get("id"))
        kept["function"]["name"] = kept["function"]["name"] or label(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            kept["function"]["arguments"] += arguments
