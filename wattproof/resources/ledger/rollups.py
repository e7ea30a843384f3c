"""Keeping the rollups in step with the log, in the transaction that appends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.sums import LEVELS, ROLLUPS, SUMS, rollup_table, select_sums, upsert_sums
from wattproof.resources.ledger.times import bucket, check_instant

__all__ = [
    "HOURS_KEPT",
    "MAX_ROLLED_TAGS",
    "OLD_HOURS",
    "Rollups",
    "bucket_keys",
    "has_hours",
    "hour_is_kept",
    "hours_from",
    "rebuild",
]

HOURS_KEPT = timedelta(days=60)
MAX_ROLLED_TAGS = 1000

# The days on which no month ends or begins in any time zone: their hours are dropped when they are old.
_MID_MONTH = "BETWEEN '02' AND '27'"
OLD_HOURS = f"level = 'hour' AND bucket < ? AND substr(bucket, 9, 2) {_MID_MONTH}"
"""Of the rollup: the hours to drop, by the first one that is kept."""

# The unary + keeps the planner from the indexes on time and operation: the new entries are the end of the primary key.
_NEW = "entry WHERE log_id = ? AND seq >= ?"


def bucket_keys(level: str) -> tuple[str, ...]:
    """The key expressions of one level of the rollup, over entries."""
    return ("log_id", f"'{level}'", f"substr(occurred_at, 1, {LEVELS[level]})", "dim")


def hours_from(connection: sqlite3.Connection) -> str:
    """The first hour from which on every hour has sums; before it only those around the turns of months have."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'hours_from'").fetchone()
    return "" if row is None else row[0]


def hour_is_kept(column: str, first: str = "?") -> str:
    """The condition that the hour of a time has sums, where `first` gives `hours_from`."""
    return f"({column} >= {first} OR substr({column}, 9, 2) NOT {_MID_MONTH})"


def has_hours(start: datetime, end: datetime, first_hour: str) -> bool:
    """Whether every hour of [start, end) has sums: a short span, whose edges are hours."""
    day = start
    while day < end:
        if 2 <= day.day <= 27 and bucket("hour", day) < first_hour:
            return False
        midnight = day.replace(hour=0)
        if end - midnight <= timedelta(days=1):
            return True  # the day after the last of the calendar cannot be counted to
        day = midnight + timedelta(days=1)
    return True


def rebuild(connection: sqlite3.Connection) -> None:
    """Make every rollup again from the entries, with the columns that rollups have now; within a transaction.

    The hours that were dropped stay dropped, and the tags that have rollups stay those.
    """
    tags = connection.execute("SELECT DISTINCT log_id, tag FROM tag_rollup").fetchall()
    for table in ROLLUPS:
        connection.execute(f"DROP TABLE {table}")
        connection.execute(rollup_table(table))
    for level in LEVELS:
        first = hours_from(connection) if level == "hour" else ""
        _refill(connection, "rollup", bucket_keys(level), f"entry WHERE {hour_is_kept('occurred_at')}", first)
    of_operations = "entry WHERE operation_id IS NOT NULL"
    _refill(connection, "operation_rollup", ("log_id", "operation_id", "dim"), of_operations)
    tagged = "entry_tag JOIN entry USING (log_id, seq) WHERE log_id = ? AND tag = ?"
    for log_id, tag in tags:
        _refill(connection, "tag_rollup", ("log_id", "tag", "dim"), tagged, log_id, tag)


def _refill(connection: sqlite3.Connection, table: str, keys: Sequence[str], source: str, *values: str) -> None:
    columns = f"{ROLLUPS[table]}, {', '.join(SUMS)}"
    connection.execute(f"INSERT INTO {table} ({columns}) {select_sums(keys, source)}", values)


_LEVELS = " UNION ALL ".join(f"SELECT '{level}' AS level, {width} AS width" for level, width in LEVELS.items())
_BUCKET_KEYS = ("log_id", "level", "substr(occurred_at, 1, width)", "dim")
_NEW_IN_LEVELS = f"({_LEVELS}) CROSS JOIN {_NEW} AND (level <> 'hour' OR {hour_is_kept('+occurred_at')})"
_ADD_BUCKETS = upsert_sums("rollup", "log_id, level, bucket, dim", _BUCKET_KEYS, _NEW_IN_LEVELS)
# One entry meets each bucket once: nothing to group.
_ADD_TO_BUCKETS = upsert_sums("rollup", "log_id, level, bucket, dim", _BUCKET_KEYS, _NEW_IN_LEVELS, of_one=True)
_ADD_OPERATIONS = upsert_sums(
    "operation_rollup",
    "log_id, operation_id, dim",
    ("log_id", "operation_id", "dim"),
    f"{_NEW} AND +operation_id IS NOT NULL",
)
_ADD_TAG = upsert_sums("tag_rollup", "log_id, tag, dim", ("log_id", "?", "dim"), "entry WHERE log_id = ? AND seq = ?")
_COUNT_TAGS = "SELECT COUNT(DISTINCT tag) FROM tag_rollup WHERE log_id = ?"


class Rollups:
    """Adds entries to the rollups; remembers which day it last dropped old hours on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._pruned_on = ""
        self._hours_from = ""

    def forget(self) -> None:
        """Drop what is remembered; called after a rollback, and when another process has written."""
        self._pruned_on = ""

    def add(
        self, log_id: str, first_seq: int, count: int, now: str, tagged: Sequence[tuple[int, str]], in_operations: bool
    ) -> None:
        """Add the `count` entries of `log_id` from `first_seq` on, at `now` (RFC 3339 UTC).

        `tagged` lists their tags as (seq, tag); `in_operations` says whether any belongs to an operation.
        """
        if now[:10] != self._pruned_on:
            self._prune(now)
        added = _ADD_TO_BUCKETS if count == 1 else _ADD_BUCKETS
        self._connection.execute(added, (log_id, first_seq, self._hours_from))
        if in_operations:
            self._connection.execute(_ADD_OPERATIONS, (log_id, first_seq))
        for seq, tag in tagged:
            if self._is_rolled(log_id, tag):
                self._connection.execute(_ADD_TAG, (tag, log_id, seq))

    def _is_rolled(self, log_id: str, tag: str) -> bool:
        """Whether the tag has rollups, or may have: past the cap a new tag is summed from entries when asked for."""
        found = self._connection.execute("SELECT 1 FROM tag_rollup WHERE log_id = ? AND tag = ? LIMIT 1", (log_id, tag))
        if found.fetchone() is not None:
            return True
        return self._connection.execute(_COUNT_TAGS, (log_id,)).fetchone()[0] < MAX_ROLLED_TAGS

    def _prune(self, now: str) -> None:
        """Drop the hourly sums of days long past; once a day."""
        cutoff = bucket("day", check_instant("now", now) - HOURS_KEPT) + "T00"
        if cutoff > hours_from(self._connection):
            self._connection.execute(f"DELETE FROM rollup WHERE {OLD_HOURS}", (cutoff,))  # noqa: S608
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('hours_from', ?)", (cutoff,))
        self._pruned_on, self._hours_from = now[:10], hours_from(self._connection)
