"""The events of Anthropic's Messages API, taken into an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.methodology.quantity import Usage, UsageSource
from wattproof.resources.providers.answer import REPORTED_BLOCKS, AnswerSoFar, as_mapping, label
from wattproof.resources.providers.records import ChatRequest
from wattproof.resources.providers.usage import ANTHROPIC, normalise_usage

__all__ = ["AnthropicAnswer"]

_FINISH_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicAnswer(AnswerSoFar):
    """The state of one message. `pinned_geo` is the place of inference that the request asked for."""

    usage_dialect = ANTHROPIC

    def __init__(self, request: ChatRequest, headers: Mapping[str, str], pinned_geo: object = None) -> None:
        super().__init__(request, headers)
        self._pinned_geo = pinned_geo
        self._usage_is_final = False

    def add_chunk(self, chunk: Mapping[str, Any]) -> str:
        for name in REPORTED_BLOCKS:
            self._report(name, chunk.get(name))
        match chunk.get("type"):
            case "message_start":
                return self._begin(_object(chunk, "message"))
            case "content_block_start":
                return self._begin_block(chunk.get("index"), _object(chunk, "content_block"))
            case "content_block_delta":
                return self._add_delta(chunk.get("index"), _object(chunk, "delta"))
            case "message_delta":
                self._finish(_object(chunk, "delta"), as_mapping(chunk.get("usage")))
            case "message_stop":
                self.is_done = True
            case "message":
                return self._whole(chunk)
            case _:
                # Pings, ends of blocks, and kinds of events that did not exist yet.
                pass
        return ""

    def _final_usage(self) -> tuple[Usage, UsageSource]:
        """The provider's count once it is final; before that its input, and the larger of both counts of the output."""
        if self._usage_is_final or self._usage is None:
            return super()._final_usage()
        counted = self._counted()
        begun = normalise_usage(self._usage, answered=False, dialect=self.usage_dialect)
        if begun is None or begun.input_tokens == 0:
            return counted, "local_count"
        output = max(begun.output_tokens, counted.output_tokens)
        return Usage(begun.input_tokens, output, begun.cached_input_tokens, counted.reasoning_tokens), "local_count"

    def _begin(self, message: Mapping[str, Any]) -> str:
        self._resolved_model = label(message.get("model"))
        self._id = label(message.get("id")) or self._id
        self._add_usage(as_mapping(message.get("usage")))
        return ""

    def _begin_block(self, index: object, block: Mapping[str, Any]) -> str:
        """A block may begin with its whole content, as in an answer that is not streamed."""
        kind = block.get("type")
        if kind == "tool_use":
            kept = self._tool_call(index)
            kept["id"] = label(block.get("id"))
            kept["function"]["name"] = label(block.get("name"))
            return ""
        self._think(block.get("thinking"))
        return self._say(block.get("text")) if kind == "text" else ""

    def _add_delta(self, index: object, delta: Mapping[str, Any]) -> str:
        self._think(delta.get("thinking"))
        arguments = delta.get("partial_json")
        if isinstance(arguments, str) and index in self._tools:
            self._tools[cast("int", index)]["function"]["arguments"] += arguments
        return self._say(delta.get("text")) if delta.get("type") == "text_delta" else ""

    def _finish(self, delta: Mapping[str, Any], usage: Mapping[str, Any] | None) -> None:
        reason = label(delta.get("stop_reason"))
        if reason is not None:
            self.finish_reason = _FINISH_REASONS.get(reason, reason)
        if usage and usage.get("output_tokens") is not None:
            self._usage_is_final = True
        self._add_usage(usage)

    def _whole(self, message: Mapping[str, Any]) -> str:
        from orjson import dumps

        self._begin({**message, "usage": None})
        blocks: object = message.get("content")
        if not isinstance(blocks, list):
            raise TypeError("content is not a list")
        said: list[str] = []
        for index, item in enumerate(cast("list[object]", blocks)):
            block = as_mapping(item)
            if block is None:
                raise TypeError("a content block is not an object")
            said.append(self._begin_block(index, block))
            if index in self._tools:
                self._tools[index]["function"]["arguments"] = dumps(block.get("input") or {}).decode()
        self._finish(message, as_mapping(message.get("usage")))
        return "".join(said)

    def _add_usage(self, usage: Mapping[str, Any] | None) -> None:
        """Later counts are cumulative and stand for earlier ones; what they leave out stays."""
        if not usage:
            return
        self._usage = {**(self._usage or {}), **{name: value for name, value in usage.items() if value is not None}}
        geo = label(usage.get("inference_geo"))
        if geo is None:
            return
        self._reported["inference_geo"] = geo
        if isinstance(self._pinned_geo, str) and geo.lower() != self._pinned_geo.lower():
            self._reported["inference_geo_mismatch"] = {"asked": self._pinned_geo, "answered": geo}


def _object(chunk: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = as_mapping(chunk.get(name))
    if found is None:
        raise TypeError(f"{name} is not an object")
    return found
