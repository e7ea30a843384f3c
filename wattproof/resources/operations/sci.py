"""The Software Carbon Intensity of one operation: ISO/IEC 21031:2024, ((E x I) + M) / R with R = 1 operation.

E is its energy [kWh], I the location-based intensity of that energy [gCO2e/kWh], M its share of making the hardware
[gCO2e]. Instruments and offsets play no part. M follows from the steps' receipts: each step's method is run again on
its own operands. Where a method or a step knows no hardware M is unknown, and then the standard gives no figure.

Medians are used throughout. The parts of M rest on the same unknown lifetimes and footprints of hardware, so their
medians add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wattproof.methodology.errors import InvalidInput, UnknownMethod, VerificationFailed
from wattproof.methodology.methods import get_method
from wattproof.methodology.quantity import Operand
from wattproof.resources.ledger.records import Settled, SummaryRow
from wattproof.resources.receipts import parse

__all__ = ["MAX_SCI_STEPS", "Sci", "sci_of"]

MAX_SCI_STEPS = 500
"""Beyond this M is not computed: every step's method would be run again."""


@dataclass(frozen=True, slots=True)
class Sci:
    """E [kWh], I [gCO2e/kWh], M [gCO2e] and the SCI [gCO2e per operation]; what is unknown is None, with `reason`."""

    energy_kwh: float | None
    intensity_gco2e_per_kwh: float | None
    embodied_gco2e: float | None
    sci_gco2e: float | None
    reason: str | None


def sci_of(total: SummaryRow, steps: Sequence[Settled]) -> Sci:
    """The SCI of an operation with these totals and steps."""
    if total.energy_wh is None or total.carbon_gco2e is None:
        return Sci(None, None, None, None, "energy or climate of the steps is unknown")
    if min(total.energy_known_count, total.carbon_known_count) < total.request_count:
        return Sci(None, None, None, None, "a step's energy or climate is unknown")
    energy_kwh, whole_g = total.energy_wh[0] / 1000, total.carbon_gco2e[0]
    if not energy_kwh:
        return Sci(0.0, None, None, None, "no energy was used")
    if len(steps) > MAX_SCI_STEPS:
        return Sci(energy_kwh, whole_g / energy_kwh, None, None, f"M is computed for up to {MAX_SCI_STEPS} steps")
    beside, within = 0.0, 0.0
    for step in steps:
        found = _embodied_gco2e(step)
        if isinstance(found, str):
            return Sci(energy_kwh, whole_g / energy_kwh, None, None, found)
        embodied, included = found
        within += embodied if included else 0.0
        beside += 0.0 if included else embodied
    operational_g = max(0.0, whole_g - within)
    embodied = math.fsum((beside, within))
    return Sci(energy_kwh, operational_g / energy_kwh, embodied, operational_g + embodied, None)


def _embodied_gco2e(step: Settled) -> tuple[float, bool] | str:
    """A step's share of making the hardware and whether its climate figure holds it; else why it is unknown."""
    if step.draft.kind == "adjustment":
        return 0.0, False
    name = f"step {step.seq}"
    if step.jws is None:
        return f"the receipt of {name} was erased"
    try:
        payload = parse(step.jws).payload
        method = get_method(payload["method_id"])
        numbers = {operand["name"]: Operand(**operand).number for operand in payload["operands"]}
        found = method.compute(numbers, payload["boundary"]).carbon_embodied_gco2e
    except (VerificationFailed, UnknownMethod, InvalidInput, KeyError) as error:
        return f"{name} cannot be computed again: {error}"[:200]
    if found is None:
        return f"making the hardware is unknown for {name} ({method.id})"
    return found.median, method.embodied_included
