"""The gate before ``/mcp``: how often a known caller may call, and how much at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import anyio
import orjson

from wattproof.server.auth.principal import principal_in
from wattproof.server.serving.answers import CLOSE, JsonRpcId, answer, rpc_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wattproof.server.serving.drain import Drain
    from wattproof.server.serving.limits import Limits, Rate
    from wattproof.server.serving.rates import RateTable

__all__ = ["Gate"]

_LONGEST_ECHOED_ID = 200


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer in place of the application's. `limit` names what was in the way, in the answer and in the metrics."""

    status: int
    limit: str
    message: str
    retry_after_s: float | None = None
    closes: bool = False


_STOPPING = _Refusal(503, "stopping", "The server is stopping; call again in a moment.", 1.0, closes=True)
_CUT_OFF = _Refusal(
    503,
    "stopping",
    "The server is stopping and cancelled this call; what it spent is recorded. Call again in a moment.",
    1.0,
    closes=True,
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the gate reads of a body: the id to answer to, and whether the call may spend money."""

    id: JsonRpcId
    may_spend: bool


class Gate:
    """Stands behind whoever finds out the caller, before the MCP application.

    Rates are kept in `rates`, which all workers share; what is in flight is counted in this process alone. Only POST
    is answered: this server keeps no sessions, so there is nothing to listen to or to delete. `spending` are the tools
    that may spend money; `refused` is told the name of each limit that refused a call. The front door bounds bodies.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        limits: Limits,
        rates: RateTable,
        drain: Drain,
        spending: frozenset[str],
        refused: Callable[[str], None],
    ) -> None:
        self._app = app
        self._path = path
        self._limits = limits
        self._rates = rates
        self._drain = drain
        self._spending = spending
        self._refused = refused
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        if scope["method"] != "POST":
            problem = {"error": "Only POST: this server keeps no sessions and opens no streams of its own."}
            await answer(send, 405, problem, [(b"allow", b"POST")])
            return
        caller = _caller(scope)
        refusal = self._crowded(caller)
        if refusal is not None:
            await self._refuse(send, refusal, None)
            return
        with self._counted(caller):
            await self._admitted(caller, scope, receive, send)

    async def _admitted(self, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        asked = _asked(body, self._spending)
        refusal = self._too_often(caller, asked)
        if refusal is not None:
            await self._refuse(send, refusal, asked.id)
            return
        await self._serve(scope, _replayed(body, receive), send, asked.id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: JsonRpcId) -> None:
        """Let the application answer; when the server's patience ends first, say so in its place."""
        progress = _Progress(send)
        with anyio.CancelScope() as cancelling, self._drain.serving(cancelling):
            await self._app(scope, receive, progress.send)
        if not cancelling.cancelled_caught or progress.ended:
            return
        if not progress.started:
            await self._refuse(send, _CUT_OFF, request_id)
            return
        self._refused(_CUT_OFF.limit)
        event = orjson.dumps(rpc_error(request_id, _CUT_OFF.message, {"limit": _CUT_OFF.limit}))
        await send({"type": "http.response.body", "body": b"event: message\r\ndata: " + event + b"\r\n\r\n"})

    def _crowded(self, caller: str) -> _Refusal | None:
        if self._drain.begun:
            return _STOPPING
        most, most_all = self._limits.at_once, self._limits.at_once_all
        if most_all is not None and self._in_flight.total() >= most_all:
            return _Refusal(503, "at_once_all", f"The server serves {most_all} calls already; call again later.", 1.0)
        if most is not None and self._in_flight[caller] >= most:
            problem = f"{most} calls of yours are in flight already, the most at once; wait for one to end."
            return _Refusal(429, "at_once", problem, 1.0)
        return None

    def _too_often(self, caller: str, asked: _Asked) -> _Refusal | None:
        calls, runs = self._limits.calls, self._limits.runs
        wanted: list[tuple[str, Rate]] = []
        if calls is not None:
            wanted.append((f"calls {caller}", calls))
        if runs is not None and asked.may_spend:
            wanted.append((f"runs {caller}", runs))
        wait_s = self._rates.take_all(tuple(wanted))
        if not wait_s:
            return None
        # The scarcer of the two is the one that was in the way, unless it allows more than the other.
        name, rate = ("runs", runs) if asked.may_spend and runs is not None else ("calls", calls)
        if calls is not None and rate is not None and calls.per_minute < rate.per_minute:
            name, rate = "calls", calls
        if rate is None:
            raise AssertionError("nothing is refused where nothing is limited")
        problem = f"{rate.per_minute} {name} a minute are allowed ({rate.burst} at once); wait {ceil(wait_s)} s."
        return _Refusal(429, name, problem, wait_s)

    async def _refuse(self, send: Send, refusal: _Refusal, request_id: JsonRpcId) -> None:
        self._refused(refusal.limit)
        headers: list[tuple[bytes, bytes]] = [CLOSE] if refusal.closes else []
        data: dict[str, Any] = {"limit": refusal.limit}
        if refusal.retry_after_s is not None:
            data["retry_after_s"] = ceil(refusal.retry_after_s)
            headers.append((b"retry-after", str(ceil(refusal.retry_after_s)).encode()))
        await answer(send, refusal.status, rpc_error(request_id, refusal.message, data), headers)

    @contextmanager
    def _counted(self, caller: str) -> Generator[None]:
        self._in_flight[caller] += 1
        try:
            yield
        finally:
            self._in_flight[caller] -= 1
            # Whoever has nothing in flight takes no memory.
            if not self._in_flight[caller]:
                del self._in_flight[caller]


class _Progress:
    """How far an answer got."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = self.ended = False

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self.started = True
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)


def _caller(scope: Scope) -> str:
    """By whom limits are kept: the identity, or whoever can reach a server that asks for none."""
    principal = principal_in(scope)
    return "" if principal is None else f"{principal.issuer}\0{principal.subject}"


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client went away."""
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        received += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(received)


def _asked(body: bytes, spending: frozenset[str]) -> _Asked:
    """A body that is not understood here counts as one that may spend: another parser may understand it."""
    try:
        message: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _Asked(None, may_spend=True)
    if not _is_object(message):
        return _Asked(None, may_spend=True)
    given = message.get("id")
    known = isinstance(given, str | int) and not isinstance(given, bool) and len(str(given)) <= _LONGEST_ECHOED_ID
    request_id = cast("str | int", given) if known else None
    return _Asked(request_id, may_spend=_may_spend(message, spending))


def _may_spend(message: Mapping[str, Any], spending: frozenset[str]) -> bool:
    if message.get("method") != "tools/call":
        return False
    params = message.get("params")
    name = params.get("name") if _is_object(params) else None
    if not _is_object(params) or not isinstance(name, str) or name not in spending:
        return False
    arguments = params.get("arguments")
    return not (_is_object(arguments) and arguments.get("dry_run") is True)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` as if nobody had read the body."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
