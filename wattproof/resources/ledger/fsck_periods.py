"""Check that closed months stayed as they were, and that adjustments add to totals what their receipts state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.methodology.methods import get_method
from wattproof.methodology.quantity import Operand
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.periods import closed, month_after
from wattproof.resources.ledger.records import Finding, Settled
from wattproof.resources.ledger.tiling import subtrees
from wattproof.resources.receipts.adjustment import split, term_changes

__all__ = ["adjustment_terms", "check"]

_UNITS = 1
_RELATIVE = 1e-6
_LATER = "SELECT seq FROM entry WHERE log_id = ? AND seq >= ? AND occurred_at < ? ORDER BY seq"
_SIZE = "SELECT COUNT(*) FROM entry WHERE log_id = ? AND seq < ?"


def check(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    """Hold each closed month against the entries: none came later, and the log then had the root that was kept."""
    for each in closed(connection, log_id):
        where = f"closed period {each.period}"
        for (seq,) in connection.execute(_LATER, (log_id, each.size, f"{month_after(each.period)}-01")):
            yield Finding(log_id, where, f"entry {seq} came after it was closed at {each.size} entries")
        (count,) = connection.execute(_SIZE, (log_id, each.size)).fetchone()
        if count != each.size:
            yield Finding(log_id, where, f"was closed at {each.size} entries; {count} of them are there")
            continue
        if each.size == 0:
            continue
        root = subtrees(connection, log_id)(0, each.size)
        if root != each.root:
            yield Finding(log_id, where, f"root was {each.root.hex()}; its {each.size} entries give {root.hex()}")


def adjustment_terms(settled: Settled, payload: Mapping[str, Any]) -> Iterator[str]:
    """Hold the terms of an adjustment against the operands of its receipt; of a method that is unknown here, nothing.

    Their means are differences of means, which do not follow from the medians that the receipt states.
    """
    try:
        method = get_method(payload["method_id"])
    except UnknownMethod:
        return
    if not settled.draft.terms or method.sha256 != payload["method_sha256"]:
        return
    now, before = split(Operand(**operand) for operand in payload["operands"])
    try:
        changes = term_changes(method, {each.name: each.number for each in now}, before, payload["boundary"])
    except InvalidInput as error:
        yield f"its terms cannot be computed: {error}"
        return
    expected = {each.name: (each.energy_mean_nwh, each.carbon_mean_ng) for each in changes}
    held = {each.name: (each.energy_mean_nwh, each.carbon_mean_ng) for each in settled.draft.terms}
    for name in sorted(expected.keys() | held.keys()):
        for found, wanted in zip(held.get(name, (0, 0)), expected.get(name, (0, 0)), strict=True):
            if not _agree(found, wanted):
                yield f"its term {name!r} adds {held.get(name)} (nWh, ng); its operands give {expected.get(name)}"
                break


def _agree(found: int | None, wanted: int | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return abs(found - wanted) <= max(_UNITS, _RELATIVE * abs(wanted))
