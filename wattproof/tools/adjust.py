"""Usage that became known after a request was settled: what the adjustment changes, and its receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from wattproof.tools.figures import Figure, energy_text, mass_text
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Arguments, Result

if TYPE_CHECKING:
    from wattproof.resources.ledger.records import Amount, Settled
    from wattproof.tools.deps import Deps

__all__ = ["AdjustArgs", "AdjustResult", "adjust", "brief"]

_Tokens = Annotated[int | None, Field(ge=0, le=10**12, description="Of the whole request, as known now")]


class AdjustArgs(Arguments):
    """Arguments of `adjust`: counts of the whole request as they are known now; None stays as it was."""

    receipt_id: Annotated[str, Field(min_length=1, max_length=40, description="Receipt of the request")]
    input_tokens: _Tokens = None
    output_tokens: _Tokens = None
    cached_input_tokens: _Tokens = None
    reasoning_tokens: _Tokens = None
    reason: Annotated[str, Field(min_length=1, max_length=64, description="Why")] = "late_usage"


class AdjustResult(Result):
    """An adjustment: differences of usage and figures, negative where they take away. No receipt: nothing differed."""

    told_last: ClassVar[tuple[str, ...]] = ("provenance",)

    receipt_id: str | None
    adjusts: str
    reason: str
    occurred_at: str | None
    usage_change: dict[str, int]
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    reasons: dict[str, str]
    provenance: Provenance


async def adjust(args: AdjustArgs, deps: Deps) -> AdjustResult:
    """Append what changes where the usage of a request was other than recorded; saying the same again appends nothing.

    Raises:
        InvalidInput: no request of this ledger has the receipt, it was erased, or the counts contradict one another.
        UnknownMethod: this version does not have the method of the entry.
        RequestConflict: somebody else adjusted the request at the same time.
        LedgerError: the ledger cannot be read or written.
    """
    import secrets

    from wattproof.resources.ledger.times import rfc3339
    from wattproof.resources.runs import adjust_usage

    ledger = await deps.ledger()
    settled = await adjust_usage(
        ledger,
        deps.log_id,
        args.receipt_id,
        input_tokens=args.input_tokens,
        output_tokens=args.output_tokens,
        cached_input_tokens=args.cached_input_tokens,
        reasoning_tokens=args.reasoning_tokens,
        reason=args.reason,
        now=rfc3339(deps.clock()),
        random_bytes=secrets.token_bytes,
    )
    shown = settled or await ledger.get(deps.log_id, receipt_id=args.receipt_id)
    assert shown is not None
    return _result(args, settled, shown)


def brief(result: AdjustResult) -> str:
    """What was added or taken away, and by which receipt."""
    if result.receipt_id is None:
        return f"{result.adjusts} has this usage already; nothing was appended. {sentence(result.provenance)}"
    counts = [f"{count:+,} {name.replace('_', ' ')}" for name, count in result.usage_change.items() if count]
    figures = [energy_text(result.energy_wh)] if result.energy_wh else ["energy unknown"]
    figures += [mass_text(result.carbon_gco2e)] if result.carbon_gco2e else ["CO2e unknown"]
    return (
        f"{result.reason} of {result.adjusts}: {', '.join(counts)}; {', '.join(figures)}. Appended as "
        f"{result.receipt_id} at {result.occurred_at}; the entry itself did not change. {sentence(result.provenance)}"
    )


def _result(args: AdjustArgs, settled: Settled | None, shown: Settled) -> AdjustResult:
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
    usage = None if settled is None else settled.draft.usage
    draft = shown.draft
    return AdjustResult(
        receipt_id=None if settled is None else settled.receipt_id,
        adjusts=args.receipt_id,
        reason=args.reason,
        occurred_at=None if settled is None else draft.occurred_at,
        usage_change={name: 0 if usage is None else getattr(usage, name) for name in names},
        energy_wh=None if settled is None else _figure(draft.energy_nwh),
        carbon_gco2e=None if settled is None else _figure(draft.carbon_location_ng),
        reasons={"receipt_id": "the ledger has this usage already"} if settled is None else dict(draft.reasons),
        provenance=Provenance(
            region_scope=draft.zone,
            energy_source=draft.energy_source,
            methodology=draft.method_id,
            renewable_ratio_bps=draft.renewable_ratio_bps,
        ),
    )


def _figure(amount: Amount | None) -> Figure | None:
    if amount is None:
        return None
    low, high = (None if end is None else end * 1e-9 for end in (amount.low, amount.high))
    return Figure(median=amount.median * 1e-9, low=low, high=high)
