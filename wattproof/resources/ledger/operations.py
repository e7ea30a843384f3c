"""Operations: many steps under one name, begun, added to, looked at, and closed by one receipt over them all.

A run may name an operation that nobody began; it is then simply the entries with that name. One that was begun, that
steps were recorded into, or that is somebody's parent has a row, and only such a one can end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput, OperationClosed, RequestConflict, RequestInFlight
from wattproof.resources.ledger.append import Signed, Transaction, append
from wattproof.resources.ledger.budget_book import BudgetDraft, count_again, set_budget
from wattproof.resources.ledger.budgets import applicable
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_tree import MAX_DEPTH, family, lineage
from wattproof.resources.ledger.records import EntryDraft, Settled
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row
from wattproof.resources.ledger.times import check_instant, rfc3339

if TYPE_CHECKING:
    from wattproof.resources.receipts.statement import Statement

__all__ = [
    "FIND",
    "IDLE_S",
    "MAX_STEPS_AT_ONCE",
    "RecordedStep",
    "StepDraft",
    "begin",
    "end",
    "is_left",
    "record",
    "require_endable",
    "require_open",
    "steps_sql",
]

IDLE_S = 7 * 86_400
"""An operation that nothing was added to for this long counts as left: it takes no more steps, but can end."""

MAX_STEPS_AT_ONCE = 100

FIND = "SELECT parent_id, opened_at, ended_at, ended_seq FROM operation WHERE log_id = ? AND operation_id = ?"
_OPEN = "INSERT INTO operation (log_id, operation_id, parent_id, opened_at) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step that was made elsewhere: what it is called there, a digest of all that was said of it, and its entry.

    `statement` is what its receipt will state.
    """

    step_id: str
    idempotency_key: str | None
    digest: bytes
    entry: EntryDraft
    statement: Statement


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step with its entry; `is_new` is False where it had been recorded before."""

    step_id: str
    settled: Settled
    is_new: bool


def require_open(transaction: Transaction, log_id: str, operation_id: str) -> None:
    """Refuse a step of an operation that takes no more; one that nobody began takes any.

    Raises:
        OperationClosed: it ended, or nothing was added to it for IDLE_S.
    """
    row = transaction.connection.execute(FIND, (log_id, operation_id)).fetchone()
    if row is None:
        return
    _, opened_at, ended_at, ended_seq = row
    if ended_at is not None:
        name = _receipt_id(transaction.connection, log_id, ended_seq)
        raise OperationClosed(
            f"Operation {operation_id!r} ended at {ended_at} with receipt {name}; a receipt is never changed. "
            "Begin another operation and use its operation_id."
        )
    if is_left(transaction.connection, log_id, operation_id, opened_at, transaction.now_s):
        raise OperationClosed(
            f"Nothing was added to operation {operation_id!r} for {IDLE_S // 86_400} days, so it takes no more steps. "
            "End it for its receipt, and begin another operation."
        )


def is_left(connection: sqlite3.Connection, log_id: str, operation_id: str, opened_at: str, now_s: float) -> bool:
    """Whether nothing was added to an open operation for IDLE_S."""
    if _age_s(opened_at, now_s) <= IDLE_S:
        return False
    sql = "SELECT recorded_at FROM entry WHERE log_id = ? AND operation_id = ? ORDER BY occurred_at DESC LIMIT 1"
    last = connection.execute(sql, (log_id, operation_id)).fetchone()
    return last is None or _age_s(last[0], now_s) > IDLE_S


def begin(
    transaction: Transaction,
    log_id: str,
    operation_id: str,
    parent_id: str | None,
    budget: BudgetDraft | None,
    by: str,
) -> bool:
    """Open an operation, below `parent_id` and with a budget where they are given. False: it was open like that before.

    Raises:
        OperationClosed: it or its parent takes no more steps.
        RequestConflict: it is open with another parent or another budget.
        InvalidInput: it would be its own parent, or nest too deep.
    """
    connection = transaction.connection
    require_open(transaction, log_id, operation_id)
    row = connection.execute(FIND, (log_id, operation_id)).fetchone()
    if row is not None and row[0] != parent_id:
        theirs = "no parent" if row[0] is None else f"parent {row[0]!r}"
        raise RequestConflict(f"Operation {operation_id!r} is open with {theirs}. Use another operation_id.")
    if budget is not None:
        _require_own_budget(transaction, budget)
    if row is None:
        if parent_id is not None:
            _check_parent(transaction, log_id, operation_id, parent_id)
        connection.execute(_OPEN, (log_id, operation_id, parent_id, transaction.now))
        if parent_id is not None:
            # What it did before it had a parent counts there from now on.
            for each in applicable(connection, log_id, parent_id, ()):
                if each.key.scope == "operation":
                    count_again(connection, each)
    if budget is not None and not _has_budget(connection, budget):
        set_budget(transaction, budget, by, None)
    return row is None


def record(
    transaction: Transaction,
    log_id: str,
    operation_id: str,
    steps: Sequence[StepDraft],
    sign: Callable[[Statement, str], Signed],
) -> tuple[RecordedStep, ...]:
    """Append steps that were made elsewhere; each once, whatever is sent how often. All of them or none.

    Raises:
        OperationClosed: the operation takes no more steps; those that it has are returned as before.
        RequestConflict: a step_id or idempotency_key was used for another step.
    """
    connection = transaction.connection
    known = [_known(connection, log_id, operation_id, step) for step in steps]
    if None in known:
        require_open(transaction, log_id, operation_id)
        if connection.execute(FIND, (log_id, operation_id)).fetchone() is None:
            connection.execute(_OPEN, (log_id, operation_id, None, transaction.now))
    return tuple(
        RecordedStep(step.step_id, held, is_new=False)
        if held is not None
        else _append(transaction, log_id, operation_id, step, sign)
        for step, held in zip(steps, known, strict=True)
    )


def end(
    transaction: Transaction,
    draft: EntryDraft,
    statement: Statement,
    sign: Callable[[Statement, str], Signed],
    seqs: Sequence[int],
) -> Settled | None:
    """Close an operation with the entry that sums up the steps `seqs`; None: it has others by now, count again.

    Raises:
        OperationClosed: it ended before.
        InvalidInput: nobody began it.
        RequestInFlight: a run in it, or an operation below it, is open.
    """
    connection, log_id, operation_id = transaction.connection, draft.log_id, draft.operation_id or ""
    require_endable(connection, log_id, operation_id, transaction.now_s)
    ids = family(connection, log_id, operation_id)
    sql, values = steps_sql("e.seq", log_id, ids)
    if [seq for (seq,) in connection.execute(f"{sql} ORDER BY e.seq", values)] != list(seqs):
        return None
    settled = append(transaction, draft, lambda issued_at: sign(statement, issued_at), None)
    connection.execute(
        "UPDATE operation SET ended_at = ?, ended_seq = ? WHERE log_id = ? AND operation_id = ?",
        (transaction.now, settled.seq, log_id, operation_id),
    )
    return settled


def require_endable(connection: sqlite3.Connection, log_id: str, operation_id: str, now_s: float) -> None:
    """Refuse to end what nobody began, what ended, and what still runs, in it or below it.

    Raises:
        OperationClosed, InvalidInput, RequestInFlight: as `end` does.
    """
    row = connection.execute(FIND, (log_id, operation_id)).fetchone()
    if row is None:
        fix = "begin it, or record steps into it, then end it"
        raise InvalidInput("operation_id", f"{operation_id[:80]!r} was never begun", fix)
    if row[2] is not None:
        name = _receipt_id(connection, log_id, row[3])
        raise OperationClosed(f"Operation {operation_id!r} ended at {row[2]}; its receipt is {name}.")
    ids = family(connection, log_id, operation_id)
    places = ", ".join("?" * len(ids))
    below = connection.execute(
        f"SELECT operation_id FROM operation WHERE log_id = ? AND operation_id IN ({places}) AND operation_id <> ? "  # noqa: S608
        "AND ended_at IS NULL LIMIT 1",
        (log_id, *ids, operation_id),
    ).fetchone()
    if below is not None:
        raise RequestInFlight(f"Operation {below[0]!r} belongs to {operation_id!r} and is open. End it first.")
    running = connection.execute(
        "SELECT request_id, lease_expires_at FROM attempt WHERE log_id = ? AND state = 'open' "  # noqa: S608
        f"AND lease_expires_at >= ? AND operation_id IN ({places}) LIMIT 1",
        (log_id, now_s, *ids),
    ).fetchone()
    if running is not None:
        raise RequestInFlight(
            f"The run {running[0]!r} of operation {operation_id!r} is in flight, until {rfc3339(running[1])} at the "
            "latest. End the operation when it is done."
        )


def steps_sql(columns: str, log_id: str, ids: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    """SELECT of the steps of these operations, and its values. A receipt over steps is none."""
    places = ", ".join("?" * len(ids))
    sql = f"SELECT {columns} FROM entry e WHERE e.log_id = ? AND e.operation_id IN ({places}) AND e.kind <> 'operation'"  # noqa: S608
    return sql, (log_id, *ids)


def _append(
    transaction: Transaction,
    log_id: str,
    operation_id: str,
    step: StepDraft,
    sign: Callable[[Statement, str], Signed],
) -> RecordedStep:
    settled = append(transaction, step.entry, lambda issued_at: sign(step.statement, issued_at), None)
    transaction.connection.execute(
        "INSERT INTO operation_step VALUES (?, ?, ?, ?, ?, ?)",
        (log_id, operation_id, step.step_id, step.idempotency_key, step.digest, settled.seq),
    )
    return RecordedStep(step.step_id, settled, is_new=True)


def _known(connection: sqlite3.Connection, log_id: str, operation_id: str, step: StepDraft) -> Settled | None:
    rows = connection.execute(
        "SELECT step_id, digest, seq FROM operation_step WHERE log_id = ? AND operation_id = ? "
        "AND (step_id = ? OR idempotency_key = ?)",
        (log_id, operation_id, step.step_id, step.idempotency_key),
    ).fetchall()
    for step_id, digest, seq in rows:
        if digest != step.digest:
            raise RequestConflict(
                f"Step {step_id!r} of operation {operation_id!r} was recorded before, as entry {seq}, and differs. "
                "Send it unchanged, or use another step_id and idempotency_key."
            )
    if not rows:
        return None
    row = connection.execute(f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.seq = ?", (log_id, rows[0][2])).fetchone()
    return from_row(row)


def _check_parent(transaction: Transaction, log_id: str, operation_id: str, parent_id: str) -> None:
    connection = transaction.connection
    require_open(transaction, log_id, parent_id)
    above = lineage(connection, log_id, parent_id)
    if operation_id in above:
        raise InvalidInput(
            "parent_id", f"{parent_id[:80]!r} is the operation itself or below it", "name another parent"
        )
    if len(above) >= MAX_DEPTH:
        raise InvalidInput("parent_id", f"{parent_id[:80]!r} is {len(above)} levels deep", "begin it further up")
    if connection.execute(FIND, (log_id, parent_id)).fetchone() is None:
        connection.execute(_OPEN, (log_id, parent_id, None, transaction.now))


def _require_own_budget(transaction: Transaction, budget: BudgetDraft) -> None:
    """The budget that an operation begins with is set once: whoever spends from it cannot change it."""
    for each in applicable(transaction.connection, budget.key.log_id, budget.key.name, ()):
        if each.key == budget.key and (each.amount, each.action) != (budget.amount, budget.action):
            raise RequestConflict(
                f"Operation {budget.key.name!r} has a budget of {budget.key.amount_words(each.amount)} already; "
                "only its owner can change it, with `wattproof budget`."
            )


def _has_budget(connection: sqlite3.Connection, budget: BudgetDraft) -> bool:
    return any(each.key == budget.key for each in applicable(connection, budget.key.log_id, budget.key.name, ()))


def _receipt_id(connection: sqlite3.Connection, log_id: str, seq: int) -> str:
    sql = "SELECT receipt_id FROM entry WHERE log_id = ? AND seq = ?"
    return connection.execute(sql, (log_id, seq)).fetchone()[0]


def _age_s(instant: str, now_s: float) -> float:
    return now_s - check_instant("instant", instant).timestamp()
