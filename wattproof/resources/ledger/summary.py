"""Totals of a period, an operation or a tag, from rollups; the edges of a period from entries by index.

Sums of means come out of the database; intervals are computed here, at read, from the factor signatures, so that
uncertainty which requests share does not average out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import Row, total
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Summary, SummaryQuery, SummaryRow
from wattproof.resources.ledger.rollups import hours_from
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, MAX_TERMS, SUMS, select_sums
from wattproof.resources.ledger.times import Span, bucket, check_instant, spans

__all__ = ["GROUPS", "summarize", "total_of_operations"]

# What `group_by` accepts -> the column of the dimension.
GROUPS = {
    "provider": "provider",
    "model": "model",
    "zone": "zone",
    "method": "method_id",
    "tier": "tier",
    "energy_source": "energy_source",
    "temporal_match": "temporal_match",
    "usage_source": "usage_source",
    "location_evidence": "location_evidence",
    "status": "status",
    "workload": "workload",
}

_SUM_NAMES = ", ".join(SUMS)
_ADDED = ", ".join(f"SUM({name})" for name in SUMS)
_DIMENSION = f"SELECT {', '.join(DIMENSION_COLUMNS)} FROM dimension WHERE id = ?"  # noqa: S608
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 1, tzinfo=UTC)


class _Part(NamedTuple):
    """The sums of the entries that share a dimension: `dimension` by column, `sums` by name of SUMS."""

    dimension: Mapping[str, Any]
    sums: Mapping[str, float]


def summarize(connection: sqlite3.Connection, query: SummaryQuery) -> Summary:
    """Add up what `query` asks for.

    Raises:
        InvalidInput: `since`, `until` or `group_by` is not understood.
    """
    if query.group_by is not None and query.group_by not in GROUPS:
        raise InvalidInput("group_by", f"is {query.group_by!r}", f"give one of {', '.join(GROUPS)}")
    since = _BEGINNING if query.since is None else check_instant("since", query.since)
    until = _END if query.until is None else check_instant("until", query.until)
    if since > until:
        raise InvalidInput("until", f"is {query.until}, before since ({query.since})", "give a later instant")
    parts = _parts(connection, query, since, until)
    signatures = _signatures(connection, {part.dimension["signature_id"] for part in parts})
    groups: dict[str, list[_Part]] = {}
    if query.group_by is not None:
        for part in parts:
            groups.setdefault(part.dimension[GROUPS[query.group_by]], []).append(part)
    rows = [_row(key, members, signatures) for key, members in groups.items()]
    whole = _row(None, parts, signatures)
    return Summary(
        query=query,
        total=whole,
        groups=tuple(sorted(rows, key=_largest_first)),
        unsettled_count=_unsettled(connection, query, since, until),
        reasons=_reasons(whole),
    )


def total_of_operations(connection: sqlite3.Connection, log_id: str, operation_ids: Sequence[str]) -> SummaryRow:
    """Totals of everything in these operations together, from their rollups."""
    sources = [_rolled("operation_rollup", "operation_id", log_id, each) for each in operation_ids]
    parts = _gathered(connection, sources, None)
    return _row(None, parts, _signatures(connection, {part.dimension["signature_id"] for part in parts}))


def _largest_first(row: SummaryRow) -> tuple[float, str]:
    return (-row.energy_wh[0] if row.energy_wh else 0.0, row.key or "")


def _parts(connection: sqlite3.Connection, query: SummaryQuery, since: datetime, until: datetime) -> list[_Part]:
    return _gathered(connection, _sources(connection, query, since, until), query.method)


def _gathered(
    connection: sqlite3.Connection, sources: Iterable[tuple[str, tuple[Any, ...]]], method: str | None
) -> list[_Part]:
    """The sums by dimension over all `sources`, of one method where it is named."""
    sums_by_dim: dict[int, list[float]] = {}
    for sql, values in sources:
        for dim, *sums in connection.execute(sql, values):
            held = sums_by_dim.get(dim)
            sums_by_dim[dim] = sums if held is None else [a + b for a, b in zip(held, sums, strict=True)]
    parts: list[_Part] = []
    for dim, sums in sorted(sums_by_dim.items()):
        row = connection.execute(_DIMENSION, (dim,)).fetchone()
        dimension: dict[str, Any] = dict(zip(DIMENSION_COLUMNS, row, strict=True))
        if method is None or dimension["method_id"] == method:
            parts.append(_Part(dimension, dict(zip(SUMS, sums, strict=True))))
    return parts


def _sources(
    connection: sqlite3.Connection, query: SummaryQuery, since: datetime, until: datetime
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statements whose rows (dim, *sums) add up to the answer."""
    whole_time = query.since is None and query.until is None
    if query.operation_id is None and query.tag is None:
        for span in spans(since, until):
            yield from _of_span(query.log_id, span, hours_from(connection))
    elif whole_time and query.tag is None:
        yield _rolled("operation_rollup", "operation_id", query.log_id, query.operation_id)
    elif whole_time and query.operation_id is None and _tag_is_rolled(connection, query):
        yield _rolled("tag_rollup", "tag", query.log_id, query.tag)
    else:
        yield _filtered(query, since, until)


