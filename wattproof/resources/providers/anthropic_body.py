"""From a request in OpenAI's shape to the body of Anthropic's Messages API.

Source: Anthropic API reference, "Create a Message": system apart from the turns, results of tools in the user's turn,
    `output_config.format` for structured output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson

from wattproof.methodology.errors import UpstreamError
from wattproof.resources.providers.records import ChatRequest, Deployment
from wattproof.resources.providers.upstream_failures import quoted

__all__ = ["messages_body"]

Block = dict[str, Any]
_SYSTEM_ROLES = frozenset({"system", "developer"})
_TOOL_CHOICES: Mapping[str, str] = {"auto": "auto", "required": "any", "none": "none"}
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def messages_body(deployment: Deployment, request: ChatRequest) -> dict[str, Any]:
    """The request body: the caller's unread fields first, then what the row pins, then ours.

    Raises:
        UpstreamError: `bad_request`, a message, tool or format has no counterpart; the text says what would work.
    """
    system = [
        _text_of(message.get("content"), f"messages[{position}]")
        for position, message in enumerate(request.messages)
        if str(message.get("role")) in _SYSTEM_ROLES
    ]
    body: dict[str, Any] = {
        **_unread(request.extra),
        **deployment.request_fields,
        "model": deployment.native_model,
        "messages": _turns(request.messages),
        "stream": True,
        "max_tokens": request.max_output_tokens,
    }
    if any(system):
        body["system"] = "\n\n".join(text for text in system if text)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = [_tool(tool, position) for position, tool in enumerate(request.tools)]
    wanted = _output_format(request.response_format)
    if wanted is not None:
        known: object = body.get("output_config")
        body["output_config"] = {**(cast("Block", known) if isinstance(known, dict) else {}), "format": wanted}
    return body


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[Block]:
    """User and assistant turns; neighbours of one role are one turn, as results of parallel tool calls must be."""
    turns: list[Block] = []
    for position, message in enumerate(messages):
        role = str(message.get("role"))
        if role in _SYSTEM_ROLES:
            continue
        if role not in _BLOCKS_OF:
            raise _refused(f"messages[{position}].role is {quoted(role)}", "use system, user, assistant or tool")
        blocks = _BLOCKS_OF[role](message, f"messages[{position}]")
        spoken_by = "assistant" if role == "assistant" else "user"
        if not blocks:
            continue
        if turns and turns[-1]["role"] == spoken_by:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": spoken_by, "content": blocks})
    return turns


def _said(message: Mapping[str, Any], where: str) -> list[Block]:
    """The content of a message as blocks; empty text is left out, which the API refuses."""
    content: object = message.get("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise _refused(f"{where}.content is neither text nor a list of parts", "give text or a list of parts")
    parts = enumerate(cast("list[object]", content))
    return [block for index, part in parts for block in _part(part, f"{where}.content[{index}]")]


def _part(part: object, where: str) -> list[Block]:
    fields = cast("Block", part) if isinstance(part, dict) else {}
    kind = fields.get("type")
    if kind in ("text", "refusal"):
        text = fields.get(cast("str", kind))
        return [{"type": "text", "text": text}] if isinstance(text, str) and text else []
    if kind == "image_url":
        image: object = fields.get("image_url")
        url = cast("Block", image).get("url") if isinstance(image, dict) else image
        if isinstance(url, str):
            return [{"type": "image", "source": _image_source(url, where)}]
    raise _refused(f"{where} is of type {quoted(str(kind))}", "give parts of type text or image_url")


def _image_source(url: str, where: str) -> Block:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media_type, marked, data = url.removeprefix("data:").partition(";base64,")
    if not url.startswith("data:") or not marked or media_type not in _IMAGE_TYPES:
        raise _refused(
            f"{where}.image_url.url is no address of a picture",
            f"give an https address or data:<type>;base64,... with one of {', '.join(sorted(_IMAGE_TYPES))}",
        )
    return {"type": "base64", "media_type": media_type, "data": data}


def _answered(message: Mapping[str, Any], where: str) -> list[Block]:
    """What the assistant said, then the tools that it called."""
    calls: object = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise _refused(f"{where}.tool_calls is not a list", "give a list of function calls")
    used = [_tool_use(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(cast("list[object]", calls))]
    return _said(message, where) + used


def _tool_use(call: object, where: str) -> Block:
    fields = cast("Block", call) if isinstance(call, dict) else {}
    function: object = fields.get("function")
    named = cast("Block", function) if isinstance(function, dict) else {}
    try:
        arguments: object = orjson.loads(named.get("arguments") or "{}")
    except (TypeError, ValueError) as error:
        raise _refused(f"{where}.function.arguments is not JSON", "give the arguments as a JSON object") from error
    if not isinstance(arguments, dict):
        raise _refused(f"{where}.function.arguments is not an object", "give the arguments as a JSON object")
    return {"type": "tool_use", "id": fields.get("id"), "name": named.get("name"), "input": arguments}


def _tool_result(message: Mapping[str, Any], where: str) -> list[Block]:
    result: Block = {"type": "tool_result", "tool_use_id": message.get("tool_call_id")}
    content = _said(message, where)
    return [{**result, "content": content} if content else result]


_BLOCKS_OF: Mapping[str, Callable[[Mapping[str, Any], str], list[Block]]] = {
    "user": _said,
    "assistant": _answered,
    "tool": _tool_result,
}


def _text_of(content: object, where: str) -> str:
    blocks = _said({"content": content}, where)
    if any(block["type"] != "text" for block in blocks):
        raise _refused(f"{where} is a system message with a picture", "send pictures as the user")
    return "\n".join(block["text"] for block in blocks)


def _tool(tool: Mapping[str, Any], position: int) -> Block:
    """A function as Anthropic describes it; a tool without `function` is in its own words already."""
    if tool.get("type", "function") != "function":
        return dict(tool)
    function: object = tool.get("function")
    if not isinstance(function, dict):
        raise _refused(f"tools[{position}].function is missing", "describe the function: name, description, parameters")
    fields = cast("Block", function)
    described: Block = {
        "name": fields.get("name"),
        "input_schema": fields.get("parameters") or {"type": "object", "properties": {}},
    }
    return described | {name: fields[name] for name in ("description", "strict") if fields.get(name) is not None}


def _output_format(wanted: Mapping[str, Any] | None) -> Block | None:
    kind = None if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    described: object = wanted.get("json_schema")
    schema: object = cast("Block", described).get("schema") if isinstance(described, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise _refused(
            f"response_format.type {quoted(str(kind))} has no counterpart in the Messages API",
            'give {"type": "json_schema", "json_schema": {"name": ..., "schema": {...}}}',
        )
    return {"type": "json_schema", "schema": schema}


def _unread(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's other fields, in Anthropic's words where it has some."""
    fields = dict(extra)
    stop = fields.pop("stop", None)
    if stop is not None:
        fields["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    user = fields.pop("user", None)
    if user is not None:
        fields["metadata"] = {"user_id": user}
    choice = _tool_choice(fields.pop("tool_choice", None), fields.pop("parallel_tool_calls", None))
    return fields | ({"tool_choice": choice} if choice else {})


def _tool_choice(choice: object, parallel: object) -> Block | None:
    if isinstance(choice, dict):
        fields = cast("Block", choice)
        function: object = fields.get("function")
        named = {"type": "tool", "name": cast("Block", function).get("name")} if isinstance(function, dict) else fields
    elif choice is None:
        named = {"type": "auto"} if parallel is False else {}
    elif isinstance(choice, str) and choice in _TOOL_CHOICES:
        named = {"type": _TOOL_CHOICES[choice]}
    else:
        raise _refused(f"tool_choice is {quoted(str(choice))}", f"use {', '.join(_TOOL_CHOICES)} or a named function")
    serial = parallel is False and named.get("type") != "none"
    return {**named, "disable_parallel_tool_use": True} if serial else named or None


def _refused(problem: str, fix: str) -> UpstreamError:
    return UpstreamError("bad_request", f"{problem}; {fix}.", retryable=False)
