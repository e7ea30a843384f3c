"""Budgets: what a try may take is reserved before it is made, and what it took is counted when it is settled.

Both happen in the transaction that opens the try or appends the entry, and all writers of a ledger take turns, so that
steps which run at once, in however many processes, cannot together exceed a budget that refuses. A reservation counts
while its try runs and its lease lasts; also after a try that failed but spent, until the entry of its request is there.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import BudgetExceeded
from wattproof.resources.ledger.budget_count import COUNTED_KINDS, RESERVED_COLUMNS, Taken
from wattproof.resources.ledger.budget_records import UNITS, Budget, BudgetKey, Headroom, bucket_of
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_tree import lineage
from wattproof.resources.ledger.records import AttemptDraft, EntryDraft

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import Transaction

__all__ = ["BUDGET_COLUMNS", "applicable", "budget_of", "headroom", "option_of", "reserve", "settle", "tightest"]

BUDGET_COLUMNS = "id, log_id, scope, name, per, unit, tz, amount, action, may_ask, rates, from_seq, from_bucket"

_COUNT = "SELECT spent, unknown, granted FROM budget_count WHERE budget_id = ? AND bucket = ?"
_RESERVED = """
SELECT COALESCE(SUM(r.amount), 0) FROM budget_reservation r JOIN attempt a
  ON a.log_id = r.log_id AND a.request_id = r.request_id AND a.attempt_no = r.attempt_no
WHERE r.budget_id = ? AND r.bucket = ?
  AND (a.state = 'open' AND a.lease_expires_at >= ? OR a.state = 'failed' AND a.input_tokens + a.output_tokens > 0)
