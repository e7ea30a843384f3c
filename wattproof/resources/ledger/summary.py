"""What a question about a period, an operation or a tag is answered with: totals, groups, and a row per day or hour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.parts import BEGINNING, END, Interval, Part, filters, parts_of, parts_of_operations
from wattproof.resources.ledger.periods import closed_through
from wattproof.resources.ledger.records import Adjusted, Summary, SummaryQuery, SummaryRow
from wattproof.resources.ledger.times import bucket, check_instant
from wattproof.resources.ledger.totals import GROUPS, row_of, signatures_of

__all__ = ["GROUPS", "extent", "summarize", "timeline", "total_of_operations"]

_LONGEST_TIMELINE = 1000
# Not about a key, nor about other entries together.
_REQUESTS = "kind NOT IN ('key', 'operation')"


def summarize(connection: sqlite3.Connection, query: SummaryQuery) -> Summary:
    """Add up what `query` asks for.

    Raises:
        InvalidInput: `since`, `until` or `group_by` is not understood.
    """
    if query.group_by is not None and query.group_by not in GROUPS:
        raise InvalidInput("group_by", f"is {query.group_by!r}", f"give one of {', '.join(GROUPS)}")
    period = _period(query)
    (parts,) = parts_of(connection, query, [period])
    signatures = signatures_of(connection, parts)
    groups: dict[str, list[Part]] = {}
    if query.group_by is not None:
        for part in parts:
            groups.setdefault(part.dimension[GROUPS[query.group_by]], []).append(part)
    rows = [row_of(key, members, signatures) for key, members in groups.items()]
    whole = row_of(None, parts, signatures)
    return Summary(
        query=query,
        total=whole,
        groups=tuple(sorted(rows, key=_largest_first)),
        unsettled_count=_unsettled(connection, query, period),
        adjusted=_adjusted(connection, query, period),
        closed_through=closed_through(connection, query.log_id),
        reasons=_reasons(whole),
    )


def timeline(connection: sqlite3.Connection, query: SummaryQuery, edges: Sequence[str]) -> tuple[SummaryRow, ...]:
    """The totals between each two neighbours of `edges` (RFC 3339 UTC, ascending), keyed by the earlier one.

    The `since`, `until` and `group_by` of `query` are not read. Rows without entries are there too.

    Raises:
        InvalidInput: an edge is not understood, they do not ascend, or they are more than 1001.
    """
    if not 2 <= len(edges) <= _LONGEST_TIMELINE + 1:
        raise InvalidInput("edges", f"are {len(edges)}", f"give 2 to {_LONGEST_TIMELINE + 1}")
    periods = list(pairwise(check_instant("edges", edge) for edge in edges))
    if any(since >= until for since, until in periods):
        raise InvalidInput("edges", "do not ascend", "give each instant once, the earliest first")
    by_period = parts_of(connection, query, periods)
    signatures = signatures_of(connection, (part for parts in by_period for part in parts))
    return tuple(row_of(edge, parts, signatures) for edge, parts in zip(edges, by_period, strict=False))


def extent(connection: sqlite3.Connection, query: SummaryQuery) -> tuple[str, str] | None:
    """When the first and the last entry occurred that `query` selects; None where there is none."""
    condition, values = filters(query)
    since, until = _period(query)
    source = f"entry WHERE log_id = ? AND occurred_at >= ? AND occurred_at < ? AND {_REQUESTS}{condition}"
    bounds = (query.log_id, bucket("entry", since), bucket("entry", until), *values)
    ends: list[str] = []
    for order in ("ASC", "DESC"):
        sql = f"SELECT occurred_at FROM {source} ORDER BY occurred_at {order} LIMIT 1"  # noqa: S608
        row = connection.execute(sql, bounds).fetchone()
        if row is None:
            return None
        ends.append(row[0])
    return ends[0], ends[1]


def total_of_operations(connection: sqlite3.Connection, log_id: str, operation_ids: Sequence[str]) -> SummaryRow:
    """Totals of everything in these operations together."""
    parts = parts_of_operations(connection, log_id, operation_ids)
    return row_of(None, parts, signatures_of(connection, parts))


def _period(query: SummaryQuery) -> Interval:
    since = BEGINNING if query.since is None else check_instant("since", query.since)
    until = END if query.until is None else check_instant("until", query.until)
    if since > until:
        raise InvalidInput("until", f"is {query.until}, before since ({query.since})", "give a later instant")
    return since, until


def _largest_first(row: SummaryRow) -> tuple[float, str]:
    return (-row.energy_wh[0] if row.energy_wh else 0.0, row.key or "")


def _unsettled(connection: sqlite3.Connection, query: SummaryQuery, period: Interval) -> int:
    # An attempt knows its operation but neither tags nor method.
    sql = (
        "SELECT COUNT(DISTINCT a.request_id) FROM attempt a WHERE a.log_id = ? AND a.state IN ('open', 'abandoned') "
        "AND a.opened_at >= ? AND a.opened_at < ? AND (? IS NULL OR a.operation_id = ?) "
        "AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.log_id = a.log_id AND e.request_id = a.request_id)"
    )
    values = (query.log_id, *_instants(period), query.operation_id, query.operation_id)
    return connection.execute(sql, values).fetchone()[0]


def _adjusted(connection: sqlite3.Connection, query: SummaryQuery, period: Interval) -> Adjusted:
    condition, values = filters(query)
    if query.method is not None:
        condition, values = f"{condition} AND method_id = ?", [*values, query.method]
    sql = (
        "SELECT COUNT(*), COALESCE(SUM(input_tokens + output_tokens), 0), COALESCE(SUM(energy_nwh), 0), "  # noqa: S608
        "COALESCE(SUM(carbon_location_ng), 0) FROM entry WHERE log_id = ? AND kind = 'adjustment' "
        f"AND occurred_at >= ? AND occurred_at < ?{condition}"
    )
    row = connection.execute(sql, (query.log_id, *_instants(period), *values)).fetchone()
    count, tokens, energy_nwh, carbon_ng = (int(value) for value in row)
    return Adjusted(count, tokens, energy_nwh, carbon_ng)


def _instants(period: Interval) -> tuple[str, str]:
    since, until = period
    return bucket("entry", since), bucket("entry", until)


def _reasons(row: SummaryRow) -> dict[str, str]:
    if row.request_count == 0:
        return {"total": "no entries in this period"}
    reasons: dict[str, str] = {}
    for name, known in (
        ("energy_wh", row.energy_known_count),
        ("carbon_gco2e", row.carbon_known_count),
        ("carbon_market_gco2e", row.market_known_count),
        ("water_ml", row.water_known_count),
        ("adpe_kgsbeq", row.adpe_known_count),
    ):
        if known < row.request_count:
            reasons[name] = f"known for {known} of {row.request_count} requests"
    if row.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "unknown for a part of the energy"
    return reasons
