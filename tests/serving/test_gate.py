"""The gate before the tools: rates, calls in flight, and what a caller is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest

from wattproof.server.auth.principal import PRINCIPAL_KEY, Principal
from wattproof.server.serving.drain import Drain
from wattproof.server.serving.gate import Gate
from wattproof.server.serving.limits import Limits, Rate
from wattproof.server.serving.rates import RateTable

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

RUN = {"name": "run_inference", "arguments": {"model": "m"}}
DRY = {"name": "run_inference", "arguments": {"model": "m", "dry_run": True}}


class Clock:
    now_s = 10.0

    def __call__(self) -> float:
        return self.now_s


class Door:
    """A gate before an application that answers when it is let go, and reads what it was sent."""

    def __init__(self, limits: Limits) -> None:
        self.clock = Clock()
        self.rates = RateTable(self.clock)
        self.drain = Drain()
        self.let_go = anyio.Event()
        self.let_go.set()
        self.entered = 0
        self.streams = False
        self.bodies: list[bytes] = []
        self.refused: list[str] = []
        self.gate = Gate(
            self._app,
            path="/mcp",
            limits=limits,
            rates=self.rates,
            drain=self.drain,
            spending=frozenset({"run_inference"}),
            refused=self.refused.append,
        )

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered += 1
        self.bodies.append((await receive())["body"])
        if self.streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True})
        await self.let_go.wait()
        if not self.streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def ask(
        self, body: bytes, caller: str | None = "anna", method: str = "POST", path: str = "/mcp"
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of the answer; (0, {}, b"") when there is none."""
        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": []}
        if caller is not None:
            scope[PRINCIPAL_KEY] = Principal("https://issuer.test", caller, frozenset({"estimate"}), f"t_{caller}")
        pieces = iter([(body[:5], True), (body[5:], False)])
        sent: list[Message] = []

        async def receive() -> Message:
            for piece, more in pieces:
                return {"type": "http.request", "body": piece, "more_body": more}
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        if not sent:
            return 0, {}, b""
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(part.get("body", b"") for part in sent[1:])

    async def call(self, params: dict[str, Any], caller: str | None = "anna") -> tuple[int, dict[bytes, bytes], bytes]:
        message = {"jsonrpc": "2.0", "id": "q-1", "method": "tools/call", "params": params}
        return await self.ask(orjson.dumps(message), caller)


Limited = Callable[..., Door]


@pytest.fixture
def limited() -> Generator[Limited]:
    """Makes doors with these limits."""
    made: list[Door] = []

    def make(**changes: Any) -> Door:
        made.append(Door(Limits(**changes)))
        return made[-1]

    yield make
    for door in made:
        door.rates.close()


async def test_runs_have_a_rate_of_their_own_and_the_refusal_names_it(limited: Limited) -> None:
    door = limited(runs=Rate(60, 1))
    assert (await door.call(RUN))[0] == 200
    status, headers, body = await door.call(RUN)
    assert status == 429
    assert headers[b"retry-after"] == b"1"
    refusal = json.loads(body)
    assert refusal["id"] == "q-1"
    assert refusal["error"]["code"] == -32029
    assert refusal["error"]["message"] == "60 runs a minute are allowed (1 at once); wait 1 s."
    assert refusal["error"]["data"] == {"limit": "runs", "retry_after_s": 1}
    assert door.refused == ["runs"]
    assert door.entered == 1


async def test_a_dry_run_and_an_estimate_are_no_runs(limited: Limited) -> None:
    door = limited(runs=Rate(1, 1))
    await door.call(RUN)
    others: list[dict[str, Any]] = [
        {"name": {}},
        {"name": []},
        DRY,
        {"name": "estimate_request", "arguments": {}},
        {"name": "unheard_of"},
        {},
    ]
    for params in others:
        assert (await door.call(params))[0] == 200
    truthy = {"name": "run_inference", "arguments": {"dry_run": "yes"}}
    assert (await door.call(truthy))[0] == 429