"""
_RESERVE = "INSERT INTO budget_reservation VALUES (?, ?, ?, ?, ?, ?)"
_RELEASE = "DELETE FROM budget_reservation WHERE log_id = ? AND request_id = ?"
_RELEASE_ENDED = """
DELETE FROM budget_reservation WHERE log_id = ? AND EXISTS (
  SELECT 1 FROM attempt a
  WHERE a.log_id = budget_reservation.log_id AND a.request_id = budget_reservation.request_id
    AND a.attempt_no = budget_reservation.attempt_no
    AND (a.state IN ('abandoned', 'cancelled')
      OR a.state = 'failed' AND COALESCE(a.input_tokens + a.output_tokens, 0) = 0)
)
"""
_ADD = """
INSERT INTO budget_count (budget_id, bucket, spent, unknown) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET spent = spent + excluded.spent, unknown = unknown + excluded.unknown
"""


def reserve(transaction: Transaction, draft: AttemptDraft, attempt_no: int) -> None:
    """Set aside what a try may take, in every budget that it falls under. Refuses before it writes anything.

    Raises:
        BudgetExceeded: a budget that refuses has less left, or what the try may take is unknown in its unit.
    """
    connection = transaction.connection
    budgets = applicable(connection, draft.log_id, draft.operation_id, draft.tags)
    if not budgets:
        return
    rows: list[tuple[Any, ...]] = []
    for budget in budgets:
        asked: int | None = getattr(draft, RESERVED_COLUMNS[budget.key.unit])
        bucket = bucket_of(budget.key.per, budget.tz, transaction.now)
        found = headroom(connection, budget, bucket, transaction.now_s)
        if budget.action == "refuse" and (asked is None or asked > found.remaining):
            raise _exceeded(found, asked)
        rows.append((draft.log_id, draft.request_id, attempt_no, budget.id, bucket, asked or 0))
    connection.execute(_RELEASE_ENDED, (draft.log_id,))
    connection.executemany(_RESERVE, rows)


def settle(transaction: Transaction, draft: EntryDraft, seq: int) -> tuple[Headroom, ...]:
    """Count an entry in every budget that it falls under, and free what its tries had reserved.

    An amount that the entry lacks counts as what its last try reserved, else as unknown. Returns what is left in each.
    """
    connection = transaction.connection
    budgets = applicable(connection, draft.log_id, draft.operation_id, draft.tags)
    if not budgets or draft.kind not in COUNTED_KINDS:
        return ()
    taken = Taken.of(draft)
    for budget in budgets:
        bucket = bucket_of(budget.key.per, budget.tz, draft.occurred_at)
        if seq >= budget.from_seq and bucket >= budget.from_bucket:
            amount, unknown = taken.counts(budget, _last_reserved(connection, budget, draft.request_id))
            connection.execute(_ADD, (budget.id, bucket, amount, unknown))
    if draft.request_id is not None:
        connection.execute(_RELEASE, (draft.log_id, draft.request_id))
    return tuple(
        headroom(connection, each, bucket_of(each.key.per, each.tz, transaction.now), transaction.now_s)
        for each in budgets
    )


def applicable(
    connection: sqlite3.Connection, log_id: str, operation_id: str | None, tags: Iterable[str]
) -> list[Budget]:
    """The budgets that something in this operation (and those above it) with these tags falls under, oldest first."""
    if connection.execute("SELECT 1 FROM budget WHERE log_id = ? LIMIT 1", (log_id,)).fetchone() is None:
        return []
    names = [("tenant", ""), *(("tag", tag) for tag in tags)]
    if operation_id is not None:
        names += [("operation", each) for each in lineage(connection, log_id, operation_id)]
    places = ", ".join(["(?, ?)"] * len(names))
    sql = f"SELECT {BUDGET_COLUMNS} FROM budget WHERE log_id = ? AND (scope, name) IN (VALUES {places}) ORDER BY id"  # noqa: S608
    return [budget_of(row) for row in connection.execute(sql, (log_id, *(part for name in names for part in name)))]


def budget_of(row: Sequence[Any]) -> Budget:
    """The budget of a row with BUDGET_COLUMNS."""
    budget_id, log_id, scope, name, per, unit, tz, amount, action, may_ask, rates, from_seq, from_bucket = row
    key = BudgetKey(log_id, scope, name, per, unit)
    held = {currency: (up, down) for currency, (up, down) in json.loads(rates).items()}
    return Budget(budget_id, key, tz, amount, action, bool(may_ask), held, from_seq, from_bucket)


def headroom(connection: sqlite3.Connection, budget: Budget, bucket: str, now_s: float) -> Headroom:
    """What a budget has left in one period, at `now_s` (Unix seconds)."""
    spent, unknown, granted = connection.execute(_COUNT, (budget.id, bucket)).fetchone() or (0, 0, 0)
    (reserved,) = connection.execute(_RESERVED, (budget.id, bucket, now_s)).fetchone()
    return Headroom(budget, bucket, spent, reserved, granted, unknown)


def tightest(found: Iterable[Headroom]) -> Headroom | None:
    """The budget with the smallest share left; None of none."""
    return min(found, key=lambda each: each.share_left, default=None)


def option_of(key: BudgetKey) -> str:
    """How `wattproof budget` names this budget: its options, quoted for a shell."""
    scope = "--tenant" if key.scope == "tenant" else f"--{key.scope} {shlex.quote(key.name)}"
    per = "" if key.per == "total" else f" --per {key.per}"
    return f"{scope}{per} --unit {key.unit}"


def _last_reserved(connection: sqlite3.Connection, budget: Budget, request_id: str | None) -> int | None:
    if request_id is None:
        return None
    sql = (
        f"SELECT {RESERVED_COLUMNS[budget.key.unit]} FROM attempt WHERE log_id = ? AND request_id = ? "  # noqa: S608
        "ORDER BY attempt_no DESC LIMIT 1"
    )
    row = connection.execute(sql, (budget.key.log_id, request_id)).fetchone()
    return None if row is None else row[0]


# What makes a request take less, by the unit of the budget.
_FIXES = {
    "energy_wh": "a smaller max_output_tokens or another model",
    "carbon_gco2e": "a smaller max_output_tokens, another model or another zone",
    "tokens": "a smaller max_output_tokens or a shorter prompt",
    "cost_usd": "a smaller max_output_tokens, another model or another provider",
}


def _exceeded(found: Headroom, asked: int | None) -> BudgetExceeded:
    key = found.budget.key
    left, limit = key.amount_words(max(0, found.remaining)), key.amount_words(found.limit)
    running = f", {key.amount_words(found.reserved)} of it held by runs in flight" if found.reserved else ""
    counted = " (high bound)" if key.unit in ("energy_wh", "carbon_gco2e") else ""
    words = [f"The budget of {key.words} has {left} of {limit} left{running};"]
    if asked is None:
        words.append(f"what this run may take in {UNITS[key.unit][1]} is unknown, so it may not start.")
        words.append("A model, provider or zone for which it is known could run.")
    else:
        words.append(f"this run may take {key.amount_words(asked)}{counted}. What could fit: {_FIXES[key.unit]}.")
    needed = found.limit + max(0, (asked or 0) - found.remaining)
    words.append(f"Its owner can raise it: wattproof budget raise {option_of(key)} --limit {_limit(key, needed)}")
    return BudgetExceeded(
        " ".join(words),
        budget_id=found.budget.id,
        unit=key.unit,
        asked=asked,
        remaining=found.remaining,
        may_ask=found.budget.may_ask,
    )


def _limit(key: BudgetKey, amount: int) -> str:
    """An amount in the unit of the budget, rounded up to two significant figures: enough, and short."""
    scale = UNITS[key.unit][0]
    step = 10 ** max(0, len(str(amount)) - 2)
    up = -(-amount // step) * step
    return f"{up / scale:.12f}".rstrip("0").rstrip(".") if scale > 1 else str(up)
