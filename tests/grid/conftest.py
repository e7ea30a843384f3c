"""A desk with a source of its own, an API behind it that says what a test wants, and clocks that stand still."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import httpx2
import pytest

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid import Grid, GridCache, GridConnection, GridSource, Observation, Place
from wattproof.resources.grid.http import fetch, refusal, require_json

NOON_S = 1_795_348_800.0  # 2026-11-22T12:00:00Z, a Sunday


@dataclass
class PlainSource:
    """A source whose API states `{"value", "starts_at", "step_s", "evidence"}` or a list of them."""

    name: str = "plain"
    title: str = "Plain API"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"
    zones: frozenset[str] | None = None

    def covers(self, place: Place) -> bool:
        return self.zones is None or place.zone in self.zones

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        return self._read(place, await self._get("latest", place, connection), connection)

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        rows = await self._get("forecast", place, connection)
        return tuple(self._read(place, row, connection) for row in rows)

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        rows = await self._get("history", place, connection)
        return tuple(self._read(place, row, connection) for row in rows)

    async def _get(self, path: str, place: Place, connection: GridConnection) -> Any:
        answer = await fetch(connection, f"https://{self.name}.test/{path}/{place.zone}")
        if answer.status == 401:
            raise refusal(answer, "plan" if "plan" in answer.said else "unauthorized")
        return require_json(answer)

    def _read(self, place: Place, row: Any, connection: GridConnection) -> Observation:
        if row["value"] is None:
            raise GridUnavailable("no_data", "no value")
        return Observation(
            zone=place.zone,
            value_gco2e_per_kwh=float(row["value"]),
            starts_at=row["starts_at"],
            step_s=row.get("step_s", 3600),
            received_at=int(connection.now_s),
            basis=self.basis,
            factor_scope=self.factor_scope,
            accounting="consumption",
            evidence=row.get("evidence", "measured"),
            source=self.name,
            licence="test",
        )


def response(body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> httpx2.Response:
    """An answer whose body arrives in two pieces, as from a socket."""

    async def pieces() -> AsyncIterator[bytes]:
        half = len(body) // 2
        yield body[:half]
        yield body[half:]

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers={"content-type": content_type, **named}, content=pieces())


@dataclass
class World:
    """Everything outside of the desk. `answer` makes the API's answer to each request; it may be replaced."""

    folder: Path
    now_s: float = NOON_S
    elapsed_s: float = 1000.0
    asked: list[str] = field(default_factory=list[str])
    answer: Callable[[httpx2.Request], Any] = field(default=lambda request: {"value": 50, "starts_at": int(NOON_S)})
    environ: dict[str, str] = field(default_factory=dict[str, str])
    clients: list[httpx2.AsyncClient] = field(default_factory=list[httpx2.AsyncClient])
    grids: list[Grid] = field(default_factory=list[Grid])

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.elapsed_s += seconds

    respond = staticmethod(response)

    def source(self, **fields: Any) -> PlainSource:
        return PlainSource(**fields)

    def client(self) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._handle))
        self.clients.append(client)
        return client

    def connection(self, client: httpx2.AsyncClient | None = None, timeout_s: float = 2.0) -> GridConnection:
        return GridConnection(client or self.client(), self.environ, self.now_s, timeout_s)

    def desk(self, *sources: GridSource, cache: GridCache | None = None, **options: Any) -> Grid:
        grid = Grid(
            sources or (PlainSource(),),
            client=self.client(),
            environ=self.environ,
            clock=lambda: self.now_s,
            monotonic=lambda: self.elapsed_s,
            cache=cache,
            random=Random(1),
            **options,
        )
        self.grids.append(grid)
        return grid

    async def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(f"{request.url.host.removesuffix('.test')} {request.url.path}")
        said = self.answer(request)
        if hasattr(said, "__await__"):
            said = await said
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, httpx2.Response) else response(json.dumps(said).encode())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    for grid in world.grids:
        await grid.aclose()
    for client in world.clients:
        await client.aclose()
