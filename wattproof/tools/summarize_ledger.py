"""What was run: totals of a period, an operation or a tag, with intervals that keep shared uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.periods import Period, edges_of, period_of
from wattproof.tools.result import Arguments
from wattproof.tools.summary_result import Page, SummaryResult, bars_of, summary_result
from wattproof.tools.summary_text import brief

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.records import SummaryQuery
    from wattproof.tools.deps import Deps

__all__ = ["GROUPS_PER_PAGE", "SummaryArgs", "SummaryResult", "brief", "summarize_ledger"]

GROUPS_PER_PAGE = 20
_GROUPS_IN_BRIEF = 3

GroupBy = Literal["provider", "model", "zone", "method", "tier", "status", "workload"]
SummaryDetail = Literal["brief", "full", "plot"]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class SummaryArgs(Arguments):
    """Arguments of `summarize_ledger`."""

    since: Annotated[str | None, Field(max_length=40, description="Date or time, included")] = None
    until: Annotated[str | None, Field(max_length=40, description="Excluded")] = None
    tz: Annotated[str | None, Field(max_length=60, description="IANA zone; default UTC")] = None
    group_by: Annotated[GroupBy | None, Field(description="One row per value")] = None
    operation_id: Annotated[_Name | None, Field(description="Only this workflow")] = None
    tag: Annotated[_Name | None, Field(description="Only entries with it")] = None
    method: Annotated[_Name | None, Field(description="Only this method id")] = None
    cursor: Annotated[str | None, Field(max_length=20, description="next_cursor")] = None
    detail: Annotated[SummaryDetail | None, Field(description="full: all shares; plot: days")] = None


async def summarize_ledger(args: SummaryArgs, deps: Deps) -> SummaryResult:
    """Add up the entries of this ledger.

    Raises:
        InvalidInput: a time, a time zone, the grouping or the cursor is not understood.
        UnknownMethod: no such method.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.methodology.data import EDITION
    from wattproof.methodology.methods import get_method
    from wattproof.resources.ledger.records import SummaryQuery

    period = period_of(args.since, args.until, args.tz)
    page = _page(args)
    query = SummaryQuery(
        log_id=deps.log_id,
        since=period.since,
        until=period.until,
        group_by=args.group_by,
        operation_id=args.operation_id,
        tag=args.tag,
        method=None if args.method is None else get_method(args.method).id,
    )
    ledger = await deps.ledger()
    summary = await ledger.summary(query)
    result = summary_result(summary, period, page, full=args.detail == "full", edition=EDITION)
    return await _with_bars(result, ledger, query, period) if args.detail == "plot" else result


def _page(args: SummaryArgs) -> Page:
    start = _page_start(args.cursor)
    return args.group_by or "key", start, start + (GROUPS_PER_PAGE if args.detail == "full" else _GROUPS_IN_BRIEF)


def _page_start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise InvalidInput("cursor", f"is {cursor[:20]!r}", "give next_cursor of the page before")
    return int(cursor)


async def _with_bars(result: SummaryResult, ledger: Ledger, query: SummaryQuery, period: Period) -> SummaryResult:
    extent = await ledger.periods.extent(query)
    if extent is None:
        return result.model_copy(update={"bars": (), "bar_unit": "day"})
    edges = edges_of(period, *extent)
    rows = await ledger.periods.timeline(query, edges.instants)
    return result.model_copy(update={"bars": bars_of(edges, rows), "bar_unit": edges.unit})
