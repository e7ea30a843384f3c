"""Invented providers behind an in-process transport: latency, errors, rate limits, outages and drift on one clock.

No socket is opened. Hosts end in `.invalid`, a name that can never be registered (RFC 2606), so that a row that strays
out of the simulation reaches nobody. Whatever is drawn depends on the seed and on the request, never on the order in
which requests of others arrive.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Literal

import httpx2

from wattproof.server.simulate import wire

__all__ = ["DAY_S", "FleetTransport", "Host", "Outage", "Profile", "Provider", "World", "plain", "suffer"]

DAY_S = 86_400.0
_MINUTE_S = 60.0
# How long an answer takes that is refused at the door.
_REFUSAL_S = 0.02
_LONGEST_SILENCE_S = 3600.0

Host = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


@dataclass(frozen=True, slots=True)
class World:
    """What an invented API may use. `clock` gives Unix seconds, `wait` lets seconds of that clock pass."""

    seed: int
    clock: Callable[[], float]
    wait: Callable[[float], Awaitable[None]]

    def draw(self, *about: object) -> Random:
        """A stream of chance that depends on the seed and on what it is drawn for."""
        return Random("|".join(map(str, (self.seed, *about))))  # noqa: S311  (invented, not secret)


@dataclass(frozen=True, slots=True)
class Outage:
    """From `starts_at` to `ends_at` (Unix seconds) a host refuses connections, answers 503, or says nothing at all."""

    starts_at: float
    ends_at: float
    kind: Literal["refused", "503", "silent"] = "503"

    def holds(self, now_s: float) -> bool:
        return self.starts_at <= now_s < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one invented provider behaves.

    `error_rate` is the share of requests answered 500, `cut_rate` the share of streams that break off. `drift_per_day`
    lengthens every latency: 1.0 doubles it within a day. `requests_per_minute` and `capacity` (requests at a time)
    answer 429 with a Retry-After of `retry_after_s`. `discloses` names the zone of its footprint block; None: it has
    none.
    """

    host: str
    first_token_s: float = 0.3
    tokens_per_s: float = 80.0
    jitter: float = 0.25
    error_rate: float = 0.0
    cut_rate: float = 0.0
    drift_per_day: float = 0.0
    drifts_from: float = 0.0
    requests_per_minute: int | None = None
    capacity: int = 64
    retry_after_s: int = 5
    outages: tuple[Outage, ...] = ()
    models: tuple[str, ...] = ()
    discloses: str | None = None


