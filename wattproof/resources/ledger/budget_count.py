"""What an entry takes out of a budget, from the entry itself; the same rule counts it once and counts it again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from wattproof.resources.ledger.budget_records import Budget, BudgetUnit, Rates, bucket_of
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_tree import family
from wattproof.resources.ledger.records import EntryDraft

__all__ = ["COUNTED_KINDS", "RESERVED_COLUMNS", "Taken", "counted_anew"]

COUNTED_KINDS = ("inference", "recorded", "imported", "adjustment")
"""The kinds of entries that spend."""

RESERVED_COLUMNS: Mapping[BudgetUnit, str] = {
    "energy_wh": "reserved_energy_nwh",
    "carbon_gco2e": "reserved_carbon_ng",
    "tokens": "reserved_tokens",
    "cost_usd": "reserved_cost_micros",
}
"""Unit -> the column of a try that reserves it."""


class Taken(NamedTuple):
    """What an entry states of its cost, in the integers of budgets; the high bound where there is one."""

    energy_nwh: int | None
    carbon_ng: int | None
    tokens: int
    micros: int | None
    currency: str | None
    kind: str

    @classmethod
    def of(cls, draft: EntryDraft) -> Taken:
        """From an entry."""
        energy, carbon = draft.energy_nwh, draft.carbon_location_ng
        return cls(
            None if energy is None else energy.median if energy.high is None else energy.high,
            None if carbon is None else carbon.median if carbon.high is None else carbon.high,
            draft.usage.total_tokens,
            draft.cost_micros,
            draft.currency,
            draft.kind,
        )

    def counts(self, budget: Budget, reserved: int | None) -> tuple[int, int]:
        """`(amount, 0)`, or `(0, 1)` where nobody knows the amount: neither the entry nor what its try reserved.

        An adjustment without an amount changes nothing.
        """
        amount = self._amount(budget)
        if amount is None and self.kind != "adjustment":
            amount = reserved
        if amount is None:
            return 0, int(self.kind != "adjustment")
        return amount, 0

    def _amount(self, budget: Budget) -> int | None:
        match budget.key.unit:
            case "energy_wh":
                return self.energy_nwh
            case "carbon_gco2e":
                return self.carbon_ng
            case "tokens":
                return self.tokens
            case "cost_usd":
                return self._usd_micros(budget.rates)

    def _usd_micros(self, rates: Rates) -> int | None:
        if self.micros is None or self.currency == "USD":
            return self.micros
        dollars, units = rates.get(self.currency or "", (0, 0))
        return -(-self.micros * dollars // units) if units else None


def counted_anew(connection: sqlite3.Connection, budget: Budget) -> dict[str, tuple[int, int]]:
    """`{bucket: (spent, unknown)}` of a budget from the entries, for its first count and for checking it."""
    where, values = _falling_under(connection, budget)
    sql = (
        "SELECT e.occurred_at, COALESCE(e.energy_nwh_high, e.energy_nwh), "  # noqa: S608
        "COALESCE(e.carbon_location_ng_high, e.carbon_location_ng), e.input_tokens + e.output_tokens, "
        "e.cost_micros, e.currency, e.kind, "
        f"(SELECT a.{RESERVED_COLUMNS[budget.key.unit]} FROM attempt a WHERE a.log_id = e.log_id "
        "AND a.request_id = e.request_id ORDER BY a.attempt_no DESC LIMIT 1) "
        f"FROM entry e WHERE e.log_id = ? AND e.seq >= ? AND {where}"
    )
    counts: dict[str, tuple[int, int]] = {}
    for occurred_at, *taken, reserved in connection.execute(sql, (budget.key.log_id, budget.from_seq, *values)):
        bucket = bucket_of(budget.key.per, budget.tz, occurred_at)
        if bucket < budget.from_bucket or taken[-1] not in COUNTED_KINDS:
            continue
        amount, unknown = Taken(*taken).counts(budget, reserved)
        spent, unknowns = counts.get(bucket, (0, 0))
        counts[bucket] = spent + amount, unknowns + unknown
    return counts


def _falling_under(connection: sqlite3.Connection, budget: Budget) -> tuple[str, tuple[Any, ...]]:
    key = budget.key
    if key.scope == "operation":
        ids = family(connection, key.log_id, key.name)
        return f"e.operation_id IN ({', '.join('?' * len(ids))})", ids
    conditions, values = list[str](), list[str]()
    if key.scope == "tag":
        conditions.append("e.seq IN (SELECT t.seq FROM entry_tag t WHERE t.log_id = e.log_id AND t.tag = ?)")
        values.append(key.name)
    if budget.from_bucket:
        # No time zone is a day ahead of or behind UTC.
        first = date.fromisoformat(f"{budget.from_bucket}-01"[:10]) - timedelta(days=1)
        conditions.append("e.occurred_at >= ?")
        values.append(first.isoformat())
    return " AND ".join(conditions) or "TRUE", tuple(values)
