"""The operations of a ledger: begin, record what was done elsewhere, look, end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import operations
from wattproof.resources.ledger.budget_book import BudgetDraft, check_budget
from wattproof.resources.ledger.operation_view import OperationView, steps_of, view
from wattproof.resources.ledger.operations import MAX_STEPS_AT_ONCE, RecordedStep, StepDraft
from wattproof.resources.ledger.records import EntryDraft, Settled
from wattproof.resources.ledger.rows import check_draft, check_name

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import Signed
    from wattproof.resources.ledger.writer import Writer
    from wattproof.resources.receipts.statement import Statement

__all__ = ["OperationBook"]


class OperationBook:
    """The operations of one open ledger. Writes are durable on return and raise LedgerError as the ledger's do."""

    def __init__(
        self,
        writer: Writer,
        read: Callable[..., Awaitable[Any]],
        clock: Callable[[], float],
        sign: Callable[[Statement, str], Signed],
        *,
        simulation: bool,
    ) -> None:
        self._writer = writer
        self._read = read
        self._clock = clock
        self._sign = sign
        self._simulation = simulation

    async def begin(
        self,
        log_id: str,
        operation_id: str,
        *,
        parent_id: str | None = None,
        budget: BudgetDraft | None = None,
        by: str = "caller",
    ) -> bool:
        """Open an operation; False: it was open with the same parent and budget. `by` is who sets the budget.

        Raises:
            OperationClosed: it or its parent takes no more steps.
            RequestConflict: it is open with another parent or another budget.
            InvalidInput: a name is not understood, or the parent is below the operation.
        """
        check_name("log_id", log_id)
        check_name("operation_id", operation_id)
        if parent_id is not None:
            check_name("parent_id", parent_id)
        if budget is not None:
            check_budget(budget)
        return await self._writer.submit(
            lambda transaction: operations.begin(transaction, log_id, operation_id, parent_id, budget, by), log_id
        )

    async def record(self, log_id: str, operation_id: str, steps: Sequence[StepDraft]) -> tuple[RecordedStep, ...]:
        """Append steps that were made elsewhere, each once however often it is sent; all of them or none.

        Budgets count them and refuse none: what they cost was spent already.

        Raises:
            OperationClosed: the operation takes no more steps.
            RequestConflict: a step_id or idempotency_key was used for another step.
            InvalidInput: there are none or too many, or one is malformed.
        """
        check_name("operation_id", operation_id)
        if not 1 <= len(steps) <= MAX_STEPS_AT_ONCE:
            raise InvalidInput("steps", f"are {len(steps)}", f"give 1 to {MAX_STEPS_AT_ONCE} at once")
        for field in ("step_id", "idempotency_key"):
            names = [name for step in steps if (name := getattr(step, field)) is not None]
            for name in names:
                check_name(field, name)
            if len(set(names)) != len(names):
                raise InvalidInput("steps", f"have the same {field} twice", f"give each its own {field}")
        kept = [replace(step, entry=self._kept(step.entry)) for step in steps]
        return await self._writer.submit(
            lambda transaction: operations.record(transaction, log_id, operation_id, kept, self._sign), log_id
        )

    async def view(self, log_id: str, operation_id: str, most_steps: int = 20) -> OperationView:
        """What the operation came to so far, with at most `most_steps` of its steps, those with the most energy."""
        check_name("operation_id", operation_id)
        return await self._read(view, log_id, operation_id, most_steps, self._clock())

    async def steps(self, log_id: str, operation_id: str, most: int | None = None) -> tuple[Settled, ...]:
        """Every step (or the first `most`) of the operation and of those below it, in the order of the log."""
        return await self._read(steps_of, log_id, operation_id, most)

    async def require_endable(self, log_id: str, operation_id: str) -> None:
        """Refuse to end what cannot be ended now, before its receipt is made.

        Raises:
            OperationClosed: it ended before.
            InvalidInput: nobody began it.
            RequestInFlight: a run in it, or an operation below it, is open.
        """
        check_name("operation_id", operation_id)
        await self._read(operations.require_endable, log_id, operation_id, self._clock())

    async def end(self, draft: EntryDraft, statement: Statement, seqs: Sequence[int]) -> Settled | None:
        """Close the operation `draft.operation_id` with a receipt over the steps `seqs`.

        None, with nothing written: it has other steps by now; read them and make the receipt again.

        Raises as `require_endable` does.
        """
        kept = self._kept(draft)
        return await self._writer.submit(
            lambda transaction: operations.end(transaction, kept, statement, self._sign, seqs), draft.log_id
        )

    def _kept(self, draft: EntryDraft) -> EntryDraft:
        check_draft(draft)
        return replace(draft, synthetic=True) if self._simulation else draft
