"""An installation in a temporary home: real ledger, real HTTP client, deployments of the test's choosing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import TypeVar

import anyio
import anyio.to_thread

from wattproof.resources.grid import Grid, GridSource
from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.providers import Deployment, load_catalogue
from wattproof.resources.providers.transport import open_client
from wattproof.resources.runs import Retry, RunDeps
from wattproof.resources.runs.watching import Watch
from wattproof.tools import Deps

T = TypeVar("T")

NOON = 1_793_880_000.0
"""2026-11-05T12:00:00Z."""


@dataclass
class Installation:
    """What a test decides. Nothing is made in `home` before a tool needs it."""

    home: Path
    deployments: tuple[Deployment, ...] = field(default_factory=load_catalogue)
    environ: dict[str, str] = field(default_factory=lambda: {"FAKE_API_KEY": "sk-test"})
    now_s: float = NOON
    allow_keyed_runs: bool = True
    max_cost_usd: float | None = 0.10
    default_zone: str | None = None
    grid_sources: tuple[GridSource, ...] | None = None
    watch: Watch = field(default_factory=Watch)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Deps]:
        async with AsyncExitStack() as stack:
            random = Random(7)
            ledger = _once(lambda: self._ledger(stack, random))

            async def deployments() -> tuple[Deployment, ...]:
                return self.deployments

            deps = Deps(
                clock=lambda: self.now_s,
                environ=self.environ,
                home=self.home,
                log_id="local",
                deployments=deployments,
                ledger=ledger,
                runs=_once(lambda: self._runs(stack, random, deps)),
                grid=None if self.grid_sources is None else _once(lambda: self._grid(stack)),
                default_zone=self.default_zone,
                max_cost_usd=self.max_cost_usd,
                allow_keyed_runs=self.allow_keyed_runs,
            )
            yield deps

    async def _ledger(self, stack: AsyncExitStack, random: Random) -> Ledger:
        opening = partial(open_ledger, self.home, clock=lambda: self.now_s, random_bytes=random.randbytes)
        ledger = await anyio.to_thread.run_sync(opening)
        stack.push_async_callback(ledger.aclose)
        return ledger

    async def _grid(self, stack: AsyncExitStack) -> Grid:
        client = await stack.enter_async_context(open_client())
        grid = Grid(self.grid_sources or (), client=client, environ=self.environ, clock=lambda: self.now_s)
        stack.push_async_callback(grid.aclose)
        return grid

    async def _runs(self, stack: AsyncExitStack, random: Random, deps: Deps) -> RunDeps:
        return RunDeps(
            ledger=await deps.ledger(),
            client=await stack.enter_async_context(open_client()),
            catalogue=self.deployments,
            log_id=deps.log_id,
            environ=self.environ,
            clock=deps.clock,
            monotonic=monotonic,
            random_bytes=random.randbytes,
            unusable=deps.why_unusable,
            grid=None if deps.grid is None else await deps.grid(),
            rates=deps.rates,
            retry=Retry(tries_each=1, pause_s=0.001),
            watch=self.watch,
        )


def _once(make: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    lock, made = anyio.Lock(), list[T]()

    async def get() -> T:
        async with lock:
            if not made:
                made.append(await make())
        return made[0]

    return get
