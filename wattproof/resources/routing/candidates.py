"""Deployments become candidates: each with its readings, our estimate for this request, its price and its health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from wattproof.methodology.models import Model
from wattproof.methodology.propagate import match
from wattproof.methodology.quantity import Term, Usage
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid import Place, Reading, reading_for
from wattproof.resources.providers import Deployment, to_usd_micros
from wattproof.resources.routing.records import Candidate, Health

__all__ = ["assemble", "place_of"]

# Prices are integers per request; a rate comes from a request this many times larger, so that rounding does not show.
_RATE_TOKENS = 1_000_000


def assemble(
    model: Model,
    usage: Usage,
    deployments: Iterable[Deployment],
    now: float,
    *,
    health: Callable[[str], Health] = lambda _: Health(),
    unusable: Callable[[Deployment], str | None] = lambda _: None,
    readings: Mapping[Place, Reading] | None = None,
) -> tuple[Candidate, ...]:
    """One candidate per deployment of `model`, in the order given.

    `usage` is the expected usage of the request and `now` Unix seconds. `unusable` says why a real run on a deployment
    is impossible, or None; `health` gives what is known of its recent calls by deployment id. `readings` are the newest
    by `place_of`; a place that is not in it gets the annual edition's.

    Source: readings from the grid desk or the bundled annual edition, prices from the catalogue's rows.

    Raises:
        UnknownZone: a deployment names a zone that the edition lacks.
        NotDefined: the model's method cannot estimate this usage.
    """
    found = tuple(deployments)
    if not found:
        return ()
    reference_wh = _reference_wh(model, usage, found[0], now)
    newest = readings or {}
    return tuple(
        _candidate(model, usage, d, now, reference_wh, health(d.id), unusable(d), newest.get(place))
        if (place := place_of(d)) is not None
        else _candidate(model, usage, d, now, reference_wh, health(d.id), unusable(d), None)
        for d in found
    )


def place_of(deployment: Deployment) -> Place | None:
    """Where to ask about the electricity of `deployment`; None where its location is unknown."""
    if deployment.zone is None or deployment.location_evidence == "unknown":
        return None
    return Place(deployment.zone, deployment.cloud_region)


def _candidate(
    model: Model,
    usage: Usage,
    deployment: Deployment,
    now: float,
    reference_wh: float | None,
    health: Health,
    unusable: str | None,
    newest: Reading | None,
) -> Candidate:
    zone = None if deployment.location_evidence == "unknown" else deployment.zone
    annual = reading_for(zone, deployment.provider, now)
    reading = newest or annual
    found = estimate(model, usage, reading, deployment=deployment)
    return Candidate(
        deployment=deployment,
        ceiling_reading=reading,
        annual_reading=annual,
        energy_wh=found.footprint.energy_wh,
        carbon_gco2e=found.footprint.carbon_gco2e,
        carbon_sigma_own=_own_sigma(found),
        cost_usd_micros=_cost_usd_micros(deployment, usage),
        health=health,
        unusable=unusable,
        usd_per_mtok=_usd_per_mtok(deployment, usage),
        reference_energy_wh=reference_wh,
        method_id=found.method.id,
    )


def _reference_wh(model: Model, usage: Usage, any_of_them: Deployment, now: float) -> float | None:
    """Energy of the request at PUE 1.0 on a hosted deployment: the unit that makes candidates comparable."""
    hosted = replace(
        any_of_them, provider="reference", protocol="openai-chat", pue=1.0, pue_source="reference", hardware=None
    )
    energy = estimate(model, usage, reading_for(None, "reference", now), deployment=hosted).footprint.energy_wh
    return energy.median if energy is not None and energy.median > 0.0 else None


def _own_sigma(found: Estimate) -> float:
    """Spread of the logarithm by what is particular to this provider; the grid reading's is counted apart."""
    scopes = found.method.factor_scopes
    own = [
        Term(t.name, t.median, tuple((factor, s) for factor, s in t.loadings if scopes.get(factor) == "provider"))
        for t in found.footprint.carbon_terms
    ]
    return match(own).sigma_ln


def _cost_usd_micros(deployment: Deployment, usage: Usage) -> int | None:
    """Cost in micro-dollars; a server on this machine has no price and costs 0, its electricity apart."""
    if deployment.local:
        return 0
    if deployment.price is None:
        return None
    micros = deployment.price.cost_micros(usage)
    return None if micros is None else to_usd_micros(micros, deployment.price.currency)


def _usd_per_mtok(deployment: Deployment, usage: Usage) -> float | None:
    """Blended price at this request's mix of input and output; at three to one where it has no tokens."""
    total = usage.total_tokens
    share = 0.75 if total == 0 else usage.input_tokens / total
    blended = Usage(round(_RATE_TOKENS * share), _RATE_TOKENS - round(_RATE_TOKENS * share))
    micros = _cost_usd_micros(deployment, blended)
    return None if micros is None else micros / 1e6
