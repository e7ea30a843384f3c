"""What the records of a group share, as the template of their entries and as their batch's receipt states it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from wattproof.methodology.integers import AMOUNTS
from wattproof.methodology.methods.param import PARAM, ParamRates
from wattproof.methodology.propagate import Loadings, scoped
from wattproof.methodology.quantity import Operand, Term, Usage
from wattproof.resources.footprints import Estimate
from wattproof.resources.imports.placing import METHOD, Placed
from wattproof.resources.ledger.batches import Group
from wattproof.resources.ledger.records import Amount, EntryDraft, EntryStatus, FactorTerm
from wattproof.resources.receipts.payload import grid_payload
from wattproof.resources.receipts.schema import OUTPUTS

__all__ = ["BUCKET", "Key", "group_of"]

BUCKET = "bucket"
"""The `step_kind` of an entry that stands for a bucket of time."""

_NO_USAGE = Usage(0, 0)
_TERMS = ("decode", "prefill", "cached", "attention")


class Key(NamedTuple):
    """What the records of a group have in common."""

    provider: str
    model: str
    workload: str
    status: str
    usage_source: str
    currency: str | None
    bucket: bool = False
    uncounted: bool = False
    too_large: bool = False


def group_of(
    key: Key,
    placed: Placed,
    rates: ParamRates | None,
    operands: Sequence[Operand],
    *,
    source: str,
    log_id: str,
    tags: tuple[str, ...],
) -> Group:
    """The group of `key`; without `rates` its records have no figures, and `placed.reason` says why."""
    terms = () if placed.estimate is None or rates is None else _terms(placed.estimate, rates, key.provider)
    draft = _draft(key, placed, rates, terms, source, log_id, tags)
    return Group(draft, _statement(draft, placed, operands, rates))


def _terms(found: Estimate, rates: ParamRates, provider: str) -> tuple[FactorTerm, ...]:
    """The terms without amounts: their loadings, factors named by scope."""
    scopes = {"model": found.activity.model.id, "zone": found.region_scope, "provider": provider}

    def named(loadings: Sequence[Loadings]) -> tuple[Term, ...]:
        terms = [Term(name, 1.0, each) for name, each in zip(_TERMS, loadings, strict=True)]
        return scoped(terms, PARAM.factor_scopes, scopes)

    both = zip(named(rates.energy_loadings), named(rates.carbon_loadings), strict=True)
    return tuple(FactorTerm(energy.name, 0, 0, energy.loadings, carbon.loadings) for energy, carbon in both)


def _draft(
    key: Key,
    placed: Placed,
    rates: ParamRates | None,
    terms: tuple[FactorTerm, ...],
    source: str,
    log_id: str,
    tags: tuple[str, ...],
) -> EntryDraft:
    """The template of the group's entries: what they share."""
    reading, found = placed.reading, placed.estimate
    reasons = _reasons(placed, rates)
    known = {name: None if name in reasons else Amount(0, 0, 0) for name in OUTPUTS}
    return EntryDraft(
        log_id=log_id,
        kind="imported",
        status=cast("EntryStatus", key.status),
        request_id=None,
        request_digest=None,
        occurred_at="1970-01-01T00:00:00Z",
        workload=key.workload,
        provider=key.provider,
        model=placed.model_id,
        resolved_model=None,
        deployment=placed.deployment_id,
        zone=reading.zone,
        location_evidence=placed.location_evidence,
        energy_source="grid-mix" if reading.zone_known else "unknown-mix",
        renewable_ratio_bps=reading.renewable_ratio_bps,
        temporal_match=reading.temporal_match,
        grid_source=reading.source,
        usage=_NO_USAGE,
        usage_source=cast("Any", key.usage_source),
        method_id=METHOD,
        edition=placed.edition,
        tier="proxy" if found is None else found.footprint.tier,
        boundary="comprehensive",
        energy_nwh=known["energy_nwh"],
        carbon_location_ng=known["carbon_location_ng"],
        carbon_market_ng=known["carbon_market_ng"],
        water_nl=known["water_nl"],
        adpe_pgsbeq=known["adpe_pgsbeq"],
        reasons=reasons,
        terms=terms,
        currency=key.currency,
        tags=tags,
        step_kind=BUCKET if key.bucket else None,
        source=source,
    )


def _reasons(placed: Placed, rates: ParamRates | None) -> dict[str, str]:
    """Why each output is null that is."""
    if rates is None:
        return dict.fromkeys(OUTPUTS, placed.reason or "unknown")
    return {name: rates.reasons[field] for name, (field, _) in AMOUNTS.items() if field in rates.reasons}


def _statement(
    draft: EntryDraft, placed: Placed, operands: Sequence[Operand], rates: ParamRates | None
) -> dict[str, Any]:
    """What the receipt of a batch states of the group (`receipts/batch.py`)."""
    grid = grid_payload(placed.reading.as_dict())
    del grid["requested_at"], grid["age_minutes"]
    return {
        "source": draft.source,
        "status": draft.status,
        "workload": draft.workload,
        "provider": draft.provider,
        "model": draft.model,
        "deployment": draft.deployment,
        "region_scope": draft.zone,
        "zone": draft.zone,
        "location_evidence": draft.location_evidence,
        "energy_source": draft.energy_source,
        "renewable_ratio_bps": draft.renewable_ratio_bps,
        "ghg_scope": "scope3.cat1" if placed.estimate is None else placed.estimate.ghg_scope,
        "usage_source": draft.usage_source,
        "method_id": draft.method_id,
        "method_sha256": placed.method_sha256,
        "edition": draft.edition,
        "edition_sha256": placed.edition_sha256,
        "tier": draft.tier,
        "boundary": draft.boundary,
        "interval": "none" if rates is None else "credible90",
        "reasons": dict(draft.reasons),
        "operands": [
            {
                "name": operand.name,
                "value": operand.value,
                "exp10": operand.exp10,
                "unit": operand.unit,
                "source_id": operand.source_id,
            }
            for operand in operands
        ],
        "grid": grid,
        "currency": draft.currency,
        "step_kind": draft.step_kind,
        "tags": list(draft.tags),
    }
