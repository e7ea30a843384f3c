"""The limits of a policy over all tries of a run: what earlier ones spent counts."""

from __future__ import annotations

from collections.abc import Mapping

from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Quantity
from wattproof.resources.footprints import estimate
from wattproof.resources.grid import Reading
from wattproof.resources.providers import ExchangeRate, to_usd_micros
from wattproof.resources.routing import Candidate
from wattproof.resources.runs.plan import Plan
from wattproof.resources.runs.tally import Share, Tally

__all__ = ["over_limit"]


def over_limit(plan: Plan, tally: Tally, candidate: Candidate) -> str | None:
    """Why one more try, on `candidate`, could exceed what the policy allows the whole run; None: it could not.

    What was spent counts at its own price and reading, the next try as the decision expected it. Unknown is too much.
    """
    if not tally.shares:
        return None
    return _over_cost(plan, tally, candidate) or _over_carbon(plan, tally, candidate)


def _over_cost(plan: Plan, tally: Tally, candidate: Candidate) -> str | None:
    most_usd = plan.decision.policy.max_cost_usd
    if most_usd is None:
        return None
    spent = [_usd_micros(share, plan.rates) for share in tally.shares]
    known = [micros for micros in (*spent, candidate.cost_usd_micros) if micros is not None]
    if len(known) <= len(spent):
        return f"with what was spent before, its cost is unknown and may exceed max_cost_usd {most_usd:g}"
    if sum(known) / 1e6 <= most_usd:
        return None
    return f"with what was spent before, up to {sum(known) / 1e6:.6g} USD, above max_cost_usd {most_usd:g}"


def _over_carbon(plan: Plan, tally: Tally, candidate: Candidate) -> str | None:
    most_g = plan.decision.policy.max_carbon_gco2e
    if most_g is None:
        return None
    readings = {r.candidate.deployment.id: r.candidate.ceiling_reading for r in plan.decision.ranked}
    spent = [_carbon_gco2e(plan.model, share, readings[share.deployment.id]) for share in tally.shares]
    known = [_most(quantity) for quantity in (*spent, candidate.carbon_gco2e) if quantity is not None]
    if len(known) <= len(spent):
        return f"with what was spent before, its carbon is unknown and may exceed max_carbon_gco2e {most_g:g}"
    if sum(known) <= most_g:
        return None
    return f"with what was spent before, up to {sum(known):.3g} gCO2e, above max_carbon_gco2e {most_g:g}"


def _usd_micros(share: Share, rates: Mapping[str, ExchangeRate] | None) -> int | None:
    deployment, price = share.deployment, share.deployment.price
    if deployment.local:
        return 0
    micros = None if price is None else price.cost_micros(share.usage)
    return None if micros is None or price is None else to_usd_micros(micros, price.currency, rates=rates)


def _carbon_gco2e(model: Model, share: Share, reading: Reading) -> Quantity | None:
    found = estimate(model, share.usage, reading, deployment=share.deployment, cpu_seconds=share.cpu_seconds)
    return found.footprint.carbon_gco2e


def _most(quantity: Quantity) -> float:
    return quantity.median if quantity.high is None else quantity.high
