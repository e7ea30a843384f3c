"""The adjustments of an entry, and the entries of a period one after another."""

from __future__ import annotations

from collections.abc import Sequence

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Settled
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row

__all__ = ["adjusted_seqs", "adjustments_of", "entries_between"]

_LONGEST_PAGE = 2000


def adjustments_of(connection: sqlite3.Connection, log_id: str, seqs: Sequence[int]) -> dict[int, list[Settled]]:
    """The adjustments of each of the entries `seqs`, in the order in which they were made; entries without are absent.

    Raises:
        InvalidInput: more than 2,000 entries were asked about.
    """
    if len(seqs) > _LONGEST_PAGE:
        raise InvalidInput("seqs", f"are {len(seqs)}", f"give at most {_LONGEST_PAGE}")
    found: dict[int, list[Settled]] = {}
    places = ", ".join("?" * len(seqs))
    sql = f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.kind = 'adjustment' AND e.adjusts IN ({places}) ORDER BY e.seq"
    for row in connection.execute(sql, (log_id, *seqs)):
        settled = from_row(row)
        if settled.draft.adjusts is not None:
            found.setdefault(settled.draft.adjusts, []).append(settled)
    return found


def adjusted_seqs(connection: sqlite3.Connection, log_id: str) -> frozenset[int]:
    """The entries of a log that have adjustments."""
    sql = "SELECT adjusts FROM entry WHERE log_id = ? AND adjusts IS NOT NULL"
    return frozenset(seq for (seq,) in connection.execute(sql, (log_id,)))


def entries_between(
    connection: sqlite3.Connection, log_id: str, since: str, until: str, after: tuple[str, int] | None, limit: int
) -> tuple[Settled, ...]:
    """Entries of requests and adjustments in [since, until) (RFC 3339 UTC), in order of time and place.

    `after` is the (occurred_at, seq) of the last entry of the page before.

    Raises:
        InvalidInput: `limit` is not 1 to 2,000.
    """
    if not 1 <= limit <= _LONGEST_PAGE:
        raise InvalidInput("limit", f"is {limit}", f"give 1 to {_LONGEST_PAGE}")
    moment, seq = after or (since, -1)
    sql = (
        f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.occurred_at >= ? AND e.occurred_at < ? "
        "AND (e.occurred_at, e.seq) > (?, ?) AND e.kind NOT IN ('key', 'operation') "
        "ORDER BY e.occurred_at, e.seq LIMIT ?"
    )
    rows = connection.execute(sql, (log_id, max(since, moment), until, moment, seq, limit)).fetchall()
    return tuple(from_row(row) for row in rows)
