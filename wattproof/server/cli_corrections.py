"""``ledger corrections``: what grid sources corrected since, held against the ceilings of the runs that rest on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattproof.server.cli_call import call
from wattproof.server.cli_output import print_json, print_text

if TYPE_CHECKING:
    from wattproof.resources.ledger.records import Settled
    from wattproof.tools.deps import Deps

__all__ = ["corrections"]


def corrections(
    hours: Annotated[float, typer.Option(min=1, max=192, help="How far back to look.")] = 48,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Append an adjustment for each run whose live grid reading was corrected above its ceiling since.

    A server does this by itself once an hour. Asking again appends nothing twice.
    """
    appended = call(_apply, hours * 3600)
    if as_json:
        print_json([{"receipt_id": each.receipt_id, "adjusts": each.draft.adjusts} for each in appended])
        return
    for each in appended:
        print_text(f"{each.receipt_id}: adjusts entry {each.draft.adjusts}, ceiling exceeded after the fact")
    print_text(f"{len(appended)} adjustment(s) appended.")


async def _apply(since_s: float, deps: Deps) -> tuple[Settled, ...]:
    from wattproof.resources.runs import apply_corrections

    return await apply_corrections(await deps.runs(), since_s=since_s)
