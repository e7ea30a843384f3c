"""Plain-data views of single things, for reading rather than asking: a method, a zone, a receipt."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["method_view", "methods_view", "receipt_view", "zone_view"]


def method_view(method_id: str) -> dict[str, Any]:
    """One method: what it computes, from what, with which sources, and what it leaves out.

    Raises:
        UnknownMethod: no such id or alias.
    """
    from wattproof.methodology.methods import get_method

    method = get_method(method_id)
    return {
        "id": method.id,
        "aliases": list(method.aliases),
        "sha256": method.sha256,
        "title": method.title,
        "summary": method.summary,
        "formula": method.formula,
        "operands": dict(method.operand_units),
        "optional_operands": sorted(sorted(group) for group in method.optional_operands),
        "indicators": list(method.indicators),
        "embodied_included": method.embodied_included,
        "interval": method.interval,
        "tier": method.tier,
        "workloads": [workload.value for workload in method.workloads],
        "factor_scopes": dict(method.factor_scopes),
        "sources": list(method.sources),
        "not_covered": list(method.not_covered),
    }


def methods_view() -> list[dict[str, Any]]:
    """Every method, the default first."""
    from wattproof.methodology.methods import all_methods

    return [method_view(method.id) for method in all_methods()]


def zone_view(zone: str) -> dict[str, Any]:
    """The bundled annual average of one zone with its source and licence.

    Raises:
        UnknownZone: the edition has no such zone.
    """
    from wattproof.methodology.zones import zone_average

    return asdict(zone_average(zone))


async def receipt_view(receipt_id: str, deps: Deps) -> dict[str, Any] | None:
    """One receipt of this ledger and the proof that it is in its log; None when there is none. `jws` is None for a
    record of a batch, which comes with the receipt that signs for it, and if it was erased or archived (`whereabouts`).

    Raises:
        LedgerError: the ledger cannot be read.
    """
    from wattproof.tools.receipt_subject import has_ledger

    if not has_ledger(deps):
        return None
    ledger = await deps.ledger()
    settled = await ledger.get(deps.log_id, receipt_id=receipt_id)
    if settled is None:
        return None
    proof = await ledger.inclusion(settled.log_id, settled.seq)
    signed: dict[str, Any] = {"jws": settled.jws}
    record = await ledger.record_proof(settled.log_id, settled.receipt_id)
    if record is not None:
        signed = {"jws": None, **record.as_dict()}
    elif settled.jws is None:
        signed["whereabouts"] = await ledger.keeping.whereabouts(receipt_id)
    return {"receipt_id": settled.receipt_id, **signed, "inclusion": proof.as_dict()}
