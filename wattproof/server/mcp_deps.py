"""What a call may touch: the one place where a request of a client finds its `Deps`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from starlette.requests import Request

    from wattproof.resources.runs import RunDeps
    from wattproof.server.auth.principal import Principal
    from wattproof.tools.deps import Deps

__all__ = ["deps_of", "of_tenant"]


def deps_of(ctx: Context[Any, Any]) -> Deps:
    """What the caller of this request may touch: over HTTP the log of its tenant and no other.

    Raises:
        MCPError: it came over HTTP from nobody who is known.
    """
    request = ctx.request_context.request
    deps: Deps = ctx.request_context.lifespan_context
    if request is None:
        return deps
    from wattproof.server.auth.gate import caller_of

    caller = caller_of(request)
    if caller is None:
        return deps
    return replace(of_tenant(deps, caller.tenant), own_files=deps.allow_keyed_runs and _is_own(caller, request))


def _is_own(caller: Principal, request: Request) -> bool:
    """Whether this is the user of this machine: who holds the token that the server printed, and calls from here.

    What a proxy passes on does not come from here.

    An API key is somebody else's, whichever log it acts on. Where no token is asked for, nobody can tell users apart;
    such a server allows no runs that need a key either, which its `Deps` say.
    """
    from wattproof.server.auth.entrance import FORWARDED
    from wattproof.server.auth.principal import LOCAL_ISSUER
    from wattproof.server.listen import is_loopback

    if caller.issuer != LOCAL_ISSUER or any(name in FORWARDED for name, _ in request.headers.raw):
        return False
    return request.client is not None and is_loopback(request.client.host)


def of_tenant(deps: Deps, tenant: str) -> Deps:
    """`deps` for the log of `tenant`. Everything that costs to open is shared: ledger, clients, catalogue, models.

    What a run keeps in memory (answers, turns, incumbents) is kept by log, so it is not shared with it.
    """
    if tenant == deps.log_id:
        return deps

    async def runs() -> RunDeps:
        return replace(await deps.runs(), log_id=tenant)

    return replace(deps, log_id=tenant, runs=runs)
