"""Check a receipt, or another vendor's footprint block: is it signed, logged, computed, plausible, fresh?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from wattproof.methodology.foreign import as_name
from wattproof.tools.own_evidence import keys_for, local_log, local_proof, local_steps
from wattproof.tools.provenance import StatedProvenance, sentence
from wattproof.tools.receipt_subject import read_subject
from wattproof.tools.result import Arguments, Detail, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattproof.resources.receipts.verdict import Check, Verdict
    from wattproof.resources.receipts.verify import Report
    from wattproof.tools.deps import Deps

__all__ = [
    "RECEIPT",
    "Outcome",
    "VerifyArgs",
    "VerifyResult",
    "brief",
    "shown_checks",
    "shown_verdicts",
    "verify_receipt",
]

# Two figures that differ by less are the same figure, rounded elsewhere.
_SAME = 1e-3
_ORDER = ("fail", "pass", "unknown")

Outcome = Literal["established", "failed", "not_established"]

RECEIPT = "receipt"
"""The subject of a result on a receipt of ours; any other names a vendor and its block."""


class VerifyArgs(Arguments):
    """Arguments of `verify_receipt`."""

    receipt: Annotated[
        str | dict[str, Any],
        Field(description="Receipt id, JWS, {jws, inclusion?, tlog_proof?, vkey?, jwks?}, or another vendor's block"),
    ]
    detail: Annotated[Detail | None, Field(description="full: the whole statement")] = None


class VerifyResult(Result):
    """What `verify_receipt` returns. `provenance` is the receipt's own statement.

    `checks` holds the comparisons whose two figures differ; all of them with detail=full. What only a receipt states is
    left out where another vendor's block was judged.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"statement"})
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {
            "tier",
            "boundary",
            "edition",
            "methodology_sha256",
            "location_evidence",
            "ghg_scope",
            "synthetic",
            "key_trust",
            "log_evidence",
            "grid",
            "checks",
            "reasons",
            "subject",
        }
    )

    in_full_only: ClassVar[frozenset[str]] = frozenset({"methodology_sha256", "edition"})
    usual: ClassVar[Mapping[str, object]] = {
        "boundary": "comprehensive",
        "ghg_scope": "scope3.cat1",
        "synthetic": False,
        "checks": (),
        "reasons": {},
    }

    subject: str
    receipt_id: str | None
    outcome: Outcome
    verdicts: dict[str, dict[str, str | None]]
    key_trust: str | None
    log_evidence: str | None
    checks: tuple[dict[str, Any], ...]
    reasons: dict[str, str]
    tier: str | None
    boundary: str | None
    edition: str | None
    methodology_sha256: str | None
    location_evidence: str | None
    ghg_scope: str | None
    synthetic: bool
    grid: dict[str, Any] | None
    statement: dict[str, Any] | None = None
    provenance: StatedProvenance

    def structured(self, *, brief: bool = False) -> dict[str, Any]:
        fields = super().structured(brief=brief)
        if self.subject == RECEIPT:
            return fields
        return {name: value for name, value in fields.items() if name not in self.unlisted or value is not None}

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        # The checks say in figures what the message says in words, which the text has.
        told = {"message"} if self.checks else set[str]()
        fields["verdicts"] = {
            name: {part: words for part, words in verdict.items() if words is not None and part not in told}
            for name, verdict in fields["verdicts"].items()
        }
        return fields


