"""Policy and candidates in, decision out: pure, with every candidate and every reason in the trace.

The four steps: every limit that is not about carbon; the ceiling, on average and lifecycle readings only; that reading
stays the accounting reading; the survivors are ranked on one source that covers them all, else on the annual edition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from wattproof.methodology.errors import RoutingError
from wattproof.methodology.quantity import Usage
from wattproof.resources.routing.limits import Request, expected_latency_ms, in_zones, violations
from wattproof.resources.routing.records import (
    PRESETS,
    Candidate,
    Decision,
    Limit,
    Policy,
    Preset,
    Ranked,
    Relaxation,
    Weights,
)
from wattproof.resources.routing.scales import SCALES, Scales
from wattproof.resources.routing.score import Scored, common_basis, score

__all__ = ["decide", "excluded_counts", "parse_model", "require_allowed"]

# Limits that a smaller number makes looser; all others loosen upwards.
_LOOSER_DOWN = frozenset({"min_renewable_bps"})
# What is not a limit of the policy cannot be removed, only waited out or configured.
_NOT_REMOVABLE = frozenset({"usable", "cooldown"})


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
    scales: Scales = SCALES,
) -> Decision:
    """Rank `candidates` for one request under `policy`.

    `usage` holds the expected tokens (`output_tokens` at its limit); `now` is RFC 3339. In a dry run a candidate that
    cannot be called now (no key, cooling down) stays in and carries a flag. Nothing is raised when every candidate is
    excluded: see `require_allowed`.
    """
    request = Request(policy, usage.output_tokens, datetime.fromisoformat(now).timestamp(), dry_run)
    judged = [(candidate, violations(candidate, request)) for candidate in candidates]
    allowed = [candidate for candidate, limits in judged if not limits]
    basis = common_basis(allowed)
    scored = sorted(score(allowed, basis, PRESETS[policy.preset], scales), key=lambda s: _order(s, policy))
    excluded = sorted(((c, v) for c, v in judged if v), key=_nearness)
    return Decision(
        policy=policy,
        usage=usage,
        decided_at=now,
        ranked=(
            *(_allowed(s, request) for s in scored),
            *(Ranked(c, None, (), _flags(c, request), limits) for c, limits in excluded),
        ),
        decided_by=_decided_by(scored, policy, PRESETS[policy.preset]),
        ranking_source=basis.source,
        forced_annual_by=basis.forced_by,
        relax=_relaxations(excluded),
    )


def require_allowed(decision: Decision) -> Ranked:
    """The first allowed candidate.

    Raises:
        RoutingError: every candidate is excluded; the text names the nearest one and what would admit it.
    """
    if decision.allowed:
        return decision.allowed[0]
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
    parts += [f"{_advice(r)} admits {', '.join(r.admits)}." for r in decision.relax[:3]]
    if not decision.relax:
        parts.append("No single change admits one; loosen several limits or add a provider.")
    raise RoutingError(" ".join(parts))


def excluded_counts(decision: Decision) -> dict[str, int]:
    """How many candidates each reason code excluded first, most frequent first."""
    counts = Counter(r.excluded_by[0].code for r in decision.ranked if r.excluded_by)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _order(scored: Scored, policy: Policy) -> tuple[bool, float, str]:
    # Rounded, so that floating-point noise never decides between equals: then the id does.
    return _is_fallback(scored.candidate, policy), -round(scored.total, 9), scored.candidate.deployment.id


def _nearness(pair: tuple[Candidate, tuple[Limit, ...]]) -> tuple[int, bool, str, float, str]:
    """Nearest first: fewest limits, then those that a number would satisfy, by that number."""
    candidate, limits = pair
    first = limits[0]
    value = first.admits_at or 0.0
    if first.name in _LOOSER_DOWN:
        value = -value
    return len(limits), first.admits_at is None, first.name, value, candidate.deployment.id


def _is_fallback(candidate: Candidate, policy: Policy) -> bool:
    return bool(policy.zones) and not in_zones(candidate.deployment.zone, policy.zones)


def _allowed(scored: Scored, request: Request) -> Ranked:
    flags = (*scored.flags, *_flags(scored.candidate, request))
    return Ranked(scored.candidate, scored.total, scored.terms, flags, (), scored.in_best_band)


def _flags(candidate: Candidate, request: Request) -> tuple[str, ...]:
    policy = request.policy
    cooling_until = candidate.health.cooling_until
    found = (
        (f"unusable: {candidate.unusable}", request.dry_run and candidate.unusable is not None),
        ("cooling_down", request.dry_run and cooling_until is not None and cooling_until > request.now_s),
        ("fallback_region", _is_fallback(candidate, policy)),
        (
            "latency_unknown",
            policy.max_latency_ms is not None and expected_latency_ms(candidate, request.output_tokens) is None,
        ),
    )
    return tuple(flag for flag, holds in found if holds)


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


def _relaxations(excluded: Iterable[tuple[Candidate, tuple[Limit, ...]]]) -> tuple[Relaxation, ...]:
    """For each limit that alone stops a candidate: the nearest value that admits one, then its removal."""
    alone: dict[str, list[tuple[str, Limit]]] = {}
    for candidate, limits in excluded:
        if len(limits) == 1:
            alone.setdefault(limits[0].name, []).append((candidate.deployment.id, limits[0]))
    found: list[Relaxation] = []
    for name, stopped in alone.items():
        found += _conditions(name, stopped) if name in _NOT_REMOVABLE else _loosened(name, stopped)
    return tuple(sorted(found, key=lambda r: (r.limit in _NOT_REMOVABLE, r.limit, len(r.admits), r.to)))


def _conditions(name: str, stopped: Sequence[tuple[str, Limit]]) -> list[Relaxation]:
    return [Relaxation(name, limit.reason, (deployment,)) for deployment, limit in stopped]


def _loosened(name: str, stopped: Sequence[tuple[str, Limit]]) -> list[Relaxation]:
    everyone = tuple(sorted(deployment for deployment, _ in stopped))
    values = [limit.admits_at for _, limit in stopped if limit.admits_at is not None]
    found: list[Relaxation] = []
    if values:
        nearest = max(values) if name in _LOOSER_DOWN else min(values)
        admits = tuple(sorted(deployment for deployment, limit in stopped if limit.admits_at == nearest))
        found.append(Relaxation(name, _loose(name, nearest), admits))
    if not found or found[0].admits != everyone:
        found.append(Relaxation(name, "null", everyone))
    return found


def _loose(name: str, value: float) -> str:
    """`value` as short text that still admits it: rounded to the loose side, never to the tight one."""
    if value == int(value):
        return str(int(value))
    text = f"{value:.4g}"
    if float(text) < value and name not in _LOOSER_DOWN:
        return repr(value)
    return text


def _advice(relaxation: Relaxation) -> str:
    if relaxation.limit in _NOT_REMOVABLE:
        return f"{relaxation.to!r} solved"
    return f"{relaxation.limit}={relaxation.to}"
