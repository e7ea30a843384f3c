"""Open what the tools may touch, from the settings: each part at its first use, all of them closed together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wattproof.server.settings import Settings

if TYPE_CHECKING:
    from wattproof.resources.grid import Grid
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.providers import ExchangeRate
    from wattproof.resources.providers.records import Deployment
    from wattproof.resources.runs import RunDeps
    from wattproof.resources.runs.watching import Watch
    from wattproof.tools.deps import Deps

__all__ = [
    "LocalServers",
    "jwks_path",
    "ledger_exists",
    "open_deps",
    "open_existing_ledger",
    "origin_of",
]

LocalServers = tuple[tuple[str, str], ...]

_CORRECTED_EVERY_S = 3600.0

_T = TypeVar("_T")


@asynccontextmanager
async def open_deps(
    settings: Settings,
    *,
    allow_keyed_runs: bool = True,
    local_servers: LocalServers | None = None,
    watch: Watch | None = None,
) -> AsyncGenerator[Deps, None]:
    """What the tools may touch. Opens nothing itself; closes on leaving whatever was opened meanwhile.

    `local_servers` are the (provider, base URL) pairs of model servers to look for on this machine; None: the usual.
    `watch` is told of runs.
    """
    from wattproof.tools.deps import Deps

    async with AsyncExitStack() as stack:
        deps = Deps(
            clock=time.time,
            environ=settings.environ,
            home=settings.home,
            log_id=settings.log_id,
            deployments=_once(lambda: _deployments(settings, local_servers)),
            ledger=_once(lambda: _open_ledger(settings, stack)),
            runs=_once(lambda: _open_runs(settings, stack, deps, watch)),
            grid=_once(lambda: _open_grid(settings, stack)) if settings.live_grid and not settings.offline else None,
            rates=lambda: _rates(settings),
            shared_ledger=settings.ledger_dsn is not None,
            default_zone=settings.zone,
            max_cost_usd=settings.max_cost_usd,
            offline=settings.offline,
            allow_keyed_runs=allow_keyed_runs,
        )
        yield deps


def ledger_exists(settings: Settings) -> bool:
    """Whether there is a ledger already: one in PostgreSQL always counts as there."""
    return settings.ledger_dsn is not None or (settings.home / "ledger.sqlite3").exists()


def jwks_path(settings: Settings) -> Path:
    """Where the public keys of this home are."""
    return settings.home / "keys" / "jwks.json"


@asynccontextmanager
async def open_existing_ledger(settings: Settings) -> AsyncGenerator[Ledger, None]:
    """The ledger of this home, for commands that look at it; ask `ledger_exists` first.

    Raises:
        LedgerError, KeyUnusable: it cannot be opened.
    """
    async with AsyncExitStack() as stack:
        yield await _open_ledger(settings, stack)


def _once(make: Callable[[], Awaitable[_T]]) -> Callable[[], Awaitable[_T]]:
    """`make`, called at the first await and, should that fail, at the next; concurrent callers wait for one another."""
    import anyio

    lock, made = anyio.Lock(), list[_T]()

    async def get() -> _T:
        if not made:
            async with lock:
                if not made:
                    made.append(await make())
        return made[0]

    return get


async def _open_ledger(settings: Settings, stack: AsyncExitStack) -> Ledger:
    import anyio.to_thread

    from wattproof.resources.ledger import open_ledger
    from wattproof.resources.receipts.keys import issuer_from_env, log_keys_from_env

    key, log_key = (settings.environ.get(f"WATTPROOF_{role}_KEY") for role in ("ISSUER", "LOG"))
    opening = partial(
        open_ledger if settings.ledger_dsn is None else _postgres_opener(settings.ledger_dsn),
        settings.home,
        clock=time.time,
        random_bytes=secrets.token_bytes,
        issuer=issuer_from_env(key) if key else None,
        log_keys=log_keys_from_env(log_key) if log_key else (),
        origin_of=origin_of(settings),
    )
    ledger = await anyio.to_thread.run_sync(opening)
    stack.push_async_callback(ledger.aclose)
    return ledger


def _postgres_opener(dsn: str) -> Callable[..., Ledger]:
    """What opens the ledger in the database.

    Raises:
        Unavailable: the extra `postgres` is not installed.
    """
    from wattproof.resources.ledger.postgres import open_postgres_ledger

    return partial(open_postgres_ledger, dsn)


def origin_of(settings: Settings) -> Callable[[str], str]:
    """What gives the name of a log in its checkpoints."""
    from urllib.parse import quote

    from wattproof.resources.receipts.checkpoint import local_origin

    prefix = settings.log_origin
    return local_origin if prefix is None else lambda log_id: f"{prefix}/{quote(log_id)}"


async def _deployments(settings: Settings, local_servers: LocalServers | None) -> tuple[Deployment, ...]:
    """The catalogue with the user's own rows, the embedded model, and the model servers that answer on this machine.

    Raises:
        InvalidInput: providers.toml in the home has a mistake; the text says where.
    """
    from wattproof.resources.providers import catalogue_with, load_user_rows
    from wattproof.resources.providers.embedded import deployment
    from wattproof.resources.providers.local import LOCAL_SERVERS, probe_local
    from wattproof.resources.providers.transport import open_client

    own = load_user_rows(settings.home / "providers.toml")
    async with open_client() as client:
        local = await probe_local(client, settings.environ, LOCAL_SERVERS if local_servers is None else local_servers)
    return catalogue_with(own, (deployment(settings.zone), *local))


def _rates(settings: Settings) -> Mapping[str, ExchangeRate]:
    """The bundled exchange rates with the user's own."""
    from wattproof.resources.providers import load_user_rows, rates_with

    return rates_with(load_user_rows(settings.home / "providers.toml").rates)


