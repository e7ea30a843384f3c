"""Telling a client of OAuth, before its call is served, which scope the call needs and its token lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from wattproof.server.auth.denial import Denial
from wattproof.server.auth.principal import SCOPES, Principal
from wattproof.server.auth.scopes import needed_by, step_up

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

__all__ = ["MAX_READ_BYTES", "missing_scope"]

MAX_READ_BYTES = 4 * 1024 * 1024


async def missing_scope(principal: Principal, scope: Scope, receive: Receive) -> tuple[Denial | None, Receive]:
    """The refusal, or None; and what gives the body again, which had to be read to know the call.

    Nothing is read for a caller who has every scope, and what is not understood is left to the application: the scope
    that a call needs is asked for again where the call is served. This is only how a client learns what to ask for.
    """
    if principal.scopes.issuperset(SCOPES) or scope["type"] != "http" or scope["method"] != "POST":
        return None, receive
    messages, body = await _read(receive)
    needed = _needed(body)
    if needed is None or needed in principal.scopes:
        return None, _again(messages, receive)
    problem = f"This call needs the scope {needed}"
    return Denial(403, problem, "insufficient_scope", step_up(principal.scopes, needed)), receive


async def _read(receive: Receive) -> tuple[list[Message], bytes]:
    messages: list[Message] = []
    body = bytearray()
    while len(body) <= MAX_READ_BYTES:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return messages, bytes(body)


def _needed(body: bytes) -> Any:
    try:
        request: object = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(request, dict):
        return None
    call = cast("dict[str, Any]", request)
    method, params = call.get("method"), call.get("params")
    return (
        needed_by(method, cast("dict[str, Any]", params))
        if isinstance(method, str) and isinstance(params, dict)
        else None
    )


def _again(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def again() -> Message:
        for message in left:
            return message
        return await receive()

    return again