async def test_every_message_is_a_call(limited: Limited) -> None:
    door = limited(calls=Rate(60, 2))
    ping = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'
    assert [(await door.ask(ping))[0] for _ in range(3)] == [200, 200, 429]
    refusal = json.loads((await door.ask(ping))[2])
    assert (refusal["id"], refusal["error"]["data"]["limit"]) == (7, "calls")
    door.clock.now_s += 1.0
    assert (await door.ask(ping))[0] == 200


async def test_a_refusal_names_the_limit_that_is_the_tighter_one(limited: Limited) -> None:
    door = limited(calls=Rate(30, 1), runs=Rate(60, 1))
    await door.call(RUN)
    assert json.loads((await door.call(RUN))[2])["error"]["data"]["limit"] == "calls"


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 5000, b'{"jsonrpc":NaN}', b"[]", b"7", b'[{"method":"ping"}]', b'{"a":"\\ud800"}']
)
async def test_what_is_not_understood_counts_as_a_run_and_is_let_in(limited: Limited, body: bytes) -> None:
    door = limited(runs=Rate(60, 1))
    assert (await door.ask(body))[0] == 200
    assert door.bodies == [body]
    status, _, refusal = await door.ask(body)
    assert status == 429
    assert json.loads(refusal)["id"] is None


async def test_callers_have_rates_of_their_own_and_the_unknown_share_one(limited: Limited) -> None:
    door = limited(runs=Rate(60, 1))
    assert [(await door.call(RUN, caller))[0] for caller in ("anna", "ben", None)] == [200, 200, 200]
    assert [(await door.call(RUN, caller))[0] for caller in ("anna", "ben", None)] == [429, 429, 429]


async def test_limits_that_are_off_limit_nothing(limited: Limited) -> None:
    door = limited(calls=None, runs=None, at_once=None, at_once_all=None)
    assert [(await door.call(RUN))[0] for _ in range(300)] == [200] * 300


async def test_so_many_at_once_per_caller_and_over_all(limited: Limited) -> None:
    door = limited(at_once=2, at_once_all=3)
    door.let_go = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for caller in ("anna", "anna", "ben"):
            tasks.start_soon(door.call, DRY, caller)
        await until(lambda: door.entered == 3)
        status, headers, body = await door.call(DRY, "anna")
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert json.loads(body)["error"]["data"]["limit"] == "at_once_all"
        door.gate._limits = Limits(at_once=2)  # pyright: ignore[reportPrivateUsage]
        status, _, body = await door.call(DRY, "anna")
        assert status == 429
        assert json.loads(body)["error"]["data"]["limit"] == "at_once"
        door.let_go.set()
    assert (await door.call(DRY, "anna"))[0] == 200
    assert door.gate._in_flight == {}  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
async def test_only_post_is_answered(limited: Limited, method: str) -> None:
    status, headers, _ = await limited().ask(b"", method=method)
    assert (status, headers[b"allow"]) == (405, b"POST")


async def test_other_paths_are_left_alone(limited: Limited) -> None:
    door = limited(calls=Rate(1, 1))
    assert [(await door.ask(b"", path="/metrics", method="GET"))[0] for _ in range(3)] == [200] * 3


async def test_a_server_that_stops_takes_nothing_more(limited: Limited) -> None:
    door = limited()
    door.drain.begin()
    status, headers, body = await door.call(DRY)
    assert (status, headers[b"connection"], headers[b"retry-after"]) == (503, b"close", b"1")
    assert json.loads(body)["error"]["data"]["limit"] == "stopping"
    assert door.entered == 0


@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_that_is_cut_off_is_told_so_with_its_id(limited: Limited, streams: bool) -> None:
    door = limited()
    door.streams, door.let_go = streams, anyio.Event()
    answers: list[tuple[int, dict[bytes, bytes], bytes]] = []

    async def call() -> None:
        answers.append(await door.call(DRY))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await until(lambda: door.entered == 1)
        assert door.drain.in_flight == 1
        door.drain.cut_off()
    ((status, _, body),) = answers
    assert status == (200 if streams else 503)
    event = body.partition(b"data: ")[2] if streams else body
    refusal = json.loads(event)
    assert refusal["id"] == "q-1"
    assert "what it spent is recorded" in refusal["error"]["message"]
    assert door.drain.in_flight == 0


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():
            await anyio.sleep(0)
