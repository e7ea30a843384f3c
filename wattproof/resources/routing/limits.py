"""The hard limits of a policy: each one says why a candidate fails it, or passes it.

A limit holds only where it can be shown to hold: an unknown location, price or renewable share fails the limit that
asks for it. The one exception is latency, which is unknown before the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wattproof.methodology.quantity import Usage
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import EVIDENCE_RANK, Deployment
from wattproof.resources.routing.records import Candidate, Limit, Policy

__all__ = [
    "Request",
    "Test",
    "active_tests",
    "ceiling_basis",
    "expected_latency_ms",
    "in_zones",
    "usable_for_ceiling",
    "violations",
]

# Every chat model that is served takes this many; below it an unknown context window is no question.
_ANY_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """What a limit is tested against besides the candidate.

    `context_matters` says whether a context window that nobody states could be too small; `is_plain`, that nothing is
    asked for which could make a flag of what is unknown.
    """

    policy: Policy
    usage: Usage
    now_s: float
    dry_run: bool
    total_tokens: int = field(init=False)
    context_matters: bool = field(init=False)
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        total_tokens, policy = self.usage.total_tokens, self.policy
        context_matters = total_tokens > _ANY_CONTEXT_TOKENS
        asked = self.dry_run or context_matters or policy.zones or policy.max_latency_ms is not None
        object.__setattr__(self, "total_tokens", total_tokens)
        object.__setattr__(self, "context_matters", context_matters)
        object.__setattr__(self, "is_plain", not asked)


Test = Callable[[Candidate, Request], Limit | None]
"""Says why a candidate fails one limit; None: it passes."""


def in_zones(zone: str | None, zones: Sequence[str]) -> bool:
    """Whether `zone` is one of `zones` or a part of one (`SE-SE3` is in `SE`)."""
    if zone is None or zone in zones:
        return zone is not None
    return "-" in zone and any(zone.startswith(f"{z}-") for z in zones)


def usable_for_ceiling(reading: Reading) -> bool:
    """Whether a ceiling may be tested on `reading` of a known zone: average, lifecycle, and at most 3 h old."""
    return reading.temporal_match != "fallback" and reading.basis == "average" and reading.factor_scope == "lifecycle"


def ceiling_basis(candidate: Candidate) -> Reading | None:
    """The reading a ceiling is tested on: the newest usable one, else the annual edition's.

    None where the location is unknown, or the annual figure is not average and lifecycle.
    """
    annual = candidate.annual_reading
    if not annual.zone_known:
        return None
    if candidate.ceiling_reading is not annual and usable_for_ceiling(candidate.ceiling_reading):
        return candidate.ceiling_reading
    return annual if annual.basis == "average" and annual.factor_scope == "lifecycle" else None


def expected_latency_ms(candidate: Candidate, output_tokens: int) -> float | None:
    """Recent latency of the deployment, else tokens over its published speed; None when neither is known."""
    if candidate.health.latency_ms is not None:
        return candidate.health.latency_ms
    speed = candidate.health.tokens_per_s or candidate.deployment.speed_tokens_per_s
    return None if not speed else 1000.0 * output_tokens / speed


def active_tests(request: Request) -> tuple[Test, ...]:
    """The tests that `request` could fail, the non-carbon ones first."""
    return tuple(test for asked, test in _LIMITS if asked(request))


def violations(candidate: Candidate, request: Request, tests: Sequence[Test]) -> tuple[Limit, ...]:
    """Every limit that excludes `candidate`, in the order of `tests`; empty when it is allowed."""
    found: tuple[Limit, ...] = ()
    for test in tests:
        limit = test(candidate, request)
        if limit is not None:
            found = (*found, limit)
    return found


def _usable(candidate: Candidate, request: Request) -> Limit | None:
    if candidate.unusable is None:
        return None
    return Limit("usable", candidate.unusable, candidate.unusable.split(":")[0].strip().replace(" ", "_"))


def _cooldown(candidate: Candidate, request: Request) -> Limit | None:
    until = candidate.health.cooling_until
    if until is None or until <= request.now_s:
        return None
    why = "one call is trying it again" if candidate.health.half_open else "failed repeatedly or asked to wait"
    return Limit("cooldown", f"{why}; next try in {until - request.now_s:.0f} s", "cooling_down")


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
    reason = f"location is {has}, {least} is required"
    return Limit("min_location_evidence", reason, "location_evidence", float(EVIDENCE_RANK[has]))


def _quality(candidate: Candidate, request: Request) -> Limit | None:
    least, quality = request.policy.min_quality, candidate.deployment.quality
    if least is None or (quality is not None and quality >= least):
        return None
    if quality is None:
        return Limit("min_quality", "quality unknown", "quality_unknown")
    return Limit("min_quality", f"quality {quality:g} is below {least:g}", "below_quality", quality)


def _context(candidate: Candidate, request: Request) -> Limit | None:
    holds, usage = candidate.deployment.context_tokens, request.usage
    if holds is None or request.total_tokens <= holds:
        return None
    reason = (
        f"context of {holds} tokens is below {request.total_tokens} ({usage.input_tokens} input "
        f"and up to {usage.output_tokens} output)"
    )
    # What the caller can change: a shorter answer where any fits beside the input, else a shorter input.
    if holds > usage.input_tokens:
        return Limit("max_output_tokens", reason, "context_too_small", float(holds - usage.input_tokens))
    room = holds - usage.output_tokens
    return Limit("input_tokens", reason, "context_too_small", float(room) if room > 0 else None)


def _renewable(candidate: Candidate, request: Request) -> Limit | None:
    least = request.policy.min_renewable_bps
    if least is None:
        return None
    reading = ceiling_basis(candidate)
    if reading is None or reading.renewable_ratio_bps is None:
        reading = candidate.annual_reading
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
        return Limit("price", "price in USD unknown: state it in providers.toml", "price_unknown")
    cost_usd = candidate.cost_usd_micros / 1e6
    if cost_usd <= most_usd:
        return None
    return Limit("max_cost_usd", f"{cost_usd:.6g} USD is above {most_usd:g} USD", "above_cost", cost_usd)


def _latency(candidate: Candidate, request: Request) -> Limit | None:
    most_ms = request.policy.max_latency_ms
    expected_ms = expected_latency_ms(candidate, request.usage.output_tokens)
    if most_ms is None or expected_ms is None or expected_ms <= most_ms:
        return None
    reason = f"{expected_ms:.0f} ms expected, above {most_ms} ms"
    return Limit("max_latency_ms", reason, "above_latency", expected_ms)


def _ceiling(candidate: Candidate, request: Request) -> Limit | None:
    ceiling = request.policy.max_carbon_intensity
    if ceiling is None:
        return None
    reading = ceiling_basis(candidate)
    if reading is None:
        if not candidate.annual_reading.zone_known:
            return Limit("max_carbon_intensity", "location unknown", "location_unknown")
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


# When a limit is asked at all, and its test; those that nothing asks for cost nothing per candidate.
_LIMITS: tuple[tuple[Callable[[Request], bool], Test], ...] = (
    (lambda r: not r.dry_run, _usable),
    (lambda r: not r.dry_run, _cooldown),
    (lambda r: bool(r.policy.providers), _providers),
    (lambda r: bool(r.policy.exclude_providers), _exclude_providers),
    (lambda r: bool(r.policy.zones), _zones),
    (lambda r: bool(r.policy.exclude_zones), _exclude_zones),
    (lambda r: r.policy.min_location_evidence != "unknown", _location_evidence),
    (lambda r: r.policy.min_quality is not None, _quality),
    (lambda _: True, _context),
    (lambda r: r.policy.min_renewable_bps is not None, _renewable),
    (lambda r: r.policy.max_cost_usd is not None, _cost),
    (lambda r: r.policy.max_latency_ms is not None, _latency),
    (lambda r: r.policy.max_carbon_intensity is not None, _ceiling),
    (lambda r: r.policy.max_carbon_gco2e is not None, _carbon),
)
