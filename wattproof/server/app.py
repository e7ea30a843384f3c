"""The MCP server: every tool and resource on one object, for both protocol eras and every transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.caching import CacheHint

from wattproof import __version__
from wattproof.server.mcp_resources import add_resources
from wattproof.server.mcp_tools import sdk_tool
from wattproof.server.tool_table import tools_of

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["OpenDeps", "build_server"]

OpenDeps = Callable[[], AbstractAsyncContextManager["Deps"]]
"""Opens what the tools may touch, once per server process, and closes it when the server stops."""

_INSTRUCTIONS = (
    "estimate_request before sending; run_inference to route, run and record (dry_run=true shows the choice only); "
    "track_operation for workflows and budgets; summarize_ledger for totals; verify_receipt for any receipt_id; "
    "explain for any figure. Figures are estimates with intervals: keep the interval and the method when you quote one."
)

# Lists depend on the version alone, so a client may keep them.
_LISTS = CacheHint(ttl_ms=300_000, scope="public")


def build_server(open_deps: OpenDeps, profiles: Iterable[str] = ()) -> MCPServer[Deps]:
    """The server with its tools and its resources. Nothing is opened before it runs.

    `profiles` add tools to the core. Nothing else in a `*/list` answer depends on settings, on the ledger or on the
    data of an edition.
    """

    @asynccontextmanager
    async def lifespan(_server: MCPServer[Deps]) -> AsyncGenerator[Deps]:
        async with open_deps() as deps:
            yield deps

    server: MCPServer[Any] = MCPServer(
        # No title, description or icon here: since 2026-07-28 every single result repeats what the server says it is.
        name="wattproof",
        instructions=_INSTRUCTIONS,
        version=__version__,
        tools=[sdk_tool(spec) for spec in tools_of(profiles)],
        lifespan=lifespan,
        log_level="WARNING",
        cache_hints={
            "tools/list": _LISTS,
            "prompts/list": _LISTS,
            "resources/list": _LISTS,
            "resources/templates/list": _LISTS,
        },
    )
    add_resources(server)
    return server
