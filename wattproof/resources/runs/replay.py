"""A request that was run before: its stored entry, footprint and receipt, and nothing spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from wattproof.methodology.errors import RequestConflict
from wattproof.methodology.integers import AMOUNTS
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Operand, Quantity, Workload
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid import Reading, reading_for
from wattproof.resources.ledger.records import Amount, Settled
from wattproof.resources.providers import LocationEvidence
from wattproof.resources.receipts import parse
from wattproof.resources.runs.records import RunDeps, RunSettled

__all__ = ["find_replay", "replayed", "stored_estimate"]

_NOT_STORED = "answers are not stored"


async def find_replay(deps: RunDeps, request_id: str, digest: bytes) -> RunSettled | None:
    """The stored run of `request_id`, or None when there is none.

    Raises:
        RequestConflict: it was another request.
    """
    settled = await deps.ledger.get(deps.log_id, request_id=request_id)
    if settled is None:
        return None
    if settled.draft.request_digest != digest:
        raise RequestConflict(
            f"request_id {request_id!r} was used before with another body (entry {settled.seq}, {settled.receipt_id}). "
            "Use a new request_id, or send the same request with the same limits."
        )
    return replayed(deps, settled)


def replayed(deps: RunDeps, settled: Settled) -> RunSettled:
    """The event of a replay; the answer only where this process still has it."""
    end = deps.answers.find(settled.log_id, settled.draft.request_id or "")
    reason = None
    if end is None:
        reason = _NOT_STORED if settled.draft.status == "completed" else f"the run was {settled.draft.status}"
    return RunSettled(
        settled=settled,
        answer=None if end is None else end.text,
        answer_reason=reason,
        replayed=True,
        estimate=stored_estimate(settled, deps),
        decision=None,
        end=end,
        commitment_salt=None,
    )


def stored_estimate(settled: Settled, deps: RunDeps) -> Estimate:
    """The estimate behind a stored entry: its own figures, its receipt's operands and reading.

    Where the receipt was erased, operands and reading are those of the present edition; the figures stay the entry's.
    """
    draft = settled.draft
    payload = None if settled.jws is None else parse(settled.jws).payload
    deployment = next((d for d in deps.catalogue if d.id == draft.deployment), None)
    operands = () if payload is None else tuple(Operand(**row) for row in payload["operands"])
    found = estimate(
        find_model(draft.model),
        draft.usage,
        _present_reading(settled, deps) if payload is None else _reading(payload["grid"]["accounting"]),
        deployment=deployment,
        method_id=draft.method_id,
        location_evidence=cast("LocationEvidence", draft.location_evidence),
        cpu_seconds=_measured_cpu_seconds(operands),
        workload=Workload(draft.workload),
    )
    figures: dict[str, Any] = {
        field: _quantity(getattr(draft, name), units) for name, (field, units) in AMOUNTS.items()
    }
    return replace(
        found,
        recorded_operands=operands or None,
        footprint=replace(found.footprint, tier=draft.tier, **figures),
        renewable_ratio_bps=draft.renewable_ratio_bps,
        edition=draft.edition,
        edition_sha256=found.edition_sha256 if payload is None else payload["edition_sha256"],
    )


def _present_reading(settled: Settled, deps: RunDeps) -> Reading:
    draft = settled.draft
    zone = None if draft.zone.startswith("unknown:") else draft.zone
    return reading_for(zone, draft.provider, deps.clock())


def _reading(stated: Mapping[str, Any]) -> Reading:
    """A reading from its form in a receipt, where intensities are integers."""
    fields = {name: value for name, value in stated.items() if not name.endswith(("_mgco2e_per_kwh", "_millionths"))}
    return Reading(
        **fields,
        value_gco2e_per_kwh=stated["value_mgco2e_per_kwh"] / 1000,
        low_gco2e_per_kwh=_thousandth(stated["low_mgco2e_per_kwh"]),
        high_gco2e_per_kwh=_thousandth(stated["high_mgco2e_per_kwh"]),
        sigma_ln=stated["sigma_ln_millionths"] / 1_000_000,
    )


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _measured_cpu_seconds(operands: tuple[Operand, ...]) -> float | None:
    numbers = {operand.name: operand.number for operand in operands}
    return numbers["cpu_seconds"] if numbers.get("cpu_measured") == 1 else None


def _quantity(amount: Amount | None, units: float) -> Quantity | None:
    if amount is None:
        return None
    low = None if amount.low is None else amount.low / units
    high = None if amount.high is None else amount.high / units
    return Quantity(amount.median / units, low, high)
