"""A call of a tool that is not there: a short answer with the names that are nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcp.types import CallToolRequestParams, CallToolResult, TextContent
from pydantic import ValidationError

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
        if not isinstance(name, str) or name in names or not _is_well_formed(ctx.params):
            return await call_next(ctx)
        told = f"Unknown tool {as_name(name, 60)}. Closest: {', '.join(closest(name, listed))}."
        return CallToolResult(content=[TextContent(type="text", text=told)], is_error=True)

    return refuse


def _is_well_formed(params: object) -> bool:
    """Whether the rest of the call is as it should be; where it is not, the SDK's own refusal is the better one."""
    try:
        CallToolRequestParams.model_validate(params)
    except ValidationError:
        return False
    return True
