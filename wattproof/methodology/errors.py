"""Every deliberate error of wattproof, in one tree.

WattproofError
├── InvalidInput            a field is wrong: names the field, the problem, what would work
├── UnknownName             an id that no edition lists: carries the closest ids
│   ├── UnknownModel
│   ├── UnknownZone
│   ├── UnknownMethod
│   └── UnknownProvider
├── NotDefined              the method does not cover this workload or lacks an input
├── RoutingError            no candidate is left; says what relaxing each limit would admit
├── UpstreamError           a provider failed; carries a reason code, never its text unescaped
├── GridUnavailable         a grid-signal source has nothing usable; carries a reason code
├── LedgerError
│   ├── LedgerLocked        another process holds the lock; names it
│   ├── LedgerUnusable      corrupt, read-only, wrong application or schema
│   ├── LedgerForked        a signed root and the entries differ: nothing more is signed
│   ├── RequestConflict     a request_id was used before with another body
│   ├── RequestInFlight     the same request_id is running now
│   ├── BudgetExceeded      a budget does not allow what a try may spend; says what would fit
│   ├── OperationClosed     the operation ended or was left; it takes no more steps
│   └── PeriodClosed        the month was closed; it takes no more entries
├── KeyUnusable             a key file is missing, unreadable or too open
├── VerificationFailed      one check of a receipt or proof failed
├── Unavailable             an optional part is not installed or not reachable; says the command that fixes it
└── Refused                 a policy of the operator forbids it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from wattproof.methodology.foreign import as_name

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Usage, UsageSource

__all__ = [
    "BudgetExceeded",
    "GridUnavailable",
    "InvalidInput",
    "KeyUnusable",
    "LedgerError",
    "LedgerForked",
    "LedgerLocked",
    "LedgerUnusable",
    "NotDefined",
    "OperationClosed",
    "PeriodClosed",
    "Refused",
    "RequestConflict",
    "RequestInFlight",
    "RoutingError",
    "Unavailable",
    "UnknownMethod",
    "UnknownModel",
    "UnknownName",
    "UnknownProvider",
    "UnknownZone",
    "UpstreamError",
    "VerificationFailed",
    "WattproofError",
]


_LONGEST_FIELD = 120


class WattproofError(Exception):
    """Base of every error that a user is meant to read; its text says what would work."""


class InvalidInput(WattproofError):
    """A field of the input is wrong.

    Attributes:
        field: name of the field as the caller wrote it, e.g. ``output_tokens``.
        problem: what is wrong, e.g. ``is -3``.
        fix: what would work, e.g. ``give an integer from 0 to 1e12``.
    """

    def __init__(self, field: str, problem: str, fix: str) -> None:
        self.field = field
        self.problem = problem
        self.fix = fix
        # A field is whatever a caller, or the receipt of a stranger, calls it.
        super().__init__(f"{as_name(field, _LONGEST_FIELD)} {problem}; {fix}.")


class UnknownName(WattproofError):
    """An id that no bundled edition and no configured row lists."""

    noun = "name"

    def __init__(self, name: str, closest: Sequence[str] = ()) -> None:
        self.name = name
        self.closest = tuple(closest)
        shown = name if len(name) <= 80 else name[:77] + "..."
        hint = f" Closest: {', '.join(self.closest)}." if self.closest else ""
        super().__init__(f"Unknown {self.noun} {shown!r}.{hint}")


class UnknownModel(UnknownName):
    noun = "model"


class UnknownZone(UnknownName):
    noun = "zone"


class UnknownMethod(UnknownName):
    noun = "method"


class UnknownProvider(UnknownName):
    noun = "provider"


class NotDefined(WattproofError):
    """The method does not cover this workload, or an input that it needs is unknown."""


class RoutingError(WattproofError):
    """No candidate satisfies every limit."""


class UpstreamError(WattproofError):
    """A provider call failed.

    Attributes:
        reason: a code such as ``http_429``, ``timeout``, ``cut_stream``, ``bad_json``, ``connect``.
        retryable: whether the same or another candidate may be tried.
        retry_after_s: what the provider asked for, or None.
        partial_text: the part of an answer that had arrived, or "".
        partial_usage: tokens spent before it failed, or None where nothing is known to have been spent.
        partial_usage_source: whether the provider stated `partial_usage` or we counted it.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        retryable: bool,
        retry_after_s: float | None = None,
        partial_text: str = "",
        partial_usage: Usage | None = None,
        partial_usage_source: UsageSource | None = None,
    ) -> None:
        self.reason = reason
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.partial_text = partial_text
        self.partial_usage = partial_usage
        self.partial_usage_source: UsageSource | None = partial_usage_source
        super().__init__(message)


class GridUnavailable(WattproofError):
    """A grid-signal source has nothing usable for a place now.

    Attributes:
        reason: a stable code, such as ``no_key``, ``no_data``, ``plan``, ``http_503`` or ``bad_value``.
        retry_after_s: what the source asked to wait, or None.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LedgerError(WattproofError):
    """The ledger could not do what was asked; nothing was half-written."""


class LedgerLocked(LedgerError):
    """The lock was not obtained before the deadline; the text names the holder."""


class LedgerUnusable(LedgerError):
    """The file is corrupt, read-only, of another application or of a newer schema."""


class LedgerForked(LedgerError):
    """What was signed and what the entries give differ: the history was changed."""


class RequestConflict(LedgerError):
    """A request_id was used before with another body."""


class RequestInFlight(LedgerError):
    """The same request_id is running now in this or another process."""


class BudgetExceeded(LedgerError):
    """A budget does not allow what a try may spend; nothing was spent, and no argument can override it.

    Attributes:
        budget_id: which budget of the ledger.
        unit: ``energy_wh``, ``carbon_gco2e``, ``tokens`` or ``cost_usd``.
        asked: what the try may take at most, in integers of the unit (nWh, ng, tokens, micro-dollars); None: unknown.
        remaining: what is left, in the same integers.
        may_ask: whether the user of a client may be asked to exceed it.
    """

    def __init__(
        self,
        message: str,
        *,
        budget_id: int,
        unit: Literal["energy_wh", "carbon_gco2e", "tokens", "cost_usd"],
        asked: int | None,
        remaining: int,
        may_ask: bool,
    ) -> None:
        self.budget_id = budget_id
        self.unit: Literal["energy_wh", "carbon_gco2e", "tokens", "cost_usd"] = unit
        self.asked = asked
        self.remaining = remaining
        self.may_ask = may_ask
        super().__init__(message)


class OperationClosed(LedgerError):
    """The operation ended, or nothing was added to it for too long; the text says what would work."""


class PeriodClosed(LedgerError):
    """The month in which something occurred was closed; the text says how it can be recorded."""


class KeyUnusable(WattproofError):
    """A key file is missing, unreadable, malformed or readable by others."""


class VerificationFailed(WattproofError):
    """A check failed.

    Attributes:
        check: ``signature``, ``inclusion``, ``arithmetic``, ``format`` or ``consistency``.
        reason: a stable code such as ``bad_signature`` or ``not_canonical``.
    """

    def __init__(self, check: str, reason: str, message: str) -> None:
        self.check = check
        self.reason = reason
        super().__init__(message)


class Unavailable(WattproofError):
    """An optional part is not installed or not reachable; the text says the command that fixes it."""


class Refused(WattproofError):
    """The operator's settings forbid it; no argument can override that."""
