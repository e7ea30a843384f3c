"""The application as `serve --http` furnishes it, called in this process; and processes that serve it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import httpx2
import pytest

from wattproof.server.app import build_server
from wattproof.server.http import MAX_REQUEST_BYTES, build_http_app
from wattproof.server.serving.calls import Calls
from wattproof.server.serving.drain import Drain
from wattproof.server.serving.front import FrontDoor
from wattproof.server.serving.health import Remembered
from wattproof.server.serving.house import House
from wattproof.server.serving.limits import Limits
from wattproof.server.serving.metrics import Metrics
from wattproof.server.serving.rates import RateTable
from wattproof.server.serving.watch import ServerWatch

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

ROOT = Path(__file__).parents[2]
TOKEN = "a-long-random-word-for-tests"


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Opened:
    """The furnished application of a test, and a client of it."""

    house: House
    app: ASGIApp
    http: httpx2.AsyncClient
    clock: Clock

    async def call(self, tool: str, arguments: dict[str, Any], request_id: int | str = 1, **headers: str) -> Any:
        """One tool call in the handshake era; the HTTP answer."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        return await self.http.post("/mcp", json=message, headers=headers)


OpenHouse = Callable[..., AbstractAsyncContextManager[Opened]]


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    """An installation whose only deployment is the fake provider, in FR."""
    installation.deployments = (fake_provider.deployment(),)
    return installation


@pytest.fixture
def open_house(at_fake: Installation) -> OpenHouse:
    """Opens the application behind its guard, gate and front door, on 127.0.0.1:8321, with these limits."""

    @asynccontextmanager
    async def opening(limits: Limits | None = None, *, token: str | None = TOKEN) -> AsyncGenerator[Opened]:
        clock, metrics = Clock(), Metrics()
        house = House(limits or Limits(), RateTable(clock), Drain(), metrics, Calls(metrics), ServerWatch(metrics))
        at_fake.watch = house.watch
        at_fake.allow_keyed_runs = token is not None
        opened = Remembered(at_fake.open)
        app = build_http_app(
            build_server(opened, calls=house.calls),
            token=token,
            host="127.0.0.1",
            port=8321,
            allow_keyed_runs=token is not None,
            house=house,
        )
        front: FrontDoor = house.front(app, opened, max_body_bytes=MAX_REQUEST_BYTES)
        headers = {"Accept": "application/json, text/event-stream"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(front), base_url="http://127.0.0.1:8321", headers=headers
            ) as http,
        ):
            yield Opened(house, front, http, clock)
        house.rates.close()

    return opening


@dataclass
class Serving:
    """A `serve --http` process."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list[str])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


Serve = Callable[..., AbstractContextManager[Serving]]


@pytest.fixture
def serve(tmp_path: Path, fake_provider: FakeProvider) -> Serve:
    """Starts `serve --http` on a free port, whose only provider is the fake one; stops it at the end of the block."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "providers.toml").write_text(
        f'[[provider]]\nprovider = "ours"\nbase_url = "{fake_provider.base_url}"\nprotocol = "openai-chat"\n'
        'zone = "FR"\nlocation_evidence = "declared"\nlocation_source = "our rack"\n'
        '[[provider.model]]\nmodel = "gpt-oss-120b"\nnative_model = "gpt-oss"\n'
    )
    environ = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "WATTPROOF_HOME": str(home),
        "WATTPROOF_GRID": "annual",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
    }

    @contextlib.contextmanager
    def serving(*options: str, **variables: str) -> Generator[Serving]:
        command = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0", *options]
        with subprocess.Popen(command, env={**environ, **variables}, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = process.stderr.readline() + process.stderr.readline()
            url = re.search(r"(http://\S+)/mcp", said)
            assert url is not None, said + process.stderr.read()
            served = Serving(process, url[1])
            listening = Thread(target=_collect, args=(process.stderr, served.lines))
            listening.start()
            try:
                yield served
            finally:
                if process.poll() is None:
                    process.terminate()
                try:
                    process.wait(timeout=30)
                finally:
                    process.kill()
                    listening.join()

    return serving


def _collect(stream: IO[str], lines: list[str]) -> None:
    lines.extend(stream)
