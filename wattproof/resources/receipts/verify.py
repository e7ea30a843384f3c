"""Verify a receipt: five questions, answered separately, from the receipt and public keys alone.

- signature: was it signed by a key that we know?
- inclusion: is it in its log, by the proof that was given, and who says so (`log_evidence.py`)?
- arithmetic: do its operands, put into its method again, give its outputs?
- plausibility: does it agree with itself, and with what is known of the grid and of models?
- freshness: do its times make sense, and how old is it?

A good signature says that a record was not changed, not that it is right; that is what the other verdicts are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.foreign import escaped
from wattproof.resources.receipts import jws as jws_format
from wattproof.resources.receipts.arithmetic import judge_arithmetic
from wattproof.resources.receipts.batch import batch_of
from wattproof.resources.receipts.key_times import KeyTimes, judge_key_times
from wattproof.resources.receipts.log_evidence import Evidence, LogGiven, judge_inclusion
from wattproof.resources.receipts.operation import is_operation, judge_operation
from wattproof.resources.receipts.payload import entry_hash, receipt_id
from wattproof.resources.receipts.plausibility import judge_freshness, judge_plausibility
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.schema import SCHEMA, validate_payload
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

__all__ = [
    "EXIT_ESTABLISHED",
    "EXIT_FAILED",
    "EXIT_NOT_ESTABLISHED",
    "KeyTrust",
    "Report",
    "exit_code",
    "verify_receipt",
]

EXIT_ESTABLISHED = 0
EXIT_FAILED = 1
EXIT_NOT_ESTABLISHED = 3

KeyTrust = Literal["local", "given", "unknown"]

_NOTHING_GIVEN = LogGiven()
_NO_LIMITS: Mapping[str, KeyTimes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `payload` is the receipt's own statement, None where it cannot be read.

    `key_trust` says where the key came from: the local key set, one that the caller gave, or nowhere. `log_evidence`
    is ``self`` where the root of the log rests on the ledger's own word, ``witnessed`` where others signed it, and None
    without a proof.
    """

    receipt_id: str | None
    payload: Mapping[str, Any] | None
    verdicts: Mapping[str, Verdict]
    key_trust: KeyTrust
    log_evidence: Evidence | None
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, without the payload."""
        return {
            "receipt_id": self.receipt_id,
            "verdicts": {name: asdict(verdict) for name, verdict in self.verdicts.items()},
            "key_trust": self.key_trust,
            "log_evidence": self.log_evidence,
            "checks": [asdict(check) for check in self.checks],
        }


def verify_receipt(
    jws: str,
    keys: Mapping[str, bytes],
    *,
    now: float | None = None,
    inclusion: InclusionProof | None = None,
    log: LogGiven = _NOTHING_GIVEN,
    limits: Mapping[str, KeyTimes] = _NO_LIMITS,
    steps: Sequence[str] = (),
    trust: Literal["local", "given"] = "local",
) -> Report:
    """Judge the receipt `jws` with the public `keys` (32 bytes by kid). Never raises for a bad receipt.

    `now` is Unix time; without it the age is not judged. `log` is what the auditor holds of the log beside an inclusion
    proof; `limits` says when each key may sign, by kid; `steps` are the receipts of the steps of an operation; `trust`
    says where `keys` came from. Keys are never taken from the receipt.
    """
    try:
        parsed = jws_format.parse(jws)
    except VerificationFailed as error:
        return _unreadable(jws, error)
    included = judge_inclusion(jws, parsed.payload, inclusion, log, now)
    signature = _judge_signature(parsed, keys, limits, included.seen_at)
    found = {"signature": signature, "inclusion": included.verdict}
    checks: list[Check] = []
    payload_problem = _judge_payload(parsed.payload)
    if payload_problem is not None:
        found["arithmetic"] = payload_problem
        found["plausibility"] = found["freshness"] = unknown("not_read", "The payload does not say what it should.")
    else:
        batch = _judge_batch(parsed.payload)
        found["arithmetic"] = batch or _judge_figures(parsed.payload, steps, checks)
        found["plausibility"] = batch or judge_plausibility(parsed.payload, checks)
        found["freshness"] = judge_freshness(parsed.payload, now)
    return Report(
        receipt_id=receipt_id(entry_hash(jws)),
        payload=parsed.payload,
        verdicts=found,
        key_trust="unknown" if signature.reason == "unknown_key" else trust,
        log_evidence=included.evidence,
        checks=tuple(checks),
    )


def exit_code(report: Report) -> int:
    """0 only if signature and arithmetic pass and nothing fails; 1 if anything fails; 3 if not established."""
    verdicts = report.verdicts
    if any(verdict.verdict == "fail" for verdict in verdicts.values()):
        return EXIT_FAILED
    established = verdicts["signature"].verdict == verdicts["arithmetic"].verdict == "pass"
    return EXIT_ESTABLISHED if established else EXIT_NOT_ESTABLISHED


def _judge_signature(
    parsed: jws_format.Parsed, keys: Mapping[str, bytes], limits: Mapping[str, KeyTimes], seen_at: float | None
) -> Verdict:
    if parsed.typ == jws_format.SIMULATION_TYP:
        return failed("simulation", "This is a simulation: its inputs were invented and its key was thrown away.")
    if parsed.typ != jws_format.RECEIPT_TYP:
        return failed("bad_typ", f"The typ is {parsed.typ[:40]!r}, not {jws_format.RECEIPT_TYP}.")
    try:
        jws_format.verify(parsed, keys)
    except VerificationFailed as error:
        return (unknown if error.reason == "unknown_key" else failed)(error.reason, str(error))
    limit = limits.get(parsed.kid)
    problem = None if limit is None else judge_key_times(limit, parsed.payload, seen_at)
    return problem or passed(f"Signed by the key {parsed.kid}.")


def _judge_batch(payload: Mapping[str, Any]) -> Verdict | None:
    """Of a receipt that signs for records: it has no figures of its own that could be judged."""
    batch = batch_of(payload)
    if batch is None:
        return None
    return unknown("batch_of_records", f"It signs for {batch['count']} records; each has figures of its own.")


def _judge_figures(payload: Mapping[str, Any], steps: Sequence[str], checks: list[Check]) -> Verdict:
    """An operation is added up from its steps; everything else is computed from its own operands."""
    return judge_operation(payload, steps, checks) if is_operation(payload) else judge_arithmetic(payload, checks)


def _judge_payload(payload: Mapping[str, Any]) -> Verdict | None:
    schema = payload.get("schema")
    if isinstance(schema, str) and schema != SCHEMA:
        return unknown("unknown_schema", f"The payload is of schema {schema[:40]!r}; this version reads {SCHEMA}.")
    try:
        validate_payload(payload)
    except InvalidInput as error:
        return failed("bad_payload", f"The payload is not one of {SCHEMA}: {escaped(str(error))}")
    return None


def _unreadable(jws: str, error: VerificationFailed) -> Report:
    nothing = unknown("not_read", "The receipt could not be read.")
    verdicts = dict.fromkeys(("inclusion", "arithmetic", "plausibility", "freshness"), nothing)
    return Report(
        receipt_id=receipt_id(entry_hash(jws)) if jws.isascii() else None,
        payload=None,
        verdicts={"signature": failed(error.reason, str(error)), **verdicts},
        key_trust="unknown",
        log_evidence=None,
        checks=(),
    )
