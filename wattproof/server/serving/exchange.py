"""One request and its answer at the front door: what comes in is bounded, what goes out carries the safe headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattproof.server.serving.answers import CLOSE, answer, rpc_error

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["BodyLimits", "Exchange", "safe_headers"]

_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The most bytes of a body, and the seconds within which it must be complete."""

    most_bytes: int
    within_s: float


class Exchange:
    """`receive` and `send` for the application behind.

    A body that is too long or too slow is answered here and then; the application sees a client that went away, and
    what it still sends goes nowhere. `responded` is told the status of the answer, `refused` the limit in the way.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        request_id: str,
        limits: BodyLimits,
        responded: Callable[[int], None],
        refused: Callable[[str], None],
    ) -> None:
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._limits = limits
        self._responded = responded
        self._refused = refused
        self._arrived = 0
        self._complete = self._started = self._over = False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        """The next piece of the body within its limits, and afterwards whatever comes."""
        if self._over:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._limits.within_s
            if self._declared() > self._limits.most_bytes:
                return await self._too_large()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            problem = f"The body was not complete after {self._limits.within_s:g} s; send it at once."
            return await self._refuse(408, "body_s", problem)
        self._arrived += len(message.get("body", b""))
        if self._arrived > self._limits.most_bytes:
            return await self._too_large()
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._started = True
            self._responded(message["status"])
            named = (b"x-request-id", self._request_id.encode())
            message = {**message, "headers": [*safe_headers(list(message.get("headers", ()))), named]}
        await self._send(message)

    def _declared(self) -> int:
        lengths = [value for name, value in self._headers if name == b"content-length" and value.isdigit()]
        return max((int(value[:20]) for value in lengths), default=0)

    async def _too_large(self) -> Message:
        return await self._refuse(413, "body_bytes", f"The body has more than {self._limits.most_bytes} bytes.")

    async def _refuse(self, status: int, limit: str, problem: str) -> Message:
        self._refused(limit)
        if not self._started:
            await answer(self.send, status, rpc_error(None, problem, {"limit": limit}), [CLOSE])
        self._over = True
        return {"type": "http.disconnect"}


def safe_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`headers` with those that every answer carries. Nothing is stored by caches, unless the answer says otherwise."""
    given = {name.lower() for name, _ in headers}
    kept = [(name, _unstored(value) if name.lower() == b"cache-control" else value) for name, value in headers]
    kept += [(name, value) for name, value in _SAFE if name not in given]
    return kept if b"cache-control" in given else [*kept, (b"cache-control", b"no-store")]


def _unstored(cache_control: bytes) -> bytes:
    """A stream that asks to be revalidated must not be stored either."""
    return cache_control.replace(b"no-cache", b"no-store", 1)
