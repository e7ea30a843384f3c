"""What a receipt's operands tell of the deployment, for a method that takes other operands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattproof.methodology.data import read_edition
from wattproof.methodology.quantity import Operand

__all__ = ["known_of_deployment"]

# Of these methods it is known which operands their deployment gave, and which they assumed.
_OURS = ("wattproof/param@", "wattproof/cpu-time@")
# operand -> (field of an activity, field that names its source)
_PUBLISHED = {
    "pue": ("pue", "pue_source"),
    "wue_onsite_l_per_kwh": ("wue_onsite_l_per_kwh", "wue_source"),
    "wue_offsite_l_per_kwh": ("wue_offsite_l_per_kwh", "wue_source"),
    "market_gco2e_per_kwh": ("market_gco2e_per_kwh", "instrument_id"),
}
_STATED_BY_CALLER = {"batch": "batch", "bytes_per_param": "weight_bytes_per_param"}


def known_of_deployment(method_id: str, operands: Mapping[str, Operand]) -> dict[str, Any]:
    """Fields of `Activity` that somebody stated and the method with these operands did not assume.

    The accelerator is not among the operands: where it was known, it is assumed again. Of other methods nothing is
    taken, because their operands do not say what they assumed.
    """
    if not method_id.startswith(_OURS):
        return {}
    assumed = read_edition("wattproof/factors.json")["source_id"]
    known = {name: operand for name, operand in operands.items() if operand.source_id != assumed}
    facts: dict[str, Any] = {}
    for name, (field, source) in _PUBLISHED.items():
        if name in known:
            facts |= {field: known[name].number, source: known[name].source_id}
    for name, field in _STATED_BY_CALLER.items():
        if name in known and known[name].source_id == "caller":
            facts[field] = known[name].number
    if "cpu_seconds" in known and operands["cpu_measured"].number == 1:
        facts |= {"cpu_seconds": known["cpu_seconds"].number, "cpu_measured": True}
    return facts
