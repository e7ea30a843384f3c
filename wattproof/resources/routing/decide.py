"""Policy and candidates in, decision out: pure, with every candidate and every reason in the trace.

The four steps: every limit that is not about carbon; the ceiling, on average and lifecycle readings only; that reading
stays the accounting reading; the survivors are ranked on one source that covers them all, else on the annual edition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from wattproof.methodology.errors import RoutingError
from wattproof.methodology.quantity import Usage
from wattproof.resources.grid.reading import Reading
from wattproof.resources.routing.limits import (
    Request,
    active_tests,
    expected_latency_ms,
    in_zones,
    violations,
)
from wattproof.resources.routing.records import (
    PRESETS,
    Candidate,
    Decision,
    Limit,
    Policy,
    Preset,
    Ranked,
    Weights,
)
from wattproof.resources.routing.relax import LOOSER_DOWN, advice, relaxations
from wattproof.resources.routing.scales import SCALES, Scales
from wattproof.resources.routing.score import Scored, common_basis, score

__all__ = ["decide", "excluded_counts", "parse_model", "require_allowed"]


def parse_model(spec: str) -> tuple[str, Preset | None]:
    """Split `gpt-oss-120b:eco` into the model and the preset; a suffix that is no preset belongs to the model."""
    model, _, suffix = spec.rpartition(":")
    for preset in PRESETS:
        if model and suffix == preset:
            return model, preset
    return spec, None


def decide(
    policy: Policy,
    usage: Usage,
    candidates: Sequence[Candidate],
    *,
    now: str,
    dry_run: bool,
    incumbent: str | None = None,
    weights: Weights | None = None,
    scales: Scales = SCALES,
) -> Decision:
    """Rank `candidates` for one request under `policy`.

    `usage` holds the expected tokens (`output_tokens` at its limit); `now` is RFC 3339. In a dry run a candidate that
    cannot be called now (no key, cooling down) stays in and carries a flag. `weights` replace those of the policy's
    preset. Nothing is raised when every candidate is excluded: see `require_allowed`.

    `incumbent` is the id of the deployment that served the last request of this kind. It stays first unless the total
    of another is above its own by more than the scales' `hysteresis`, or a limit excludes it: equals do not take turns.
    That keeps one process from flapping. It does not keep many of them, which all see the same reading, from moving to
    the same place at once: against such a herd work the band inside which carbon does not count, and the provider's
    own limits (a 429 cools a deployment down here). There is no random choice, because a decision must be repeatable.
    """
    weights = weights or PRESETS[policy.preset]
    request = Request(policy, usage, datetime.fromisoformat(now).timestamp(), dry_run)
    tests = active_tests(request)
    allowed: list[Candidate] = []
    excluded: list[tuple[Candidate, tuple[Limit, ...]]] = []
    for candidate in candidates:
        limits = violations(candidate, request, tests)
        if limits:
            excluded.append((candidate, limits))
        else:
            allowed.append(candidate)
    excluded.sort(key=_nearness)
    basis = common_basis(allowed)
    scored = sorted(score(allowed, basis, weights, scales), key=lambda s: _order(s, policy))
    kept = _keep_incumbent(scored, incumbent, policy, scales)
    return Decision(
        policy=policy,
        usage=usage,
        decided_at=now,
        ranked=(
            *[_allowed(s, request) for s in scored],
            *[Ranked(c, None, (), _flags(c, request), limits) for c, limits in excluded],
        ),
        decided_by="incumbent" if kept else _decided_by(scored, policy, weights),
        ranking_source=basis.source,
        forced_annual_by=basis.forced_by,
        relax=relaxations(excluded),
        weights=weights,
        dry_run=dry_run,
        scales=scales.edition,
        incumbent=incumbent,
    )


def require_allowed(decision: Decision) -> Ranked:
    """The first allowed candidate.

    Raises:
        RoutingError: every candidate is excluded; the text names the nearest one and what would admit it.
    """
    if decision.ranked and not decision.ranked[0].excluded_by:
        return decision.ranked[0]
    if not decision.ranked:
        raise RoutingError(
            "No provider in the catalogue serves this model. The providers resource lists what is served."
        )
    nearest = decision.ranked[0]
    reasons = "; ".join(limit.reason for limit in nearest.excluded_by)
    counted = ", ".join(f"{count} {code.replace('_', ' ')}" for code, count in excluded_counts(decision).items())
    deployment = nearest.candidate.deployment
    parts = [
        f"No deployment of {deployment.model!r} passes every limit ({counted}). Nearest: {deployment.id}: {reasons}.",
    ]
    parts += [f"{advice(r)} admits {', '.join(r.admits)}." for r in decision.relax[:3]]
    if not decision.relax:
        parts.append("No single change admits one; loosen several limits or add a provider.")
    raise RoutingError(" ".join(parts))


def excluded_counts(decision: Decision) -> dict[str, int]:
    """How many candidates each reason code excluded first, most frequent first."""
    counts = Counter(r.excluded_by[0].code for r in decision.ranked if r.excluded_by)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _order(scored: Scored, policy: Policy) -> tuple[bool, float, str, str, str]:
    # Between equals the name decides.
    row = scored.candidate.deployment
    fallback = bool(policy.zones) and _is_fallback(scored.candidate, policy)
    return fallback, -scored.total, row.provider, row.model, row.variant or ""


def _keep_incumbent(scored: list[Scored], incumbent: str | None, policy: Policy, scales: Scales) -> bool:
    """Move the incumbent to the front where the first is not clearly better; whether that changed anything."""
    if incumbent is None or not scored:
        return False
    place = next((i for i, s in enumerate(scored) if s.candidate.deployment.id == incumbent), 0)
    if place == 0:
        return False
    first, holder = scored[0], scored[place]
    if _is_fallback(first.candidate, policy) != _is_fallback(holder.candidate, policy):
        return False
    if first.total > round(holder.total * (1.0 + scales.hysteresis), 9):
        return False
    scored.insert(0, scored.pop(place))
    return True


def _nearness(pair: tuple[Candidate, tuple[Limit, ...]]) -> tuple[int, bool, str, float, str, str, str]:
    """Nearest first: fewest limits, then those that a number would satisfy, by that number."""
    candidate, limits = pair
    first = limits[0]
    value = first.admits_at or 0.0
    if first.name in LOOSER_DOWN:
        value = -value
    row = candidate.deployment
    return len(limits), first.admits_at is None, first.name, value, row.provider, row.model, row.variant or ""


def _is_fallback(candidate: Candidate, policy: Policy) -> bool:
    return bool(policy.zones) and not in_zones(candidate.deployment.zone, policy.zones)


def _allowed(scored: Scored, request: Request) -> Ranked:
    flags = scored.flags + _flags(scored.candidate, request)
    return Ranked(scored.candidate, scored.total, scored.terms, flags, (), scored.in_best_band)


def _flags(candidate: Candidate, request: Request) -> tuple[str, ...]:
    """What a reader must know of the candidate, allowed or not."""
    policy, health = request.policy, candidate.health
    if request.is_plain and candidate.unused_reading is None and not health.half_open:
        return candidate.stale
    found: list[str] = []
    if request.dry_run:
        if candidate.unusable is not None:
            found.append(f"unusable: {candidate.unusable}")
        if health.cooling_until is not None and health.cooling_until > request.now_s:
            found.append("cooling_down")
    if health.half_open:
        found.append("half_open")
    if policy.zones and _is_fallback(candidate, policy):
        found.append("fallback_region")
    if policy.max_latency_ms is not None and expected_latency_ms(candidate, request.usage.output_tokens) is None:
        found.append("latency_unknown")
    if request.context_matters and candidate.deployment.context_tokens is None:
        found.append("context_unknown")
    if candidate.unused_reading is not None:
        found.append(f"newest_reading_{_why_unused(candidate.unused_reading)}")
    return (*found, *candidate.stale) if found else candidate.stale


def _why_unused(reading: Reading) -> str:
    if reading.basis != "average":
        return reading.basis
    return "old" if reading.factor_scope == "lifecycle" else reading.factor_scope


def _decided_by(scored: Sequence[Scored], policy: Policy, weights: Weights) -> str:
    """The term that put the first before the second: `environment`, `price`, `speed`, else how it came about."""
    if not scored:
        return "none"
    if len(scored) == 1:
        return "only candidate"
    first, second = scored[0], scored[1]
    if _is_fallback(second.candidate, policy) and not _is_fallback(first.candidate, policy):
        return "zones"
    gains = {
        "environment": weights.environment * (first.environment - second.environment),
        "price": weights.price * (first.price - second.price),
        "speed": weights.speed * (first.speed - second.speed),
    }
    name, gain = max(gains.items(), key=lambda item: item[1])
    return name if gain > 1e-9 else "name"
