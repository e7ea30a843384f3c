"""The decision as JSON, for storage beside an entry and for its digest in the receipt.

Schema 2 holds every input, so that `stored.redecide` gives the same bytes again. What is null, false or empty is left
out of candidates. Readings are rows under `readings`, each once, and so are the figures that candidates on the same
hardware share, under `estimates`; candidates name both by position.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

import orjson

from wattproof.methodology.quantity import Quantity
from wattproof.resources.grid.reading import Reading
from wattproof.resources.routing.records import Candidate, Decision, Health, Policy, Ranked

__all__ = [
    "ESTIMATE_FIELDS",
    "HEALTH_FIELDS",
    "POLICY_FIELDS",
    "READING_FIELDS",
    "SCHEMA",
    "USAGE_FIELDS",
    "decision_json",
]

SCHEMA = "wattproof-decision/2"

READING_FIELDS = tuple(Reading.__slots__)
POLICY_FIELDS = tuple(Policy.__slots__)
HEALTH_FIELDS = tuple(Health.__slots__)
ESTIMATE_FIELDS = ("method_id", "energy_wh", "reference_energy_wh", "carbon_sigma_own")
USAGE_FIELDS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")

_reading_row = attrgetter(*READING_FIELDS)
_policy_values = attrgetter(*POLICY_FIELDS)
_health_values = attrgetter(*HEALTH_FIELDS)
_usage_values = attrgetter(*USAGE_FIELDS)
_NO_HEALTH = Health()


class _Tables:
    """Rows that several candidates share, each once, in the order of first use."""

    def __init__(self) -> None:
        self.readings: dict[Reading, int] = {}
        self.estimates: dict[tuple[Any, ...], int] = {}

    def reading(self, reading: Reading) -> int:
        return self.readings.setdefault(reading, len(self.readings))

    def estimate(self, candidate: Candidate) -> int:
        row = (
            candidate.method_id,
            _quantity(candidate.energy_wh),
            candidate.reference_energy_wh,
            candidate.carbon_sigma_own,
        )
        return self.estimates.setdefault(row, len(self.estimates))


def decision_json(decision: Decision) -> bytes:
    """`decision` as UTF-8 JSON with sorted keys and no spaces: equal decisions give equal bytes."""
    tables = _Tables()
    candidates = [_ranked(ranked, tables) for ranked in decision.ranked]
    weights = decision.weights
    return _encoded(
        {
            "schema": SCHEMA,
            "scales": decision.scales,
            "policy": dict(zip(POLICY_FIELDS, _policy_values(decision.policy), strict=True)),
            "weights": {"environment": weights.environment, "price": weights.price, "speed": weights.speed},
            "usage": dict(zip(USAGE_FIELDS, _usage_values(decision.usage), strict=True)),
            "decided_at": decision.decided_at,
            "dry_run": decision.dry_run,
            "incumbent": decision.incumbent,
            "decided_by": decision.decided_by,
            "ranking_source": decision.ranking_source,
            "forced_annual_by": decision.forced_annual_by,
            "relax": [{"limit": r.limit, "to": r.to, "admits": r.admits} for r in decision.relax],
            "candidates": candidates,
            "estimates": {"fields": ESTIMATE_FIELDS, "rows": tuple(tables.estimates)},
            "readings": {"fields": READING_FIELDS, "rows": [_reading_row(reading) for reading in tables.readings]},
        }
    )


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # A lone surrogate in somebody's name is no UTF-8; the standard library escapes it.
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _ranked(ranked: Ranked, tables: _Tables) -> dict[str, Any]:
    fields = _candidate(ranked.candidate, tables)
    if ranked.score is not None:
        fields["score"] = round(ranked.score, 9)
        fields["terms"] = {name: round(value, 6) for name, value in ranked.terms}
    if ranked.flags:
        fields["flags"] = ranked.flags
    if ranked.excluded_by:
        fields["excluded_by"] = [
            {"limit": limit.name, "code": limit.code, "reason": limit.reason, "admits_at": limit.admits_at}
            for limit in ranked.excluded_by
        ]
    if ranked.in_best_band:
        fields["in_best_band"] = True
    return fields


def _candidate(candidate: Candidate, tables: _Tables) -> dict[str, Any]:
    deployment, health = candidate.deployment, candidate.health
    protocol = deployment.protocol
    found: dict[str, Any] = {
        "deployment": deployment.id,
        "provider": deployment.provider,
        "variant": deployment.variant,
        "protocol": None if protocol == "openai-chat" else protocol,
        "local": deployment.local or None,
        "zone": deployment.zone,
        "location_evidence": deployment.location_evidence,
        "pue": deployment.pue,
        "speed_tokens_per_s": deployment.speed_tokens_per_s,
        "context_tokens": deployment.context_tokens,
        "quality": deployment.quality,
        "estimate": tables.estimate(candidate),
        "reading": tables.reading(candidate.ceiling_reading),
        "annual_reading": None,
        "unused_reading": None,
        "carbon_gco2e": _quantity(candidate.carbon_gco2e),
        "cost_usd_micros": candidate.cost_usd_micros,
        "usd_per_mtok": candidate.usd_per_mtok,
        "unusable": candidate.unusable,
        "stale": candidate.stale or None,
    }
    if candidate.annual_reading != candidate.ceiling_reading:
        found["annual_reading"] = tables.reading(candidate.annual_reading)
    if candidate.unused_reading is not None:
        found["unused_reading"] = tables.reading(candidate.unused_reading)
    if health != _NO_HEALTH:
        found["health"] = _without_empty(dict(zip(HEALTH_FIELDS, _health_values(health), strict=True)))
    return _without_empty(found)


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value is not False}


def _quantity(quantity: Quantity | None) -> tuple[float | None, ...] | None:
    return None if quantity is None else (quantity.median, quantity.low, quantity.high)