class FleetTransport(httpx2.AsyncBaseTransport):
    """Answers requests by their host; a host that is not in the fleet cannot be reached."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = dict(hosts)
        self.asked: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = self._hosts.get(request.url.host)
        self.asked[request.url.host] += 1
        if host is None:
            raise httpx2.ConnectError(f"{request.url.host} is not part of the simulation", request=request)
        return await host(request)


async def suffer(outages: tuple[Outage, ...], request: httpx2.Request, world: World) -> bool:
    """Live through an outage of the present moment; True where a 503 is due, False where there is none.

    Raises:
        httpx2.TransportError: the connection is refused, or the caller's patience ends.
    """
    outage = next((o for o in outages if o.holds(world.clock())), None)
    if outage is None:
        return False
    if outage.kind == "refused":
        raise httpx2.ConnectError("connection refused", request=request)
    if outage.kind == "silent":
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        await world.wait(timeouts.get("read") or _LONGEST_SILENCE_S)
        raise httpx2.ReadTimeout("nothing was sent", request=request)
    await world.wait(_REFUSAL_S)
    return True


@dataclass(slots=True)
class Provider:
    """One invented provider: call it with a request."""

    profile: Profile
    world: World
    in_flight: int = 0
    most_in_flight: int = 0
    _recent: deque[float] = field(default_factory=deque[float])
    _seen: Counter[str] = field(default_factory=Counter[str])

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if await suffer(self.profile.outages, request, self.world):
            return plain(503, b"upstream connect error", "text/plain")
        if request.method == "GET" and request.url.path == "/v1/models":
            return _json(200, json.dumps({"object": "list", "data": [{"id": m} for m in self.profile.models]}).encode())
        spoken = wire.PATHS.get(request.url.path)
        if request.method != "POST" or spoken is None:
            return _json(404, wire.refusal("openai-chat", 404, "Not found"))
        return await self._chat(spoken, request)

    def enter(self) -> None:
        """One request more at a time."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def leave(self) -> None:
        """One request less."""
        self.in_flight -= 1

    async def _chat(self, spoken: wire.Wire, request: httpx2.Request) -> httpx2.Response:
        raw = await request.aread()
        if not (request.headers.get("authorization") or request.headers.get("x-api-key")):
            return _json(401, wire.refusal(spoken, 401, "No API key was given"))
        try:
            wanted = wire.asked(spoken, json.loads(raw))
        except (KeyError, TypeError, ValueError) as error:
            return _json(400, wire.refusal(spoken, 400, f"Invalid request: {error!r}"))
        if self._is_full():
            await self.world.wait(_REFUSAL_S)
            waits = {"retry-after": str(self.profile.retry_after_s)}
            return _json(429, wire.refusal(spoken, 429, "Rate limit reached"), waits)
        chance = self._chance(wanted)
        if chance.random() < self.profile.error_rate:
            await self.world.wait(_REFUSAL_S)
            return _json(500, wire.refusal(spoken, 500, "Internal error"))
        return await self._answered(wanted, chance)

    async def _answered(self, wanted: wire.Asked, chance: Random) -> httpx2.Response:
        answer = self._answer(wanted)
        slower = self._slower(chance)
        first_s = slower * self.profile.first_token_s
        rest_s = slower * answer.output_tokens / self.profile.tokens_per_s
        headers = {"x-request-id": f"req_{answer.id}"}
        if not wanted.stream:
            self.enter()
            try:
                await self.world.wait(first_s + rest_s)
            finally:
                self.leave()
            return _json(200, wire.whole(wanted, answer), headers)
        cut = chance.random() < self.profile.cut_rate
        stream = _Paced(self, tuple(wire.frames(wanted, answer)), first_s, rest_s, cut=cut)
        return httpx2.Response(200, headers={**headers, "content-type": "text/event-stream"}, stream=stream)

    def _is_full(self) -> bool:
        now_s, limit = self.world.clock(), self.profile.requests_per_minute
        while self._recent and self._recent[0] <= now_s - _MINUTE_S:
            self._recent.popleft()
        if self.in_flight >= self.profile.capacity or (limit is not None and len(self._recent) >= limit):
            return True
        self._recent.append(now_s)
        return False

    def _chance(self, wanted: wire.Asked) -> Random:
        """Chance of this host for this prompt; another for each time that it is asked."""
        digest = _digest(wanted)
        self._seen[digest] += 1
        return self.world.draw(self.profile.host, digest, self._seen[digest])

    def _slower(self, chance: Random) -> float:
        days = max(0.0, self.world.clock() - self.profile.drifts_from) / DAY_S if self.profile.drifts_from else 0.0
        return (1.0 + self.profile.drift_per_day * days) * chance.lognormvariate(0.0, self.profile.jitter)

    def _answer(self, wanted: wire.Asked) -> wire.Answer:
        """The same prompt gets an answer of the same length everywhere, so that policies can be compared."""
        digest = _digest(wanted)
        length = max(1, round(wanted.max_tokens * self.world.draw("length", digest).uniform(0.3, 1.1)))
        tokens = min(length, wanted.max_tokens)
        input_tokens = max(1, len(wanted.text) // 4)
        return wire.Answer(
            id=f"sim-{digest[:12]}",
            model=wanted.model,
            input_tokens=input_tokens,
            output_tokens=tokens,
            created_s=int(self.world.clock()),
            finish="length" if tokens == wanted.max_tokens else "stop",
            impact=self._impact(tokens),
        )

    def _impact(self, output_tokens: int) -> dict[str, Any] | None:
        if self.profile.discloses is None:
            return None
        energy_kwh = output_tokens * 1.5e-7
        return {
            "energy_kwh": energy_kwh,
            "carbon_g_co2": energy_kwh * 40.0,
            "water_liters": 0.0,
            "renewable_percent": 50,
            "pue": 1.2,
            "provider_id": self.profile.host.partition(".")[0],
            "location": self.profile.discloses,
        }


class _Paced(httpx2.AsyncByteStream):
    """Events in their time: the first after `first_s`, the others spread over `rest_s`; a cut one ends half-way."""

    def __init__(
        self, provider: Provider, events: tuple[bytes, ...], first_s: float, rest_s: float, *, cut: bool
    ) -> None:
        self._provider = provider
        self._events = events[: max(1, len(events) // 2)] if cut else events
        self._pauses_s = (first_s, *[rest_s / max(1, len(events) - 1)] * (len(self._events) - 1))
        self._cut = cut
        self._in_flight = True
        provider.enter()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for pause_s, event in zip(self._pauses_s, self._events, strict=True):
            await self._provider.world.wait(pause_s)
            yield event
        if self._cut:
            raise httpx2.ReadError("the connection was reset")

    async def aclose(self) -> None:
        """However the answer ended, the provider has its capacity back."""
        if self._in_flight:
            self._in_flight = False
            self._provider.leave()


def _digest(wanted: wire.Asked) -> str:
    return sha256(f"{wanted.max_tokens} {wanted.text}".encode()).hexdigest()


def _json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    return plain(status, body, "application/json", headers)


def plain(status: int, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """A whole answer, to be read from a stream as one from a socket is."""
    told = {"content-type": media_type, "content-length": str(len(body)), **(headers or {})}
    return httpx2.Response(status, headers=told, stream=httpx2.ByteStream(body))
