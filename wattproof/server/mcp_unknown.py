"""A call of a tool that is not there: a short answer with the names that are nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcp.types import CallToolResult, TextContent

from wattproof.methodology.closest import closest
from wattproof.methodology.foreign import as_name

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

__all__ = ["refusing_unknown_tools"]


def refusing_unknown_tools(names: Sequence[str], listed: Sequence[str]) -> ServerMiddleware[Any]:
    """Middleware that answers for tools that are not in `names`. The SDK would repeat the name, whatever it holds.

    `listed` are the names to suggest.
    """

    async def refuse(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        name = None if ctx.method != "tools/call" or ctx.params is None else ctx.params.get("name")
        if not isinstance(name, str) or name in names:
            return await call_next(ctx)
        told = f"Unknown tool {as_name(name, 60)}. Closest: {', '.join(closest(name, listed))}."
        return CallToolResult(content=[TextContent(type="text", text=told)], is_error=True)

    return refuse
