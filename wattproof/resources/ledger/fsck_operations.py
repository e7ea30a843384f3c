"""Check of what is said over several entries: the receipts of operations, and the counts of budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.ledger.budget_count import counted_anew
from wattproof.resources.ledger.budgets import BUDGET_COLUMNS, budget_of
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.operation_total import total_of_steps
from wattproof.resources.ledger.records import Finding
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row
from wattproof.resources.receipts import parse

__all__ = ["check"]

_BOUNDS = ("median", "low", "high")
# An exponential differs by an ulp between C libraries.
_RELATIVE = 1e-6


def check(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    """Every operation receipt against the entries that it names, every budget against the entries that it counts."""
    sql = (
        "SELECT o.operation_id, o.ended_seq, r.jws FROM operation o "
        "LEFT JOIN receipt r ON r.log_id = o.log_id AND r.seq = o.ended_seq "
        "WHERE o.log_id = ? AND o.ended_seq IS NOT NULL ORDER BY o.ended_seq"
    )
    for operation_id, seq, jws in connection.execute(sql, (log_id,)):
        for message in _of_operation(connection, log_id, operation_id, jws):
            yield Finding(log_id, f"entry {seq}, receipt of operation {operation_id}", message)
    yield from _budgets(connection, log_id)


def _of_operation(connection: sqlite3.Connection, log_id: str, operation_id: str, jws: str | None) -> Iterator[str]:
    if jws is None:
        return  # erased; the entry stays
    try:
        payload = parse(jws).payload
    except VerificationFailed:
        return  # said where the entry is checked
    block: Mapping[str, Any] = payload.get("operation") or {}
    if block.get("operation_id") != operation_id:
        yield f"it is of operation {block.get('operation_id')!r}"
        return
    if block["steps"] is None:
        return
    drafts: list[Any] = []
    for step in block["steps"]:
        row = connection.execute(f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.seq = ?", (log_id, step["seq"])).fetchone()
        settled = None if row is None else from_row(row)
        if settled is None or settled.entry_hash.hex() != step["entry_hex"]:
            yield f"its step at entry {step['seq']} is another one, or missing"
            return
        drafts.append(settled.draft)
    outputs, _ = total_of_steps(drafts)
    for name, expected in outputs.items():
        stated = payload["outputs"][name]
        if (stated is None) != (expected is None) or (stated and expected and _differ(stated, expected)):
            yield f"{name} is {stated}; its steps add up to {expected}"


def _differ(stated: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    for bound in _BOUNDS:
        held, found = stated[bound], expected[bound]
        if (held is None) != (found is None):
            return True
        if held is not None and abs(held - found) > max(1, _RELATIVE * abs(found)):
            return True
    return False


def _budgets(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    rows = connection.execute(f"SELECT {BUDGET_COLUMNS} FROM budget WHERE log_id = ? ORDER BY id", (log_id,))  # noqa: S608
    for budget in [budget_of(row) for row in rows]:
        counts = "SELECT bucket, spent, unknown FROM budget_count WHERE budget_id = ? AND (spent, unknown) <> (0, 0)"
        held = {bucket: tuple(counted) for bucket, *counted in connection.execute(counts, (budget.id,))}
        found = {bucket: counted for bucket, counted in counted_anew(connection, budget).items() if counted != (0, 0)}
        for bucket in sorted(held.keys() | found.keys()):
            if held.get(bucket, (0, 0)) != found.get(bucket, (0, 0)):
                where = f"budget of {budget.key.words} in {budget.key.unit}" + (f", {bucket}" if bucket else "")
                spent, unknown = held.get(bucket, (0, 0))
                counted, uncounted = found.get(bucket, (0, 0))
                message = f"counts {spent} and {unknown} unknown; the entries give {counted} and {uncounted}"
                yield Finding(log_id, where, message)
