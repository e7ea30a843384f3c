"""The normalised form of what a provider reports, as it stands in a receipt beside the raw block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wattproof.resources.providers.reported.record import Flag, ReportedFootprint

__all__ = ["STATED_SCHEMA", "stated_json"]

STATED_SCHEMA = "wattproof-reported/1"

_NANO = 1_000_000_000
_NL_PER_ML = 1_000_000


def stated_json(reported: ReportedFootprint, flags: Iterable[Flag] = ()) -> dict[str, Any]:
    """Integers, text and null only: `energy_nwh`, `carbon_ng`, `water_nl`, `renewable_ratio_bps`.

    `flags` are those of `cross_check`; `flags` of the result is the sorted list of all codes as `code:field`.
    """
    told = {f"{flag.code}:{flag.field}" for flag in (*reported.flags, *flags)}
    return {
        "schema": STATED_SCHEMA,
        "vendor": reported.vendor,
        "energy_nwh": _scaled(reported.energy_wh, _NANO),
        "carbon_ng": _scaled(reported.carbon_gco2e, _NANO),
        "water_nl": _scaled(reported.water_ml, _NL_PER_ML),
        "renewable_ratio_bps": reported.renewable_ratio_bps,
        "flags": sorted(told),
    }


def _scaled(amount: float | None, factor: int) -> int | None:
    return None if amount is None else round(amount * factor)
