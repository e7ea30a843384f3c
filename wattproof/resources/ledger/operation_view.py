"""What an operation came to so far: its state, its totals with those of the operations below it, its largest steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wattproof.resources.ledger.budget_book import headrooms
from wattproof.resources.ledger.budget_records import Headroom
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_tree import family
from wattproof.resources.ledger.operations import FIND, is_left, steps_sql
from wattproof.resources.ledger.records import Amount, Settled, SummaryRow
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row
from wattproof.resources.ledger.summary import total_of_operations

__all__ = ["OperationState", "OperationView", "StepRow", "steps_of", "view"]

OperationState = Literal["unknown", "open", "left", "ended"]
"""`left`: open, but nothing was added for so long that it takes no more steps. `unknown`: nothing has that name."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step. `share` is its part of the whole operation's expected energy; None where the step's is unknown."""

    seq: int
    step_id: str
    operation_id: str
    kind: str
    step_kind: str | None
    model: str
    zone: str
    usage_source: str
    energy_nwh: Amount | None
    carbon_ng: Amount | None
    share: float | None
    retry_of: str | None


@dataclass(frozen=True, slots=True)
class OperationView:
    """An operation and all below it. Times are RFC 3339 UTC.

    `steps` are those with the most energy, largest first, of `step_count` entries (adjustments among them).
    `late_count` of them came after the end, so that its receipt (`receipt_id`) lacks them; `retry_count` are
    repetitions of other steps. `unsettled_count` counts runs that were begun and have no entry. `last_occurred_at` is
    the newest step's. `budgets` are those that a new step would fall under.
    """

    log_id: str
    operation_id: str
    state: OperationState
    parent_id: str | None
    opened_at: str | None
    ended_at: str | None
    receipt_id: str | None
    below: tuple[str, ...]
    total: SummaryRow
    step_count: int
    late_count: int
    retry_count: int
    unsettled_count: int
    last_occurred_at: str | None
    steps: tuple[StepRow, ...]
    budgets: tuple[Headroom, ...]


_MEAN = "COALESCE(e0, 0) + COALESCE(e1, 0) + COALESCE(e2, 0) + COALESCE(e3, 0)"
_STEP = f"""
SELECT e.seq, COALESCE(s.step_id, e.request_id, e.external_id, e.receipt_id), e.operation_id, e.kind, e.step_kind,
  e.model, e.zone, e.usage_source, e.energy_nwh, e.energy_nwh_low, e.energy_nwh_high, e.carbon_location_ng,
  e.carbon_location_ng_low, e.carbon_location_ng_high, e.retry_of, {_MEAN}
FROM entry e LEFT JOIN operation_step s ON s.log_id = e.log_id AND s.seq = e.seq
"""  # noqa: S608


def view(
    connection: sqlite3.Connection, log_id: str, operation_id: str, most_steps: int, now_s: float
) -> OperationView:
    """The operation at `now_s` (Unix seconds), with at most `most_steps` of its steps."""
    ids = family(connection, log_id, operation_id)
    row = connection.execute(FIND, (log_id, operation_id)).fetchone()
    parent_id, opened_at, ended_at, ended_seq = row or (None, None, None, None)
    last_seq = (1 << 62) if ended_seq is None else ended_seq
    counted = (
        f"COUNT(*), COUNT(e.retry_of), COUNT(*) FILTER (WHERE e.seq > {last_seq}), MAX(e.occurred_at), SUM({_MEAN})"
    )
    sql, values = steps_sql(counted, log_id, ids)
    step_count, retry_count, late_count, last_occurred_at, mean_nwh = connection.execute(sql, values).fetchone()
    state: OperationState = "open"
    if ended_at is not None:
        state = "ended"
    elif row is None and not step_count and not _runs(connection, log_id, ids):
        state = "unknown"
    elif opened_at is not None and is_left(connection, log_id, operation_id, opened_at, now_s):
        state = "left"
    return OperationView(
        log_id=log_id,
        operation_id=operation_id,
        state=state,
        parent_id=parent_id,
        opened_at=opened_at,
        ended_at=ended_at,
        receipt_id=None if ended_seq is None else _receipt_id(connection, log_id, ended_seq),
        below=ids[1:],
        total=total_of_operations(connection, log_id, ids),
        step_count=step_count,
        late_count=late_count,
        retry_count=retry_count,
        unsettled_count=_unsettled(connection, log_id, ids),
        last_occurred_at=last_occurred_at,
        steps=_largest(connection, log_id, ids, most_steps, mean_nwh or 0),
        budgets=headrooms(connection, log_id, operation_id, (), now_s),
    )


def steps_of(
    connection: sqlite3.Connection, log_id: str, operation_id: str, most: int | None = None
) -> tuple[Settled, ...]:
    """Every step (or the first `most`) of the operation and of those below it, in the order of the log."""
    ids = family(connection, log_id, operation_id)
    places = ", ".join("?" * len(ids))
    where = f"e.log_id = ? AND e.operation_id IN ({places}) AND e.kind <> 'operation'"
    sql = f"{SELECT_ENTRY} WHERE {where} ORDER BY e.seq LIMIT ?"
    return tuple(from_row(row) for row in connection.execute(sql, (log_id, *ids, 1 << 62 if most is None else most)))


def _largest(
    connection: sqlite3.Connection, log_id: str, ids: tuple[str, ...], most: int, mean_nwh: int
) -> tuple[StepRow, ...]:
    places = ", ".join("?" * len(ids))
    sql = (
        f"{_STEP} WHERE e.log_id = ? AND e.operation_id IN ({places}) AND e.kind <> 'operation' "
        "ORDER BY COALESCE(e.energy_nwh, -1) DESC, e.seq LIMIT ?"
    )
    return tuple(_step(row, mean_nwh) for row in connection.execute(sql, (log_id, *ids, most)))


def _step(row: tuple[Any, ...], mean_nwh: int) -> StepRow:
    seq, step_id, operation_id, kind, step_kind, model, zone, usage_source, *amounts, retry_of, own_mean_nwh = row
    energy = _amount(amounts[:3])
    return StepRow(
        seq=seq,
        step_id=step_id,
        operation_id=operation_id,
        kind=kind,
        step_kind=step_kind,
        model=model,
        zone=zone,
        usage_source=usage_source,
        energy_nwh=energy,
        carbon_ng=_amount(amounts[3:]),
        share=None if energy is None or not mean_nwh else own_mean_nwh / mean_nwh,
        retry_of=retry_of,
    )


def _amount(ends: Sequence[int | None]) -> Amount | None:
    median, low, high = ends
    return None if median is None else Amount(median, low, high)


def _unsettled(connection: sqlite3.Connection, log_id: str, ids: tuple[str, ...]) -> int:
    places = ", ".join("?" * len(ids))
    sql = (
        "SELECT COUNT(DISTINCT a.request_id) FROM attempt a WHERE a.log_id = ? AND a.state IN ('open', 'abandoned') "  # noqa: S608
        f"AND a.operation_id IN ({places}) "
        "AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.log_id = a.log_id AND e.request_id = a.request_id)"
    )
    return connection.execute(sql, (log_id, *ids)).fetchone()[0]


def _runs(connection: sqlite3.Connection, log_id: str, ids: tuple[str, ...]) -> bool:
    return _unsettled(connection, log_id, ids) > 0


def _receipt_id(connection: sqlite3.Connection, log_id: str, seq: int) -> str:
    sql = "SELECT receipt_id FROM entry WHERE log_id = ? AND seq = ?"
    return connection.execute(sql, (log_id, seq)).fetchone()[0]
