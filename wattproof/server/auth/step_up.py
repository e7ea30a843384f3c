"""Telling a client of OAuth, before its call is served, which scope the call needs and its token lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from wattproof.server.auth.denial import Denial
from wattproof.server.auth.principal import SCOPES, Principal, principal_in
from wattproof.server.auth.refusing import refuse
from wattproof.server.auth.scopes import TOOL_SCOPES, needed_by, step_up

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wattproof.server.auth.principal import Scope as Needed

__all__ = ["StepUp"]


class StepUp:
    """Answers 403 with the scopes to ask for, where the issuer of a caller's token could give them.

    Stands behind whatever bounds the size and the time of a body, for the body must be read to know the call. Nothing
    is read for callers who have every scope or no access token. What is not understood is left to the application: the
    scope that a call needs is asked for again where the call is served. This is only how a client learns of it.
    """

    def __init__(self, app: ASGIApp, *, issuer: str, metadata_url: str, max_bytes: int) -> None:
        self._app = app
        self._issuer = issuer
        self._metadata_url = metadata_url
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = principal_in(scope)
        if caller is None or not self._may_step_up(caller) or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        messages, body = await _read(receive, self._max_bytes)
        needed = _needed(body) if len(body) <= self._max_bytes else None
        if needed is None or needed in caller.scopes:
            await self._app(scope, _again(messages, receive), send)
            return
        problem = f"This call needs the scope {needed}"
        denial = Denial(403, problem, "insufficient_scope", step_up(caller.scopes, needed))
        await refuse(denial, self._metadata_url, scope, receive, send)

    def _may_step_up(self, caller: Principal) -> bool:
        return caller.issuer == self._issuer and not caller.scopes.issuperset(SCOPES)


async def _read(receive: Receive, max_bytes: int) -> tuple[list[Message], bytes]:
    messages: list[Message] = []
    body = bytearray()
    while len(body) <= max_bytes:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return messages, bytes(body)


def _needed(body: bytes) -> Needed | None:
    try:
        request: object = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(request, dict):
        return None
    call = cast("dict[str, Any]", request)
    method, params = call.get("method"), call.get("params")
    if not isinstance(method, str) or not isinstance(params, dict):
        return None
    named = cast("dict[str, Any]", params)
    if method == "tools/call" and str(named.get("name")) not in TOOL_SCOPES:
        # An old name of a tool, perhaps: whoever serves the call knows.
        return None
    return needed_by(method, named)


def _again(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def again() -> Message:
        for message in left:
            return message
        return await receive()

    return again
