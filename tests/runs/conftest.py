"""A run against a real ledger file and a real socket: only the provider is a fake."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from wattproof.resources.grid import Grid, GridConnection, Observation, Place
from wattproof.resources.grid.cache import GridCache
from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.providers import ChatRequest, Deployment
from wattproof.resources.providers.transport import open_client
from wattproof.resources.routing import Policy
from wattproof.resources.runs import Retry, RunDeps, RunEvent, RunRequest, RunSettled, execute

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

QUESTION = "What is the capital of France?"


@dataclass
class Bench:
    """Everything that a run needs, and short ways to use it."""

    deps: RunDeps
    provider: FakeProvider
    home: Path

    @property
    def ledger(self) -> Ledger:
        return self.deps.ledger

    def serve(self, *names: str, zone: str | None = "FR", **changes: Any) -> None:
        """Replace the catalogue by deployments of these providers, the first the cheapest, all at the fake."""
        rows: list[Deployment] = []
        for name in names:
            row = self.provider.deployment(provider=name, zone=zone, **changes)
            assert row.price is not None
            rate = 100_000 * 3 ** len(rows)
            row = replace(row, price=replace(row.price, input_micros_per_mtok=rate, output_micros_per_mtok=rate))
            rows.append(row if zone is not None else replace(row, location_evidence="unknown"))
        self.deps = replace(self.deps, catalogue=tuple(rows))

    def request(self, request_id: str | None = "r1", **changes: Any) -> RunRequest:
        chat = ChatRequest(messages=({"role": "user", "content": QUESTION},), max_output_tokens=100)
        row = RunRequest(model="gpt-oss-120b", chat=chat, request_id=request_id, deadline_s=20.0)
        return replace(row, **changes)

    async def events(self, request: RunRequest | None = None, policy: Policy | None = None) -> list[RunEvent]:
        stream = execute(request or self.request(), policy or Policy(), self.deps)
        async with aclosing(stream) as events:
            return [event async for event in events]

    async def run(self, request: RunRequest | None = None, policy: Policy | None = None) -> RunSettled:
        *_, last = await self.events(request, policy)
        assert isinstance(last, RunSettled)
        return last

    async def states(self, request_id: str = "r1") -> list[tuple[str, str, str | None]]:
        """Provider, state and reason of each try."""
        tries = await self.ledger.attempts(self.deps.log_id, request_id)
        return [(tried.deployment.split("/")[0], tried.state, tried.reason) for tried in tries]

    async def entry_count(self) -> int:
        return (await self.ledger.head(self.deps.log_id))[0]

    async def heard(self, requests: int = 1) -> None:
        """Wait until the provider has received that many requests."""
        with anyio.fail_after(10):
            while len(self.provider.received) < requests:
                await anyio.sleep(0.005)

    async def sound(self) -> None:
        """The ledger agrees with its own receipts."""
        assert (await self.ledger.fsck()).findings == ()


@dataclass
class Signal:
    """A grid source that says what a test tells it: a value in gCO2e/kWh by zone, or an error, of the present hour."""

    said: dict[str, float | Exception] = field(default_factory=dict[str, float | Exception])
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"
    name: str = "signal"
    title: str = "A signal"
    key_env: tuple[str, ...] = ()
    starts_s: float | None = None
    gate: anyio.Event | None = None

    def covers(self, place: Place) -> bool:
        return place.zone in self.said

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        if self.gate is not None:
            await self.gate.wait()
        value = self.said[place.zone]
        if isinstance(value, Exception):
            raise value
        begun = int(connection.now_s) // 3600 * 3600 if self.starts_s is None else int(self.starts_s)
        return Observation(
            zone=place.zone,
            value_gco2e_per_kwh=value,
            starts_at=begun,
            step_s=3600,
            received_at=int(connection.now_s),
            basis=self.basis,
            factor_scope=self.factor_scope,
            accounting="consumption",
            evidence="measured",
            source=self.name,
            licence="test",
            renewable_ratio_bps=2500,
        )

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        return ()

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        return (await self.latest(place, connection),)


@pytest.fixture
async def signal(bench: Bench, tmp_path: Path) -> AsyncIterator[Signal]:
    """Live grid readings for the runs of `bench`, as the signal says them."""
    source = Signal()
    grid = Grid(
        (source,),
        client=bench.deps.client,
        environ={},
        clock=time.time,
        cache=GridCache(tmp_path / "grid.sqlite3"),
        patience_s=0.5,
    )
    bench.deps = replace(bench.deps, grid=grid)
    yield source
    await grid.aclose()


@pytest.fixture
async def bench(tmp_path: Path, fake_provider: FakeProvider) -> AsyncIterator[Bench]:
    home = tmp_path / "home"
    ledger = open_ledger(home, clock=time.time, random_bytes=secrets.token_bytes)
    async with ledger, open_client() as client:
        bench = Bench(
            RunDeps(
                ledger=ledger,
                client=client,
                catalogue=(),
                log_id="local",
                environ={"FAKE_API_KEY": "sk-secret"},
                clock=time.time,
                monotonic=time.monotonic,
                random_bytes=secrets.token_bytes,
                retry=Retry(pause_s=0.01),
            ),
            fake_provider,
            home,
        )
        bench.serve("one", "two")
        yield bench