async def verify_receipt(args: VerifyArgs, deps: Deps) -> VerifyResult:
    """Judge a receipt of this ledger or of anyone. Keys come from this installation or from `jwks`, never from it.

    Raises:
        InvalidInput: this is no receipt, or no receipt of this ledger has the id.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.resources.receipts.verify import exit_code
    from wattproof.resources.receipts.verify import verify_receipt as judge
    from wattproof.resources.receipts.verify_record import verify_record
    from wattproof.tools.verify_vendor import vendor_block_in, vendor_result

    full = args.detail == "full"
    block = vendor_block_in(args.receipt)
    if block is not None:
        return vendor_result(block, deps.clock(), full=full)
    subject = await read_subject(args.receipt, deps)
    keys = keys_for(subject, deps)
    own_proof = await local_proof(subject.jws, deps)
    held: dict[str, Any] = {
        "now": deps.clock(),
        "inclusion": subject.proof or own_proof,
        "log": await local_log(subject, own_proof, deps),
        "limits": keys.limits,
        "trust": "local" if subject.jwks is None else "given",
    }
    if subject.record is not None:
        report = verify_record(subject.record, keys.public, **held)
    else:
        steps = subject.steps or await local_steps(subject.jws, deps)
        report = judge(subject.jws, keys.public, steps=steps, **held)
    outcomes: dict[int, Outcome] = {0: "established", 1: "failed"}
    return _result(report, outcomes.get(exit_code(report), "not_established"), full=full)


def brief(result: VerifyResult) -> str:
    """The verdicts in words: what failed first and why, the four named fields as the receipt states them last."""
    if result.subject != RECEIPT:
        from wattproof.tools.verify_vendor import brief_vendor

        return brief_vendor(result)
    ordered = sorted(result.verdicts.items(), key=lambda item: _ORDER.index(item[1]["verdict"] or ""))
    told = [f"{name} {_verdict_words(found)}" for name, found in ordered]
    name = f"Receipt {result.receipt_id}" if result.receipt_id else "Unreadable receipt"
    words = [f"{name}: {result.outcome.replace('_', ' ')}: {'; '.join(told)}."]
    words += [_check_words(check) for check in result.checks if _differs(check)][:2]
    trust = {"local": "Key of this installation.", "given": "Key as given by the caller.", "unknown": "Key unknown."}
    words.append(trust.get(result.key_trust or "unknown", "Key unknown."))
    if result.log_evidence == "witnessed":
        words.append("Witnesses signed the log's root.")
    return " ".join([*words, "As stated:", sentence(result.provenance)])


def _result(report: Report, outcome: Outcome, *, full: bool) -> VerifyResult:
    payload = report.payload or {}
    return VerifyResult(
        subject=RECEIPT,
        receipt_id=report.receipt_id,
        outcome=outcome,
        verdicts=shown_verdicts(report.verdicts, full=full),
        key_trust=report.key_trust,
        log_evidence=report.log_evidence,
        checks=shown_checks(report.checks, full=full),
        reasons={} if report.payload else {"provenance": "the receipt could not be read"},
        **{ours: _text(payload, theirs) for ours, theirs in _STATED.items()},
        synthetic=report.verdicts["signature"].reason == "simulation",
        grid=_stated_grid(payload),
        statement=dict(payload) if full and payload else None,
        provenance=_stated_provenance(payload),
    )


def shown_verdicts(verdicts: Mapping[str, Verdict], *, full: bool) -> dict[str, dict[str, str | None]]:
    """The verdicts as data. A failure is told whole; for the others the code is enough in brief."""
    shown = {name: asdict(verdict) for name, verdict in verdicts.items()}
    for found in () if full else shown.values():
        if found["verdict"] != "fail":
            found.pop("message")
    return shown


def shown_checks(checks: Sequence[Check], *, full: bool) -> tuple[dict[str, Any], ...]:
    """The comparisons as data: in brief those whose two figures differ."""
    return tuple(check for check in map(asdict, checks) if full or _differs(check))


_STATED = {
    "tier": "tier",
    "boundary": "boundary",
    "edition": "edition",
    "methodology_sha256": "method_sha256",
    "location_evidence": "location_evidence",
    "ghg_scope": "ghg_scope",
}


def _stated_provenance(payload: Mapping[str, Any]) -> StatedProvenance:
    ratio = payload.get("renewable_ratio_bps")
    return StatedProvenance(
        region_scope=_text(payload, "region_scope") or "unstated",
        energy_source=_text(payload, "energy_source") or "unstated",
        methodology=_text(payload, "method_id") or "unstated",
        renewable_ratio_bps=ratio if type(ratio) is int and 0 <= ratio <= 10_000 else None,
    )


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    """A text of a receipt that may be anyone's: cut, and quoted where it is no name."""
    value = payload.get(name)
    return as_name(value, 200) if isinstance(value, str) else None


def _stated_grid(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    grids: object = payload.get("grid")
    reading: object = cast("dict[str, Any]", grids).get("accounting") if isinstance(grids, dict) else None
    if not isinstance(reading, dict):
        return None
    fields = cast("dict[str, Any]", reading)
    milligrams = fields.get("value_mgco2e_per_kwh")
    if type(milligrams) is not int:
        return None
    return {
        "intensity_gco2e_per_kwh": milligrams / 1000,
        "zone": _text(fields, "zone"),
        "temporal_match": _text(fields, "temporal_match"),
        "evidence": _text(fields, "evidence"),
    }


def _verdict_words(found: Mapping[str, str | None]) -> str:
    if found["verdict"] == "pass":
        return "pass"
    told = found.get("message") or (found["reason"] or "").replace("_", " ")
    return f"{(found['verdict'] or '').upper() if found['verdict'] == 'fail' else 'unknown'} ({told.rstrip('.')})"


def _differs(check: Mapping[str, Any]) -> bool:
    """Whether the two figures differ by more than their last digits; in brief the others are not worth a line."""
    stated, expected = check["stated"], check["expected"]
    if stated is None or expected is None:
        return False
    return abs(stated - expected) > _SAME * max(abs(stated), abs(expected))


def _check_words(check: Mapping[str, Any]) -> str:
    return f"{check['field']}: states {check['stated']}, expected {check['expected']} ({check['source']})."
