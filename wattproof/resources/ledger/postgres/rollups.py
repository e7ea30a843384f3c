"""Adding the entries of a batch to the totals of their log: one statement for each kind of total."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wattproof.resources.ledger import rollups
from wattproof.resources.ledger.postgres.connection import Session
from wattproof.resources.ledger.sums import LEVELS, upsert_sums
from wattproof.resources.ledger.times import bucket, check_instant

__all__ = ["PostgresRollups"]

_WIDTHS = ", ".join(f"('{level}', {width})" for level, width in LEVELS.items())
_LEVELS = f"(VALUES {_WIDTHS}) AS l (level, width)"
_NEW = "entry WHERE log_id = ? AND seq >= ?"
_HOURS_FROM = "SELECT value FROM meta WHERE log_id = ? AND name = 'hours_from'"
_HOUR_IS_KEPT = rollups.hour_is_kept("occurred_at", f"COALESCE(({_HOURS_FROM}), '')")
_ADD_BUCKETS = upsert_sums(
    "rollup",
    "log_id, level, bucket, dim",
    ("log_id", "level", "substr(occurred_at, 1, width)", "dim"),
    f"{_LEVELS} CROSS JOIN {_NEW} AND (level <> 'hour' OR {_HOUR_IS_KEPT})",
)
_ADD_OPERATIONS = upsert_sums(
    "operation_rollup",
    "log_id, operation_id, dim",
    ("log_id", "operation_id", "dim"),
    f"{_NEW} AND operation_id IS NOT NULL",
)
_ADD_TAGS = upsert_sums(
    "tag_rollup",
    "log_id, tag, dim",
    ("log_id", "tag", "dim"),
    "entry_tag JOIN entry USING (log_id, seq) WHERE log_id = ? AND seq >= ? AND tag = ANY(?)",
)
_ROLLED = "SELECT DISTINCT tag FROM tag_rollup WHERE log_id = ? AND tag = ANY(?)"
_COUNT_TAGS = "SELECT COUNT(DISTINCT tag) FROM tag_rollup WHERE log_id = ?"
_SET_HOURS_FROM = (
    "INSERT INTO meta (log_id, name, value) VALUES (?, 'hours_from', ?) "
    "ON CONFLICT (log_id, name) DO UPDATE SET value = excluded.value"
)


class PostgresRollups:
    """Adds entries to the rollups of their log; remembers on which day it last dropped the old hours of which."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pruned_on: dict[str, str] = {}

    def forget(self) -> None:
        """Drop what is remembered; called after a rollback."""
        self._pruned_on.clear()

    def add(
        self, log_id: str, first_seq: int, now: str, tagged: Sequence[tuple[int, str]], *, in_operations: bool
    ) -> None:
        """Add the entries of `log_id` from `first_seq` on, at `now`; `tagged` lists their tags as (seq, tag)."""
        if self._pruned_on.get(log_id) != now[:10]:
            self._prune(log_id, now)
        self._session.execute(_ADD_BUCKETS, (log_id, first_seq, log_id))
        if in_operations:
            self._session.execute(_ADD_OPERATIONS, (log_id, first_seq))
        rolled = self._rolled(log_id, (tag for _, tag in tagged))
        if rolled:
            self._session.execute(_ADD_TAGS, (log_id, first_seq, rolled))

    def _rolled(self, log_id: str, given: Iterable[str]) -> list[str]:
        """Those of the tags that have rollups, or may have: past the cap a new tag is summed from entries."""
        tags = list(dict.fromkeys(given))
        if not tags:
            return []
        known = {tag for (tag,) in self._session.execute(_ROLLED, (log_id, tags))}
        fresh = [tag for tag in tags if tag not in known]
        if fresh:
            count = self._session.execute(_COUNT_TAGS, (log_id,)).fetchone()
            room = rollups.MAX_ROLLED_TAGS - (count[0] if count else 0)
            known.update(fresh[: max(0, room)])
        return [tag for tag in tags if tag in known]

    def _prune(self, log_id: str, now: str) -> None:
        """Drop the hourly sums of days long past; once a day."""
        row = self._session.execute(_HOURS_FROM, (log_id,)).fetchone()
        cutoff = bucket("day", check_instant("now", now) - rollups.HOURS_KEPT) + "T00"
        if cutoff > ("" if row is None else row[0]):
            self._session.execute(f"DELETE FROM rollup WHERE log_id = ? AND {rollups.OLD_HOURS}", (log_id, cutoff))  # noqa: S608
            self._session.execute(_SET_HOURS_FROM, (log_id, cutoff))
        self._pruned_on[log_id] = now[:10]
