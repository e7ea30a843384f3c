"""What a run would do: the model, the expected usage and the decision. Reads the catalogue, writes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from wattproof.methodology.models import Model, find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import Deployment, ExchangeRate, deployments_for, usage_so_far
from wattproof.resources.providers.adapters import serves
from wattproof.resources.providers.records import UpstreamRequest
from wattproof.resources.routing import Decision, Policy, Ranked, assemble, decide, parse_model, place_of
from wattproof.resources.routing.limits import in_zones
from wattproof.resources.runs.records import RunDeps, RunRequest

__all__ = ["Plan", "effective_policy", "plan", "timestamp"]

_MOST_FOUND = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one request. `expected` counts the input locally and takes the output at its limit.

    `order` holds the candidates to try, in order: after a failure never silently another region. `kind` is what
    requests have in common that should stay with one deployment among equals; `rates` are the exchange rates that the
    decision was made with (None: the bundled ones).
    """

    model: Model
    expected: Usage
    decision: Decision
    order: tuple[Ranked, ...]
    kind: Hashable
    rates: Mapping[str, ExchangeRate] | None = None


async def plan(request: RunRequest, policy: Policy, deps: RunDeps, *, dry_run: bool = False) -> Plan:
    """Decide where `request` would run now.

    Raises:
        UnknownModel: no edition lists the model.
    """
    name, _ = parse_model(request.model)
    model = find_model(name)
    policy = effective_policy(request, policy)
    expected = Usage(usage_so_far(request.chat, "").input_tokens, request.max_output_tokens)
    now_s = deps.clock()
    offers = _offers(model, deps.catalogue, request.chat)
    rates = None if deps.rates is None else deps.rates()
    readings = None
    if deps.grid is not None:
        places = {place for offer in offers if (place := place_of(offer)) is not None}
        readings = await deps.grid.readings(places, now_s)
    candidates = assemble(
        model,
        expected,
        offers,
        now_s,
        health=partial(deps.health.health, now_s=now_s),
        unusable=deps.why_unusable,
        readings=readings,
        rates=rates,
    )
    kind = (deps.log_id, model.id, policy)
    decision = decide(
        policy, expected, candidates, now=timestamp(now_s), dry_run=dry_run, incumbent=deps.incumbents.get(kind)
    )
    return Plan(model, expected, decision, _order(decision), kind, rates)


_found: dict[tuple[int, str, type], tuple[tuple[Deployment, ...], tuple[Deployment, ...]]] = {}


def _offers(model: Model, catalogue: tuple[Deployment, ...], asked: UpstreamRequest) -> tuple[Deployment, ...]:
    """The deployments that serve this kind of request with the model; looked up once for each catalogue."""
    # What is kept holds on to its catalogue, so that its identity stays its own.
    key = (id(catalogue), model.id, type(asked))
    kept = _found.get(key)
    if kept is None:
        offers = tuple([offer for offer in deployments_for(model.id, catalogue) if serves(offer, asked)])
        if len(_found) >= _MOST_FOUND:
            _found.clear()
        kept = _found[key] = catalogue, offers
    return kept[1]


def effective_policy(request: RunRequest, policy: Policy) -> Policy:
    """`policy` with the preset that a suffix of the model names; the suffix wins."""
    _, preset = parse_model(request.model)
    return policy if preset is None else replace(policy, preset=preset)


def timestamp(unix_s: float) -> str:
    """RFC 3339 UTC to the second."""
    return _timestamp(int(unix_s))


@lru_cache(maxsize=16)
def _timestamp(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _order(decision: Decision) -> tuple[Ranked, ...]:
    """The allowed candidates, those after the first only where it may give way to them.

    A first choice in a known zone is followed only by candidates of that zone or of zones that the policy names,
    unless `allow_fallback_region` permits the others.
    """
    allowed, policy = decision.allowed, decision.policy
    if not allowed or policy.allow_fallback_region or not allowed[0].candidate.annual_reading.zone_known:
        return allowed
    zones = (allowed[0].candidate.annual_reading.zone, *policy.zones)
    return tuple([r for r in allowed if in_zones(r.candidate.annual_reading.zone, zones)])
