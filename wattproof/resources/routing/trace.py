"""The decision as JSON, for storage beside an entry and for its digest in the receipt.

Schema 2 holds every input, so that `stored.redecide` gives the same bytes again. What is null, false or empty is left
out of candidates. Readings are rows under `readings`, each once, and so are the figures that candidates on the same
hardware share, under `estimates`; candidates name both by position.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson

from wattproof.methodology.quantity import Quantity
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment
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

_MOST_ROWS = 4096
_rounded = lru_cache(maxsize=4096)(round)


class _Tables:
    """Rows that several candidates share, each once, in the order of first use.

    Most candidates share the very record, so that identity finds the row first: comparing records takes longer.
    """

    def __init__(self) -> None:
        self.readings: dict[Reading, int] = {}
        self.estimates: dict[tuple[Any, ...], int] = {}
        self._found: dict[object, int] = {}

    def reading(self, reading: Reading) -> int:
        found = self._found.get(id(reading))
        if found is None:
            found = self._found[id(reading)] = self.readings.setdefault(reading, len(self.readings))
        return found

    def estimate(self, candidate: Candidate) -> int:
        energy_wh = candidate.energy_wh
        rest = (candidate.method_id, candidate.reference_energy_wh, candidate.carbon_sigma_own)
        key = (id(energy_wh), *rest)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self.estimates.setdefault((energy_wh, *rest), len(self.estimates))
        return found

    def estimate_rows(self) -> list[tuple[Any, ...]]:
        return [
            (method_id, _quantity(energy_wh), reference_wh, sigma_own)
            for energy_wh, method_id, reference_wh, sigma_own in self.estimates
        ]


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
            "estimates": {"fields": ESTIMATE_FIELDS, "rows": tables.estimate_rows()},
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
        fields["score"] = ranked.score
        fields["terms"] = {name: _rounded(value, 6) for name, value in ranked.terms}
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
    used, annual, unused = candidate.ceiling_reading, candidate.annual_reading, candidate.unused_reading
    carbon, health = candidate.carbon_gco2e, candidate.health
    cost, rate = candidate.cost_usd_micros, candidate.usd_per_mtok
    found = _of_row(candidate.deployment).copy()
    found["estimate"] = tables.estimate(candidate)
    found["reading"] = tables.reading(used)
    if annual is not used and annual != used:
        found["annual_reading"] = tables.reading(annual)
    if unused is not None:
        found["unused_reading"] = tables.reading(unused)
    if carbon is not None:
        found["carbon_gco2e"] = (carbon.median, carbon.low, carbon.high)
    if cost is not None:
        found["cost_usd_micros"] = cost
    if rate is not None:
        found["usd_per_mtok"] = rate
    if candidate.unusable is not None:
        found["unusable"] = candidate.unusable
    if candidate.stale:
        found["stale"] = candidate.stale
    if health is not _NO_HEALTH and health != _NO_HEALTH:
        found["health"] = _without_empty(zip(HEALTH_FIELDS, _health_values(health), strict=True))
    return found


_rows: dict[int, tuple[Deployment, dict[str, Any]]] = {}


def _of_row(row: Deployment) -> dict[str, Any]:
    """What a candidate states of its row: the same in every decision, so that it is put together once."""
    # What is kept holds on to its record, so that its identity stays its own.
    kept = _rows.get(id(row))
    if kept is None:
        stated = (
            ("deployment", row.id),
            ("provider", row.provider),
            ("variant", row.variant),
            ("protocol", None if row.protocol == "openai-chat" else row.protocol),
            ("local", row.local or None),
            ("zone", row.zone),
            ("location_evidence", row.location_evidence),
            ("pue", row.pue),
            ("speed_tokens_per_s", row.speed_tokens_per_s),
            ("context_tokens", row.context_tokens),
            ("quality", row.quality),
        )
        if len(_rows) >= _MOST_ROWS:
            _rows.clear()
        kept = _rows[id(row)] = row, _without_empty(stated)
    return kept[1]


def _without_empty(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if value is not None and value is not False}


def _quantity(quantity: Quantity | None) -> tuple[float | None, ...] | None:
    return None if quantity is None else (quantity.median, quantity.low, quantity.high)