def _rolled(table: str, column: str, log_id: str, value: str | None) -> tuple[str, tuple[Any, ...]]:
    return f"SELECT dim, {_SUM_NAMES} FROM {table} WHERE log_id = ? AND {column} = ?", (log_id, value)  # noqa: S608


def _of_span(log_id: str, span: Span, first_hour: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    first, end = bucket(span.level, span.first), bucket(span.level, span.end)
    if span.level == "entry" or (span.level == "hour" and first < first_hour):
        # Hourly sums are kept for a while only; before that the entries are read.
        source = "entry WHERE log_id = ? AND occurred_at >= ? AND occurred_at < ?"
        yield select_sums(("dim",), source), (log_id, bucket("entry", span.first), bucket("entry", span.end))
        return
    yield (
        f"SELECT dim, {_ADDED} FROM rollup WHERE log_id = ? AND level = ? AND bucket >= ? AND bucket < ? GROUP BY dim",  # noqa: S608
        (log_id, span.level, first, end),
    )


def _tag_is_rolled(connection: sqlite3.Connection, query: SummaryQuery) -> bool:
    sql = "SELECT 1 FROM tag_rollup WHERE log_id = ? AND tag = ? LIMIT 1"
    return connection.execute(sql, (query.log_id, query.tag)).fetchone() is not None


def _filtered(query: SummaryQuery, since: datetime, until: datetime) -> tuple[str, tuple[Any, ...]]:
    where = "entry WHERE log_id = ? AND occurred_at >= ? AND occurred_at < ?"
    values: tuple[Any, ...] = (query.log_id, bucket("entry", since), bucket("entry", until))
    if query.operation_id is not None:
        where += " AND operation_id = ?"
        values += (query.operation_id,)
    if query.tag is not None:
        where += " AND seq IN (SELECT seq FROM entry_tag WHERE log_id = ? AND tag = ?)"
        values += (query.log_id, query.tag)
    return select_sums(("dim",), where), values


def _unsettled(connection: sqlite3.Connection, query: SummaryQuery, since: datetime, until: datetime) -> int:
    # An attempt knows its operation but neither tags nor method.
    sql = (
        "SELECT COUNT(DISTINCT a.request_id) FROM attempt a WHERE a.log_id = ? AND a.state IN ('open', 'abandoned') "
        "AND a.opened_at >= ? AND a.opened_at < ? AND (? IS NULL OR a.operation_id = ?) "
        "AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.log_id = a.log_id AND e.request_id = a.request_id)"
    )
    period = (bucket("entry", since), bucket("entry", until))
    return connection.execute(sql, (query.log_id, *period, query.operation_id, query.operation_id)).fetchone()[0]


def _signatures(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Any]:
    sql = "SELECT json FROM factor_signature WHERE id = ?"
    return {i: json.loads(connection.execute(sql, (i,)).fetchone()[0]) for i in ids}


def _row(key: str | None, parts: Sequence[_Part], signatures: Mapping[int, Any]) -> SummaryRow:
    sums = {name: sum(part.sums[name] for part in parts) for name in SUMS}
    counted = {name: int(sums[name]) for name in SUMS}
    return SummaryRow(
        key=key,
        request_count=counted["request_count"],
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
        cached_input_tokens=counted["cached_input_tokens"],
        reasoning_tokens=counted["reasoning_tokens"],
        energy_wh=_quantity(parts, signatures, "energy", "e"),
        carbon_gco2e=_quantity(parts, signatures, "carbon", "c"),
        carbon_market_gco2e=_known(sums, "market_known", "carbon_market_ng", 1e-9),
        water_ml=_known(sums, "water_known", "water_nl", 1e-6),
        adpe_kgsbeq=_known(sums, "adpe_known", "adpe_pgsbeq", 1e-15),
        energy_known_count=counted["energy_known"],
        carbon_known_count=counted["carbon_known"],
        market_known_count=counted["market_known"],
        water_known_count=counted["water_known"],
        adpe_known_count=counted["adpe_known"],
        renewable_ratio_bps=_renewable_ratio_bps(sums),
        cost_micros_by_currency=_costs(parts),
        counts=_counts(parts),
    )


def _quantity(
    parts: Sequence[_Part], signatures: Mapping[int, Any], kind: str, prefix: str
) -> tuple[float, float | None, float | None] | None:
    """Median and 90 % interval of the total in Wh or g, over the entries that know it.

    No interval when any of them has none: a width would then be invented.
    """
    # An adjustment counts no request and may stand alone in its dimension.
    known = [part for part in parts if part.sums[f"{kind}_known"] or _adds(part, prefix)]
    if not known:
        return None
    rows: list[Row] = []
    for part in known:
        terms = signatures[part.dimension["signature_id"]]["terms"]
        rows.append(
            Row(
                [part.sums[f"{prefix}{k}"] * 1e-9 for k in range(len(terms))],
                [tuple((name, sigma) for name, sigma in term[kind]) for term in terms],
                part.sums[f"{kind}_own_variance"] * 1e-18,
            )
        )
    quantity = total(rows)
    if not all(signatures[part.dimension["signature_id"]]["intervals"][kind] for part in known):
        return quantity.median, None, None
    return quantity.median, quantity.low, quantity.high


def _adds(part: _Part, prefix: str) -> bool:
    return any(part.sums[f"{prefix}{k}"] for k in range(MAX_TERMS))


def _known(sums: Mapping[str, float], count: str, name: str, unit: float) -> float | None:
    return sums[name] * unit if sums[count] or sums[name] else None


def _renewable_ratio_bps(sums: Mapping[str, float]) -> int | None:
    """The energy-weighted ratio; None when any part is unknown."""
    whole = sums["renewable_known"] == sums["energy_known"] == sums["request_count"]
    return round(sums["renewable_weight"] / sums["energy_nwh"]) if whole and sums["energy_nwh"] else None


def _costs(parts: Sequence[_Part]) -> dict[str, int]:
    costs: dict[str, int] = {}
    for part in parts:
        if part.sums["cost_known"] or part.sums["cost_micros"]:
            currency = part.dimension["currency"]
            costs[currency] = costs.get(currency, 0) + int(part.sums["cost_micros"])
    return costs


def _counts(parts: Sequence[_Part]) -> dict[str, dict[str, int]]:
    """How many requests have each value, by everything that can be grouped by."""
    counts: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
    for group, column in GROUPS.items():
        held = counts[group]
        for part in parts:
            if count := int(part.sums["request_count"]):
                value = part.dimension[column]
                held[value] = held.get(value, 0) + count
    return counts


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
