"""One try as the ledger records it before it is made, and why a try can fail."""

from __future__ import annotations

from wattproof.methodology.errors import Unavailable, UpstreamError
from wattproof.methodology.quantity import Quantity
from wattproof.resources.ledger.records import AttemptDraft
from wattproof.resources.routing import Candidate
from wattproof.resources.runs.ask import Ask
from wattproof.resources.runs.plan import Plan

__all__ = ["Failure", "attempt_draft", "failure_code"]

# A lease outlives its deadline by this, so that a slow disk never makes a running attempt look abandoned.
_LEASE_GRACE_S = 60.0
_LARGEST_RESERVE = 2**53

Failure = UpstreamError | Unavailable
"""Why a try can fail without ending the run."""


def failure_code(error: Failure) -> str:
    """The reason code of a failed try: what the provider's failure says, or `unavailable` on our side."""
    return error.reason if isinstance(error, UpstreamError) else "unavailable"


def attempt_draft(ask: Ask, plan: Plan, candidate: Candidate) -> AttemptDraft:
    """The next try of `ask`, on `candidate`: it reserves what the decision expects it to spend at most."""
    return AttemptDraft(
        log_id=ask.deps.log_id,
        request_id=ask.request_id,
        request_digest=ask.digest,
        deployment=candidate.deployment.id,
        lease_expires_at=ask.deps.clock() + max(ask.left_s(), 0.0) + _LEASE_GRACE_S,
        reserved_energy_nwh=_reserved_nano(candidate.energy_wh),
        reserved_carbon_ng=_reserved_nano(candidate.carbon_gco2e),
        reserved_tokens=plan.expected.total_tokens,
        reserved_cost_micros=candidate.cost_usd_micros,
        operation_id=ask.request.operation_id,
        tags=ask.request.tags,
    )


def _reserved_nano(amount: Quantity | None) -> int | None:
    """The high bound in 1e-9 of its unit, bounded to what the ledger's integers hold."""
    if amount is None:
        return None
    return min(round((amount.median if amount.high is None else amount.high) * 1e9), _LARGEST_RESERVE)
