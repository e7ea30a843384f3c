"""The one place where the scopes of a caller are held against what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp.types import INVALID_REQUEST, CallToolResult, CompleteResult, Completion, TextContent

from wattproof.server.auth.principal import principal_in
from wattproof.server.auth.scopes import needed_by

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from wattproof.server.auth.principal import Principal

__all__ = ["caller_of", "scope_gate"]


def caller_of(request: Any) -> Principal | None:
    """Who sent a request, given what the transport handed over with it; None over stdio, where that is the user.

    Raises:
        MCPError: it came over HTTP without passing the guard. Nothing may be served then.
    """
    if request is None:
        return None
    found = principal_in(request.scope)
    if found is None:
        raise MCPError(code=INVALID_REQUEST, message="The server does not know who sent this request.")
    return found


async def scope_gate(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Serve a request whose caller has the scope that it needs.

    A tool call without it is answered in words that a model can pass on, a completion with nothing.

    Raises:
        MCPError: the caller may not read that resource.
    """
    caller = caller_of(ctx.request)
    params: Mapping[str, Any] = ctx.params or {}
    needed = None if caller is None else needed_by(ctx.method, params)
    if caller is None or needed is None or needed in caller.scopes:
        return await call_next(ctx)
    if ctx.method == "completion/complete":
        return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
    held = ", ".join(sorted(caller.scopes)) or "none"
    problem = f"This needs the scope {needed}; these credentials have {held}. Ask whoever runs the server for it."
    if ctx.method == "tools/call":
        return CallToolResult(content=[TextContent(type="text", text=problem)], is_error=True)
    raise MCPError(code=INVALID_REQUEST, message=problem)
