"""The budgets of a ledger, for whoever may decide about them: set, raise, override, remove; and what is left.

Every decision is kept with its time and who made it. Nothing here takes an argument of a model: tools may only set the
budget of an operation that has none, and ask for a grant that a person gave.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.budget_count import RESERVED_COLUMNS, counted_anew
from wattproof.resources.ledger.budget_records import (
    Budget,
    BudgetAction,
    BudgetDecision,
    BudgetKey,
    Headroom,
    Rates,
    bucket_of,
    check_tz,
)
from wattproof.resources.ledger.budgets import BUDGET_COLUMNS, applicable, budget_of, headroom
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_tree import family
from wattproof.resources.ledger.rows import check_name
from wattproof.resources.ledger.times import rfc3339

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import Transaction
    from wattproof.resources.ledger.writer import Writer

__all__ = ["BudgetBook", "BudgetDraft", "check_budget", "count_again", "headrooms", "set_budget"]

_LARGEST = 2**53 - 1
_MAX_WHO = 200

_ADD = f"""
INSERT INTO budget ({BUDGET_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (log_id, scope, name, per, unit) DO UPDATE
SET tz = excluded.tz, amount = excluded.amount, action = excluded.action, may_ask = excluded.may_ask,
  rates = excluded.rates
"""  # noqa: S608
_FIND = f"SELECT {BUDGET_COLUMNS} FROM budget WHERE (log_id, scope, name, per, unit) = (?, ?, ?, ?, ?)"  # noqa: S608
_KEEP_COUNT = """
INSERT INTO budget_count (budget_id, bucket, spent, unknown) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET spent = excluded.spent, unknown = excluded.unknown
"""
_GRANT = """
INSERT INTO budget_count (budget_id, bucket, granted) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET granted = granted + excluded.granted
"""
_DECIDE = """
INSERT INTO budget_decision (log_id, decided_at, decided_by, decision, scope, name, per, unit, amount, bucket, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# Tries that run already when a budget is set; of their tags nothing is known any more.
_RESERVE_RUNNING = """
INSERT OR IGNORE INTO budget_reservation
SELECT log_id, request_id, attempt_no, ?, ?, COALESCE({column}, 0) FROM attempt
WHERE log_id = ? AND state = 'open' AND lease_expires_at >= ? AND {which}
"""


@dataclass(frozen=True, slots=True)
class BudgetDraft:
    """A budget as somebody wants it. `amount` is in integers of the unit: nWh, ng, tokens or micro-dollars.

    A budget of money counts other currencies by `rates`; what has no rate counts as reserved, which is in dollars.
    """

    key: BudgetKey
    amount: int
    action: BudgetAction = "refuse"
    tz: str = "UTC"
    may_ask: bool = True
    rates: Rates = field(default_factory=dict[str, tuple[int, int]])


class BudgetBook:
    """The budgets of one open ledger. `by` names who decides; every method that writes is durable on return.

    Writes raise LedgerError as those of the ledger do.
    """

    def __init__(self, writer: Writer, read: Callable[..., Awaitable[Any]], clock: Callable[[], float]) -> None:
        self._writer = writer
        self._read = read
        self._clock = clock

    async def set(self, draft: BudgetDraft, *, by: str, reason: str | None = None) -> Headroom:
        """Set a budget, or change the one that limits the same thing; what was spent in its period counts.

        Raises:
            InvalidInput: a name, the amount or the time zone is not understood.
        """
        check_budget(draft)
        check_name("by", by, _MAX_WHO)
        return await self._writer.submit(
            lambda transaction: set_budget(transaction, draft, by, reason), draft.key.log_id
        )

    async def raise_to(self, key: BudgetKey, amount: int, *, by: str, reason: str | None = None) -> Headroom:
        """Give a budget a higher limit, from now on.

        Raises:
            InvalidInput: there is no such budget, or the limit is not higher.
        """
        check_name("by", by, _MAX_WHO)
        return await self._writer.submit(lambda transaction: _raise(transaction, key, amount, by, reason), key.log_id)

    async def grant(self, budget: BudgetKey | int, amount: int, *, by: str, reason: str | None = None) -> Headroom:
        """Allow `amount` more in the present period of a budget, which is named or given by its id.

        Raises:
            InvalidInput: there is no such budget, or the amount is not positive.
        """
        check_name("by", by, _MAX_WHO)
        log_id = None if isinstance(budget, int) else budget.log_id
        return await self._writer.submit(lambda transaction: _grant(transaction, budget, amount, by, reason), log_id)

    async def remove(self, key: BudgetKey, *, by: str, reason: str | None = None) -> None:
        """Take a budget away; the decisions about it stay.

        Raises:
            InvalidInput: there is no such budget.
        """
        check_name("by", by, _MAX_WHO)
        await self._writer.submit(lambda transaction: _remove(transaction, key, by, reason), key.log_id)

    async def all(self, log_id: str) -> tuple[Headroom, ...]:
        """Every budget of a log with what is left of it now, oldest first."""
        return await self._read(_all, log_id, self._clock())

    async def left(
        self, log_id: str, operation_id: str | None = None, tags: Sequence[str] = ()
    ) -> tuple[Headroom, ...]:
        """What is left now of every budget that a run in this operation with these tags falls under."""
        return await self._read(headrooms, log_id, operation_id, tuple(tags), self._clock())

    async def decisions(self, log_id: str, limit: int = 50) -> tuple[BudgetDecision, ...]:
        """The last decisions about budgets of a log, newest first."""
        return await self._read(_decisions, log_id, limit)


def check_budget(draft: BudgetDraft) -> None:
    """Refuse a budget that could not be kept.

    Raises:
        InvalidInput: a name, the amount or the time zone is not understood.
    """
    key = draft.key
    check_name("log_id", key.log_id)
    if key.scope != "tenant":
        check_name(key.scope, key.name)
    elif key.name:
        raise InvalidInput("name", f"is {key.name[:40]!r}", "a budget of the whole ledger has none")
    if not 0 <= draft.amount <= _LARGEST:
        raise InvalidInput("limit", f"is {draft.amount}", "give an amount from 0 to 2**53 - 1 integer units")
    check_tz(draft.tz)


def set_budget(transaction: Transaction, draft: BudgetDraft, by: str, reason: str | None) -> Headroom:
    """Set a budget within a transaction, and count what falls under it already."""
    connection, key = transaction.connection, draft.key
    bucket = bucket_of(key.per, draft.tz, transaction.now)
    from_seq = transaction.log(key.log_id).next_seq if key.per == "total" and key.scope != "operation" else 0
    before = connection.execute(_FIND, _columns(key)).fetchone()
    rates = json.dumps(dict(draft.rates), sort_keys=True)
    wanted = (draft.tz, draft.amount, draft.action, draft.may_ask, rates)
    connection.execute(_ADD, (*_columns(key), *wanted, from_seq, bucket))
    if before is not None and budget_of(before).tz != draft.tz:
        # Its days are others now: they are counted from the present one on.
        connection.execute("UPDATE budget SET from_bucket = ? WHERE id = ?", (bucket, before[0]))
        before = None
    budget = _found(connection, key)
    if before is None:
        count_again(connection, budget)
    _reserve_running(transaction, budget, bucket)
    _decide(transaction, "set", key, draft.amount, bucket, by, reason)
    return headroom(connection, budget, bucket, transaction.now_s)


def count_again(connection: sqlite3.Connection, budget: Budget) -> None:
    """Count anew what a budget has spent, from the entries."""
    connection.execute("UPDATE budget_count SET spent = 0, unknown = 0 WHERE budget_id = ?", (budget.id,))
    for bucket, (spent, unknown) in counted_anew(connection, budget).items():
        connection.execute(_KEEP_COUNT, (budget.id, bucket, spent, unknown))


def _raise(transaction: Transaction, key: BudgetKey, amount: int, by: str, reason: str | None) -> Headroom:
    connection = transaction.connection
    budget = _found(connection, key)
    if not budget.amount < amount <= _LARGEST:
        limit = key.amount_words(budget.amount)
        raise InvalidInput("limit", f"is {key.amount_words(amount)}", f"give more than {limit}, or set the budget anew")
    connection.execute("UPDATE budget SET amount = ? WHERE id = ?", (amount, budget.id))
    bucket = bucket_of(key.per, budget.tz, transaction.now)
    _decide(transaction, "raise", key, amount, bucket, by, reason)
    return headroom(connection, _found(connection, key), bucket, transaction.now_s)


def _grant(transaction: Transaction, named: BudgetKey | int, amount: int, by: str, reason: str | None) -> Headroom:
    connection = transaction.connection
    budget = _found(connection, named)
    if not 0 < amount <= _LARGEST:
        raise InvalidInput("amount", f"is {amount}", "give what may be spent beyond the limit, above 0")
    bucket = bucket_of(budget.key.per, budget.tz, transaction.now)
    connection.execute(_GRANT, (budget.id, bucket, amount))
    _decide(transaction, "override", budget.key, amount, bucket, by, reason)
    return headroom(connection, budget, bucket, transaction.now_s)


def _remove(transaction: Transaction, key: BudgetKey, by: str, reason: str | None) -> None:
    connection = transaction.connection
    budget = _found(connection, key)
    for table in ("budget_reservation", "budget_count"):
        connection.execute(f"DELETE FROM {table} WHERE budget_id = ?", (budget.id,))  # noqa: S608
    connection.execute("DELETE FROM budget WHERE id = ?", (budget.id,))
    bucket = bucket_of(key.per, budget.tz, transaction.now)
    _decide(transaction, "remove", key, budget.amount, bucket, by, reason)


def _found(connection: sqlite3.Connection, named: BudgetKey | int) -> Budget:
    if isinstance(named, int):
        row = connection.execute(f"SELECT {BUDGET_COLUMNS} FROM budget WHERE id = ?", (named,)).fetchone()  # noqa: S608
        words = f"with id {named}"
    else:
        row, words = connection.execute(_FIND, _columns(named)).fetchone(), f"of {named.words} in {named.unit}"
    if row is None:
        raise InvalidInput("budget", f"{words} does not exist", "see wattproof budget show for those that do")
    return budget_of(row)


def _columns(key: BudgetKey) -> tuple[str, ...]:
    return key.log_id, key.scope, key.name, key.per, key.unit


def _reserve_running(transaction: Transaction, budget: Budget, bucket: str) -> None:
    key = budget.key
    if key.scope == "tag":
        return
    ids = family(transaction.connection, key.log_id, key.name) if key.scope == "operation" else ()
    which = f"operation_id IN ({', '.join('?' * len(ids))})" if ids else "TRUE"
    sql = _RESERVE_RUNNING.format(column=RESERVED_COLUMNS[key.unit], which=which)
    transaction.connection.execute(sql, (budget.id, bucket, key.log_id, transaction.now_s, *ids))


def _decide(
    transaction: Transaction,
    decision: Literal["set", "raise", "override", "remove"],
    key: BudgetKey,
    amount: int,
    bucket: str,
    by: str,
    reason: str | None,
) -> None:
    named = (key.scope, key.name, key.per, key.unit)
    values = (key.log_id, transaction.now, by, decision, *named, amount, bucket, reason and reason[:_MAX_WHO])
    transaction.connection.execute(_DECIDE, values)


def _all(connection: sqlite3.Connection, log_id: str, now_s: float) -> tuple[Headroom, ...]:
    rows = connection.execute(f"SELECT {BUDGET_COLUMNS} FROM budget WHERE log_id = ? ORDER BY id", (log_id,))  # noqa: S608
    return _now(connection, [budget_of(row) for row in rows], now_s)


def headrooms(
    connection: sqlite3.Connection, log_id: str, operation_id: str | None, tags: Sequence[str], now_s: float
) -> tuple[Headroom, ...]:
    """What is left at `now_s` of every budget that something in this operation with these tags falls under."""
    return _now(connection, applicable(connection, log_id, operation_id, tags), now_s)


def _now(connection: sqlite3.Connection, budgets: Sequence[Budget], now_s: float) -> tuple[Headroom, ...]:
    now = rfc3339(now_s)
    return tuple(headroom(connection, each, bucket_of(each.key.per, each.tz, now), now_s) for each in budgets)


def _decisions(connection: sqlite3.Connection, log_id: str, limit: int) -> tuple[BudgetDecision, ...]:
    rows = connection.execute(
        "SELECT decided_at, decided_by, decision, scope, name, per, unit, amount, bucket, reason "
        "FROM budget_decision WHERE log_id = ? ORDER BY id DESC LIMIT ?",
        (log_id, limit),
    )
    return tuple(
        BudgetDecision(at, by, decision, BudgetKey(log_id, scope, name, per, unit), amount, bucket, reason)
        for at, by, decision, scope, name, per, unit, amount, bucket, reason in rows
    )
