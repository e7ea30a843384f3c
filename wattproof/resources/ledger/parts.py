"""The sums behind a total: rollups for what is whole, entries by index for the edges, by period and dimension.

However many periods are asked for, each level of the rollups is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import SummaryQuery
from wattproof.resources.ledger.rollups import has_hours, hours_from
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, SUMS, select_sums
from wattproof.resources.ledger.times import Level, bucket, spans

__all__ = ["BEGINNING", "END", "Interval", "Part", "filters", "parts_of", "parts_of_operations"]

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 1, tzinfo=UTC)

Interval = tuple[datetime, datetime]
"""From, included, to, excluded."""

_Statement = tuple[str, Sequence[Any]]

_SUM_NAMES = ", ".join(SUMS)
_ADDED = ", ".join(f"SUM({name})" for name in SUMS)
_DIMENSION = f"SELECT {', '.join(DIMENSION_COLUMNS)} FROM dimension WHERE id = ?"  # noqa: S608
# Which columns of a statement come before its sums: the place of the period, and the dimension.
_KEYS = ("k", "dim")


class Part(NamedTuple):
    """The sums of the entries that share a dimension: `dimension` by column, `sums` by name of SUMS."""

    dimension: Mapping[str, Any]
    sums: Mapping[str, float]


def parts_of(connection: sqlite3.Connection, query: SummaryQuery, periods: Sequence[Interval]) -> list[list[Part]]:
    """The parts of each of `periods`, of what `query` selects beside its time."""
    return _gathered(connection, _statements(connection, query, periods), len(periods), query.method)


def parts_of_operations(connection: sqlite3.Connection, log_id: str, operation_ids: Sequence[str]) -> list[Part]:
    """The parts of everything in these operations together, from their rollups."""
    statements = [_rolled("operation_rollup", "operation_id", log_id, each) for each in operation_ids]
    return _gathered(connection, statements, 1, None)[0]


def filters(query: SummaryQuery) -> tuple[str, list[Any]]:
    """The conditions on entries for the operation and the tag of `query`, each after an AND, and their values."""
    sql, values = "", list[Any]()
    if query.operation_id is not None:
        sql += " AND operation_id = ?"
        values.append(query.operation_id)
    if query.tag is not None:
        sql += " AND seq IN (SELECT seq FROM entry_tag WHERE log_id = ? AND tag = ?)"
        values += [query.log_id, query.tag]
    return sql, values


def _gathered(
    connection: sqlite3.Connection, statements: Iterable[_Statement], count: int, method: str | None
) -> list[list[Part]]:
    """The rows (k, dim, *sums) of `statements` added up; of one method where it is named."""
    held: list[dict[int, list[float]]] = [{} for _ in range(count)]
    for sql, values in statements:
        for k, dim, *sums in connection.execute(sql, values):
            of_period = held[int(k)]
            before = of_period.get(dim)
            of_period[dim] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
    dimensions = {dim: _dimension(connection, dim) for dim in sorted({dim for each in held for dim in each})}
    return [
        [
            Part(dimensions[dim], dict(zip(SUMS, sums, strict=True)))
            for dim, sums in sorted(each.items())
            if method is None or dimensions[dim]["method_id"] == method
        ]
        for each in held
    ]


def _dimension(connection: sqlite3.Connection, dim: int) -> dict[str, Any]:
    return dict(zip(DIMENSION_COLUMNS, connection.execute(_DIMENSION, (dim,)).fetchone(), strict=True))


def _statements(
    connection: sqlite3.Connection, query: SummaryQuery, periods: Sequence[Interval]
) -> Iterator[_Statement]:
    whole_time = list(periods) == [(BEGINNING, END)]
    if query.operation_id is None and query.tag is None:
        yield from _of_levels(connection, query.log_id, periods)
    elif whole_time and query.tag is None:
        yield _rolled("operation_rollup", "operation_id", query.log_id, query.operation_id)
    elif whole_time and query.operation_id is None and _tag_is_rolled(connection, query):
        yield _rolled("tag_rollup", "tag", query.log_id, query.tag)
    else:
        sql, values = filters(query)
        instants = [(k, bucket("entry", since), bucket("entry", until)) for k, (since, until) in enumerate(periods)]
        yield _of_entries(query.log_id, instants, sql, values)


def _rolled(table: str, column: str, log_id: str, value: str | None) -> _Statement:
    return f"SELECT 0, dim, {_SUM_NAMES} FROM {table} WHERE log_id = ? AND {column} = ?", (log_id, value)  # noqa: S608


def _tag_is_rolled(connection: sqlite3.Connection, query: SummaryQuery) -> bool:
    sql = "SELECT 1 FROM tag_rollup WHERE log_id = ? AND tag = ? LIMIT 1"
    return connection.execute(sql, (query.log_id, query.tag)).fetchone() is not None


def _of_levels(connection: sqlite3.Connection, log_id: str, periods: Sequence[Interval]) -> Iterator[_Statement]:
    first_hour = hours_from(connection)
    by_level: dict[Level, list[tuple[int, str, str]]] = {}
    for k, (since, until) in enumerate(periods):
        for span in spans(since, until):
            level = span.level
            if level == "hour" and not has_hours(span.first, span.end, first_hour):
                level = "entry"
            by_level.setdefault(level, []).append((k, bucket(level, span.first), bucket(level, span.end)))
    for level, of_level in by_level.items():
        if level == "entry":
            yield _of_entries(log_id, of_level)
        else:
            spanned, values = _spans(of_level)
            source = "span CROSS JOIN rollup WHERE log_id = ? AND level = ? AND bucket >= starts AND bucket < ends"
            sql = f"{spanned} SELECT k, dim, {_ADDED} FROM {source} GROUP BY k, dim"  # noqa: S608
            yield sql, (*values, log_id, level)


def _of_entries(
    log_id: str, instants: Sequence[tuple[int, str, str]], condition: str = "", values: Sequence[Any] = ()
) -> _Statement:
    spanned, bounds = _spans(instants)
    source = f"span CROSS JOIN entry WHERE log_id = ? AND occurred_at >= starts AND occurred_at < ends{condition}"
    return f"{spanned} {select_sums(_KEYS, source)}", (*bounds, log_id, *values)


def _spans(rows: Sequence[tuple[int, str, str]]) -> tuple[str, list[Any]]:
    """A table `span` of (place of the period, first bucket, end), written before a SELECT."""
    places = ", ".join(["(?, ?, ?)"] * len(rows))
    return f"WITH span (k, starts, ends) AS (VALUES {places})", [value for row in rows for value in row]
