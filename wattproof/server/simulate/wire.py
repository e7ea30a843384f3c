"""What the invented providers say, in the shapes of the real ones: chat completions and messages, streamed or whole.

Source: OpenAI API reference, "Create chat completion" (with `stream_options.include_usage` the last chunk has usage and
no choices); Anthropic API reference, "Messages" and "Streaming messages"; Melious' published `environment_impact`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["PATHS", "Answer", "Wire", "asked", "frames", "refusal", "whole"]

Wire = Literal["openai-chat", "anthropic-messages"]

PATHS: Mapping[str, Wire] = {"/v1/chat/completions": "openai-chat", "/v1/messages": "anthropic-messages"}
_MOST_TOKENS = 4096
_SIMULATED = "SIMULATED ANSWER"
_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a provider reads it. `usage` says whether a stream shall end with a usage chunk."""

    wire: Wire
    model: str
    text: str
    max_tokens: int
    stream: bool
    usage: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """An invented answer: its tokens, and its text in the pieces in which it is streamed."""

    id: str
    model: str
    input_tokens: int
    output_tokens: int
    created_s: int
    pieces: tuple[str, ...] = (f"{_SIMULATED}: ", "no model ", "ran.")
    finish: Literal["stop", "length"] = "stop"
    impact: Mapping[str, Any] | None = field(default=None)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def asked(wire: Wire, body: Mapping[str, Any]) -> Asked:
    """Read a request.

    Raises:
        KeyError, TypeError, ValueError: it lacks what the API demands.
    """
    limit: Any = body.get("max_tokens") or body.get("max_completion_tokens")
    if wire == "openai-chat" and limit is None:
        limit = _MOST_TOKENS
    options: Mapping[str, Any] = body.get("stream_options") or {}
    said = " ".join(str(message["content"]) for message in body["messages"])
    return Asked(
        wire=wire,
        model=str(body["model"]),
        text=f"{body.get('system') or ''} {said}".strip(),
        max_tokens=int(limit),
        stream=bool(body.get("stream")),
        usage=bool(options.get("include_usage")),
    )


def whole(request: Asked, answer: Answer) -> bytes:
    """The answer as one JSON body."""
    return json.dumps(_WHOLE[request.wire](answer)).encode()


def frames(request: Asked, answer: Answer) -> Iterator[bytes]:
    """The answer as server-sent events, one piece after the other."""
    return _FRAMES[request.wire](request, answer)


def refusal(wire: Wire, status: int, message: str) -> bytes:
    """The body of an error."""
    kind = _ERROR_TYPES.get(status, "api_error")
    error = {"type": kind, "message": message}
    return json.dumps({"type": "error", "error": error} if wire == "anthropic-messages" else {"error": error}).encode()


def _openai_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _openai_whole(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    body: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created_s,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
        "usage": _openai_usage(answer),
    }
    return body | _impact(answer)


def _openai_frames(request: Asked, answer: Answer) -> Iterator[bytes]:
    head = {"id": answer.id, "object": "chat.completion.chunk", "created": answer.created_s, "model": answer.model}
    for piece in answer.pieces:
        delta = {"role": "assistant", "content": piece}
        yield _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _data({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
    if request.usage:
        yield _data({**head, "choices": [], "usage": _openai_usage(answer), **_impact(answer)})
    yield b"data: [DONE]\n\n"


def _anthropic_usage(answer: Answer, output_tokens: int) -> dict[str, int]:
    return {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }


def _anthropic_stop(answer: Answer) -> str:
    return {"stop": "end_turn", "length": "max_tokens"}[answer.finish]


def _anthropic_message(answer: Answer) -> dict[str, Any]:
    return {"id": answer.id, "type": "message", "role": "assistant", "model": answer.model, "stop_sequence": None}


def _anthropic_whole(answer: Answer) -> dict[str, Any]:
    return {
        **_anthropic_message(answer),
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": _anthropic_stop(answer),
        "usage": _anthropic_usage(answer, answer.output_tokens),
    }


def _anthropic_frames(_: Asked, answer: Answer) -> Iterator[bytes]:
    usage = _anthropic_usage(answer, 1)
    message: dict[str, Any] = {**_anthropic_message(answer), "content": [], "stop_reason": None, "usage": usage}
    yield _event("message_start", {"message": message})
    yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield _event("ping", {})
    for piece in answer.pieces:
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _event("content_block_stop", {"index": 0})
    ending = {"stop_reason": _anthropic_stop(answer), "stop_sequence": None}
    yield _event("message_delta", {"delta": ending, "usage": {"output_tokens": answer.output_tokens}})
    yield _event("message_stop", {})


def _impact(answer: Answer) -> dict[str, Any]:
    return {} if answer.impact is None else {"environment_impact": dict(answer.impact)}


def _data(content: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _event(kind: str, content: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **content})


_WHOLE = {"openai-chat": _openai_whole, "anthropic-messages": _anthropic_whole}
_FRAMES = {"openai-chat": _openai_frames, "anthropic-messages": _anthropic_frames}
