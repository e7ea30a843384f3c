"""What can be chosen from at this moment: places with their grid readings, deployments with their prices and health."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wattproof.tools.figures import rounded

if TYPE_CHECKING:
    from wattproof.resources.grid import Place, Reading
    from wattproof.resources.ledger.records import RecentRuns
    from wattproof.resources.providers.records import Deployment
    from wattproof.tools.deps import Deps

__all__ = ["HEALTH_OVER_S", "grid_view", "providers_view"]

HEALTH_OVER_S = 86_400


async def grid_view(zones: Sequence[str], deps: Deps) -> dict[str, Any]:
    """The reading that a run would use in each zone, what other sources say of it, and how the sources fare.

    Without `zones`: those of every deployment. Sources are asked and waited for, some 2 s at most.

    Raises:
        UnknownZone: the edition has no such zone.
    """
    from wattproof.methodology.zones import zone_average
    from wattproof.resources.grid import Place

    places = [Place(zone_average(zone).zone) for zone in zones] or _places(await deps.deployments())
    now_s = deps.clock()
    readings = await _newest(places, deps, now_s)
    grid = None if deps.grid is None else await deps.grid()
    rows: list[dict[str, Any]] = []
    for place in places:
        heard = () if grid is None else await grid.observations(place, now_s)
        others = [_reading(other) for _, other in heard]
        rows.append({"zone": place.zone, **_reading(readings[place]), "others": others})
    rows.sort(key=lambda row: row["intensity_gco2e_per_kwh"])
    return {
        "zones": rows,
        "sources": [] if grid is None else [asdict(status) for status in grid.status()],
        "live": grid is not None,
    }


async def providers_view(model: str | None, deps: Deps) -> list[dict[str, Any]]:
    """Every deployment (of `model`): its place, reading, price, whether it can be run here, and its last day.

    Lowest intensity first; those in an unknown place last.

    Raises:
        UnknownModel: no edition lists the model.
    """
    from wattproof.resources.providers import deployments_for
    from wattproof.resources.routing import place_of

    known = await deps.deployments()
    offers = known if model is None else deployments_for(model, known)
    readings = await _newest(_places(offers), deps, deps.clock())
    recent = {runs.deployment: runs for runs in await _recent(deps)}
    rows: list[tuple[float, dict[str, Any]]] = []
    for offer in offers:
        place = place_of(offer)
        reading = None if place is None else readings[place]
        row = _deployment(offer, deps) | ({} if reading is None else _reading(reading)) | _health(recent.get(offer.id))
        rows.append((float("inf") if reading is None else reading.value_gco2e_per_kwh, row))
    return [row for _, row in sorted(rows, key=lambda pair: (pair[0], pair[1]["deployment"]))]


def _places(deployments: Iterable[Deployment]) -> list[Place]:
    from wattproof.resources.routing import place_of

    places = {place for deployment in deployments if (place := place_of(deployment)) is not None}
    return sorted(places, key=lambda place: (place.zone, place.cloud_region or ""))


async def _newest(places: Sequence[Place], deps: Deps, now_s: float) -> dict[Place, Reading]:
    from wattproof.resources.grid import annual_reading

    if deps.grid is None:
        return {place: annual_reading(place.zone, now_s) for place in places}
    grid = await deps.grid()
    await grid.refresh(places)
    return await grid.readings(places, now_s)


async def _recent(deps: Deps) -> tuple[RecentRuns, ...]:
    from wattproof.tools.receipt_subject import has_ledger

    if not has_ledger(deps):
        return ()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(deps.clock() - HEALTH_OVER_S))
    return await (await deps.ledger()).recent(deps.log_id, since)


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "intensity_gco2e_per_kwh": rounded(reading.value_gco2e_per_kwh),
        "temporal_match": reading.temporal_match,
        "evidence": reading.evidence,
        "basis": reading.basis,
        "factor_scope": reading.factor_scope,
        "accounting": reading.accounting,
        "observed_at": reading.observed_at,
        "age_minutes": reading.age_minutes,
        "renewable_ratio_bps": reading.renewable_ratio_bps,
        "source": reading.source,
    }


def _deployment(offer: Deployment, deps: Deps) -> dict[str, Any]:
    from wattproof.resources.providers import is_stale

    price = offer.price
    return {
        "deployment": offer.id,
        "provider": offer.provider,
        "model": offer.model,
        "zone": offer.zone,
        "location_evidence": offer.location_evidence,
        "price": None
        if price is None
        else {
            "input_per_mtok": price.input_micros_per_mtok / 1e6,
            "output_per_mtok": price.output_micros_per_mtok / 1e6,
            "currency": price.currency,
            "checked_at": price.checked_at,
        },
        "context_tokens": offer.context_tokens,
        "origin": offer.origin,
        "unusable": deps.why_unusable(offer),
        "stale": is_stale(offer, deps.clock()),
    }


def _health(recent: RecentRuns | None) -> dict[str, Any]:
    if recent is None:
        return {"runs": 0, "failed": 0, "latency_ms": None}
    return {"runs": recent.runs, "failed": recent.failed, "latency_ms": recent.latency_ms}
