"""The outermost layer: a name for every request, headers for every answer, and the checks that need no caller."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from secrets import token_hex
from typing import TYPE_CHECKING

from wattproof import __version__
from wattproof.server.serving.answers import CLOSE, answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wattproof.server.serving.health import Health

__all__ = ["REQUEST_ID_KEY", "FrontDoor", "safe_headers"]

REQUEST_ID_KEY = "wattproof.request_id"
"""Where the ASGI scope of a request has its correlation id: 32 hexadecimal digits."""

_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 32 * 1024
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def safe_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`headers` with those that every answer carries. Nothing is stored by caches, unless the answer says otherwise."""
    given = {name.lower() for name, _ in headers}
    stored = b"cache-control" in given
    kept = [(name, _unstored(value) if name.lower() == b"cache-control" else value) for name, value in headers]
    kept += [(name, value) for name, value in _SAFE if name not in given]
    return kept if stored else [*kept, (b"cache-control", b"no-store")]


def _unstored(cache_control: bytes) -> bytes:
    """A stream that asks to be revalidated must not be stored either."""
    return cache_control.replace(b"no-cache", b"no-store", 1)


class FrontDoor:
    """Answers ``/healthz`` and ``/readyz`` itself; hands everything else on.

    `responded` is told the status of every answer. `in_trace` puts what a request says of its trace around the work
    for it; None: nobody traces.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        health: Health,
        responded: Callable[[int], None],
        in_trace: Callable[[Scope], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._app = app
        self._health = health
        self._responded = responded
        self._in_trace = in_trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID_KEY] = request_id
        named = (b"x-request-id", request_id.encode())

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._responded(message["status"])
                message = {**message, "headers": [*safe_headers(list(message.get("headers", ()))), named]}
            await send(message)

        if self._in_trace is None:
            await self._answered(scope, receive, send_safely)
            return
        with self._in_trace(scope):
            await self._answered(scope, receive, send_safely)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > _MOST_HEADER_BYTES:
            problem = f"More than {_MOST_HEADERS} headers, or {_MOST_HEADER_BYTES} bytes of them."
            await answer(send, 431, {"error": problem}, [CLOSE])
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
