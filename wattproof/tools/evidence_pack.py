"""A period as one file that somebody else checks without us: totals, receipts, the log between them, a verifier."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.periods import period_of

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.pack_rows import PackScope
    from wattproof.tools.deps import Deps
    from wattproof.tools.evidence_zip import EvidenceZip

__all__ = ["PackRequest", "Packed", "write_pack"]

_TRIES = 3
_PAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRequest:
    """What to pack and where to. `sample`: only so many receipts, drawn by `seed` (None: the root of the log, in hex).

    `older` is the text of a checkpoint that somebody kept.
    """

    output: Path
    since: str | None = None
    until: str | None = None
    tz: str | None = None
    sample: int | None = None
    seed: str | None = None
    older: str | None = None
    most_mib: int = 2048


@dataclass(slots=True)
class Packed:
    """What was packed: counts, the states of the entries, and the length of the file in bytes."""

    receipts: int = 0
    entries: int = 0
    size: int = 0
    seed: str | None = None
    states: Counter[str] = field(default_factory=Counter[str])
    operands_left_out: int = 0


async def write_pack(request: PackRequest, deps: Deps) -> Packed:
    """Write the pack of a period.

    Raises:
        InvalidInput: a time is not understood, the file cannot be written or would be too large, the older checkpoint
            is not of this log, or the period does not stand still.
        VerificationFailed: no key of this log signed the older checkpoint.
        LedgerError: the ledger cannot be read, or does not begin with the older checkpoint.
    """
    from wattproof.tools.evidence_zip import EvidenceZip

    ledger = await deps.ledger()
    scope, totals = await _still(request, deps, ledger)
    older = await _consistency(ledger, scope, request.older)
    with EvidenceZip(request.output, request.most_mib) as pack:
        packed = await _fill(pack, request, ledger, scope, totals, older)
    packed.size = pack.size
    return packed


async def _still(request: PackRequest, deps: Deps, ledger: Ledger) -> tuple[PackScope, dict[str, Any]]:
    """The period under a checkpoint, with totals of just those entries."""
    period = period_of(request.since, request.until, request.tz)
    for _ in range(_TRIES):
        note = await ledger.log.checkpoint(deps.log_id)
        scope = await ledger.exports.pack.scope(deps.log_id, period.since, period.until, note)
        totals = await _totals(request, deps, ledger)
        if not await ledger.exports.pack.grew(scope):
            return scope, totals
    raise InvalidInput("--until", "is in a time to which entries are being added", "give the end of an earlier month")


async def _totals(request: PackRequest, deps: Deps, ledger: Ledger) -> dict[str, Any]:
    months = (request.since or "")[:7], (request.until or "9999-12")[:7]
    closed = await ledger.periods.closed(deps.log_id)
    restated = await ledger.periods.restatements(deps.log_id)
    return {
        "summary": (await _summary(request, deps)).structured(),
        "by_model": await _groups(request, deps, "model"),
        "by_provider": await _groups(request, deps, "provider"),
        "closed_periods": [
            {"period": each.period, "closed_at": each.closed_at, "size": each.size, "root_hex": bytes(each.root).hex()}
            for each in closed
            if months[0] <= each.period <= months[1]
        ],
        "restatements": [
            {"id": each.id, "created_at": each.created_at, "period": each.draft.period, **each.draft.document}
            for each in restated
            if months[0] <= each.draft.period[:7] <= months[1]
        ],
    }


async def _summary(request: PackRequest, deps: Deps, **chosen: Any) -> Any:
    from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger

    given = SummaryArgs(since=request.since, until=request.until, tz=request.tz, detail="full", **chosen)
    return await summarize_ledger(given, deps)


async def _groups(request: PackRequest, deps: Deps, by: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await _summary(request, deps, group_by=by, cursor=cursor)
        found += page.groups
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise InvalidInput("--since", f"spans more than {len(found):,} values of {by}", "take a shorter period")


async def _consistency(ledger: Ledger, scope: PackScope, older: str | None) -> str | None:
    """The proof from the older checkpoint, as C2SP tlog-witness writes it.

    Raises:
        InvalidInput: the log does not begin with it.
    """
    if older is None:
        return None
    compared = await ledger.log.compare(scope.log_id, older)
    if compared.verdict != "consistent":
        fix = "run: wattproof ledger consistency --from FILE"
        raise InvalidInput("--from", f"is of another history than this log ({compared.verdict})", fix)
    hashes = () if not compared.old.size else await ledger.log.consistency(scope.log_id, compared.old.size, scope.size)
    lines = "".join(f"{base64.b64encode(node).decode('ascii')}\n" for node in hashes)
    return f"old {compared.old.size}\n{lines}\n{scope.note}"


async def _fill(
    pack: EvidenceZip,
    request: PackRequest,
    ledger: Ledger,
    scope: PackScope,
    totals: dict[str, Any],
    consistency: str | None,
) -> Packed:
    from wattproof.resources.ledger.export import EntryFilter
    from wattproof.resources.receipts.page import shipped
    from wattproof.tools.evidence_files import VERIFY_PY, readme, verifier_sources

    wanted = EntryFilter(since=scope.since, until=scope.until, before=scope.size)
    sample = await _sample(request, ledger, scope, wanted)
    drawn = frozenset(each["seq"] for each in sample["sample"])
    packed = Packed(seed=sample["seed"] if request.sample else None)
    origin = scope.note.partition("\n")[0]
    receipts = "all of the period" if request.sample is None else f"{len(drawn):,} of {sample['population']:,} drawn"
    text = readme(
        log_id=scope.log_id,
        origin=origin,
        size=scope.size,
        since=scope.since,
        until=scope.until,
        receipts=receipts if request.sample is None else f"{receipts} by the seed {sample['seed']}: {sample['rule']}",
        consistent=consistency is not None,
    )
    pack.add("README.txt", text)
    pack.add("totals.json", json.dumps(totals, indent=1, ensure_ascii=False) + "\n")
    with pack.stream("entries.csv") as write:
        packed.entries = await ledger.exports.entries(scope.log_id, wanted, "csv", write)
    with pack.stream("receipts.jsonl") as write:
        if request.sample is None:
            packed.receipts, assumed = await ledger.exports.pack.receipts(scope, drawn, write)
        else:
            packed.receipts = await _write_drawn(ledger, scope, sample, write)
            assumed = await ledger.exports.pack.assumptions(scope)
    with pack.stream("assumptions.csv") as write:
        for line in assumed.lines():
            write(line)
    packed.operands_left_out = assumed.left_out
    with pack.stream("sequence.csv") as write:
        only = None if request.sample is None else drawn
        packed.states = await ledger.exports.pack.sequence(scope, only, write)
    proof = await ledger.exports.pack.proof(scope)
    place = {"first": scope.first, "end": scope.end, "hashes": [node.hex() for node in proof]}
    pack.add("sequence.json", json.dumps(place, indent=1) + "\n")
    _add_keys(pack, ledger, scope, request.older, consistency)
    pack.add("verify.html", shipped())
    pack.add("verify.py", VERIFY_PY)
    for name, source in verifier_sources():
        pack.add(name, source)
    pack.add("manifest.jws", _manifest(pack, request, ledger, scope, sample) + "\n")
    return packed


async def _sample(request: PackRequest, ledger: Ledger, scope: PackScope, wanted: Any) -> dict[str, Any]:
    """The receipts that were drawn; where all are packed, those that have a proof of their own."""
    from wattproof.resources.receipts.checkpoint import Checkpoint
    from wattproof.resources.receipts.note import SignedNote
    from wattproof.resources.receipts.pack import PROVED

    root = Checkpoint.parse(SignedNote.parse(scope.note).text).root
    seed = request.seed or root.hex()
    return {**await ledger.exports.sample(scope.log_id, wanted, request.sample or PROVED, seed), "root": root}


async def _write_drawn(ledger: Ledger, scope: PackScope, sample: dict[str, Any], write: Any) -> int:
    written = 0
    for each in sample["sample"]:
        receipt = {name: value for name, value in each["receipt"].items() if name != "inclusion"}
        if receipt.get("jws", "") is None:
            continue  # erased or archived: sequence.csv says which
        proof = await ledger.exports.pack.tlog_proof(scope, each["seq"])
        line = {"seq": each["seq"], "receipt_id": each["receipt_id"], **receipt, "tlog_proof": proof}
        write(json.dumps(line, separators=(",", ":")) + "\n")
        written += 1
    return written


def _add_keys(pack: EvidenceZip, ledger: Ledger, scope: PackScope, older: str | None, consistency: str | None) -> None:
    pack.add("jwks.json", json.dumps(ledger.jwks, indent=1) + "\n")
    pack.add("log.vkey", "".join(f"{key}\n" for key in ledger.log.vkeys(scope.log_id)))
    pack.add("checkpoint.txt", scope.note)
    if older is not None and consistency is not None:
        pack.add("old-checkpoint.txt", older)
        pack.add("consistency.txt", consistency)


def _manifest(pack: EvidenceZip, request: PackRequest, ledger: Ledger, scope: PackScope, sample: dict[str, Any]) -> str:
    """The signed list of files. It says no time: the same ledger gives the same pack."""
    from wattproof.resources.receipts import sign
    from wattproof.resources.receipts.pack import FORMAT, PROVED, TYP

    stated = {
        "format": FORMAT,
        "log_id": scope.log_id,
        "since": scope.since,
        "until": scope.until,
        "tree_size": scope.size,
        "root_hex": sample["root"].hex(),
        "receipts": "all" if request.sample is None else "drawn",
        "sample": {
            "size": request.sample or PROVED,
            "seed": sample["seed"],
            "rule": sample["rule"],
            "population": sample["population"],
        },
        "files": pack.files,
    }
    return sign(stated, ledger.issuer, TYP)
