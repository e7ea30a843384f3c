"""Completions: what a person may mean while typing an argument of a prompt or a variable of a resource template."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
)

from wattproof.methodology.errors import WattproofError
from wattproof.server.mcp_deps import deps_of

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from wattproof.tools.deps import Deps

__all__ = ["add_completions"]

_MOST = 100
"""The protocol's own limit on the values of one answer."""

_NEWEST_LOOKED_AT = 500


def add_completions(server: MCPServer[Any]) -> None:
    """Register the handler.

    The SDK's decorator hands over no context, and a receipt id belongs to one caller's log: so this is registered one
    level below it.
    """

    async def complete(ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        reference = params.ref
        where = reference.name if isinstance(reference, PromptReference) else str(reference.uri)
        values = _VALUES.get((where, params.argument.name))
        if values is None:
            return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
        typed, lead = (
            _last_part(params.argument.value) if params.argument.name == "models" else (params.argument.value, "")
        )
        found, is_all = await values(lambda: deps_of(Context(request_context=ctx, mcp_server=server)))
        matches = [lead + name for name in _matching(typed.strip(), found)]
        return CompleteResult(
            completion=Completion(
                values=matches[:_MOST],
                total=len(matches) if is_all else None,
                has_more=len(matches) > _MOST or not is_all,
            )
        )

    server._lowlevel_server.add_request_handler(  # pyright: ignore[reportPrivateUsage]
        "completion/complete", CompleteRequestParams, complete
    )


def _last_part(value: str) -> tuple[str, str]:
    """Of names separated by commas, the one being typed, and what comes before it."""
    before, comma, last = value.rpartition(",")
    return last, f"{before.rstrip()}, " if comma else ""


def _matching(typed: str, names: Iterable[str]) -> list[str]:
    """Names that begin with what was typed, then those that have it elsewhere; case ignored."""
    wanted = typed[:200].lower()
    begin, hold = list[str](), list[str]()
    for name in names:
        at = name.lower().find(wanted)
        if at == 0:
            begin.append(name)
        elif at > 0:
            hold.append(name)
    return begin + hold


Lookup = Callable[[Callable[[], "Deps"]], Awaitable[tuple[Iterable[str], bool]]]
"""Gives every name, and whether those are all of them. What the caller may touch is asked for only where it matters."""


async def _models(_: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    from wattproof.methodology.models import all_model_ids

    return all_model_ids(), True


async def _zones(_: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    from wattproof.methodology.zones import all_zones

    return all_zones(), True


async def _methods(_: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    from wattproof.methodology.methods import all_methods

    return [method.id for method in all_methods()], True


async def _providers(_: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    from wattproof.resources.providers import load_catalogue

    return sorted({deployment.provider for deployment in load_catalogue()}), True


async def _groups(_: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    from wattproof.tools.summarize_ledger import GroupBy

    return get_args(GroupBy), True


async def _receipts(deps: Callable[[], Deps]) -> tuple[Iterable[str], bool]:
    """The newest of the caller's own log; nothing where there is no ledger, which looking must not create."""
    from wattproof.tools.receipt_subject import has_ledger

    mine = deps()
    if not has_ledger(mine):
        return (), True
    try:
        page = await (await mine.ledger()).entries(mine.log_id, limit=_NEWEST_LOOKED_AT)
    except WattproofError:
        # Whoever types is not the one who can mend a ledger; the next tool call says what is wrong with it.
        return (), True
    return [entry.receipt_id for entry in page.entries], page.next_cursor is None


_VALUES: Mapping[tuple[str, str], Lookup] = {
    ("footprint_report", "group_by"): _groups,
    ("choose_a_model", "models"): _models,
    ("choose_a_model", "zone"): _zones,
    ("choose_a_model", "provider"): _providers,
    ("audit_a_receipt", "receipt"): _receipts,
    ("wattproof://methods/{+id}", "id"): _methods,
    ("wattproof://zones/{zone}", "zone"): _zones,
    ("wattproof://receipts/{id}", "id"): _receipts,
}
