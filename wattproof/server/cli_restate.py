"""Periods of the ledger on the command line: close them, adjust what became known later, restate them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wattproof.server.cli_call import arguments, call, print_result
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger import ClosedPeriod
    from wattproof.tools.deps import Deps
    from wattproof.tools.restate import RestateArgs, RestateResult

__all__ = ["COMMANDS", "adjust", "close_period", "restate", "restatements"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Tokens = Annotated[int | None, typer.Option(help="Of the whole request, as known now.", metavar="TOKENS")]


def restate(
    method: Annotated[str, typer.Option(help="Method to restate under, such as ecologits/llm@0.11.3.")],
    period: Annotated[str, typer.Option(help="A year, month or day in UTC, such as 2026-10.")],
    edition: Annotated[str | None, typer.Option(help="Edition of the data; the installed one unless given.")] = None,
    grid: Annotated[
        str | None, typer.Option(help="stated: the readings of the receipts; annual: the annual averages.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compute a period under another method from its receipts, keep it beside the original, and explain the difference.

    No entry changes. Exits 3 when nothing could be restated.
    """
    from wattproof.tools.restate import RestateArgs, brief

    given = arguments(RestateArgs, method=method, period=period, edition=edition, grid=grid)
    result = call(_restate, given)
    print_result(result, brief, as_json)
    if result.request_count and not result.restated_count:
        raise typer.Exit(3)


def restatements(
    period: Annotated[str | None, typer.Option(help="Only of this year, month or day.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List what was restated before, newest first."""
    from wattproof.tools.restate import brief, restatements

    found = call(restatements, period)
    if as_json:
        print_json([result.structured() for result in found])
        return
    for result in found:
        print_text(f"{result.created_at}  {brief(result)}")
    if not found:
        say("Nothing was restated yet.")


def adjust(
    receipt_id: Annotated[str, typer.Argument(help="Receipt id of the request, as `run` printed it.")],
    input_tokens: Tokens = None,
    output_tokens: Tokens = None,
    cached_input_tokens: Tokens = None,
    reasoning_tokens: Tokens = None,
    reason: Annotated[str, typer.Option(help="Why, in a word; it is signed.")] = "late_usage",
    as_json: JsonFlag = False,
) -> None:
    """Append an adjustment where the usage of a request is now known to have been other than recorded.

    Counts are those of the whole request, so saying the same again changes nothing. The adjustment belongs to the open
    month, whenever the request was.
    """
    from wattproof.tools.adjust import AdjustArgs, brief
    from wattproof.tools.adjust import adjust as adjust_request

    given = arguments(
        AdjustArgs,
        receipt_id=receipt_id,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached_input_tokens,
        reasoning_tokens=reasoning_tokens,
        reason=reason,
    )
    print_result(call(adjust_request, given), brief, as_json)


def close_period(
    period: Annotated[str, typer.Argument(help="The month (UTC) to close, such as 2026-10, and every one before it.")],
    as_json: JsonFlag = False,
) -> None:
    """Close a month: nothing that occurred in it is added any more; what becomes known later is an adjustment.

    It cannot be opened again. The log's state is signed as a checkpoint, so that others can hold it against later ones.
    """
    import anyio

    closed = anyio.run(_close, period)
    if closed is None:
        say("There is no ledger yet; nothing was closed.")
        raise typer.Exit(3)
    kept, checkpoint = closed
    if as_json:
        fields = {"period": kept.period, "closed_at": kept.closed_at, "size": kept.size, "root_hex": kept.root.hex()}
        print_json({**fields, "checkpoint": checkpoint})
        return
    print_text(
        f"{kept.period} and every month before it are closed since {kept.closed_at}, at {kept.size:,} entries "
        f"(root {kept.root.hex()}). Late usage and corrections are adjustments from now on."
    )
    print_text(checkpoint.rstrip())


async def _close(period: str) -> tuple[ClosedPeriod, str] | None:
    from wattproof.server.open import ledger_exists, open_existing_ledger
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        return None
    async with open_existing_ledger(settings) as ledger:
        kept = await ledger.periods.close(settings.log_id, period)
        return kept, await ledger.log.checkpoint(settings.log_id)


async def _restate(given: RestateArgs, deps: Deps) -> RestateResult:
    from wattproof.tools.restate import restate as restate_period

    async def report(progress: float, total: float | None = None, message: str | None = None) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{progress:,.0f} {message or ''}")
            sys.stderr.flush()

    result = await restate_period(given, deps, report)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return result


COMMANDS = (
    ("close-period", close_period),
    ("adjust", adjust),
    ("restate", restate),
    ("restatements", restatements),
)