async def _open_runs(settings: Settings, stack: AsyncExitStack, deps: Deps, watch: Watch | None) -> RunDeps:
    from wattproof.resources.providers.embedded import EmbeddedServer
    from wattproof.resources.providers.transport import open_client
    from wattproof.resources.runs import RunDeps
    from wattproof.resources.runs.watching import Watch

    embedded = EmbeddedServer(settings.environ)
    stack.push_async_callback(embedded.aclose)
    runs = RunDeps(
        ledger=await deps.ledger(),
        client=await stack.enter_async_context(open_client()),
        catalogue=await deps.deployments(),
        log_id=deps.log_id,
        environ=settings.environ,
        clock=time.time,
        monotonic=time.monotonic,
        random_bytes=secrets.token_bytes,
        embedded=embedded.started,
        grid=None if deps.grid is None else await deps.grid(),
        rates=deps.rates,
        unusable=partial(_unusable, settings, deps.allow_keyed_runs),
        watch=watch or Watch(),
    )
    if runs.grid is not None:
        correcting = asyncio.create_task(_corrected_hourly(runs))
        stack.push_async_callback(_cancelled, correcting)
    return runs


async def _corrected_hourly(runs: RunDeps) -> None:
    """Hold what grid sources correct against the ceilings of recent runs of every log, while this process serves."""
    import anyio

    from wattproof.methodology.errors import WattproofError
    from wattproof.resources.runs import apply_corrections

    while True:
        await anyio.sleep(_CORRECTED_EVERY_S)
        # What fails now is found again in an hour, or by `wattproof ledger corrections`.
        with suppress(WattproofError):
            for log_id in await runs.ledger.logs():
                await apply_corrections(replace(runs, log_id=log_id))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _open_grid(settings: Settings, stack: AsyncExitStack) -> Grid:
    """The desk for newest grid readings; its first look-up happens when a request asks for one."""
    from wattproof.resources.grid import Grid, GridCache
    from wattproof.resources.grid.sources import default_sources
    from wattproof.resources.providers.transport import open_client

    grid = Grid(
        default_sources(settings.environ),
        client=await stack.enter_async_context(open_client()),
        environ=settings.environ,
        clock=time.time,
        cache=GridCache(settings.home / "grid.sqlite3"),
    )
    stack.push_async_callback(grid.aclose)
    return grid


def _unusable(settings: Settings, allow_keyed_runs: bool, deployment: Deployment) -> str | None:
    """Why a real run on `deployment` is impossible here and now, or None."""
    from wattproof.resources.providers import unusable_reason
    from wattproof.resources.providers.embedded import embedded_status

    if deployment.key_env and not allow_keyed_runs:
        return "keyed providers are off: the server was started with --no-auth"
    problem = None
    if deployment.protocol == "embedded":
        status = embedded_status(settings.environ)
        problem = None if status.available else "; ".join(filter(None, (status.reason, status.fix)))
    return unusable_reason(deployment, settings.environ, offline=settings.offline, embedded_problem=problem)
