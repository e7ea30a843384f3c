"""Months that are closed: nothing that occurred in them is added any more, so that what they summed up to stays.

Closing a month (UTC) closes every month before it. Late usage and corrections are adjustments, which occur when they
become known, in the open month, and refer to what they adjust.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput, PeriodClosed, RequestInFlight
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import ClosedPeriod
from wattproof.resources.ledger.rows import check_name
from wattproof.resources.receipts.statement import Statement

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import PayloadBuilder, Transaction

__all__ = ["close", "closed", "closed_through", "month_after", "redated", "require_open"]

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_RUNNING = (
    "SELECT request_id FROM attempt WHERE log_id = ? AND state = 'open' AND opened_at < ? AND lease_expires_at >= ? "
    "ORDER BY opened_at"
)
_COLUMNS = "log_id, period, closed_at, size, root"
_FIRST_THAT_COVERS = f"SELECT {_COLUMNS} FROM closed_period WHERE log_id = ? AND period >= ? ORDER BY period LIMIT 1"  # noqa: S608
_ADD = f"INSERT INTO closed_period ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608


def month_after(period: str) -> str:
    """The month after a month: ``2026-12`` gives ``2027-01``.

    Raises:
        InvalidInput: not ``YYYY-MM``.
    """
    if not _MONTH.fullmatch(period) or period == "9999-12":
        raise InvalidInput("period", f"is {period[:20]!r}", "give a month such as 2026-10")
    year, month = int(period[:4]), int(period[5:])
    return f"{year + month // 12:04}-{month % 12 + 1:02}"


def closed_through(connection: sqlite3.Connection, log_id: str) -> str | None:
    """The last month that was closed; None where all are open."""
    return connection.execute("SELECT MAX(period) FROM closed_period WHERE log_id = ?", (log_id,)).fetchone()[0]


def closed(connection: sqlite3.Connection, log_id: str) -> tuple[ClosedPeriod, ...]:
    """Each closing of a month, earliest month first."""
    sql = f"SELECT {_COLUMNS} FROM closed_period WHERE log_id = ? ORDER BY period"  # noqa: S608
    return tuple(ClosedPeriod(*row) for row in connection.execute(sql, (log_id,)))


def close(transaction: Transaction, log_id: str, period: str) -> ClosedPeriod:
    """Close a month and those before it. One that is closed already stays as it was closed first.

    Raises:
        InvalidInput: not a month, or one that has not ended.
        RequestInFlight: a run that was begun in it has not ended.
    """
    check_name("log_id", log_id)
    following = month_after(period)
    covering = transaction.connection.execute(_FIRST_THAT_COVERS, (log_id, period)).fetchone()
    if covering is not None:
        return ClosedPeriod(*covering)
    ends_at = f"{following}-01T00:00:00Z"
    if transaction.now < ends_at:
        raise InvalidInput("period", f"is {period}, which has not ended", f"close it from {ends_at} on")
    running = transaction.connection.execute(_RUNNING, (log_id, ends_at, transaction.now_s)).fetchall()
    if running:
        raise RequestInFlight(
            f"{len(running)} run(s) begun in {period} have not ended, {running[0][0]!r} among them. "
            "Close it when they have; a run whose process died counts as ended once its lease runs out."
        )
    size, root = transaction.head(log_id)
    transaction.connection.execute(_ADD, (log_id, period, transaction.now, size, root))
    transaction.log(log_id).closed_through = period
    return ClosedPeriod(log_id, period, transaction.now, size, root)


def require_open(transaction: Transaction, log_id: str, occurred_at: str) -> None:
    """Refuse what occurred in a closed month.

    Raises:
        PeriodClosed: it did.
    """
    last = transaction.closed_through(log_id)
    if occurred_at[:7] <= last:
        raise PeriodClosed(
            f"{last} is closed, and every month before it: nothing that occurred at {occurred_at} is added any more. "
            "Late usage of a recorded request: `wattproof ledger adjust`. What was never recorded: record it with the "
            "time at which it became known."
        )


def redated(payload: PayloadBuilder | Statement, occurred_at: str) -> PayloadBuilder | Statement:
    """What a receipt states, of another time of occurrence."""
    if isinstance(payload, Statement):
        return Statement(payload.issued(occurred_at) | {"occurred_at": occurred_at})

    def stated(issued_at: str) -> Mapping[str, Any]:
        return {**payload(issued_at), "occurred_at": occurred_at}

    return stated
