"""Check of dimensions, tags and rollups against the entries they follow from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Finding
from wattproof.resources.ledger.rollups import bucket_keys, hour_is_kept, hours_from
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, LEVELS, SUMS, select_sums

__all__ = ["check"]

_SUM_NAMES = ", ".join(SUMS)
# Sums of REAL columns depend on the order of addition.
_RELATIVE = 1e-9

# `entry_tag` knows the places, `entry` the rest; both have log_id and seq.
_TAGGED = (
    "entry_tag JOIN entry USING (log_id, seq) WHERE log_id = ? AND tag IN (SELECT tag FROM tag_rollup WHERE log_id = ?)"
)


def check(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    """Recompute the totals of one log and compare them with the stored ones."""
    for seq in _wrong_dimensions(connection, log_id):
        yield Finding(log_id, f"entry {seq}", "its dimension says otherwise than its own columns")
    for seq, tag in _wrong_tags(connection, log_id):
        yield Finding(log_id, f"entry {seq}", f"the tag {tag!r} is in one of `entry` and `entry_tag` only")
    for level in LEVELS:
        first = hours_from(connection) if level == "hour" else ""
        source = f"entry WHERE log_id = ? AND {hour_is_kept('occurred_at')}"
        entries = connection.execute(select_sums(bucket_keys(level), source), (log_id, first))
        stored = f"SELECT log_id, level, bucket, dim, {_SUM_NAMES} FROM rollup WHERE log_id = ? AND level = ?"  # noqa: S608
        yield from _compare(connection, "rollup", 4, entries, connection.execute(stored, (log_id, level)))
    operations = "entry WHERE log_id = ? AND operation_id IS NOT NULL"
    entries = connection.execute(select_sums(("log_id", "operation_id", "dim"), operations), (log_id,))
    stored = f"SELECT log_id, operation_id, dim, {_SUM_NAMES} FROM operation_rollup WHERE log_id = ?"  # noqa: S608
    yield from _compare(connection, "operation_rollup", 3, entries, connection.execute(stored, (log_id,)))
    entries = connection.execute(select_sums(("log_id", "tag", "dim"), _TAGGED), (log_id, log_id))
    stored = f"SELECT log_id, tag, dim, {_SUM_NAMES} FROM tag_rollup WHERE log_id = ?"  # noqa: S608
    yield from _compare(connection, "tag_rollup", 3, entries, connection.execute(stored, (log_id,)))


def _compare(
    connection: sqlite3.Connection, table: str, key_width: int, entries: sqlite3.Cursor, stored: sqlite3.Cursor
) -> Iterator[Finding]:
    expected = _by_key(entries, key_width)
    held = _by_key(stored, key_width)
    for key in sorted(expected.keys() | held.keys()):
        where = f"{table} {' '.join(str(part) for part in key[1:-1])} of {_dimension(connection, key[-1])}"
        if key not in held:
            yield Finding(key[0], where, "missing, though there are entries")
        elif key not in expected:
            yield Finding(key[0], where, "exists, though there are no entries")
        else:
            for name, sum_held, sum_expected in zip(SUMS, held[key], expected[key], strict=True):
                if not _same(sum_held, sum_expected):
                    yield Finding(key[0], where, f"{name} is {sum_held}; the entries add up to {sum_expected}")


def _by_key(rows: sqlite3.Cursor, key_width: int) -> Mapping[tuple[Any, ...], Sequence[float]]:
    return {row[:key_width]: row[key_width:] for row in rows}


def _same(held: float, expected: float) -> bool:
    if isinstance(held, int) and isinstance(expected, int):
        return held == expected
    return math.isclose(held, expected, rel_tol=_RELATIVE, abs_tol=_RELATIVE)


def _dimension(connection: sqlite3.Connection, dim: int) -> str:
    row = connection.execute("SELECT provider, model, zone, method_id FROM dimension WHERE id = ?", (dim,)).fetchone()
    return f"dimension {dim}, which is missing" if row is None else "/".join(row)


def _wrong_dimensions(connection: sqlite3.Connection, log_id: str) -> Iterator[int]:
    differs = " OR ".join(f"d.{name} <> COALESCE(e.{name}, '')" for name in DIMENSION_COLUMNS)
    sql = (
        "SELECT e.seq FROM entry e LEFT JOIN dimension d ON d.id = e.dim "  # noqa: S608
        f"WHERE e.log_id = ? AND (d.id IS NULL OR {differs}) ORDER BY 1"
    )
    for (seq,) in connection.execute(sql, (log_id,)):
        yield seq


def _wrong_tags(connection: sqlite3.Connection, log_id: str) -> Iterator[tuple[int, str]]:
    stated = "SELECT e.seq, t.value FROM entry e, json_each(e.tags) t WHERE e.log_id = ?"
    indexed = "SELECT seq, tag FROM entry_tag WHERE log_id = ?"
    for left, right in ((stated, indexed), (indexed, stated)):
        yield from connection.execute(f"{left} EXCEPT {right} ORDER BY 1, 2", (log_id, log_id))
