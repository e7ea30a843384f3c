"""The decision as JSON, for storage beside an entry and for its digest in the receipt."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from wattproof.methodology.quantity import Quantity
from wattproof.resources.grid.reading import Reading
from wattproof.resources.routing.records import Candidate, Decision, Ranked

__all__ = ["decision_json"]


def decision_json(decision: Decision) -> bytes:
    """`decision` as UTF-8 JSON with sorted keys and no spaces: equal decisions give equal bytes.

    Readings that several candidates share are listed once, under `readings`.
    """
    readings: dict[str, dict[str, Any]] = {}
    document = {
        "policy": asdict(decision.policy),
        "usage": asdict(decision.usage),
        "decided_at": decision.decided_at,
        "decided_by": decision.decided_by,
        "ranking_source": decision.ranking_source,
        "forced_annual_by": decision.forced_annual_by,
        "relax": [asdict(relaxation) for relaxation in decision.relax],
        "candidates": [_ranked(ranked, readings) for ranked in decision.ranked],
        "readings": readings,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _ranked(ranked: Ranked, readings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        **_candidate(ranked.candidate, readings),
        "score": ranked.score,
        "terms": dict(ranked.terms),
        "flags": list(ranked.flags),
        "excluded_by": [asdict(limit) for limit in ranked.excluded_by],
        "in_best_band": ranked.in_best_band,
    }


def _candidate(candidate: Candidate, readings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    deployment = candidate.deployment
    return {
        "deployment": deployment.id,
        "native_model": deployment.native_model,
        "zone": deployment.zone,
        "location_evidence": deployment.location_evidence,
        "pue": deployment.pue,
        "method_id": candidate.method_id,
        "ceiling_reading": _reference(candidate.ceiling_reading, readings),
        "annual_reading": _reference(candidate.annual_reading, readings),
        "energy_wh": _quantity(candidate.energy_wh),
        "carbon_gco2e": _quantity(candidate.carbon_gco2e),
        "carbon_sigma_own": candidate.carbon_sigma_own,
        "cost_usd_micros": candidate.cost_usd_micros,
        "usd_per_mtok": candidate.usd_per_mtok,
        "health": asdict(candidate.health),
        "unusable": candidate.unusable,
    }


def _reference(reading: Reading, readings: dict[str, dict[str, Any]]) -> str:
    key = f"{reading.zone} {reading.source} {reading.observed_at} {reading.factor_scope}"
    readings[key] = reading.as_dict()
    return key


def _quantity(quantity: Quantity | None) -> dict[str, Any] | None:
    return None if quantity is None else asdict(quantity)
