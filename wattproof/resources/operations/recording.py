"""A step that somebody else made: its usage as they state it becomes an entry with a receipt of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.errors import NotDefined, UnknownModel, UnknownProvider
from wattproof.methodology.integers import AMOUNTS, outputs
from wattproof.methodology.methods import get_method
from wattproof.methodology.models import Model, find_model
from wattproof.methodology.quantity import Usage, Workload
from wattproof.resources.footprints import Estimate, estimate, factor_terms
from wattproof.resources.grid import Reading, reading_for
from wattproof.resources.ledger.operations import StepDraft
from wattproof.resources.ledger.records import Amount, EntryDraft, FactorTerm
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.providers import Deployment, LocationEvidence, deployments_for, provider_rows
from wattproof.resources.receipts import build_payload, canonical
from wattproof.resources.receipts.statement import Statement

__all__ = ["Step", "StepKind", "stated_step"]

StepKind = Literal["llm", "embedding", "tool", "other"]

_METHOD = "wattproof/param"
_NANO = 1_000_000_000
_INTEGER_NAMES = {field: name for name, (field, _) in AMOUNTS.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as its maker states it. `retry_of` names the step that it repeats.

    Without `provider` a model that only one deployment offers is taken to have run there; without `zone` the
    deployment's place counts, where it is known. `idempotency_key` marks the same step under whatever `step_id`.
    """

    step_id: str
    step_kind: StepKind
    model: str
    usage: Usage
    provider: str | None = None
    zone: str | None = None
    retry_of: str | None = None
    idempotency_key: str | None = None

    def digest(self) -> bytes:
        """SHA-256 of all that is stated: the same step sent again is known by it."""
        usage = {name: getattr(self.usage, name) for name in Usage.__slots__}
        stated = {name: getattr(self, name) for name in self.__slots__} | {"usage": usage}
        return sha256(canonical.dumps(stated)).digest()


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a step is taken to have run, and its estimate; None with `reason` where nothing covers it."""

    model_id: str
    provider: str
    deployment: Deployment | None
    reading: Reading
    evidence: LocationEvidence
    estimate: Estimate | None
    reason: str | None


def stated_step(
    step: Step, *, log_id: str, operation_id: str, deployments: Sequence[Deployment], now_s: float, nonce: bytes
) -> StepDraft:
    """The step as an entry and what its receipt will state. `nonce` is 16 random bytes.

    When a step ran is not stated, so its electricity is the annual average of its zone. A model that no edition lists
    has no figures, and the reason is recorded.

    Raises:
        UnknownZone: no edition lists the zone.
    """
    placed = _place(step, deployments, now_s)
    stated = dict.fromkeys(AMOUNTS) if placed.estimate is None else outputs(placed.estimate.footprint)
    draft = _draft(step, placed, stated, log_id, operation_id, rfc3339(now_s))
    payload = build_payload(issued_at=draft.occurred_at, nonce=nonce, **_payload_fields(placed, draft, stated))
    return StepDraft(step.step_id, step.idempotency_key, step.digest(), draft, Statement(payload))


def _place(step: Step, deployments: Sequence[Deployment], now_s: float) -> _Placed:
    try:
        model = find_model(step.model)
    except UnknownModel as error:
        provider = step.provider or "unstated"
        reading = reading_for(step.zone, provider, now_s)
        evidence: LocationEvidence = "caller" if step.zone else "unknown"
        return _Placed(step.model, provider, None, reading, evidence, None, f"unknown model: {error}"[:200])
    deployment = _deployment(model, step, deployments)
    provider = deployment.provider if deployment else step.provider or _vendor(model)
    zone, evidence = _zone(step, deployment)
    reading = reading_for(zone, provider, now_s)
    workload = Workload.EMBEDDING if step.step_kind == "embedding" else Workload.CHAT
    try:
        found = estimate(
            model,
            step.usage,
            reading,
            deployment=deployment,
            method_id=_METHOD,
            workload=workload,
            location_evidence=evidence,
        )
    except NotDefined as error:
        return _Placed(model.id, provider, deployment, reading, evidence, None, f"not defined: {error}"[:200])
    return _Placed(model.id, provider, deployment, reading, evidence, found, None)


def _deployment(model: Model, step: Step, deployments: Sequence[Deployment]) -> Deployment | None:
    """The deployment that the caller names, or the only one there is; None where it would be a guess."""
    rows = tuple(deployments)
    if step.provider is not None:
        try:
            rows = provider_rows(step.provider, rows)
        except UnknownProvider:
            return None
    elif step.zone is not None:
        return None
    offers = [offer for offer in deployments_for(model.id, rows) if offer.variant is None]
    return offers[0] if len(offers) == 1 else None


def _vendor(model: Model) -> str:
    """Who runs a model that nobody else can run; open weights may be anywhere."""
    return "unstated" if model.open_weights else model.family


def _zone(step: Step, deployment: Deployment | None) -> tuple[str | None, LocationEvidence]:
    if step.zone is not None:
        return step.zone, "caller"
    if deployment is None or deployment.zone is None:
        return None, "unknown"
    return deployment.zone, deployment.location_evidence


def _draft(step: Step, placed: _Placed, stated: dict[str, Any], log_id: str, operation_id: str, now: str) -> EntryDraft:
    found, reading = placed.estimate, placed.reading
    method = get_method(_METHOD)
    amount = {name: None if a is None else Amount(a["median"], a["low"], a["high"]) for name, a in stated.items()}
    price = None if placed.deployment is None else placed.deployment.price
    micros = None if price is None else price.cost_micros(step.usage)
    return EntryDraft(
        log_id=log_id,
        kind="recorded",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=now,
        workload=(Workload.EMBEDDING if step.step_kind == "embedding" else Workload.CHAT).value,
        provider=placed.provider,
        model=placed.model_id,
        resolved_model=None,
        deployment=placed.deployment.id if placed.deployment else f"{placed.provider}/{placed.model_id}"[:200],
        zone=reading.zone,
        location_evidence=placed.evidence,
        energy_source="grid-mix" if reading.zone_known else "unknown-mix",
        renewable_ratio_bps=reading.renewable_ratio_bps if reading.zone_known else None,
        temporal_match=reading.temporal_match,
        grid_source=reading.source,
        usage=step.usage,
        usage_source="caller",
        method_id=method.id,
        edition=EDITION,
        tier="proxy" if found is None else found.footprint.tier,
        boundary="comprehensive" if found is None else found.footprint.boundary,
        energy_nwh=amount["energy_nwh"],
        carbon_location_ng=amount["carbon_location_ng"],
        carbon_market_ng=amount["carbon_market_ng"],
        water_nl=amount["water_nl"],
        adpe_pgsbeq=amount["adpe_pgsbeq"],
        reasons=_reasons(placed),
        terms=() if found is None else _terms(found),
        cost_micros=None if price is None or price.currency is None else micros,
        currency=None if price is None or micros is None else price.currency,
        operation_id=operation_id,
        step_kind=step.step_kind,
        retry_of=step.retry_of,
        source="caller",
    )


def _payload_fields(placed: _Placed, draft: EntryDraft, stated: dict[str, Any]) -> dict[str, Any]:
    found, method = placed.estimate, get_method(_METHOD)
    local = placed.deployment is not None and placed.deployment.local
    shared = (
        "log_id",
        "occurred_at",
        "kind",
        "status",
        "request_id",
        "attempts",
        "workload",
        "provider",
        "model",
        "resolved_model",
        "deployment",
        "zone",
        "location_evidence",
        "energy_source",
        "renewable_ratio_bps",
        "usage",
        "usage_source",
        "method_id",
        "edition",
        "tier",
        "boundary",
        "cost_micros",
        "currency",
        "operation_id",
        "step_kind",
    )
    return {
        **{name: getattr(draft, name) for name in shared},
        "region_scope": draft.zone,
        "ghg_scope": "scope2" if local else "scope3.cat1",
        "method_sha256": method.sha256,
        "edition_sha256": edition_sha256(),
        "outputs": stated,
        "operands": () if found is None else found.operands,
        "reasons": draft.reasons,
        "accounting": placed.reading.as_dict(),
    }


def _reasons(placed: _Placed) -> dict[str, str]:
    if placed.estimate is None:
        return dict.fromkeys(AMOUNTS, placed.reason or "unknown")
    reasons = placed.estimate.footprint.reasons
    return {_INTEGER_NAMES[name]: why for name, why in reasons.items() if name in _INTEGER_NAMES}


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
