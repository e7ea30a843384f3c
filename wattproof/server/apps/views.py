"""The views that come with the server, the tools whose results they show, and how lists name them.

A view is one HTML file that a host shows in a sandboxed frame (MCP Apps, ``io.modelcontextprotocol/ui``). It gets the
result of a tool, draws what that holds, and may call tools through the host; it needs no network and asks for none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.server.extension import Extension

from wattproof.server.apps.offered import EXTENSION, VIEW_MIME, AppsSetting, apps_offered
from wattproof.server.tool_table import ToolSpec
from wattproof.tools import ledger_rows

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

    from wattproof.tools.deps import Deps
    from wattproof.tools.progress import Report

__all__ = ["APP_TOOLS", "VIEWS", "VIEW_OF", "AppsExtension", "View", "add_views", "lists_for"]


@dataclass(frozen=True, slots=True)
class View:
    """One view: what a host reads about it, and the file that it shows."""

    name: str
    title: str
    description: str

    @property
    def uri(self) -> str:
        """Where a host reads it."""
        return f"ui://wattproof/{self.name}.html"

    @property
    def path(self) -> Path:
        """The file, as it ships."""
        return Path(__file__).with_name(f"{self.name}.html")


VIEWS = (
    View("receipt", "Receipt", "What a receipt states, and which of its checks hold"),
    View("operation", "Workflow", "What a workflow came to, by step, and what its budget leaves"),
    View("ledger", "Ledger", "What was recorded in a period, by day, model and zone"),
)

VIEW_OF: Mapping[str, str] = {
    "run_inference": "ui://wattproof/receipt.html",
    "verify_receipt": "ui://wattproof/receipt.html",
    "track_operation": "ui://wattproof/operation.html",
    "summarize_ledger": "ui://wattproof/ledger.html",
}
"""The view of each tool that has one."""


async def _rows(args: ledger_rows.RowsArgs, deps: Deps, _report: Report) -> ledger_rows.RowsResult:
    return await ledger_rows.ledger_rows(args, deps)


APP_TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        name="ledger_rows",
        title="Rows of the ledger",
        description="Bars, groups or entries of a period, page by page, for the view of the ledger.",
        arguments=ledger_rows.RowsArgs,
        result=ledger_rows.RowsResult,
        call=_rows,
        brief=ledger_rows.brief,
        read_only=True,
        idempotent=True,
        open_world=False,
    ),
)
"""Tools that views call and models do not see. Listed for clients that show views, and for no others."""

_APP_TOOL_NAMES = frozenset(spec.name for spec in APP_TOOLS)

# What `_meta` of a tool says to a host that shows views.
_UI: Mapping[str, dict[str, Any]] = {
    **{name: {"resourceUri": uri} for name, uri in VIEW_OF.items()},
    **{name: {"visibility": ["app"]} for name in _APP_TOOL_NAMES},
}

Listed = dict[str, Any]
"""One item of a list, as it goes over the wire."""


class AppsExtension(Extension):
    """Says among the server's capabilities that it has views."""

    identifier = EXTENSION


def add_views(server: MCPServer[Any]) -> None:
    """Register the views as resources. Each is read when it is asked for."""
    for view in VIEWS:
        server.resource(
            view.uri,
            name=f"{view.name}-view",
            title=view.title,
            description=view.description,
            mime_type=VIEW_MIME,
            # No domain is named, so a host allows none: the view may connect to nothing and load nothing.
            meta={"ui": {"csp": {}, "prefersBorder": True}},
        )(_reader(view.path))


def _reader(path: Path) -> Callable[[], str]:
    def read() -> str:
        return path.read_text("utf-8")

    return read


def lists_for(setting: AppsSetting) -> ServerMiddleware[Any]:
    """Middleware that names views and their tools to clients that show views, and leaves them out for all others."""

    async def fit(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        fitted = _FITTED.get(ctx.method)
        if fitted is None or not isinstance(result, dict):
            return result
        name, fit_one = fitted
        known = ctx.session.client_capabilities
        offered = apps_offered(setting, None if known is None else known.model_dump(by_alias=True, exclude_none=True))
        listed = (fit_one(item, offered=offered) for item in result[name])
        return {**result, name: [item for item in listed if item is not None]}

    return fit


def _fit_tool(tool: Listed, *, offered: bool) -> Listed | None:
    name = tool["name"]
    if name not in _UI:
        return tool
    if not offered:
        return None if name in _APP_TOOL_NAMES else tool
    return {**tool, "_meta": {**tool.get("_meta", {}), "ui": _UI[name]}}


def _fit_resource(resource: Listed, *, offered: bool) -> Listed | None:
    return resource if offered or not resource["uri"].startswith("ui://") else None


# What is fitted to a client: the field of a list's answer, and what becomes of one item (None: left out).
_FITTED = {"tools/list": ("tools", _fit_tool), "resources/list": ("resources", _fit_resource)}
