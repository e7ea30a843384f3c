"""The hard limits of a policy: each one says why a candidate fails it, or passes it.

A limit holds only where it can be shown to hold: an unknown location, price or renewable share fails the limit that
asks for it. The one exception is latency, which is unknown before the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import EVIDENCE_RANK, Deployment
from wattproof.resources.routing.records import Candidate, Limit, Policy

__all__ = ["Request", "ceiling_basis", "expected_latency_ms", "in_zones", "violations"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a limit is tested against besides the candidate."""

    policy: Policy
    output_tokens: int
    now_s: float
    dry_run: bool


def in_zones(zone: str | None, zones: Sequence[str]) -> bool:
    """Whether `zone` is one of `zones` or a part of one (`SE-SE3` is in `SE`)."""
    return zone is not None and any(zone == z or zone.startswith(z + "-") for z in zones)


def ceiling_basis(candidate: Candidate) -> Reading | None:
    """The reading a ceiling is tested on: the newest average, lifecycle one, else the annual edition's.

    None when neither is average and lifecycle, or the location is unknown.
    """
    for reading in (candidate.ceiling_reading, candidate.annual_reading):
        if reading.zone_known and reading.basis == "average" and reading.factor_scope == "lifecycle":
            return reading
    return None


def expected_latency_ms(candidate: Candidate, output_tokens: int) -> float | None:
    """Recent latency of the deployment, else tokens over its published speed; None when neither is known."""
    if candidate.health.latency_ms is not None:
        return candidate.health.latency_ms
    speed = candidate.health.tokens_per_s or candidate.deployment.speed_tokens_per_s
    return None if not speed else 1000.0 * output_tokens / speed


def violations(candidate: Candidate, request: Request) -> tuple[Limit, ...]:
    """Every limit that excludes `candidate`, the non-carbon ones first; empty when it is allowed."""
    return tuple(found for limit in _LIMITS if (found := limit(candidate, request)) is not None)


def _usable(candidate: Candidate, request: Request) -> Limit | None:
    if candidate.unusable is None or request.dry_run:
        return None
    return Limit("usable", candidate.unusable, candidate.unusable.split(":")[0].strip().replace(" ", "_"))


def _cooldown(candidate: Candidate, request: Request) -> Limit | None:
    until = candidate.health.cooling_until
    if until is None or until <= request.now_s or request.dry_run:
        return None
    wait_s = until - request.now_s
    return Limit("cooldown", f"failed repeatedly or asked to wait; next try in {wait_s:.0f} s", "cooling_down")


def _providers(candidate: Candidate, request: Request) -> Limit | None:
    provider = candidate.deployment.provider
    policy = request.policy
    if policy.providers and provider not in policy.providers:
        return Limit("providers", f"{provider} is not in {_listed(policy.providers)}", "provider_not_listed")
    return None


def _exclude_providers(candidate: Candidate, request: Request) -> Limit | None:
    provider = candidate.deployment.provider
    if provider not in request.policy.exclude_providers:
        return None
    return Limit("exclude_providers", f"{provider} is excluded", "provider_excluded")


def _zones(candidate: Candidate, request: Request) -> Limit | None:
    policy, zone = request.policy, _zone(candidate.deployment)
    if not policy.zones or policy.allow_fallback_region or in_zones(zone, policy.zones):
        return None
    if zone is None:
        return Limit("zones", "location unknown", "location_unknown")
    return Limit("zones", f"{zone} is not in {_listed(policy.zones)}", "zone_not_listed")


def _exclude_zones(candidate: Candidate, request: Request) -> Limit | None:
    excluded, zone = request.policy.exclude_zones, _zone(candidate.deployment)
    if not excluded:
        return None
    if zone is None:
        return Limit("exclude_zones", "location unknown", "location_unknown")
    if not in_zones(zone, excluded):
        return None
    return Limit("exclude_zones", f"{zone} is excluded", "zone_excluded")


