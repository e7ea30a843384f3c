"""Attempts: an inference is recorded before it is spent."""

from __future__ import annotations

from typing import Any

from wattproof.methodology.errors import InvalidInput, RequestConflict, RequestInFlight
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import budgets, operations
from wattproof.resources.ledger.append import Transaction, find_request
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Attempt, AttemptDraft, AttemptState, Opened, Replay
from wattproof.resources.ledger.times import rfc3339

__all__ = ["CLOSING_STATES", "INSERT_ATTEMPT", "abandon", "attempt_row", "close", "list_attempts", "open_"]

CLOSING_STATES: frozenset[AttemptState] = frozenset({"failed", "cancelled", "abandoned"})

_ABANDON = (
    "UPDATE attempt SET state = 'abandoned', reason = 'lease expired', closed_at = :now "
    "WHERE log_id = :log_id AND state = 'open' AND lease_expires_at < :now_s"
)
INSERT_ATTEMPT = """
INSERT INTO attempt (log_id, request_id, attempt_no, request_digest, deployment, operation_id, state, opened_at,
  lease_expires_at, reserved_energy_nwh, reserved_carbon_ng, reserved_tokens, reserved_cost_micros)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COLUMNS = (
    "log_id, request_id, attempt_no, deployment, operation_id, state, reason, opened_at, closed_at, lease_expires_at, "
    "input_tokens, cached_input_tokens, output_tokens, reasoning_tokens"
)


def open_(transaction: Transaction, draft: AttemptDraft) -> Opened | Replay:
    """Record a try before it is made and reserve what it may take; attempts whose lease ran out become abandoned.

    Raises:
        OperationClosed: its operation takes no more steps.
        BudgetExceeded: a budget does not allow it.
        RequestConflict: the request_id was used with another body.
        RequestInFlight: another try of the same request is running.
    """
    connection = transaction.connection
    abandon(transaction, draft.log_id)
    settled = find_request(connection, draft.log_id, draft.request_id)
    if settled is not None:
        if settled.draft.request_digest != draft.request_digest:
            raise _conflict(draft, f"entry {settled.seq}, {settled.receipt_id}")
        return Replay(settled)
    before = connection.execute(
        "SELECT attempt_no, request_digest, state, lease_expires_at FROM attempt WHERE log_id = ? AND request_id = ? "
        "ORDER BY attempt_no",
        (draft.log_id, draft.request_id),
    ).fetchall()
    for attempt_no, digest, state, lease_expires_at in before:
        if digest != draft.request_digest:
            raise _conflict(draft, f"attempt {attempt_no}")
        if state == "open":
            raise RequestInFlight(
                f"request_id {draft.request_id!r} is running (attempt {attempt_no}, until {rfc3339(lease_expires_at)} "
                "at the latest). Wait, then ask again with the same request_id: nothing is spent twice."
            )
    attempt_no = before[-1][0] + 1 if before else 1
    if draft.operation_id is not None:
        operations.require_open(transaction, draft.log_id, draft.operation_id)
    budgets.reserve(transaction, draft, attempt_no)
    transaction.log(draft.log_id)
    connection.execute(INSERT_ATTEMPT, attempt_row(draft, attempt_no, transaction.now))
    return Opened(attempt_no)


def abandon(transaction: Transaction, log_id: str) -> None:
    """Let the tries of a log whose lease ran out become abandoned."""
    transaction.connection.execute(_ABANDON, {"log_id": log_id, "now": transaction.now, "now_s": transaction.now_s})


def attempt_row(draft: AttemptDraft, attempt_no: int, now: str) -> tuple[Any, ...]:
    """The row of a try that begins at `now`, for INSERT_ATTEMPT."""
    return (
        draft.log_id,
        draft.request_id,
        attempt_no,
        draft.request_digest,
        draft.deployment,
        draft.operation_id,
        "open",
        now,
        draft.lease_expires_at,
        draft.reserved_energy_nwh,
        draft.reserved_carbon_ng,
        draft.reserved_tokens,
        draft.reserved_cost_micros,
    )


def close(
    transaction: Transaction,
    log_id: str,
    request_id: str,
    attempt_no: int,
    state: AttemptState,
    reason: str | None,
    usage: Usage | None,
) -> None:
    """End a try that does not become an entry. A try that has ended keeps its state.

    Raises:
        InvalidInput: there is no such attempt.
    """
    used = (None,) * 4 if usage is None else _tokens(usage)
    changed = transaction.connection.execute(
        "UPDATE attempt SET state = ?, reason = ?, closed_at = ?, input_tokens = ?, cached_input_tokens = ?, "
        "output_tokens = ?, reasoning_tokens = ? "
        "WHERE log_id = ? AND request_id = ? AND attempt_no = ? AND state IN ('open', 'abandoned')",
        (state, reason, transaction.now, *used, log_id, request_id, attempt_no),
    ).rowcount
    if changed == 0 and not list_attempts(transaction.connection, log_id, request_id, attempt_no):
        raise InvalidInput("attempt_no", f"is {attempt_no}", f"request_id {request_id!r} has no such attempt")


def list_attempts(
    connection: sqlite3.Connection, log_id: str, request_id: str, attempt_no: int | None = None
) -> tuple[Attempt, ...]:
    """The tries of a request, first to last."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM attempt WHERE log_id = ? AND request_id = ? AND attempt_no = COALESCE(?, attempt_no) "  # noqa: S608
        "ORDER BY attempt_no",
        (log_id, request_id, attempt_no),
    )
    return tuple(_attempt(row) for row in rows)


def _attempt(row: tuple[Any, ...]) -> Attempt:
    (input_tokens, cached_input_tokens, output_tokens, reasoning_tokens) = row[-4:]
    usage = None if input_tokens is None else Usage(input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
    return Attempt(*row[:-4], usage=usage)


def _tokens(usage: Usage) -> tuple[int, int, int, int]:
    return usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens


def _conflict(draft: AttemptDraft, where: str) -> RequestConflict:
    return RequestConflict(
        f"request_id {draft.request_id!r} was used before with another body ({where}). "
        "Use a new request_id, or send the same request."
    )
