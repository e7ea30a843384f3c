"""A server over a temporary installation whose only provider is on this machine, and a client of it in each era."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client

from wattproof.server.app import build_server
from wattproof.server.settings import PROFILES

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

SECONDS_PER_CALL = 20.0


class Session:
    """A client that serves one synchronous test after another example; see tests/conftest.py for the rest."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self._client = client

    def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        async def called() -> CallToolResult:
            with anyio.fail_after(SECONDS_PER_CALL):
                return await self._client.call_tool(name, arguments)

        return self._portal.call(called)


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider, tmp_path: Path) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    installation.environ["HOME"] = str(tmp_path / "user")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "usage.csv").write_text("model,requests\ngpt-4o,x\n")
    return installation


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Literal["auto", "legacy"]:
    return request.param


@pytest.fixture
def session(at_fake: Installation, era: Any) -> Iterator[Session]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(build_server(at_fake.open, PROFILES), mode=era)) as client,
    ):
        yield Session(portal, client)