def _location_evidence(candidate: Candidate, request: Request) -> Limit | None:
    least, has = request.policy.min_location_evidence, candidate.deployment.location_evidence
    if EVIDENCE_RANK[has] >= EVIDENCE_RANK[least]:
        return None
    return Limit("min_location_evidence", f"location is {has}, {least} is required", "location_evidence")


def _renewable(candidate: Candidate, request: Request) -> Limit | None:
    least = request.policy.min_renewable_bps
    if least is None:
        return None
    reading = candidate.annual_reading
    if candidate.ceiling_reading.renewable_ratio_bps is not None:
        reading = candidate.ceiling_reading
    share = reading.renewable_ratio_bps
    if share is None or not reading.zone_known:
        reason = "renewable share unknown" if reading.zone_known else "location unknown"
        return Limit("min_renewable_bps", reason, reason.replace(" ", "_"))
    if share >= least:
        return None
    return Limit("min_renewable_bps", f"{share} bps is below {least} bps", "below_renewable", float(share))


def _cost(candidate: Candidate, request: Request) -> Limit | None:
    most_usd = request.policy.max_cost_usd
    if most_usd is None:
        return None
    if candidate.cost_usd_micros is None:
        return Limit("max_cost_usd", "price in USD unknown", "price_unknown")
    cost_usd = candidate.cost_usd_micros / 1e6
    if cost_usd <= most_usd:
        return None
    return Limit("max_cost_usd", f"{cost_usd:.6g} USD is above {most_usd:g} USD", "above_cost", cost_usd)


def _latency(candidate: Candidate, request: Request) -> Limit | None:
    most_ms = request.policy.max_latency_ms
    expected_ms = expected_latency_ms(candidate, request.output_tokens)
    if most_ms is None or expected_ms is None or expected_ms <= most_ms:
        return None
    reason = f"{expected_ms:.0f} ms expected, above {most_ms} ms"
    return Limit("max_latency_ms", reason, "above_latency", expected_ms)


def _ceiling(candidate: Candidate, request: Request) -> Limit | None:
    ceiling = request.policy.max_carbon_intensity
    if ceiling is None:
        return None
    if not candidate.annual_reading.zone_known:
        return Limit("max_carbon_intensity", "location unknown", "location_unknown")
    reading = ceiling_basis(candidate)
    if reading is None:
        return Limit("max_carbon_intensity", "no average, lifecycle reading", "no_usable_reading")
    value = reading.value_gco2e_per_kwh
    if value <= ceiling:
        return None
    reason = f"{value:g} gCO2e/kWh ({reading.zone}, {reading.evidence}) is above {ceiling:g}"
    return Limit("max_carbon_intensity", reason, "above_ceiling", value)


def _carbon(candidate: Candidate, request: Request) -> Limit | None:
    most_g = request.policy.max_carbon_gco2e
    if most_g is None:
        return None
    if not candidate.annual_reading.zone_known:
        return Limit("max_carbon_gco2e", "location unknown", "location_unknown")
    if candidate.carbon_gco2e is None:
        return Limit("max_carbon_gco2e", "carbon of the request unknown", "carbon_unknown")
    quantity = candidate.carbon_gco2e
    grams, bound = (quantity.median, "median") if quantity.high is None else (quantity.high, "high bound")
    if grams <= most_g:
        return None
    reason = f"{grams:.3g} gCO2e ({bound}) is above {most_g:g}"
    return Limit("max_carbon_gco2e", reason, "above_carbon", grams)


def _zone(deployment: Deployment) -> str | None:
    return None if deployment.location_evidence == "unknown" else deployment.zone


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


_LIMITS: tuple[Callable[[Candidate, Request], Limit | None], ...] = (
    _usable,
    _cooldown,
    _providers,
    _exclude_providers,
    _zones,
    _exclude_zones,
    _location_evidence,
    _renewable,
    _cost,
    _latency,
    _ceiling,
    _carbon,
)
