"""How each wire protocol says the same things: an answer, a refusal, nonsense. Bytes in the order they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "AnthropicMessages", "Dialect", "Embeddings", "OpenAiChat", "Rerank", "dialect_for"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said. `usage` is OpenAI's block, or None for a provider that states none."""

    model: str
    pieces: Sequence[str]
    usage: Mapping[str, Any] | None
    asked: Mapping[str, Any]


class OpenAiChat:
    """Chat completions: `head` is how many of the frames carry the first piece."""

    media_type = "text/event-stream"
    head = 1
    done = b"data: [DONE]\n\n"
    torn = b'data: {"choices":[{"index":0,"delta":{"conte'

    def frames(self, answer: Answer) -> list[bytes]:
        """Everything but the mark of the end."""
        said = [self.piece(answer, text) for text in answer.pieces]
        said.append(self.event(answer, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        if answer.usage is not None:
            said.append(self.event(answer, choices=[], usage=answer.usage))
        return said

    def unfinished(self, answer: Answer) -> list[bytes]:
        """A whole answer by a server that never marks the end."""
        last = self.event(
            answer, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=dict(answer.usage or {})
        )
        return [*(self.piece(answer, text) for text in answer.pieces), last]

    def piece(self, answer: Answer, text: str) -> bytes:
        return self.event(answer, choices=[{"index": 0, "delta": {"role": "assistant", "content": text}}])

    def event(self, answer: Answer, **content: Any) -> bytes:
        return _data({"id": "chatcmpl-1", "model": answer.model, "object": "chat.completion.chunk", **content})

    def whole(self, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": "".join(answer.pieces)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "chatcmpl-1", "model": answer.model, "choices": [choice], "usage": answer.usage}

    def misshapen(self, answer: Answer) -> bytes:
        return self.event(answer, choices={"0": "surprise"})

    def broken(self) -> bytes:
        return b"data: {not json}\n\n"

    def error(self, message: str) -> bytes:
        return _data({"error": {"message": message, "code": 502}})

    def refusal(self, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "error"}}


class AnthropicMessages:
    """Messages: named events; input tokens leave out what came from the cache."""

    media_type = "text/event-stream"
    head = 4
    done = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    torn = b'event: content_block_delta\ndata: {"type": "content_block_del'

    def frames(self, answer: Answer) -> list[bytes]:
        usage = self.usage(answer.usage)
        started = {k: v for k, v in usage.items() if k != "output_tokens"} | ({"output_tokens": 1} if usage else {})
        message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": answer.model}
        ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
        return [
            _named(
                {
                    "type": "message_start",
                    "message": {**message, "content": [], **({"usage": started} if started else {})},
                }
            ),
            _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            _named({"type": "ping"}),
            *(self.piece(answer, text) for text in answer.pieces),
            _named({"type": "content_block_stop", "index": 0}),
            _named({**ended, **({"usage": usage} if usage else {})}),
        ]

    def unfinished(self, answer: Answer) -> list[bytes]:
        return self.frames(answer)

    def usage(self, block: Mapping[str, Any] | None) -> dict[str, Any]:
        """OpenAI's block in Anthropic's words; what is not a number stays what it is."""
        if block is None:
            return {}
        details: Mapping[str, Any] = block.get("prompt_tokens_details") or {}
        thought: Mapping[str, Any] = block.get("completion_tokens_details") or {}
        read = details.get("cached_tokens", 0)
        given = block.get("prompt_tokens")
        return {
            "input_tokens": given - read if type(given) is int and type(read) is int else given,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": read,
            "output_tokens": block.get("completion_tokens"),
            "output_tokens_details": {"thinking_tokens": thought.get("reasoning_tokens", 0)},
            "service_tier": "standard",
        }

    def piece(self, answer: Answer, text: str) -> bytes:
        return _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})

    def whole(self, answer: Answer) -> dict[str, Any]:
        content = [{"type": "text", "text": "".join(answer.pieces)}]
        stated = {"usage": self.usage(answer.usage)} if answer.usage is not None else {}
        message: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": content,
        }
        return {**message, "stop_reason": "end_turn", "stop_sequence": None, **stated}

    def misshapen(self, answer: Answer) -> bytes:
        return _named({"type": "content_block_delta", "index": "0", "delta": ["surprise"]})

    def broken(self) -> bytes:
        return b"event: content_block_delta\ndata: {not json}\n\n"

    def error(self, message: str) -> bytes:
        return _named({"type": "error", "error": {"type": "overloaded_error", "message": message}})

    def refusal(self, message: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "error", "message": message}, "request_id": "req_1"}


class _OneBody:
    """A protocol without streaming: the frames are the halves of one JSON body."""

    media_type = "application/json"
    head = 1
    done = b""
    torn = b""

    def frames(self, answer: Answer) -> list[bytes]:
        body = json.dumps(self.whole(answer)).encode()
        return [body[: len(body) // 2], body[len(body) // 2 :]]

    def unfinished(self, answer: Answer) -> list[bytes]:
        return self.frames(answer)

    def piece(self, answer: Answer, text: str) -> bytes:
        return text.encode()

    def whole(self, answer: Answer) -> dict[str, Any]:
        raise NotImplementedError

    def misshapen(self, answer: Answer) -> bytes:
        return json.dumps({"data": {"0": "surprise"}, "results": "surprise"}).encode()

    def broken(self) -> bytes:
        return b"}not json{"

    def error(self, message: str) -> bytes:
        return json.dumps(self.refusal(message)).encode()

    def refusal(self, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "error"}}


class Embeddings(_OneBody):
    """One vector per input, sent last first: the index says which is which."""

    def whole(self, answer: Answer) -> dict[str, Any]:
        inputs: list[str] = list(answer.asked.get("input") or [])
        width = int(answer.asked.get("dimensions") or 3)
        rows = [
            {"object": "embedding", "index": index, "embedding": [float(index)] * (width - 1) + [float(len(text))]}
            for index, text in enumerate(inputs)
        ]
        stated: dict[str, Any] = {}
        if answer.usage is not None:
            count = answer.usage.get("prompt_tokens")
            stated["usage"] = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "data": rows[::-1], "model": answer.model, **stated}


class Rerank(_OneBody):
    """The documents from the last to the first, with falling scores."""

    def whole(self, answer: Answer) -> dict[str, Any]:
        documents: list[str] = list(answer.asked.get("documents") or [])
        top = int(answer.asked.get("top_n") or len(documents))
        order = list(range(len(documents)))[::-1][:top]
        rows = [{"index": index, "relevance_score": 0.9 / (rank + 1)} for rank, index in enumerate(order)]
        stated = {} if answer.usage is None else {"usage": {"total_tokens": answer.usage.get("prompt_tokens")}}
        return {"id": "rerank-1", "model": answer.model, "results": rows, **stated}


Dialect = OpenAiChat | AnthropicMessages | Embeddings | Rerank

_BY_ENDING: Mapping[str, Dialect] = {
    "/messages": AnthropicMessages(),
    "/embeddings": Embeddings(),
    "/rerank": Rerank(),
}


def dialect_for(path: str) -> Dialect:
    """The dialect that the path asks for; chat completions for any other path."""
    bare = path.partition("?")[0]
    return next((dialect for ending, dialect in _BY_ENDING.items() if bare.endswith(ending)), OpenAiChat())


def _data(content: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _named(content: Mapping[str, Any]) -> bytes:
    return f"event: {content['type']}\n".encode() + _data(content)
