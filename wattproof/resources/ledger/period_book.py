"""Periods of a ledger: closing them, totals day by day, what was adjusted, and how they look under another method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from wattproof.resources.ledger import adjustments, periods, restatements, summary
from wattproof.resources.ledger.records import ClosedPeriod, Settled, SummaryQuery, SummaryRow
from wattproof.resources.ledger.restatements import Restatement, RestatementDraft

if TYPE_CHECKING:
    from wattproof.resources.ledger.driver import sqlite3
    from wattproof.resources.ledger.writer import Writer

__all__ = ["PeriodBook"]

Read = Callable[..., Awaitable[Any]]


class PeriodBook:
    """What a ledger knows about periods. Methods raise LedgerError where it cannot be read or written."""

    def __init__(self, writer: Writer, read: Read) -> None:
        self._writer = writer
        self._read = read

    async def close(self, log_id: str, period: str) -> ClosedPeriod:
        """Close a month (``2026-10``, UTC) and every month before it; durable on return. Closing again changes nothing.

        Raises:
            InvalidInput: not a month, or one that has not ended.
            RequestInFlight: a run that was begun in it has not ended.
        """
        return await self._writer.submit(lambda transaction: periods.close(transaction, log_id, period), log_id)

    async def closed(self, log_id: str) -> tuple[ClosedPeriod, ...]:
        """Each closing of a month, earliest month first."""
        return await self._read(periods.closed, log_id)

    async def timeline(self, query: SummaryQuery, edges: Sequence[str]) -> tuple[SummaryRow, ...]:
        """The totals between each two neighbours of `edges` (RFC 3339 UTC), keyed by the earlier one.

        Raises:
            InvalidInput: an edge is not understood, they do not ascend, or they are more than 1001.
        """
        return await self._read(_timeline, query.log_id, query, edges)

    async def extent(self, query: SummaryQuery) -> tuple[str, str] | None:
        """When the first and the last entry occurred that `query` selects; None where there is none."""
        return await self._read(_extent, query.log_id, query)

    async def adjustments(self, log_id: str, seqs: Sequence[int]) -> dict[int, list[Settled]]:
        """The adjustments of each of at most 2,000 entries, in the order in which they were made."""
        return await self._read(adjustments.adjustments_of, log_id, seqs)

    async def adjusted(self, log_id: str) -> frozenset[int]:
        """The places of the entries that have adjustments."""
        return await self._read(adjustments.adjusted_seqs, log_id)

    async def entries(
        self, log_id: str, since: str, until: str, after: tuple[str, int] | None = None, limit: int = 1000
    ) -> tuple[Settled, ...]:
        """Entries of requests and adjustments in [since, until), oldest first, from behind (occurred_at, seq)."""
        return await self._read(adjustments.entries_between, log_id, since, until, after, limit)

    async def keep(self, draft: RestatementDraft) -> Restatement:
        """Store a restatement beside what it restates; the same one is kept once."""
        return await self._writer.submit(lambda transaction: restatements.keep(transaction, draft), draft.log_id)

    async def restatements(self, log_id: str, period: str | None = None) -> tuple[Restatement, ...]:
        """What was restated, newest first."""
        return await self._read(restatements.listed, log_id, period)


def _timeline(
    connection: sqlite3.Connection, _: str, query: SummaryQuery, edges: Sequence[str]
) -> tuple[SummaryRow, ...]:
    return summary.timeline(connection, query, edges)


def _extent(connection: sqlite3.Connection, _: str, query: SummaryQuery) -> tuple[str, str] | None:
    return summary.extent(connection, query)
