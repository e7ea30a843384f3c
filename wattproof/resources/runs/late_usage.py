"""Usage that a provider reports after a request was settled: an adjustment, never a change of the entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput, RequestConflict
from wattproof.methodology.quantity import Usage, UsageChange
from wattproof.resources.ledger.records import Settled
from wattproof.resources.receipts import parse
from wattproof.resources.receipts.payload import NONCE_BYTES
from wattproof.resources.runs.adjustment import Later, adjustment_of, as_it_stands, token_operands, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattproof.resources.ledger import Ledger

__all__ = ["LATE_USAGE", "adjust_usage", "stated_now"]

LATE_USAGE = "late_usage"
_ADJUSTABLE = ("inference", "recorded")
_MAX_REASON = 64


async def adjust_usage(
    ledger: Ledger,
    log_id: str,
    receipt_id: str,
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_input_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    reason: str = LATE_USAGE,
    now: str,
    random_bytes: Callable[[int], bytes],
) -> Settled | None:
    """Append what changes where the usage of a request is known to have been other than recorded.

    Counts are those of the whole request as they are known now; None stays as it was, a part at most its whole. So
    saying the same again changes nothing, and gives None. The adjustment occurs at `now` (RFC 3339 UTC) and may take
    away as well as add.

    Raises:
        InvalidInput: no request of this log has the receipt, it was erased, or the counts contradict one another.
        UnknownMethod: this version does not have the method of the entry.
        RequestConflict: somebody else adjusted the request at the same time.
        LedgerError: the ledger cannot be read or written.
    """
    original = await _request(ledger, log_id, receipt_id)
    if not (0 < len(reason) <= _MAX_REASON and reason.isprintable()):
        raise InvalidInput("reason", f"is {reason[:40]!r}", f"give 1 to {_MAX_REASON} printable characters")
    earlier = (await ledger.periods.adjustments(log_id, [original.seq])).get(original.seq, [])
    before = usage_of(original.draft, [each.draft for each in earlier])
    whole_input = before.input_tokens if input_tokens is None else input_tokens
    whole_output = before.output_tokens if output_tokens is None else output_tokens
    after = Usage(
        whole_input,
        whole_output,
        min(before.cached_input_tokens, max(0, whole_input)) if cached_input_tokens is None else cached_input_tokens,
        min(before.reasoning_tokens, max(0, whole_output)) if reasoning_tokens is None else reasoning_tokens,
    )
    if after == before:
        return None
    stated = as_it_stands(_payload(original), [_payload(each) for each in earlier])
    later = Later(
        reason=reason,
        external_id=f"usage:{original.seq}:{len(earlier)}",
        operands=token_operands(stated, after),
        usage=UsageChange.between(before, after),
        grid=stated["grid"],
    )
    made = adjustment_of(original, stated, later, now=now, nonce=random_bytes(NONCE_BYTES))
    settled = await ledger.settle(made.draft, made.statement)
    if settled.draft.usage != later.usage:
        raise RequestConflict(
            f"Entry {original.seq} was adjusted by somebody else meanwhile: entry {settled.seq}, {settled.receipt_id}. "
            "Look at it, then adjust again if the usage is still another."
        )
    return settled


async def stated_now(ledger: Ledger, original: Settled) -> dict[str, Any]:
    """What the receipt of an entry states, with what its adjustments changed.

    Raises:
        InvalidInput: a receipt was erased.
    """
    earlier = (await ledger.periods.adjustments(original.log_id, [original.seq])).get(original.seq, [])
    return as_it_stands(_payload(original), [_payload(each) for each in earlier])


async def _request(ledger: Ledger, log_id: str, receipt_id: str) -> Settled:
    found = await ledger.get(log_id, receipt_id=receipt_id)
    if found is None:
        raise InvalidInput("receipt_id", f"{receipt_id[:40]!r} is not in this ledger", "give the id of a receipt here")
    if found.draft.kind == "adjustment":
        raise InvalidInput(
            "receipt_id", f"is of an adjustment of {found.draft.parent_id}", "give the receipt of the request itself"
        )
    if found.draft.kind not in _ADJUSTABLE:
        raise InvalidInput(
            "receipt_id",
            f"is of an entry of kind {found.draft.kind}",
            "only requests that were run here or recorded one by one can be adjusted",
        )
    return found


def _payload(settled: Settled) -> dict[str, Any]:
    if settled.jws is None:
        raise InvalidInput(
            "receipt_id",
            f"the receipt of entry {settled.seq} was erased",
            "without its operands nothing can be computed anew",
        )
    return dict(parse(settled.jws).payload)
