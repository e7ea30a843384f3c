"""A random sample of receipts for a reviewer: drawn by a seed, each readable with its proof, under a signed root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from wattproof.tools.periods import period_of
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Arguments, Detail, Result

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["EvidenceArgs", "EvidenceResult", "brief", "export_evidence"]

_DRAWN = 5
_MOST = 25
_IDS_IN_TEXT = 3
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class EvidenceArgs(Arguments):
    """Arguments of `export_evidence`."""

    size: Annotated[int | None, Field(ge=1, le=_MOST, description="Receipts to draw, 1-25; default 5")] = None
    seed: Annotated[_Name | None, Field(description="Draws the same again; else drawn and told")] = None
    since: Annotated[str | None, Field(max_length=40, description="Date or time, included")] = None
    until: Annotated[str | None, Field(max_length=40, description="Excluded")] = None
    tz: Annotated[str | None, Field(max_length=60, description="IANA zone; default UTC")] = None
    tag: Annotated[_Name | None, Field(description="Only entries with it")] = None
    operation_id: Annotated[_Name | None, Field(description="Only this workflow")] = None
    detail: Annotated[Detail | None, Field(description="full: entry hashes")] = None


class EvidenceResult(Result):
    """What `export_evidence` returns. Each receipt is read whole at its `uri`, with the proof that it is in the log.

    `checkpoint` is the signed note over the log's size and root, `vkeys` the keys that check it.
    """

    told_last: ClassVar[tuple[str, ...]] = ("reasons", "provenance")

    population: int
    seed: str
    rule: str
    sample: tuple[dict[str, Any], ...]
    checkpoint: str | None
    vkeys: tuple[str, ...]
    reasons: dict[str, str]
    provenance: Provenance


async def export_evidence(args: EvidenceArgs, deps: Deps) -> EvidenceResult:
    """Draw receipts at random from what summaries count, and sign the log's present root.

    Raises:
        InvalidInput: a time is not understood.
        LedgerError: the ledger cannot be read or written.
    """
    from wattproof.resources.ledger.export import EntryFilter
    from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger

    period = period_of(args.since, args.until, args.tz)
    wanted = EntryFilter(since=period.since, until=period.until, tag=args.tag, operation_id=args.operation_id)
    ledger = await deps.ledger()
    seed = args.seed or deps.random_bytes(8).hex()
    drawn = await ledger.exports.sample(deps.log_id, wanted, args.size or _DRAWN, seed)
    rows = tuple(_row(each, full=args.detail == "full") for each in drawn["sample"])
    same = SummaryArgs(since=args.since, until=args.until, tz=args.tz, tag=args.tag, operation_id=args.operation_id)
    summary = await summarize_ledger(same, deps)
    reasons = {name: why for name, why in summary.reasons.items() if name == "renewable_ratio_bps"}
    if not rows:
        reasons["checkpoint"] = "nothing was drawn"
    return EvidenceResult(
        population=drawn["population"],
        seed=seed,
        rule=drawn["rule"],
        sample=rows,
        checkpoint=await ledger.log.checkpoint(deps.log_id) if rows else None,
        vkeys=tuple(str(key) for key in ledger.log.vkeys(deps.log_id)) if rows else (),
        reasons=reasons,
        provenance=summary.provenance,
    )


def _row(drawn: dict[str, Any], *, full: bool) -> dict[str, Any]:
    row = {"seq": drawn["seq"], "receipt_id": drawn["receipt_id"], "uri": f"wattproof://receipts/{drawn['receipt_id']}"}
    return {**row, "entry_hex": drawn["entry_hex"]} if full else row


def brief(result: EvidenceResult) -> str:
    """How many of how many, by which seed, how to read and check them."""
    count = len(result.sample)
    if not count:
        return f"No entries there, so no receipt was drawn. {sentence(result.provenance)}"
    ids = [row["receipt_id"] for row in result.sample]
    more = f" and {count - _IDS_IN_TEXT} more" if count > _IDS_IN_TEXT else ""
    return (
        f"{count} of {result.population:,} receipts, drawn by seed {result.seed} ({result.rule}): "
        f"{', '.join(ids[:_IDS_IN_TEXT])}{more}. Read wattproof://receipts/ID for each with its inclusion proof; "
        f"verify_receipt checks it. The log's root is signed in checkpoint. {sentence(result.provenance)}"
    )
