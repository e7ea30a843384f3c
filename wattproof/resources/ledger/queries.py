"""Look-ups: one entry, a page of entries, the head of a log and proofs from it."""

from __future__ import annotations

from statistics import median

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import DecisionPage, DecisionRow, EntryPage, RecentRuns, Settled
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row
from wattproof.resources.ledger.tiling import subtrees
from wattproof.resources.receipts import Frontier, InclusionProof, inclusion_proof

__all__ = ["decisions", "find", "head", "inclusion", "jws_of", "logs", "page", "recent"]

_LONGEST_PAGE = 500
# The columns that name one entry of a log.
_KEYS = frozenset({"receipt_id", "seq", "request_id"})


def find(connection: sqlite3.Connection, log_id: str, key: str, value: str | int) -> Settled | None:
    """The entry of `log_id` whose column `key` is `value`."""
    if key not in _KEYS:
        raise InvalidInput("key", f"is {key!r}", f"give one of {', '.join(sorted(_KEYS))}")
    row = connection.execute(f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.{key} = ?", (log_id, value)).fetchone()
    return None if row is None else from_row(row)


def jws_of(connection: sqlite3.Connection, receipt_id: str) -> str | None:
    """The receipt with this id."""
    sql = "SELECT r.jws FROM entry e JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq WHERE e.receipt_id = ?"
    row = connection.execute(sql, (receipt_id,)).fetchone()
    return None if row is None else row[0]


def page(
    connection: sqlite3.Connection, log_id: str, cursor: int | None, limit: int, operation_id: str | None
) -> EntryPage:
    """Entries of `log_id` before seq `cursor`, newest first.

    Raises:
        InvalidInput: `limit` is not 1 to 500.
    """
    if not 1 <= limit <= _LONGEST_PAGE:
        raise InvalidInput("limit", f"is {limit}", f"give 1 to {_LONGEST_PAGE}")
    where = "e.log_id = ? AND e.seq < ?"
    values: list[str | int] = [log_id, (1 << 62) if cursor is None else cursor]
    if operation_id is not None:
        where += " AND e.operation_id = ?"
        values.append(operation_id)
    rows = connection.execute(
        f"{SELECT_ENTRY} WHERE {where} ORDER BY e.seq DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    entries = tuple(from_row(row) for row in rows[:limit])
    return EntryPage(entries, entries[-1].seq if len(rows) > limit else None)


def decisions(
    connection: sqlite3.Connection,
    log_id: str,
    since: str | None,
    until: str | None,
    cursor: tuple[str, int] | None,
    limit: int,
) -> DecisionPage:
    """The decisions of runs in [since, until) (RFC 3339 UTC), newest first, from below `cursor`.

    Raises:
        InvalidInput: `limit` is not 1 to 500.
    """
    if not 1 <= limit <= _LONGEST_PAGE:
        raise InvalidInput("limit", f"is {limit}", f"give 1 to {_LONGEST_PAGE}")
    where, values = "e.log_id = ? AND e.kind = 'inference'", list[str | int]([log_id])
    for condition, bounds in (
        ("e.occurred_at >= ?", (since,)),
        ("e.occurred_at < ?", (until,)),
        ("(e.occurred_at, e.seq) < (?, ?)", cursor or (None,)),
    ):
        given = [bound for bound in bounds if bound is not None]
        if given:
            where += f" AND {condition}"
            values += given
    sql = (
        "SELECT e.seq, e.occurred_at, e.deployment, d.json FROM entry e "  # noqa: S608
        "LEFT JOIN decision d ON d.log_id = e.log_id AND d.seq = e.seq "
        f"WHERE {where} ORDER BY e.occurred_at DESC, e.seq DESC LIMIT ?"
    )
    found = [DecisionRow(*row) for row in connection.execute(sql, (*values, limit + 1))]
    rows = tuple(found[:limit])
    return DecisionPage(rows, (rows[-1].occurred_at, rows[-1].seq) if len(found) > limit else None)


def recent(connection: sqlite3.Connection, log_id: str, since: str) -> tuple[RecentRuns, ...]:
    """Runs by deployment since `since` (RFC 3339 UTC)."""
    sql = (
        "SELECT deployment, status, latency_ms FROM entry "
        "WHERE log_id = ? AND occurred_at >= ? AND kind = 'inference' ORDER BY deployment, latency_ms"
    )
    by_deployment: dict[str, list[tuple[str, int | None]]] = {}
    for deployment, status, latency_ms in connection.execute(sql, (log_id, since)):
        by_deployment.setdefault(deployment, []).append((status, latency_ms))
    return tuple(_recent_runs(deployment, runs) for deployment, runs in by_deployment.items())


def _recent_runs(deployment: str, runs: list[tuple[str, int | None]]) -> RecentRuns:
    latencies = [ms for status, ms in runs if status == "completed" and ms is not None]
    failed = sum(status == "failed" for status, _ in runs)
    return RecentRuns(deployment, len(runs), failed, round(median(latencies)) if latencies else None)


def logs(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The ids of all logs."""
    return tuple(log_id for (log_id,) in connection.execute("SELECT log_id FROM log ORDER BY log_id"))


def head(connection: sqlite3.Connection, log_id: str) -> tuple[int, bytes]:
    """Size and root hash."""
    frontier = _frontier(connection, log_id)
    return frontier.size, frontier.root()


def inclusion(connection: sqlite3.Connection, log_id: str, seq: int, tree_size: int | None) -> InclusionProof:
    """The RFC 9162 inclusion proof of entry `seq` in the tree of the first `tree_size` entries, from a few tiles."""
    frontier = _frontier(connection, log_id)
    size = frontier.size if tree_size is None else tree_size
    if not 0 <= seq < size <= frontier.size:
        raise InvalidInput("seq", f"is {seq}", f"give an entry below the tree size; log {log_id!r} has {frontier.size}")

    subtree = subtrees(connection, log_id, frontier)
    root = frontier.root() if size == frontier.size else subtree(0, size)
    return InclusionProof(log_id, seq, size, root, tuple(inclusion_proof(seq, size, subtree)))


def _frontier(connection: sqlite3.Connection, log_id: str) -> Frontier:
    row = connection.execute("SELECT frontier FROM head WHERE log_id = ?", (log_id,)).fetchone()
    return Frontier() if row is None else Frontier.from_bytes(row[0])
