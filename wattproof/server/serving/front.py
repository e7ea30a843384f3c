"""The outermost layer: a name for every request, headers for every answer, and the checks that need no caller."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from secrets import token_hex
from typing import TYPE_CHECKING

from wattproof import __version__
from wattproof.server.serving.answers import CLOSE, answer
from wattproof.server.serving.exchange import BodyLimits, Exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from wattproof.server.serving.health import Health

__all__ = ["REQUEST_ID_KEY", "FrontDoor"]

REQUEST_ID_KEY = "wattproof.request_id"
"""Where the ASGI scope of a request has its correlation id: 32 hexadecimal digits."""

_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 32 * 1024
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def _untraced(_scope: Scope) -> AbstractContextManager[None]:
    return nullcontext()


class FrontDoor:
    """Answers ``/healthz`` and ``/readyz`` itself; hands everything else on.

    `responded` is told the status of every answer, `refused` the name of a limit that was in the way. `in_trace` puts
    what a request says of its trace around the work for it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        health: Health,
        body: BodyLimits,
        responded: Callable[[int], None],
        refused: Callable[[str], None],
        in_trace: Callable[[Scope], AbstractContextManager[None]] = _untraced,
    ) -> None:
        self._app = app
        self._health = health
        self._body = body
        self._responded = responded
        self._refused = refused
        self._in_trace = in_trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID_KEY] = request_id = _request_id(scope)
        exchange = Exchange(
            scope,
            receive,
            send,
            request_id=request_id,
            limits=self._body,
            responded=self._responded,
            refused=self._refused,
        )
        with self._in_trace(scope):
            await self._answered(scope, exchange.receive, exchange.send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > _MOST_HEADER_BYTES:
            self._refused("headers")
            problem = f"More than {_MOST_HEADERS} headers, or {_MOST_HEADER_BYTES} bytes of them."
            await answer(send, 431, {"error": problem}, [CLOSE])
        elif {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
            # A proxy in front may read the one and we the other; RFC 9112, 6.3.
            self._refused("headers")
            await answer(send, 400, {"error": "Give Content-Length or Transfer-Encoding, not both."}, [CLOSE])
        elif scope["path"] in ("/healthz", "/readyz"):
            await self._looked_after(scope, send)
        else:
            await self._app(scope, receive, send)

    async def _looked_after(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, {"error": "Only GET."}, [(b"allow", b"GET, HEAD")])
        elif scope["path"] == "/healthz":
            # That the process answers, and its version; nothing about what it holds.
            await answer(send, 200, {"status": "ok", "version": __version__})
        else:
            parts = await self._health.parts()
            ready = all(state == "ok" for state in parts.values())
            await answer(send, 200 if ready else 503, {"ready": ready, "parts": parts})


def _request_id(scope: Scope) -> str:
    """The id of the caller's trace where it is part of one, so that logs and traces can be joined; else a new one."""
    for name, value in scope["headers"]:
        if name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)) and set(found[1]) != {ord("0")}:
            return found[1].decode()
    return token_hex(16)
