"""From what a run spent to its ledger entry and the payload of its receipt. Pure, so that it can be signed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.integers import AMOUNTS, outputs
from wattproof.resources.footprints import Estimate, estimate, factor_terms
from wattproof.resources.ledger.records import Amount, EntryDraft, EntryStatus, FactorTerm
from wattproof.resources.providers import ChatEnd
from wattproof.resources.providers.reported import ReportedFootprint, cross_check, read_reported, stated_json
from wattproof.resources.receipts import build_payload, canonical, request_commitment
from wattproof.resources.receipts.stated import stated
from wattproof.resources.receipts.statement import Statement
from wattproof.resources.routing import Candidate, Decision, decision_json
from wattproof.resources.runs.plan import Plan
from wattproof.resources.runs.records import RunRequest
from wattproof.resources.runs.tally import Tally

__all__ = ["Entry", "Outcome", "Trace", "build_entry"]

Outputs = Mapping[str, Mapping[str, Any] | None]

_NANO = 1_000_000_000
_INTEGER_NAMES: Mapping[str, str] = {field: name for name, (field, _) in AMOUNTS.items()}


class Trace(NamedTuple):
    """A decision as JSON, and the SHA-256 of that in hex."""

    text: str
    sha256: str

    @classmethod
    def of(cls, decision: Decision) -> Trace:
        """The trace of `decision`."""
        written = decision_json(decision)
        return cls(written.decode(), sha256(written).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `candidate` is the one of the last try; its reading is the one that accounts.

    `body` is the canonical request and `digest` its SHA-256; `salt` and `nonce` are random. `end` is None where no
    answer was completed.
    """

    log_id: str
    request: RunRequest
    request_id: str
    body: bytes
    digest: bytes
    plan: Plan
    trace: Trace
    candidate: Candidate
    tally: Tally
    status: EntryStatus
    attempts: int
    occurred_at: str
    latency_ms: int
    finish_reason: str | None
    end: ChatEnd | None
    salt: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A draft for the ledger, what its receipt will state, and the estimate behind both.

    `reported` is what the provider says of the footprint, with every doubt about it: beside our figures, never in them.
    """

    draft: EntryDraft
    statement: Statement
    estimate: Estimate
    reported: ReportedFootprint | None


def build_entry(outcome: Outcome) -> Entry:
    """The entry of a run.

    Where the provider's own usage is so absurd that no entry can hold it, the entry uses our count and says so
    (`usage_source: local_count`): what was spent is recorded whatever a provider claims.

    Raises:
        NotDefined: the method does not cover the request.
    """
    try:
        return _build(outcome)
    except InvalidInput:
        if outcome.tally.source != "provider":
            raise
        return _build(replace(outcome, tally=outcome.tally.as_counted()))


def _build(outcome: Outcome) -> Entry:
    found = _estimate(outcome)
    amounts = outputs(found.footprint)
    draft = _draft(outcome, found, amounts)
    reported = _reported(outcome, found)
    payload = build_payload(
        issued_at=draft.occurred_at,
        provider_reported=_provider_block(outcome.end, reported),
        **_payload_fields(outcome, found, amounts, draft),
    )
    return Entry(draft, Statement(payload, _dumps), found, reported)


def _dumps(checked: object) -> bytes:
    """Canonical JSON of what was checked to hold integers, strings and null: orjson writes those as RFC 8785 asks."""
    try:
        return orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Text that is no Unicode: ours says where.
        return canonical.dumps(checked)


def _estimate(outcome: Outcome) -> Estimate:
    candidate = outcome.candidate
    return estimate(
        outcome.plan.model,
        outcome.tally.usage,
        candidate.ceiling_reading,
        deployment=candidate.deployment,
        cpu_seconds=outcome.tally.cpu_seconds,
        workload=outcome.request.workload,
    )


def _draft(outcome: Outcome, found: Estimate, amounts: Outputs) -> EntryDraft:
    request, deployment = outcome.request, outcome.candidate.deployment
    amount = {name: None if a is None else Amount(a["median"], a["low"], a["high"]) for name, a in amounts.items()}
    micros, currency = outcome.tally.cost or (None, None)
    end = outcome.end
    return EntryDraft(
        log_id=outcome.log_id,
        kind="inference",
        status=outcome.status,
        request_id=outcome.request_id,
        request_digest=outcome.digest,
        occurred_at=outcome.occurred_at,
        workload=request.workload.value,
        provider=deployment.provider,
        model=outcome.plan.model.id,
        resolved_model=None if end is None else _text(end.resolved_model),
        deployment=deployment.id,
        zone=found.region_scope,
        location_evidence=found.location_evidence,
        energy_source=found.energy_source,
        renewable_ratio_bps=found.renewable_ratio_bps,
        temporal_match=found.reading.temporal_match,
        grid_source=found.reading.source,
        usage=outcome.tally.usage,
        usage_source=outcome.tally.source,
        method_id=found.method.id,
        edition=found.edition,
        tier=found.footprint.tier,
        boundary=found.footprint.boundary,
        energy_nwh=amount["energy_nwh"],
        carbon_location_ng=amount["carbon_location_ng"],
        carbon_market_ng=amount["carbon_market_ng"],
        water_nl=amount["water_nl"],
        adpe_pgsbeq=amount["adpe_pgsbeq"],
        reasons={_INTEGER_NAMES[name]: why for name, why in found.footprint.reasons.items() if name in _INTEGER_NAMES},
        terms=_terms(found),
        attempts=outcome.attempts,
        latency_ms=outcome.latency_ms,
        finish_reason=_text(outcome.finish_reason),
        cost_micros=micros,
        currency=currency,
        project=request.project,
        tags=request.tags,
        operation_id=request.operation_id,
        parent_id=request.parent_id,
        step_kind=request.step_kind,
        provider_request_id=None if end is None else _text(end.provider_request_id),
        decision_json=outcome.trace.text,
    )


def _payload_fields(outcome: Outcome, found: Estimate, amounts: Outputs, draft: EntryDraft) -> dict[str, Any]:
    decision = outcome.plan.decision
    candidate = outcome.candidate
    routing = candidate.annual_reading if decision.forced_annual_by is not None else candidate.ceiling_reading
    accounting = found.reading.as_dict()
    return {
        "log_id": draft.log_id,
        "occurred_at": draft.occurred_at,
        "kind": draft.kind,
        "status": draft.status,
        "request_id": draft.request_id,
        "attempts": draft.attempts,
        "workload": draft.workload,
        "provider": draft.provider,
        "model": draft.model,
        "resolved_model": draft.resolved_model,
        "deployment": draft.deployment,
        "region_scope": found.region_scope,
        "zone": draft.zone,
        "location_evidence": draft.location_evidence,
        "energy_source": draft.energy_source,
        "renewable_ratio_bps": draft.renewable_ratio_bps,
        "ghg_scope": found.ghg_scope,
        "usage": draft.usage,
        "usage_source": draft.usage_source,
        "method_id": found.method.id,
        "method_sha256": found.method.sha256,
        "edition": found.edition,
        "edition_sha256": found.edition_sha256,
        "tier": draft.tier,
        "boundary": draft.boundary,
        "outputs": amounts,
        "reasons": found.footprint.reasons,
        "operands": found.operands,
        "accounting": accounting,
        "routing": accounting if routing is found.reading else routing.as_dict(),
        "cost_micros": draft.cost_micros,
        "currency": draft.currency,
        "latency_ms": draft.latency_ms,
        "operation_id": draft.operation_id,
        "parent_id": draft.parent_id,
        "step_kind": draft.step_kind,
        "tags": draft.tags,
        "decision_sha256": outcome.trace.sha256,
        "request_commitment": request_commitment(outcome.salt, outcome.body),
        "nonce": outcome.nonce,
    }


def _reported(outcome: Outcome, found: Estimate) -> ReportedFootprint | None:
    """What the provider says of its answer, held against the answer's usage and our estimate."""
    end = outcome.end
    reported = None if end is None or end.reported is None else read_reported(end.reported)
    if end is None or reported is None:
        return None
    doubts = cross_check(
        reported,
        usage=end.usage,
        # Ours is of all tries; it is of this answer where there was one.
        energy=found.footprint.energy_wh if len(outcome.tally.shares) == 1 else None,
        zone=found.reading.zone if found.reading.zone_known else None,
        reading_value_gco2e_per_kwh=found.reading.value_gco2e_per_kwh if found.reading.zone_known else None,
        renewable_ratio_bps=found.renewable_ratio_bps,
    )
    return replace(reported, flags=(*reported.flags, *doubts))


def _provider_block(end: ChatEnd | None, reported: ReportedFootprint | None) -> dict[str, Any] | None:
    """The provider's blocks as they came, and beside them, under our name, what we read in them."""
    if end is None or end.reported is None:
        return None
    raw = stated(end.reported)
    return raw if reported is None else {**raw, "wattproof": stated_json(reported)}


def _terms(found: Estimate) -> tuple[FactorTerm, ...]:
    return tuple(
        FactorTerm(
            name=name,
            energy_mean_nwh=round(energy_wh * _NANO),
            carbon_mean_ng=None if carbon_g is None else round(carbon_g * _NANO),
            energy_loadings=energy_loadings,
            carbon_loadings=carbon_loadings,
        )
        for name, energy_wh, carbon_g, energy_loadings, carbon_loadings in factor_terms(found)
    )


def _text(said: str | None) -> str | None:
    """A provider's word, made storable: no lone surrogates, bounded, None where it says nothing."""
    return None if not said else said.encode(errors="replace").decode()[:200]
