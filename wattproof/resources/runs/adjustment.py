"""From an entry and the corrected value of its reading to the adjustment: its draft and what its receipt states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Method, get_method
from wattproof.methodology.propagate import mean
from wattproof.methodology.quantity import Boundary, Operand, Usage
from wattproof.resources.grid import Reading
from wattproof.resources.ledger.records import Amount, EntryDraft, FactorTerm, Settled
from wattproof.resources.receipts import validate_payload
from wattproof.resources.receipts.adjustment import change, former, split
from wattproof.resources.receipts.payload import grid_payload
from wattproof.resources.receipts.schema import USAGE_COUNTS
from wattproof.resources.receipts.statement import Statement

__all__ = ["CEILING_EXCEEDED_AFTER", "Adjustment", "adjustment_of"]

CEILING_EXCEEDED_AFTER = "ceiling_exceeded_after"
_INTENSITY = "intensity_gco2e_per_kwh"
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A draft for the ledger and what its receipt will state."""

    draft: EntryDraft
    statement: Statement


def adjustment_of(
    original: Settled, stated: Mapping[str, Any], corrected: Reading, *, now: str, nonce: bytes
) -> Adjustment:
    """What the corrected reading adds to `original`, whose receipt states `stated`; energy and usage do not change.

    The method of the entry is run again on the operands of its receipt, once as they are and once with the corrected
    intensity. `parent_id` names the receipt that is adjusted, `grid.routing` holds the reading that it was accepted on.

    Raises:
        InvalidInput: the method of the entry does not work with an intensity.
        UnknownMethod: this version does not have that method.
    """
    method = get_method(stated["method_id"])
    operands = _operands(method, stated, corrected)
    now_operands, before = split(operands)
    numbers = {operand.name: operand.number for operand in now_operands}
    outputs = change(method, numbers, before, stated["boundary"])
    terms = _terms(original.draft, method, numbers, before, stated["boundary"])
    draft = _draft(original, corrected, outputs, terms, now)
    payload = _statement(original, stated, corrected, outputs, operands)
    payload |= {"issued_at": now, "occurred_at": now, "nonce": nonce.hex()}
    validate_payload(payload)
    return Adjustment(draft, Statement(payload))


def _operands(method: Method, stated: Mapping[str, Any], corrected: Reading) -> list[Operand]:
    operands = [Operand(**row) for row in stated["operands"]]
    accepted = next((operand for operand in operands if operand.name == _INTENSITY), None)
    if accepted is None:
        raise InvalidInput("operands", f"of {method.id} hold no {_INTENSITY}", "its carbon does not follow from a grid")
    value = Operand.of(_INTENSITY, corrected.value_gco2e_per_kwh, accepted.unit, corrected.source)
    kept = [operand for operand in operands if operand is not accepted]
    return sorted([*kept, value, former(accepted)], key=lambda operand: operand.name)


def _terms(
    draft: EntryDraft, method: Method, numbers: Mapping[str, float], before: Mapping[str, float], boundary: Boundary
) -> tuple[FactorTerm, ...]:
    """By how much each term of the entry grows; its factors stay, so that shared uncertainty still adds up."""
    new = method.compute(numbers, boundary).carbon_terms
    old = method.compute({**numbers, **before}, boundary).carbon_terms
    if not draft.terms or not new:
        return ()
    return tuple(
        replace(term, energy_mean_nwh=0, carbon_mean_ng=round(mean(grown) * _NANO) - round(mean(accepted) * _NANO))
        for term, grown, accepted in zip(draft.terms, new, old, strict=True)
    )


def _draft(
    original: Settled, corrected: Reading, outputs: Mapping[str, Any], terms: tuple[FactorTerm, ...], now: str
) -> EntryDraft:
    amounts = {
        name: None if output is None else Amount(output["median"], output["low"], output["high"])
        for name, output in outputs.items()
    }
    return replace(
        original.draft,
        **amounts,
        kind="adjustment",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=now,
        temporal_match=corrected.temporal_match,
        renewable_ratio_bps=corrected.renewable_ratio_bps,
        usage=Usage(0, 0),
        terms=terms,
        attempts=0,
        latency_ms=None,
        finish_reason=None,
        cost_micros=None,
        currency=None,
        parent_id=original.receipt_id,
        step_kind=CEILING_EXCEEDED_AFTER,
        adjusts=original.seq,
        external_id=f"{CEILING_EXCEEDED_AFTER}:{original.seq}",
        provider_request_id=None,
        decision_json=None,
    )


def _statement(
    original: Settled,
    stated: Mapping[str, Any],
    corrected: Reading,
    outputs: Mapping[str, Any],
    operands: list[Operand],
) -> dict[str, Any]:
    return {
        **stated,
        "kind": "adjustment",
        "status": "completed",
        "request_id": None,
        "attempts": 0,
        "renewable_ratio_bps": corrected.renewable_ratio_bps,
        "usage": {**stated["usage"], **dict.fromkeys(USAGE_COUNTS, 0)},
        "outputs": dict(outputs),
        "operands": [{name: getattr(operand, name) for name in Operand.__slots__} for operand in operands],
        "grid": {"accounting": grid_payload(corrected.as_dict()), "routing": stated["grid"]["accounting"]},
        "cost": None,
        "latency_ms": None,
        "parent_id": original.receipt_id,
        "step_kind": CEILING_EXCEEDED_AFTER,
        "request_commitment": None,
        "provider_reported": None,
    }
