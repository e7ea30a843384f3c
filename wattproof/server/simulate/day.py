"""A day of invented traffic through the real engine: decision, ledger, receipts and all, under several policies.

Each policy gets the same arrivals, providers, faults and grids, and a log of its own in a home that is marked as a
simulation. The issuer's key lives in memory only. Nothing leaves the process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Literal

import anyio
import httpx2

from wattproof.methodology.errors import LedgerError, RoutingError, Unavailable, UpstreamError
from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.receipts import Issuer
from wattproof.resources.routing import Policy
from wattproof.resources.runs import AttemptFailed, RunDeps, RunRequest, RunSettled, execute
from wattproof.server.simulate.clock import SimulatedLoop, run_simulated, timeless
from wattproof.server.simulate.fleet import World
from wattproof.server.simulate.grid_desk import open_grid
from wattproof.server.simulate.grid_fleet import GridProfile
from wattproof.server.simulate.grid_truth import Curve
from wattproof.server.simulate.result import DayResult, PolicyResult, Ran, Tally, policy_result
from wattproof.server.simulate.rows import ENVIRON, SimulatedProvider, deployments, fleet, grid_profiles, provider_rows
from wattproof.server.simulate.traffic import Arrival, arrivals

__all__ = ["POLICIES", "STARTS_AT", "Day", "simulate_day"]

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "balanced": Policy(preset="balanced"),
        "speed": Policy(preset="speed"),
        "price": Policy(preset="price"),
        "eco": Policy(preset="eco"),
        "eco-100": Policy(preset="eco", max_carbon_intensity=100.0),
    }
)
"""What is compared unless the caller says otherwise; `eco-100` has a ceiling of 100 gCO2e/kWh."""

STARTS_AT = 1_793_836_800.0
"""2026-11-05T00:00:00Z: when every simulated period begins."""

_DEADLINE_S = 60.0
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What is simulated. `grid` "annual" has no grid API at all. `grids` replaces how the grid APIs behave."""

    seed: int = 7
    hours: float = 24.0
    requests: int = 500
    grid: Literal["live", "annual"] = "live"
    providers: tuple[SimulatedProvider, ...] = field(default_factory=provider_rows)
    grids: Mapping[str, GridProfile] | None = None

    @property
    def length_s(self) -> float:
        return self.hours * 3600.0


