"""The MCP server: every tool and resource on one object, for both protocol eras and every transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.request_state import RequestStateSecurity

from wattproof import __version__
from wattproof.server.apps.offered import AppsSetting
from wattproof.server.apps.views import APP_TOOLS, AppsExtension, add_views, lists_for
from wattproof.server.auth.gate import scope_gate
from wattproof.server.mcp_completions import add_completions
from wattproof.server.mcp_prompts import add_prompts
from wattproof.server.mcp_renames import RENAMED, Renames, answering_to_old_names, require_sound
from wattproof.server.mcp_resources import add_resources
from wattproof.server.mcp_tools import sdk_tool
from wattproof.server.mcp_unknown import refusing_unknown_tools
from wattproof.server.serving.calls import Calls
from wattproof.server.tool_table import tools_of

if TYPE_CHECKING:
    from mcp.server.mcpserver.tools import Tool

    from wattproof.tools.deps import Deps

__all__ = ["OpenDeps", "build_server"]

OpenDeps = Callable[[], AbstractAsyncContextManager["Deps"]]
"""Opens what the tools may touch, once per server process, and closes it when the server stops."""

_INSTRUCTIONS = (
    "estimate_request before sending; run_inference to route, run and record (dry_run=true shows the choice only); "
    "track_operation for workflows and budgets; summarize_ledger for totals; verify_receipt for any receipt_id; "
    "explain for any figure. Figures are estimates with intervals: keep the interval and the method when you quote one."
)

# Lists depend on the version and on settings, so a client may keep them. Those that also depend on whether it shows
# views are for itself.
_LISTS = CacheHint(ttl_ms=300_000, scope="public")
_OWN_LISTS = CacheHint(ttl_ms=300_000, scope="private")


def build_server(
    open_deps: OpenDeps,
    profiles: Iterable[str] = (),
    apps: AppsSetting = "auto",
    renames: Renames = RENAMED,
    *,
    state_key: bytes | None = None,
    calls: Calls | None = None,
) -> MCPServer[Deps]:
    """The server with its tools and its resources. Nothing is opened before it runs.

    `profiles` add tools to the core. `apps` says who is offered views ("auto": clients that say that they show them;
    "off": they are not there at all). Nothing else in a `*/list` answer depends on settings, on the ledger or on the
    data of an edition. `renames` are old names that still work. `state_key` (32 bytes) seals
    the questions to users, so that every process that has it takes the answers; None: this one alone. `calls` is
    told of every call; None: for the log and the traces of the process alone.
    """

    @asynccontextmanager
    async def lifespan(_server: MCPServer[Deps]) -> AsyncGenerator[Deps]:
        async with open_deps() as deps:
            yield deps

    specs = tools_of(profiles)
    require_sound(renames, specs)
    for_views = () if apps == "off" else APP_TOOLS
    fitted = _OWN_LISTS if apps == "auto" else _LISTS
    server: MCPServer[Any] = MCPServer(
        # No title, description or icon here: since 2026-07-28 every single result repeats what the server says it is.
        name="wattproof",
        instructions=_INSTRUCTIONS,
        version=__version__,
        tools=[_watched(sdk_tool(spec), calls or Calls()) for spec in (*specs, *for_views)],
        extensions=[] if apps == "off" else [AppsExtension()],
        middleware=[
            *([answering_to_old_names(renames)] if renames else []),
            # Behind the old names, for it goes by the new ones.
            scope_gate,
            refusing_unknown_tools([spec.name for spec in (*specs, *for_views)], [spec.name for spec in specs]),
            *([] if apps == "off" else [lists_for(apps)]),
        ],
        request_state_security=None if state_key is None else RequestStateSecurity(keys=[state_key]),
        lifespan=lifespan,
        log_level="WARNING",
        cache_hints={
            "tools/list": fitted,
            "prompts/list": _LISTS,
            "resources/list": fitted,
            "resources/templates/list": _LISTS,
        },
    )
    add_resources(server)
    add_prompts(server)
    add_completions(server)
    if apps != "off":
        add_views(server)
    return server


def _watched(tool: Tool, calls: Calls) -> Tool:
    return tool.model_copy(update={"fn": calls.watched(tool.name, tool.fn)})
