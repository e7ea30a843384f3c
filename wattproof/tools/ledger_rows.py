"""What the view of the ledger shows beyond a summary: a bar per day, groups and single entries, page by page.

Only a view calls this, so that rows never come before a model. Nothing here is in a list for clients without views.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import Figure, rounded
from wattproof.tools.periods import Period, edges_of, period_of
from wattproof.tools.provenance import Provenance
from wattproof.tools.result import Arguments, Result
from wattproof.tools.summary_result import summary_result, thousandth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattproof.resources.ledger import Amount, Ledger, Settled, SummaryQuery
    from wattproof.resources.ledger.records import SummaryRow
    from wattproof.tools.deps import Deps

__all__ = ["ROWS_PER_PAGE", "RowsArgs", "RowsResult", "brief", "ledger_rows"]

ROWS_PER_PAGE = 20

# How many entries one page may look at. A page that finds few among them is short, and has a cursor.
_LOOKED_AT = 2_000
_BEGINNING, _END = "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class RowsArgs(Arguments):
    """Arguments of `ledger_rows`: the period and the filters of `summarize_ledger`."""

    rows: Annotated[Literal["bars", "groups", "entries"], Field(description="What to return")]
    since: Annotated[str | None, Field(max_length=40, description="Included")] = None
    until: Annotated[str | None, Field(max_length=40, description="Excluded")] = None
    tz: Annotated[str | None, Field(max_length=60, description="IANA zone")] = None
    group_by: Annotated[Literal["model", "zone"] | None, Field(description="groups: of what")] = None
    operation_id: Annotated[_Name | None, Field(description="Only this workflow")] = None
    tag: Annotated[_Name | None, Field(description="Only entries with it")] = None
    method: Annotated[_Name | None, Field(description="Only this method id")] = None
    cursor: Annotated[str | None, Field(max_length=60, description="next_cursor")] = None


class RowsResult(Result):
    """What `ledger_rows` returns: the rows that were asked for; the other kinds are left out.

    Amounts are null where no entry knows them. `group_count` counts all groups, on whichever page.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"bar_unit", "bars", "groups", "group_count", "entries"})
    unlisted: ClassVar[frozenset[str]] = frozenset({"period", "reasons", "next_cursor"})

    period: dict[str, str | bool | None]
    bar_unit: str | None = None
    bars: tuple[dict[str, Any], ...] | None = None
    group_count: int | None = None
    groups: tuple[dict[str, Any], ...] | None = None
    entries: tuple[dict[str, Any], ...] | None = None
    next_cursor: str | None = None
    reasons: dict[str, str]
    provenance: Provenance