def simulate_day(
    day: Day,
    home: Path,
    policies: Mapping[str, Policy] = POLICIES,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> DayResult:
    """Replay `day` under each policy and keep the ledger in `home`, which `check_home` must have accepted.

    Blocks, in an event loop of its own; simulated time passes at once. `progress` hears each policy's name. A log that
    exists already is left alone: the next free name is taken.

    Raises:
        LedgerError: the home cannot be written.
    """
    # Nobody can sign with it afterwards: it is never written down.
    issuer = Issuer(secrets.token_bytes(_SEED_BYTES))
    traffic = arrivals(day.requests, day.length_s, Random(f"traffic|{day.seed}"))  # noqa: S311  (invented, not secret)
    results: list[PolicyResult] = []
    for name, policy in policies.items():
        progress(name)
        replay = _Replay(day, home, issuer, name, policy, traffic)
        results.append(run_simulated(replay.run))
    return DayResult(seed=day.seed, hours=day.hours, requests=day.requests, grid=day.grid, policies=tuple(results))


@dataclass(slots=True)
class _Replay:
    """One policy."""

    day: Day
    home: Path
    issuer: Issuer
    name: str
    policy: Policy
    traffic: tuple[Arrival, ...]
    tally: Tally = field(default_factory=Tally)

    async def run(self, loop: SimulatedLoop) -> PolicyResult:
        def clock() -> float:
            return STARTS_AT + loop.time()

        async with AsyncExitStack() as stack:
            world = World(self.day.seed, clock, anyio.sleep)
            ledger = await self._ledger(clock, stack)
            log_id = await self._free_log(ledger)
            deps = await self._deps(timeless(ledger, loop), log_id, world, loop, stack)
            try:
                async with anyio.create_task_group() as group:
                    for arrival in self.traffic:
                        await anyio.sleep(max(0.0, arrival.at_s - loop.time()))
                        group.start_soon(self._request, arrival, deps, Curve(world))
            except ExceptionGroup as several:
                raise _told(several) from several
            return await policy_result(self.name, self.policy, self.day.requests, self.tally, ledger, log_id)

    async def _ledger(self, clock: Callable[[], float], stack: AsyncExitStack) -> Ledger:
        random = Random(f"ledger|{self.day.seed}")  # noqa: S311  (the key is not drawn from it)
        opening = partial(
            open_ledger, self.home, clock=clock, random_bytes=random.randbytes, simulation=True, issuer=self.issuer
        )
        ledger = await anyio.to_thread.run_sync(opening)
        stack.push_async_callback(ledger.aclose)
        return ledger

    async def _free_log(self, ledger: Ledger) -> str:
        taken = set(await ledger.logs())
        names = (f"simulated-{self.name}" + (f"-{again}" if again > 1 else "") for again in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    async def _deps(
        self, ledger: Ledger, log_id: str, world: World, loop: SimulatedLoop, stack: AsyncExitStack
    ) -> RunDeps:
        day = self.day
        grids = grid_profiles(STARTS_AT, day.length_s) if day.grids is None else day.grids
        transport = fleet(day.providers, grids, world, starts_at=STARTS_AT, length_s=day.length_s)
        client = httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
        await stack.enter_async_context(client)
        grid = None
        if day.grid == "live":
            grid = open_grid(client, world, loop.time)
            stack.push_async_callback(grid.aclose)
        return RunDeps(
            ledger=ledger,
            client=client,
            catalogue=deployments(day.providers),
            log_id=log_id,
            environ=ENVIRON,
            clock=world.clock,
            monotonic=loop.time,
            random_bytes=world.draw("run", self.name).randbytes,
            grid=grid,
        )

    async def _request(self, arrival: Arrival, deps: RunDeps, curve: Curve) -> None:
        request = RunRequest(
            model=arrival.model,
            chat=arrival.chat,
            request_id=f"simulated-{arrival.number}",
            deadline_s=_DEADLINE_S,
        )
        arrived_at = deps.clock()
        try:
            async with aclosing(execute(request, self.policy, deps)) as events:
                async for event in events:
                    if isinstance(event, AttemptFailed):
                        self.tally.failed_tries += 1
                    elif isinstance(event, RunSettled):
                        self.tally.ran.append(_ran(arrival, event, curve, arrived_at))
        except RoutingError:
            self.tally.refused += 1
        except (UpstreamError, Unavailable):
            self.tally.failed += 1


def _told(several: ExceptionGroup[Exception]) -> Exception:
    """What a person can act on: the ledger's own error where there is one."""
    found = several.subgroup(LedgerError)
    while found is not None:
        first = found.exceptions[0]
        if not isinstance(first, ExceptionGroup):
            return first
        found = first
    return several


def _ran(arrival: Arrival, event: RunSettled, curve: Curve, arrived_at: float) -> Ran:
    """The request with the reading that its receipt accounts on."""
    draft, reading = event.settled.draft, event.estimate.reading
    return Ran(
        number=arrival.number,
        deployment=draft.deployment,
        model=draft.model,
        zone=draft.zone,
        intensity_gco2e_per_kwh=reading.value_gco2e_per_kwh,
        true_gco2e_per_kwh=curve.truth(reading.zone, arrived_at) if reading.zone_known else None,
        temporal_match=draft.temporal_match,
        latency_ms=draft.latency_ms or 0,
        cost_micros=draft.cost_micros,
        receipt_id=event.settled.receipt_id,
    )
