"""What of a run that a budget refused would fit into what is left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wattproof.methodology.errors import BudgetExceeded, RoutingError

if TYPE_CHECKING:
    from wattproof.resources.providers import ChatRequest
    from wattproof.resources.routing import Policy
    from wattproof.resources.runs import RunDeps, RunRequest

__all__ = ["with_what_fits"]


async def with_what_fits(error: BudgetExceeded, request: RunRequest, policy: Policy, deps: RunDeps) -> BudgetExceeded:
    """The same refusal, and the longest answer that some allowed deployment could give within what is left.

    The decision is made again for shorter answers; nothing is opened, sent or written.
    """
    from wattproof.resources.providers import ChatRequest

    chat = request.chat
    fits = await _longest(error, request, chat, policy, deps) if isinstance(chat, ChatRequest) else None
    if fits is None:
        return error
    words = f"max_output_tokens {fits:,} would fit." if fits else "Not even an answer of one token would fit."
    return BudgetExceeded(
        f"{error} {words}",
        budget_id=error.budget_id,
        unit=error.unit,
        asked=error.asked,
        remaining=error.remaining,
        may_ask=error.may_ask,
    )


async def _longest(
    error: BudgetExceeded, request: RunRequest, chat: ChatRequest, policy: Policy, deps: RunDeps
) -> int | None:
    """The largest max_output_tokens below that of `chat` that fits, 0: none does; None where that cannot be told."""
    if error.asked is None:
        return None
    fits, too_many = 0, chat.max_output_tokens
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        shorter = replace(request, chat=replace(chat, max_output_tokens=middle))
        asked = await _asked(error, shorter, policy, deps)
        if asked is None:
            return None
        if asked <= error.remaining:
            fits = middle
        else:
            too_many = middle
    return fits


async def _asked(error: BudgetExceeded, request: RunRequest, policy: Policy, deps: RunDeps) -> int | None:
    """What the deployment that takes least would reserve for `request`."""
    from wattproof.resources.ledger.budget_count import RESERVED_COLUMNS
    from wattproof.resources.routing import require_allowed
    from wattproof.resources.runs.ask import Ask
    from wattproof.resources.runs.attempt import attempt_draft
    from wattproof.resources.runs.plan import plan

    planned = await plan(request, policy, deps)
    try:
        require_allowed(planned.decision)
    except RoutingError:
        return None
    ask = Ask.of(request, policy, deps)
    drafts = [attempt_draft(ask, planned, ranked.candidate) for ranked in planned.order]
    reserved = [getattr(draft, RESERVED_COLUMNS[error.unit]) for draft in drafts]
    return min((amount for amount in reserved if amount is not None), default=None)
