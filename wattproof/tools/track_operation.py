"""A workflow of many steps: begin it, add the steps that were made elsewhere, see what it came to, end it."""

from __future__ import annotations

from base64 import b32encode
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput, RequestInFlight
from wattproof.tools.budget_left import integer_amount, rates_of
from wattproof.tools.operation_arguments import OperationArgs
from wattproof.tools.operation_result import OperationResult, brief, result_of

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.budget_book import BudgetDraft
    from wattproof.resources.ledger.operation_view import OperationView
    from wattproof.resources.operations import Sci
    from wattproof.tools.deps import Deps

__all__ = ["OperationArgs", "OperationResult", "brief", "track_operation"]

_STEPS_SHOWN = 3
_STEPS_FULL = 100
_END_TRIES = 5


async def track_operation(args: OperationArgs, deps: Deps) -> OperationResult:
    """Begin, add to, look at or end one operation of this ledger.

    Raises:
        InvalidInput: an argument does not belong to the action, or a step or the budget is malformed.
        OperationClosed: the operation takes no more steps.
        RequestConflict: a step_id, or the operation, was used in another way before.
        RequestInFlight: it cannot end while a run in it, or an operation below it, is open.
        UnknownZone: no edition lists a step's zone.
        LedgerError: the ledger cannot be read or written.
    """
    _check(args)
    ledger = await deps.ledger()
    operation_id = args.operation_id or _new_id(deps)
    recorded = None
    if args.action == "begin":
        budget = _budget(args, operation_id, deps)
        await ledger.operations.begin(deps.log_id, operation_id, parent_id=args.parent_id, budget=budget)
    elif args.action == "record":
        recorded = await _record(args, operation_id, deps, ledger)
    elif args.action == "end":
        await _end(operation_id, deps, ledger)
    full = args.detail == "full"
    view = await ledger.operations.view(deps.log_id, operation_id, _STEPS_FULL if full else _STEPS_SHOWN)
    if view.state == "unknown":
        raise InvalidInput(
            "operation_id", f"{operation_id[:80]!r} has no steps and was never begun", "begin it, or record a step"
        )
    return result_of(view, await _sci(view, ledger), args.action, recorded, full=full)


# What goes with which action; anything else would be silently ignored.
_BELONGS = {"steps": ("record",), "budget": ("begin",), "parent_id": ("begin",)}


def _check(args: OperationArgs) -> None:
    for name, actions in _BELONGS.items():
        if getattr(args, name) is not None and args.action not in actions:
            raise InvalidInput(name, f"is given with action {args.action}", f"it belongs to {' or '.join(actions)}")
    if args.operation_id is None and args.action != "begin":
        raise InvalidInput("operation_id", "is missing", "give the one that begin returned, or your own")
    if args.action == "record" and not args.steps:
        raise InvalidInput("steps", "are missing", "give 1 to 100 steps with step_id, model and usage")
    if args.operation_id is not None and not args.operation_id.isprintable():
        raise InvalidInput("operation_id", f"is {args.operation_id[:40]!r}", "give printable characters")


def _new_id(deps: Deps) -> str:
    return "op_" + b32encode(deps.random_bytes(10)).decode("ascii").lower()


def _budget(args: OperationArgs, operation_id: str, deps: Deps) -> BudgetDraft | None:
    if args.budget is None:
        return None
    from wattproof.resources.ledger.budget_book import BudgetDraft
    from wattproof.resources.ledger.budget_records import BudgetKey

    unit = args.budget.unit
    key = BudgetKey(deps.log_id, "operation", operation_id, "total", unit)
    amount = integer_amount(unit, args.budget.limit)
    return BudgetDraft(key, amount, args.budget.action, rates=rates_of(deps) if unit == "cost_usd" else {})


async def _record(args: OperationArgs, operation_id: str, deps: Deps, ledger: Ledger) -> dict[str, int]:
    from wattproof.resources.operations import stated_step

    deployments, now_s = await deps.deployments(), deps.clock()
    steps = [
        stated_step(
            given.step(),
            log_id=deps.log_id,
            operation_id=operation_id,
            deployments=deployments,
            now_s=now_s,
            nonce=deps.random_bytes(16),
        )
        for given in args.steps or ()
    ]
    recorded = await ledger.operations.record(deps.log_id, operation_id, steps)
    new = sum(step.is_new for step in recorded)
    return {"new": new, "known": len(recorded) - new}


async def _end(operation_id: str, deps: Deps, ledger: Ledger) -> None:
    from wattproof.resources.operations import closing_of, ran_locally

    for _ in range(_END_TRIES):
        view = await ledger.operations.view(deps.log_id, operation_id, 0)
        if view.state == "ended":
            return  # ending again changes nothing
        await ledger.operations.require_endable(deps.log_id, operation_id)
        steps = await ledger.operations.steps(deps.log_id, operation_id)
        local = ran_locally(steps)
        closing = closing_of(view, steps, local=local, now_s=deps.clock(), nonce=deps.random_bytes(16))
        if await ledger.operations.end(closing.draft, closing.statement, closing.seqs) is not None:
            return
    raise RequestInFlight(f"Steps are still being added to operation {operation_id!r}. End it when they are done.")


async def _sci(view: OperationView, ledger: Ledger) -> Sci:
    """E, I, M and R. Every step has to be computed again for M, unless the first one shows that it is unknown."""
    from wattproof.resources.operations import MAX_SCI_STEPS, sci_of

    if not view.step_count:
        return sci_of(view.total, ())
    first = sci_of(view.total, await ledger.operations.steps(view.log_id, view.operation_id, 1))
    if first.embodied_gco2e is None:
        return first
    return sci_of(view.total, await ledger.operations.steps(view.log_id, view.operation_id, MAX_SCI_STEPS + 1))
