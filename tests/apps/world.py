"""The real server over a ledger with some history, and a client of it that shows views, for code without a loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.client.extension import advertise

from tests.fakes import grid_apis, provider
from tests.fakes.installation import NOON, Installation
from wattproof.resources.grid.sources import default_sources
from wattproof.server.app import build_server
from wattproof.server.apps.offered import EXTENSION, VIEW_MIME

__all__ = ["SHOWS_VIEWS", "World", "open_world"]

Wire = dict[str, Any]

SHOWS_VIEWS = advertise(EXTENSION, {"mimeTypes": [VIEW_MIME]})
DAY_S = 86_400
MODELS = ("claude-sonnet-4-6", "gpt-oss-120b", "mistral-small-3.2", "gpt-oss-20b", "llama-3.3-70b", "qwen3-32b")
ZONES = ("FR", "DE", "SE-SE3", "US-CAL-CISO", None)


class World:
    """What a host has: a connection to the server."""

    def __init__(self, portal: BlockingPortal, client: Client, installation: Installation) -> None:
        self._portal, self._client, self.installation = portal, client, installation

    def tool(self, name: str, **arguments: Any) -> Wire:
        """The result of a tool as it goes over the wire."""
        return self.answer("tools/call", {"name": name, "arguments": arguments})

    def answer(self, method: str, params: Wire) -> Wire:
        """What a host answers a view that asks this."""
        if method == "tools/call":
            arguments: Wire = params.get("arguments") or {}
            result = self._portal.call(self._client.call_tool, params["name"], arguments)
        else:
            result = self._portal.call(self._client.read_resource, params["uri"])
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    def view(self, name: str) -> str:
        """A view, as a host reads it."""
        return self.answer("resources/read", {"uri": f"ui://wattproof/{name}.html"})["contents"][0]["text"]

    def run(self, **changes: Any) -> Wire:
        """The structured content of a real run on the fake provider."""
        given = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 50}
        return self.tool("run_inference", **{**given, **changes})["structuredContent"]

    def history(self, days: int = 30) -> None:
        """Steps of every day up to now, of several models and zones; one model that nobody knows."""
        random = Random(11)
        now = self.installation.now_s
        for day in range(days, -1, -1):
            self.installation.now_s = now - day * DAY_S
            if day % 7 in (1, 2) and day > 7:
                continue
            for number in range(random.randint(1, 4)):
                step: Wire = {
                    "step_id": f"{day}-{number}",
                    "model": random.choices((*MODELS, "in-house-7"), (4, 9, 5, 4, 2, 2, 1))[0],
                    "usage": {"input_tokens": random.randint(500, 60_000), "output_tokens": random.randint(50, 9_000)},
                }
                zone = random.choice(ZONES)
                self.tool(
                    "track_operation",
                    action="record",
                    operation_id=f"day-{day}",
                    steps=[step if zone is None else {**step, "zone": zone}],
                )
        self.installation.now_s = now


@contextmanager
def open_world(home: Path) -> Generator[World]:
    """A new installation in `home` with one fake provider in Finland, whose grid is observed now."""
    with provider.serving() as fake, grid_apis.serving(NOON) as apis, start_blocking_portal() as portal:
        installation = Installation(home, deployments=(fake.deployment(provider="example", zone="FI"),))
        installation.environ["ELECTRICITYMAPS_TOKEN"] = grid_apis.TOKEN
        found = default_sources(installation.environ, apis.base_urls)
        installation.grid_sources = tuple(source for source in found if source.name in apis.base_urls)
        client = Client(build_server(installation.open), extensions=[SHOWS_VIEWS])
        with portal.wrap_async_context_manager(client) as opened:
            portal.call(opened.list_tools)
            yield World(portal, opened, installation)
        apis.release()
