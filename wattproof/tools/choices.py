"""The routing decision of a dry run, and how a decision is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattproof.tools.figures import rounded

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.providers.records import ChatRequest, Deployment
    from wattproof.resources.routing import Decision, Policy, Ranked
    from wattproof.tools.deps import Deps

__all__ = ["Choice", "choice_of", "choose", "ranked_fields"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a real run would do first, and the whole decision behind it."""

    deployment: Deployment
    estimate: Estimate
    decision: Decision


async def choose(model_name: str, chat: ChatRequest, policy: Policy, deps: Deps) -> Choice:
    """Decide without running: the output is expected to reach its limit, the input is counted locally.

    Raises:
        RoutingError: every candidate is excluded.
        UnknownModel: no edition lists the model.
    """
    from dataclasses import replace
    from datetime import UTC, datetime

    from wattproof.methodology.models import find_model
    from wattproof.resources.footprints import estimate
    from wattproof.resources.providers import deployments_for, usage_so_far
    from wattproof.resources.routing import assemble, decide, place_of, require_allowed

    model = find_model(model_name)
    usage = replace(usage_so_far(chat, ""), output_tokens=chat.max_output_tokens)
    offers = deployments_for(model.id, await deps.deployments())
    now = deps.clock()
    places = {place for offer in offers if (place := place_of(offer)) is not None}
    readings = None if deps.grid is None else await (await deps.grid()).readings(places, now)
    candidates = assemble(
        model,
        usage,
        offers,
        now,
        unusable=deps.why_unusable,
        readings=readings,
        rates=None if deps.rates is None else deps.rates(),
    )
    decided_at = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    decision = decide(policy, usage, candidates, now=decided_at, dry_run=True)
    first = require_allowed(decision).candidate
    found = estimate(model, usage, first.ceiling_reading, deployment=first.deployment, output_tokens_assumed=True)
    return Choice(first.deployment, found, decision)


def choice_of(decision: Decision) -> dict[str, Any]:
    """A decision in five fields; `in_best_band` counts those without a meaningful carbon difference from the best."""
    from wattproof.resources.routing import excluded_counts

    return {
        "candidates": len(decision.ranked),
        "allowed": len(decision.allowed),
        "in_best_band": sum(ranked.in_best_band for ranked in decision.allowed),
        "excluded": excluded_counts(decision),
        "decided_by": decision.decided_by,
    }


def ranked_fields(decision: Decision) -> dict[str, Any]:
    """Every candidate in order, with its score or with the limits that excluded it, and what relaxing would admit."""
    return {
        "ranking_source": decision.ranking_source,
        "ranked": [_ranked(ranked) for ranked in decision.ranked],
        "relax": [{"limit": r.limit, "to": r.to, "admits": list(r.admits)} for r in decision.relax],
    }


def _ranked(ranked: Ranked) -> dict[str, Any]:
    candidate = ranked.candidate
    carbon = candidate.carbon_gco2e
    shown: dict[str, Any] = {
        "deployment": candidate.deployment.id,
        "zone": candidate.ceiling_reading.zone,
        "intensity_gco2e_per_kwh": rounded(candidate.ceiling_reading.value_gco2e_per_kwh),
        "carbon_gco2e": None if carbon is None else rounded(carbon.median),
        "cost_usd_micros": candidate.cost_usd_micros,
    }
    if ranked.score is not None:
        shown |= {"score": rounded(ranked.score), "in_best_band": ranked.in_best_band}
    if ranked.flags:
        shown["flags"] = list(ranked.flags)
    if ranked.excluded_by:
        shown["excluded_by"] = [f"{limit.name}: {limit.reason}" for limit in ranked.excluded_by]
    return shown
