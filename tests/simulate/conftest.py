"""A fleet in simulated time: what a test gives is run in a loop whose pauses pass at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import httpx2
import pytest

from wattproof.resources.providers import ChatEnd, ChatRequest, Deployment, Price
from wattproof.resources.providers.adapters import Connection, stream
from wattproof.server.simulate.clock import SimulatedLoop, run_simulated
from wattproof.server.simulate.day import STARTS_AT
from wattproof.server.simulate.fleet import FleetTransport, Host, Profile, Provider, World

T = TypeVar("T")

HOST = "sim-test.invalid"


@dataclass
class Stage:
    """The world of a test: its loop, and short ways to ask an invented provider."""

    loop: SimulatedLoop
    world: World

    def client(self, **hosts: Host) -> httpx2.AsyncClient:
        """A client for hosts given by their first label (`sim_test` is sim-test.invalid)."""
        named = {f"{name.replace('_', '-')}.invalid": host for name, host in hosts.items()}
        return httpx2.AsyncClient(transport=FleetTransport(named), trust_env=False)

    def provider(self, **fields: Any) -> Provider:
        return Provider(Profile(host=HOST, **fields), self.world)

    async def ask(
        self,
        client: httpx2.AsyncClient,
        text: str = "How are you?",
        *,
        protocol: Any = "openai-chat",
        limit: int = 100,
        timeout_s: float = 600.0,
        key: str | None = "simulated",
    ) -> tuple[list[str], ChatEnd]:
        """The pieces and the end of one answer, read by the real adapter."""
        deployment = Deployment(
            provider="sim-test",
            model="gpt-oss-120b",
            native_model="simulated/gpt-oss-120b",
            base_url=f"https://{HOST}/v1",
            protocol=protocol,
            key_env=("SIMULATED_API_KEY",),
            zone="FR",
            location_evidence="declared",
            location_source="test",
            checked_at="2026-11",
            price=Price(1, 1, None, "USD", "test", "2026-11"),
            auth="x-api-key" if protocol == "anthropic-messages" else "bearer",
        )
        request = ChatRequest(({"role": "user", "content": text},), limit)
        pieces: list[str] = []
        async with aclosing(stream(deployment, request, Connection(client, key, timeout_s))) as events:
            async for event in events:
                if isinstance(event, ChatEnd):
                    return pieces, event
                pieces.append(event.text)
        raise AssertionError("no end")


Play = Callable[[Callable[[Stage], Awaitable[Any]]], Any]


@pytest.fixture
def play() -> Play:
    """Run a test's coroutine function on a stage of seed 7."""

    def run(act: Callable[[Stage], Awaitable[T]]) -> T:
        async def main(loop: SimulatedLoop) -> T:
            world = World(7, lambda: STARTS_AT + loop.time(), anyio.sleep)
            return await act(Stage(loop, world))

        return run_simulated(main)

    return run
