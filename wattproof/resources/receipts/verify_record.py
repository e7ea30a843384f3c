"""Verify a record of a batch: the five questions of `verify.py`, for a record that has no signature of its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.receipts.arithmetic import judge_arithmetic
from wattproof.resources.receipts.batch import RecordProof, batch_of, expand, groups_of, read_record, require_member
from wattproof.resources.receipts.key_times import KeyTimes
from wattproof.resources.receipts.log_evidence import LogGiven, judge_inclusion
from wattproof.resources.receipts.merkle import leaf_hash
from wattproof.resources.receipts.payload import entry_hash, receipt_id
from wattproof.resources.receipts.plausibility import judge_freshness, judge_plausibility
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown
from wattproof.resources.receipts.verify import Report, verify_receipt

__all__ = ["verify_record"]

_NOTHING_GIVEN = LogGiven()
_NO_LIMITS: Mapping[str, KeyTimes] = MappingProxyType({})


def verify_record(
    proof: RecordProof,
    keys: Mapping[str, bytes],
    *,
    now: float | None = None,
    inclusion: InclusionProof | None = None,
    log: LogGiven = _NOTHING_GIVEN,
    limits: Mapping[str, KeyTimes] = _NO_LIMITS,
    trust: Literal["local", "given"] = "local",
) -> Report:
    """Judge a record with the receipt of its batch. Never raises for a bad record.

    `signature` is that of the batch, and holds for the record only if its leaf lies under the root that the batch
    states; `inclusion` is of the record itself in the log. Parameters are those of `verify.verify_receipt`.
    """
    try:
        record = read_record(proof.record)
    except VerificationFailed as error:
        return _unreadable(proof, error)
    own_id = receipt_id(entry_hash(proof.record))
    batch_report = verify_receipt(proof.batch, keys, now=now, limits=limits, trust=trust)
    stated = batch_report.payload or {}
    included = judge_inclusion(proof.record, stated, inclusion, log, now)
    found = {"signature": _judge_signature(proof, batch_report), "inclusion": included.verdict}
    payload = _payload(record, proof, stated)
    checks: list[Check] = []
    if isinstance(payload, Verdict):
        found["arithmetic"] = payload
        found["plausibility"] = found["freshness"] = unknown("not_read", "The record does not say what it should.")
    else:
        found["arithmetic"] = _judge_arithmetic(payload, record["requests"], checks)
        found["plausibility"] = judge_plausibility(payload, checks)
        found["freshness"] = judge_freshness(payload, now)
    return Report(
        receipt_id=own_id,
        payload=None if isinstance(payload, Verdict) else payload,
        verdicts=found,
        key_trust=batch_report.key_trust,
        log_evidence=included.evidence,
        checks=tuple(checks),
    )


def _judge_signature(proof: RecordProof, batch_report: Report) -> Verdict:
    signature = batch_report.verdicts["signature"]
    if signature.verdict != "pass":
        return signature
    batch = batch_of(batch_report.payload or {})
    if batch is None:
        return failed("not_batch", "The receipt beside the record is not one of a batch.")
    try:
        require_member(proof, leaf_hash(entry_hash(proof.record)), batch)
    except VerificationFailed as error:
        return failed("not_in_batch", f"The record is not under the root of its batch: {error}")
    return passed(f"Record {proof.position} of {batch['count']} under one receipt. {signature.message}")


def _payload(
    record: Mapping[str, Any], proof: RecordProof, batch_payload: Mapping[str, Any]
) -> dict[str, Any] | Verdict:
    batch = batch_of(batch_payload)
    if batch is None:
        return unknown("not_batch", "The receipt beside the record is not one of a batch.")
    try:
        group = groups_of(batch).get(record["group"])
        if group is None:
            return failed("bad_payload", "The batch does not state the group of the record.")
        return expand(record, group, batch_payload, receipt_id(entry_hash(proof.batch)))
    except VerificationFailed as error:
        return failed("bad_payload", str(error))


def _judge_arithmetic(payload: Mapping[str, Any], requests: int | None, checks: list[Check]) -> Verdict:
    if not payload["operands"]:
        return unknown("no_estimate", f"The record has no figures: {payload['reasons'].get('energy_nwh', 'unknown')}.")
    return judge_arithmetic(payload, checks, requests=requests or 1)


def _unreadable(proof: RecordProof, error: VerificationFailed) -> Report:
    nothing = unknown("not_read", "The record could not be read.")
    verdicts = dict.fromkeys(("inclusion", "arithmetic", "plausibility", "freshness"), nothing)
    return Report(
        receipt_id=receipt_id(entry_hash(proof.record)) if proof.record.isascii() else None,
        payload=None,
        verdicts={"signature": failed(error.reason, str(error)), **verdicts},
        key_trust="unknown",
        log_evidence=None,
        checks=(),
    )
