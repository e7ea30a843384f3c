"""Who answers a line before the SDK is there: the baked file what it can, the SDK, later, everything else.

The desk answers only what it is sure of, so that nobody can tell its answers from the SDK's. In doubt a line is for the
SDK: it costs time, never correctness. What it answers never changes anything, with one exception: the request that
opens the session tells the SDK who the client is and which era of the protocol it speaks. That request goes to the SDK
too, under an id of our own, and the SDK's reply to that id is dropped.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

from wattproof.server.apps.offered import apps_offered
from wattproof.server.faststart_answers import LISTS

if TYPE_CHECKING:
    from wattproof.server.faststart_answers import Answers

__all__ = ["Desk", "Outcome"]

_META = "io.modelcontextprotocol/"
_VERSION = _META + "protocolVersion"
_CAPABILITIES = _META + "clientCapabilities"
_CLIENT = _META + "clientInfo"

# The parsers of the SDK refuse what is deeper than this; and nothing that we answer is as long.
_MOST_BRACKETS = 100
_MOST_BYTES = 65_536
# Larger whole numbers do not survive every JSON parser.
_MOST_ID = 2**53

# The shape of what a client says of itself: an object whose fields, where present, have these shapes. Other fields may
# hold anything. A shape is a type, an object of shapes, a list with the shape of its items, a tuple of values, or
# `_OBJECTS`.
_OBJECTS: Any = object()
_CAPABILITY_SHAPE: dict[str, Any] = {
    "experimental": _OBJECTS,
    "extensions": _OBJECTS,
    "elicitation": {"form": {}, "url": {}},
    "roots": {"listChanged": bool},
    "sampling": {"context": {}, "tools": {}},
    "tasks": {
        "list": {},
        "cancel": {},
        "requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}},
    },
}
_INFO_SHAPE: dict[str, Any] = {
    "name": str,
    "version": str,
    "title": str,
    "description": str,
    "websiteUrl": str,
    "icons": [{"src": str, "mimeType": str, "sizes": [str], "theme": ("light", "dark")}],
}


class Outcome:
    """What becomes of one line: `reply` to the client at once, `forward` to the SDK, or both.

    `request_id` is the id of a forwarded request; `cancels` is the id of the request that the line cancels.
    """

    __slots__ = ("cancels", "forward", "reply", "request_id")

    def __init__(
        self,
        reply: bytes | None = None,
        forward: bytes | None = None,
        request_id: str | int | None = None,
        cancels: str | int | None = None,
    ) -> None:
        self.reply = reply
        self.forward = forward
        self.request_id = request_id
        self.cancels = cancels


class Desk:
    """One session, as far as it can be seen without the SDK. `answers` None: everything is for the SDK."""

    def __init__(self, answers: Answers | None) -> None:
        self.opening_id = f"opening-{os.urandom(8).hex()}"
        self._answers = answers
        self._era = ""
        self._version = ""
        self._offered = False

    def take(self, line: bytes) -> Outcome:
        """What becomes of `line`."""
        message = _parsed(line)
        if message is None:
            # Whether the SDK can read it is unknown, and with that what it makes of the session.
            self._answers = None
            return Outcome(forward=line)
        if "method" in message and "id" in message:
            return self._request(line, message)
        params = _object(message.get("params"))
        if message.get("method") == "notifications/cancelled" and params is not None:
            return Outcome(forward=line, cancels=_id(params.get("requestId")))
        return Outcome(forward=line)

    def _request(self, line: bytes, message: dict[str, Any]) -> Outcome:
        request_id, method, given = _id(message["id"]), message["method"], message.get("params")
        params = _object({} if given is None else given)
        if request_id is None or not isinstance(method, str) or params is None:
            self._answers = None
            return Outcome(forward=line)
        if self._answers is None:
            return Outcome(forward=line, request_id=request_id)
        enveloped = method != "initialize" and _VERSION in (_object(params.get("_meta")) or ())
        opens = not self._era
        if opens:
            self._era = "stateless" if enveloped else "handshake"
        if self._era == "stateless":
            result = self._stateless(self._answers, method, params) if enveloped else None
        elif method == "initialize" and not self._version:
            opens = True
            result = self._initialized(self._answers, params)
            if result is None:
                # The SDK may accept what we do not know; the rest of the session hangs on it.
                self._answers = None
        else:
            opens = False
            result = None if enveloped else self._listed(self._answers, method, params)
        if result is None:
            return Outcome(forward=line, request_id=request_id)
        try:
            forward = json.dumps({**message, "id": self.opening_id}, allow_nan=False).encode() if opens else None
            reply = f'{{"jsonrpc":"2.0","id":{json.dumps(request_id, ensure_ascii=False)},"result":{result}}}\n'
            return Outcome(reply.encode(), forward)
        except ValueError:
            self._answers = None
            return Outcome(forward=line, request_id=request_id)

    def _initialized(self, answers: Answers, params: dict[str, Any]) -> str | None:
        version, capabilities = params.get("protocolVersion"), params.get("capabilities")
        fits = (
            version in answers.handshake_versions
            and _fits(capabilities, _CAPABILITY_SHAPE)
            and _is_info(params.get("clientInfo"))
            and _plain_meta(params)
        )
        if not fits:
            return None
        self._version = str(version)
        self._offered = apps_offered(answers.apps, _object(capabilities))
        return answers.result(self._version, self._offered, "initialize")

    def _listed(self, answers: Answers, method: str, params: dict[str, Any]) -> str | None:
        if not self._version or method not in (*LISTS, "ping") or not params.keys() <= {"_meta"}:
            return None
        if not _plain_meta(params):
            return None
        return answers.result(self._version, self._offered, method)

    def _stateless(self, answers: Answers, method: str, params: dict[str, Any]) -> str | None:
        meta = params["_meta"]
        capabilities = meta.get(_CAPABILITIES)
        fits = (
            method in (*LISTS, "server/discover")
            and params.keys() == {"_meta"}
            and meta[_VERSION] == answers.stateless_version
            and _fits(capabilities, _CAPABILITY_SHAPE)
            and (_CLIENT not in meta or _is_info(meta[_CLIENT]))
            and all(key in (_VERSION, _CAPABILITIES, _CLIENT) or not key.startswith(_META) for key in meta)
            and _plain_meta(params)
        )
        if not fits:
            return None
        return answers.result(answers.stateless_version, apps_offered(answers.apps, _object(capabilities)), method)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The JSON-RPC message in `line`, or None where the SDK's parser might see it differently or not at all."""
    too_much = len(line) > _MOST_BYTES or line.count(b"{") + line.count(b"[") > _MOST_BRACKETS
    # Half a pair of surrogates cannot be written as UTF-8.
    if too_much or b"\\ud" in line or b"\\uD" in line:
        return None
    try:
        message = json.loads(line.decode(), parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    found = _object(message)
    return found if found is not None and found.get("jsonrpc") == "2.0" else None


def _object(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _id(value: object) -> str | int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return value if isinstance(value, str) or abs(value) <= _MOST_ID else None


def _fits(value: object, shape: Any) -> bool:
    if isinstance(shape, type):
        return isinstance(value, shape)
    if isinstance(shape, tuple):
        return value in shape
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in cast("list[object]", value))
    fields = _object(value)
    if fields is None:
        return False
    if shape is _OBJECTS:
        return all(isinstance(inner, dict) for inner in fields.values())
    return all(_fits(fields[name], shape[name]) for name in shape if name in fields)


def _is_info(value: object) -> bool:
    info = _object(value)
    if info is None or not _fits(info, _INFO_SHAPE) or not {"name", "version"} <= info.keys():
        return False
    return all("src" in icon for icon in info.get("icons", ()))


def _plain_meta(params: dict[str, Any]) -> bool:
    """Whether `_meta`, if there, is an object whose progress token is one."""
    meta = _object(params.get("_meta", {}))
    return meta is not None and ("progressToken" not in meta or _id(meta["progressToken"]) is not None)
