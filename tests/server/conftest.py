"""The server of a temporary installation, and clients of it in both protocol eras."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Literal

import pytest
from mcp import Client

from wattproof.server.app import build_server

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps

Era = Literal["auto", "legacy"]


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    """An installation whose only deployment is the fake provider, in FR."""
    installation.deployments = (fake_provider.deployment(),)
    return installation


@pytest.fixture
def server(at_fake: Installation) -> MCPServer[Deps]:
    return build_server(at_fake.open)


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    """Stateless 2026-07-28, and the handshake of 2025-11-25 and before."""
    return request.param


@pytest.fixture
async def client(server: MCPServer[Any], era: Era) -> AsyncGenerator[Client]:
    async with Client(server, mode=era) as client:
        yield client
