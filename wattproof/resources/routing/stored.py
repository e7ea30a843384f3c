"""A stored decision read back, and decided again: under its own policy, another one, or other weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Quantity, Usage
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import EVIDENCE_RANK, Deployment
from wattproof.resources.routing.decide import decide
from wattproof.resources.routing.records import Candidate, Decision, Health, Policy, Weights
from wattproof.resources.routing.scales import SCALES, Scales
from wattproof.resources.routing.trace import ESTIMATE_FIELDS, READING_FIELDS, SCHEMA

__all__ = ["StoredDecision", "decision_from_json", "redecide"]

# What a decision does not depend on and a trace does not hold.
_NOT_STORED: Mapping[str, Any] = {
    "native_model": "",
    "base_url": "",
    "key_env": (),
    "location_source": "",
    "checked_at": "",
}


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """The inputs of a decision and its first choice (None: every candidate was excluded).

    Its candidates are in the order of the decision. Their deployments hold what a decision depends on and no more: no
    address, key or price row.
    """

    policy: Policy
    usage: Usage
    decided_at: str
    dry_run: bool
    candidates: tuple[Candidate, ...]
    incumbent: str | None
    weights: Weights
    scales: str
    chosen: str | None


def decision_from_json(text: str | bytes) -> StoredDecision:
    """Read what `decision_json` wrote.

    Raises:
        InvalidInput: it is no decision, or of schema 1, which held too little to decide again.
    """
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable("is not JSON") from error
    if not isinstance(document, dict):
        raise _unreadable("is not an object")
    fields = cast("dict[str, Any]", document)
    schema = fields.get("schema")
    if schema is None and "candidates" in fields:
        raise InvalidInput(
            "decision",
            "is of schema 1, without the published speeds and the reference energy",
            "it can be read but not decided again; decisions from now on can",
        )
    if schema != SCHEMA:
        raise InvalidInput("decision", f"has schema {str(schema)[:40]!r}", f"this version reads {SCHEMA}")
    try:
        stored = _stored(fields)
        # A value of the wrong kind shows at the latest when it is used.
        redecide(stored)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise _unreadable("lacks a field, or one is of the wrong kind") from error
    return stored


def redecide(
    stored: StoredDecision, *, policy: Policy | None = None, weights: Weights | None = None, scales: Scales = SCALES
) -> Decision:
    """Decide again on the same candidates, readings, prices and health.

    Without `policy` the stored one holds. Without `weights` those of a given `policy`'s preset do, else the stored
    ones. With neither, and scales of the stored edition, the result is the stored decision to the byte.
    """
    if weights is None and policy is None:
        weights = stored.weights
    return decide(
        policy or stored.policy,
        stored.usage,
        stored.candidates,
        now=stored.decided_at,
        dry_run=stored.dry_run,
        incumbent=stored.incumbent,
        weights=weights,
        scales=scales,
    )


def _stored(fields: Mapping[str, Any]) -> StoredDecision:
    readings = [Reading(**row) for row in _rows(fields["readings"], READING_FIELDS)]
    estimates = _rows(fields["estimates"], ESTIMATE_FIELDS)
    rows: list[dict[str, Any]] = fields["candidates"]
    candidates = tuple([_candidate(row, readings, estimates) for row in rows])
    stored_policy: dict[str, Any] = fields["policy"]
    policy: dict[str, Any] = {
        name: tuple(cast("list[str]", value)) if isinstance(value, list) else value
        for name, value in stored_policy.items()
    }
    return StoredDecision(
        policy=Policy(**policy),
        usage=Usage(**fields["usage"]),
        decided_at=_text(fields["decided_at"]),
        dry_run=bool(fields["dry_run"]),
        candidates=candidates,
        incumbent=fields["incumbent"],
        weights=Weights(**fields["weights"]),
        scales=_text(fields["scales"]),
        chosen=candidates[0].deployment.id if rows and "excluded_by" not in rows[0] else None,
    )


def _rows(table: Mapping[str, Any], expected: Sequence[str]) -> list[dict[str, Any]]:
    names: list[str] = table["fields"]
    rows: list[list[Any]] = table["rows"]
    if sorted(names) != sorted(expected):
        raise _unreadable("has a table with other columns than this version writes")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _candidate(
    row: Mapping[str, Any], readings: Sequence[Reading], estimates: Sequence[Mapping[str, Any]]
) -> Candidate:
    shared = estimates[int(row["estimate"])]
    reading = readings[int(row["reading"])]
    unused = row.get("unused_reading")
    return Candidate(
        deployment=_deployment(row),
        ceiling_reading=reading,
        annual_reading=readings[int(row["annual_reading"])] if "annual_reading" in row else reading,
        energy_wh=_quantity(shared["energy_wh"]),
        carbon_gco2e=_quantity(row.get("carbon_gco2e")),
        carbon_sigma_own=_number(shared["carbon_sigma_own"]),
        cost_usd_micros=row.get("cost_usd_micros"),
        health=Health(**row.get("health", {})),
        unusable=row.get("unusable"),
        usd_per_mtok=_number_or_none(row.get("usd_per_mtok")),
        reference_energy_wh=_number_or_none(shared["reference_energy_wh"]),
        method_id=shared["method_id"],
        unused_reading=None if unused is None else readings[int(unused)],
        stale=tuple(row.get("stale", ())),
    )


def _deployment(row: Mapping[str, Any]) -> Deployment:
    provider, variant = _text(row["provider"]), row.get("variant")
    whole, suffix = _text(row["deployment"]), "" if variant is None else f"@{variant}"
    if not (whole.startswith(f"{provider}/") and whole.endswith(suffix)):
        raise _unreadable("names a deployment unlike its provider and variant")
    if row["location_evidence"] not in EVIDENCE_RANK:
        raise _unreadable("has a location evidence that this version does not know")
    return Deployment(
        provider=provider,
        model=whole[len(provider) + 1 : len(whole) - len(suffix)],
        protocol=row.get("protocol", "openai-chat"),
        zone=row.get("zone"),
        location_evidence=row["location_evidence"],
        pue=_number_or_none(row.get("pue")),
        speed_tokens_per_s=_number_or_none(row.get("speed_tokens_per_s")),
        context_tokens=row.get("context_tokens"),
        quality=_number_or_none(row.get("quality")),
        local=row.get("local", False),
        variant=variant,
        **_NOT_STORED,
    )


def _quantity(row: Sequence[float | None] | None) -> Quantity | None:
    if row is None:
        return None
    median, low, high = row
    return Quantity(_number(median), _number_or_none(low), _number_or_none(high))


def _number(value: object) -> float:
    # As it was written: 1 stays 1, so that the same bytes come out again.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return value


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _unreadable(problem: str) -> InvalidInput:
    return InvalidInput("decision", problem, "give one that decision_json wrote, unchanged")