async def ledger_rows(args: RowsArgs, deps: Deps) -> RowsResult:
    """One page of what a period of this ledger consists of.

    Raises:
        InvalidInput: a time, a time zone or the cursor is not understood.
        UnknownMethod: no such method.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.methodology.data import EDITION
    from wattproof.methodology.methods import get_method
    from wattproof.resources.ledger.records import SummaryQuery

    period = period_of(args.since, args.until, args.tz)
    query = SummaryQuery(
        log_id=deps.log_id,
        since=period.since,
        until=period.until,
        group_by=args.group_by or "model" if args.rows == "groups" else None,
        operation_id=args.operation_id,
        tag=args.tag,
        method=None if args.method is None else get_method(args.method).id,
    )
    ledger = await deps.ledger()
    summary = await ledger.summary(query)
    told = summary_result(summary, period, ("key", 0, 0), full=False, edition=EDITION)
    if args.rows == "bars":
        shown = await _bars(ledger, query, period)
    elif args.rows == "groups":
        shown = _groups(summary.groups, _number(args.cursor))
    else:
        shown = await _entries(ledger, query, args.cursor)
    return RowsResult(period=told.period, reasons=told.reasons, provenance=told.provenance, **shown)


def brief(result: RowsResult) -> str:
    """How much there is. The view has the rows."""
    counts = {"bars": result.bars, "groups": result.groups, "entries": result.entries}
    told = ", ".join(f"{len(rows)} {name}" for name, rows in counts.items() if rows is not None)
    return f"{told}{', more with next_cursor' if result.next_cursor else ''}. For the view of the ledger."


async def _bars(ledger: Ledger, query: SummaryQuery, period: Period) -> dict[str, Any]:
    extent = await ledger.periods.extent(query)
    if extent is None:
        return {"bars": (), "bar_unit": "day"}
    edges = edges_of(period, *extent)
    rows = await ledger.periods.timeline(query, edges.instants)
    bars = tuple({"start": label, **_amounts(row)} for label, row in zip(edges.labels, rows, strict=True))
    return {"bars": bars, "bar_unit": edges.unit}


def _groups(groups: Sequence[SummaryRow], start: int) -> dict[str, Any]:
    end = start + ROWS_PER_PAGE
    return {
        "groups": tuple({"key": row.key, **_amounts(row)} for row in groups[start:end]),
        "group_count": len(groups),
        "next_cursor": str(end) if end < len(groups) else None,
    }


def _amounts(row: SummaryRow) -> dict[str, Any]:
    """Figures of one bar or group. What only a part of its requests know is a figure of that part; how many, beside."""
    return {
        "request_count": row.request_count,
        "token_count": row.input_tokens + row.output_tokens,
        "energy_kwh": _dumped(thousandth(row.energy_wh, 3)),
        "carbon_kg": _dumped(thousandth(row.carbon_gco2e, 3)),
        "carbon_market_kg": _dumped(thousandth(row.carbon_market_gco2e, 3)),
        "carbon_known_count": row.carbon_known_count,
        "market_known_count": row.market_known_count,
    }


async def _entries(ledger: Ledger, query: SummaryQuery, cursor: str | None) -> dict[str, Any]:
    every = query.operation_id is None and query.tag is None and query.method is None
    limit = ROWS_PER_PAGE + 1 if every else _LOOKED_AT
    found = await ledger.periods.entries(
        query.log_id, query.since or _BEGINNING, query.until or _END, _place(cursor), limit
    )
    chosen = [entry for entry in found if _belongs(entry, query)]
    page = chosen[:ROWS_PER_PAGE]
    last = page[-1] if len(chosen) > ROWS_PER_PAGE else found[-1] if len(found) == limit else None
    return {
        "entries": tuple(map(_entry, page)),
        "next_cursor": None if last is None else f"{last.draft.occurred_at}/{last.seq}",
    }


def _belongs(entry: Settled, query: SummaryQuery) -> bool:
    draft = entry.draft
    return (
        query.operation_id in (None, draft.operation_id)
        and (query.tag is None or query.tag in draft.tags)
        and query.method in (None, draft.method_id)
    )


def _entry(entry: Settled) -> dict[str, Any]:
    draft = entry.draft
    return {
        "occurred_at": draft.occurred_at,
        "receipt_id": entry.receipt_id,
        "kind": draft.kind,
        "status": draft.status,
        "model": draft.model,
        "provider": draft.provider,
        "zone": draft.zone,
        "token_count": draft.usage.input_tokens + draft.usage.output_tokens,
        "energy_wh": _billionth(draft.energy_nwh),
        "carbon_gco2e": _billionth(draft.carbon_location_ng),
        "carbon_market_gco2e": _billionth(draft.carbon_market_ng),
    }


def _billionth(amount: Amount | None) -> dict[str, float | None] | None:
    if amount is None:
        return None
    low, high = (None if end is None else rounded(end / 1e9) for end in (amount.low, amount.high))
    return {"median": rounded(amount.median / 1e9), "low": low, "high": high}


def _dumped(figure: Figure | None) -> dict[str, float | None] | None:
    return None if figure is None else figure.model_dump()


def _number(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise _not_a_cursor(cursor)
    return int(cursor)


def _place(cursor: str | None) -> tuple[str, int] | None:
    if cursor is None:
        return None
    from wattproof.resources.ledger.times import check_instant

    moment, _, seq = cursor.partition("/")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 16):
        raise _not_a_cursor(cursor)
    check_instant("cursor", moment)
    return moment, int(seq)


def _not_a_cursor(cursor: str) -> InvalidInput:
    return InvalidInput("cursor", f"is {cursor[:60]!r}", "give next_cursor of the page before")
