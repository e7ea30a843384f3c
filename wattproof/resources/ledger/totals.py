"""From sums to totals: intervals are computed here, at read, so that what requests share does not average out.

Energy and location-based carbon have terms, whose shared factors a total keeps. Of market-based carbon and water only
the bounds of each entry are known: their sums bound the total as if all estimates erred alike, which is the widest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wattproof.methodology.propagate import Row, total
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.parts import Part
from wattproof.resources.ledger.records import SummaryRow
from wattproof.resources.ledger.sums import MAX_TERMS, SUMS

__all__ = ["GROUPS", "Signatures", "row_of", "signatures_of"]

# What `group_by` accepts -> the column of the dimension.
GROUPS = {
    "provider": "provider",
    "model": "model",
    "zone": "zone",
    "method": "method_id",
    "tier": "tier",
    "energy_source": "energy_source",
    "temporal_match": "temporal_match",
    "usage_source": "usage_source",
    "location_evidence": "location_evidence",
    "status": "status",
    "workload": "workload",
}

Signatures = Mapping[int, Any]
"""Factor signatures by their ids: the loadings of the terms, and which amounts have an interval."""

_Amount = tuple[float, float | None, float | None]


def signatures_of(connection: sqlite3.Connection, parts: Iterable[Part]) -> Signatures:
    """The factor signatures of `parts`."""
    sql = "SELECT json FROM factor_signature WHERE id = ?"
    ids = {part.dimension["signature_id"] for part in parts}
    return {each: json.loads(connection.execute(sql, (each,)).fetchone()[0]) for each in sorted(ids)}


def row_of(key: str | None, parts: Sequence[Part], signatures: Signatures) -> SummaryRow:
    """The totals of `parts`."""
    sums = {name: sum(part.sums[name] for part in parts) for name in SUMS}
    counted = {name: int(sums[name]) for name in SUMS}
    return SummaryRow(
        key=key,
        request_count=counted["request_count"],
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
        cached_input_tokens=counted["cached_input_tokens"],
        reasoning_tokens=counted["reasoning_tokens"],
        energy_wh=_quantity(parts, signatures, "energy", "e"),
        carbon_gco2e=_quantity(parts, signatures, "carbon", "c"),
        carbon_market_gco2e=_bounded(parts, signatures, "market", "carbon_market_ng", 1e-9),
        water_ml=_bounded(parts, signatures, "water", "water_nl", 1e-6),
        adpe_kgsbeq=sums["adpe_pgsbeq"] * 1e-15 if _has(sums, "adpe_known", "adpe_pgsbeq") else None,
        energy_known_count=counted["energy_known"],
        carbon_known_count=counted["carbon_known"],
        market_known_count=counted["market_known"],
        water_known_count=counted["water_known"],
        adpe_known_count=counted["adpe_known"],
        renewable_ratio_bps=_renewable_ratio_bps(sums),
        cost_micros_by_currency=_costs(parts),
        counts={group: _counts(parts, column) for group, column in GROUPS.items()},
        recorded_count=counted["recorded_count"],
        imported_count=counted["imported_count"],
    )


def _quantity(parts: Sequence[Part], signatures: Signatures, kind: str, prefix: str) -> _Amount | None:
    """Median and 90 % interval of the total in Wh or g, over the entries that know it.

    No interval when any of them has none: a width would then be invented.
    """
    # An adjustment counts no request and may stand alone in its dimension.
    known = [part for part in parts if part.sums[f"{kind}_known"] or _adds(part, prefix)]
    if not known:
        return None
    rows: list[Row] = []
    for part in known:
        terms = signatures[part.dimension["signature_id"]]["terms"]
        rows.append(
            Row(
                [part.sums[f"{prefix}{k}"] * 1e-9 for k in range(len(terms))],
                [tuple((name, sigma) for name, sigma in term[kind]) for term in terms],
                part.sums[f"{kind}_own_variance"] * 1e-18,
            )
        )
    quantity = total(rows)
    if not _have_intervals(known, signatures, kind):
        return quantity.median, None, None
    return quantity.median, quantity.low, quantity.high


def _adds(part: Part, prefix: str) -> bool:
    return any(part.sums[f"{prefix}{k}"] for k in range(MAX_TERMS))


def _bounded(parts: Sequence[Part], signatures: Signatures, kind: str, name: str, unit: float) -> _Amount | None:
    """A total and the sums of its bounds; no bounds where an entry has none."""
    known = [part for part in parts if _has(part.sums, f"{kind}_known", name)]
    if not known:
        return None
    median, low, high = (sum(part.sums[f"{name}{end}"] for part in known) * unit for end in ("", "_low", "_high"))
    return (median, low, high) if _have_intervals(known, signatures, kind) else (median, None, None)


def _have_intervals(parts: Sequence[Part], signatures: Signatures, kind: str) -> bool:
    return all(signatures[part.dimension["signature_id"]]["intervals"].get(kind, False) for part in parts)


def _has(sums: Mapping[str, float], count: str, name: str) -> bool:
    return bool(sums[count] or sums[name])


def _renewable_ratio_bps(sums: Mapping[str, float]) -> int | None:
    """The energy-weighted ratio; None when any part is unknown."""
    whole = sums["renewable_known"] == sums["energy_known"] == sums["request_count"]
    return round(sums["renewable_weight"] / sums["energy_nwh"]) if whole and sums["energy_nwh"] else None


def _costs(parts: Sequence[Part]) -> dict[str, int]:
    costs: dict[str, int] = {}
    for part in parts:
        if part.sums["cost_known"] or part.sums["cost_micros"]:
            currency = part.dimension["currency"]
            costs[currency] = costs.get(currency, 0) + int(part.sums["cost_micros"])
    return costs


def _counts(parts: Sequence[Part], column: str) -> dict[str, int]:
    """How many requests have each value of a column of the dimension."""
    counts: dict[str, int] = {}
    for part in parts:
        if count := int(part.sums["request_count"]):
            value = part.dimension[column]
            counts[value] = counts.get(value, 0) + count
    return counts
