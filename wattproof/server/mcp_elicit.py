"""Asking the user of a client whether a budget may be exceeded, where the client, the protocol and the transport allow.

The question is put after a run was refused, so that runs within their budgets cost nothing more. Since 2026-07-28 the
call is answered with the question and comes again with the answer; before, the question goes to the client while the
call waits. A model cannot answer: only the client's own answer counts, and it is recorded as a grant in the ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import (
    Elicit,
    Resolve,
    build_resolver_plans,
    find_resolved_parameters,
    resolve_arguments,
)
from mcp.types import InputRequiredResult
from mcp.types.version import is_version_at_least
from pydantic import BaseModel, Field

from wattproof.methodology.errors import BudgetExceeded
from wattproof.server.auth.gate import caller_of
from wattproof.server.mcp_deps import deps_of

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["within_budgets"]

# The first revision in which a call is answered with a question instead of waiting for one.
_QUESTIONS_AS_RESULTS = "2026-07-28"
# One run may meet a budget of energy, of carbon, of tokens and of money, for its operation, its tags and the ledger.
_MOST_QUESTIONS = 8

_T = TypeVar("_T")


class Approval(BaseModel):
    """What the user answers."""

    approve: bool = Field(description="Allow it")


async def _ask(question: str) -> Elicit[Approval]:
    return Elicit(question, Approval)


async def _consumer(answer: Annotated[ElicitationResult[Approval], Resolve(_ask)]) -> None:
    """Only its signature counts: it is what the SDK reads the question from."""


_PARAMETERS = find_resolved_parameters(_consumer)
_PLANS = build_resolver_plans(_PARAMETERS, {"question"})


async def within_budgets(run: Callable[[], Awaitable[_T]], ctx: Context[Deps, Any]) -> _T | InputRequiredResult:
    """What `run` returns; where a budget refuses it and the user allows more, run it again.

    An `InputRequiredResult` is the question, for the client to answer and call again.

    Raises:
        ToolError: a budget refuses, and the user could not be asked or did not allow it; says what would work.
    """
    for _ in range(_MOST_QUESTIONS):
        try:
            return await run()
        except BudgetExceeded as error:
            problem = _why_not(error, ctx)
            if problem is not None:
                raise ToolError(f"{error} {problem}") from error
            outcome = await resolve_arguments(_PARAMETERS, _PLANS, {"question": _question(error)}, ctx)
            if isinstance(outcome, InputRequiredResult):
                return outcome
            # A refusal has no data.
            answer: object = getattr(outcome["answer"], "data", None)
            if not isinstance(answer, Approval) or not answer.approve:
                raise ToolError(f"{error} The user was asked and declined to exceed it.") from error
            await _grant(error, ctx)
    raise ToolError(f"{_MOST_QUESTIONS} budgets refused in turn; ask their owner to raise them.")


def _why_not(error: BudgetExceeded, ctx: Context[Deps, Any]) -> str | None:
    """Why the user cannot be asked, or None."""
    if not error.may_ask:
        return "Its owner allows no exceptions by a client."
    caller = caller_of(ctx.request_context.request)
    if caller is not None and "admin" not in caller.scopes:
        return "Exceeding it counts as declined: these credentials lack the scope admin, which changing a budget needs."
    if error.asked is None:
        return "Nobody was asked to exceed it: by how much is unknown."
    capabilities = ctx.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return "Exceeding it counts as declined: this client offers no way to ask its user."
    version = ctx.protocol_version
    waits = version is None or not is_version_at_least(version, _QUESTIONS_AS_RESULTS)
    if waits and not ctx.session.can_send_request:
        return "Exceeding it counts as declined: over this connection its user cannot be asked."
    return None


def _question(error: BudgetExceeded) -> str:
    """The refusal up to its remedies, and the grant that would let the run start."""
    facts = str(error).partition(" What could fit")[0]
    return f"{facts} Allow {_amount(error)} more in this budget? It is recorded in the ledger."


def _amount(error: BudgetExceeded) -> str:
    from wattproof.resources.ledger.budget_records import amount_words

    return amount_words(error.unit, _shortfall(error))


def _shortfall(error: BudgetExceeded) -> int:
    return (error.asked or 0) - error.remaining


async def _grant(error: BudgetExceeded, ctx: Context[Deps, Any]) -> None:
    deps = deps_of(ctx)
    ledger = await deps.ledger()
    client = ctx.session.client_params
    name = "" if client is None else "".join(filter(str.isprintable, client.client_info.name))[:80]
    by = f"user of {name}" if name else "user of an MCP client"
    await ledger.budgets.grant(error.budget_id, _shortfall(error), by=by, reason="asked when a run was refused")
