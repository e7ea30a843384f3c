"""What a call may touch: the one place where a request of a client finds its `Deps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from wattproof.tools.deps import Deps

__all__ = ["deps_of"]


def deps_of(ctx: Context[Any, Any]) -> Deps:
    """What the caller of this request may touch."""
    return ctx.request_context.lifespan_context
