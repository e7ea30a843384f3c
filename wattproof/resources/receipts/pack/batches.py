"""Records that a batch signs for, as they come by in the order of the log: the batch is read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.receipts.arithmetic import judge_arithmetic
from wattproof.resources.receipts.batch import batch_of, expand, groups_of, read_record
from wattproof.resources.receipts.merkle import Frontier
from wattproof.resources.receipts.payload import entry_hash, receipt_id
from wattproof.resources.receipts.plausibility import judge_plausibility
from wattproof.resources.receipts.verdict import Verdict, failed, passed, unknown
from wattproof.resources.receipts.verify import Report

__all__ = ["OpenBatch", "batch_receipt"]


class OpenBatch:
    """A batch whose records follow its receipt. `signed` says whether that receipt's signature was good.

    Raises:
        VerificationFailed: the receipt does not state its records.
    """

    def __init__(self, seq: int, jws: str, report: Report) -> None:
        self._payload: Mapping[str, Any] = report.payload or {}
        batch = batch_of(self._payload) or {}
        count, root = batch.get("count"), batch.get("root_hex")
        if type(count) is not int or count < 1 or not isinstance(root, str):
            raise VerificationFailed("format", "not_batch", "The receipt's batch states no count and root.")
        self.first, self.end = seq + 1, seq + 1 + count
        self.signed = report.verdicts["signature"].verdict == "pass"
        self._groups = groups_of(batch)
        self._id = receipt_id(entry_hash(jws))
        self._root = root
        self._frontier = Frontier()

    def holds(self, seq: int) -> bool:
        """Whether this entry is one of its records."""
        return self.first <= seq < self.end

    @property
    def complete(self) -> bool:
        """Whether all its records came by."""
        return self._frontier.size == self.end - self.first

    def take(self, leaf: bytes) -> bool:
        """The leaf of the next record; False where it was the last and they are not those under the root."""
        self._frontier = self._frontier.append(leaf)
        return not self.complete or self._frontier.root().hex() == self._root

    def judge(self, text: str) -> tuple[dict[str, Any] | None, Verdict, Verdict]:
        """The payload that a receipt of this record alone would have, its arithmetic, and its plausibility."""
        try:
            record = read_record(text)
            group = self._groups.get(record["group"])
            if group is None:
                raise VerificationFailed("format", "bad_payload", "The batch does not state the group of the record.")
            payload = expand(record, group, self._payload, self._id)
        except VerificationFailed as error:
            wrong = failed(error.reason, str(error))
            return None, wrong, unknown("not_read", "The record does not say what it should.")
        if not payload["operands"]:
            return payload, unknown("no_estimate", "The record has no figures."), passed("No figures.")
        return payload, judge_arithmetic(payload, [], requests=record["requests"] or 1), judge_plausibility(payload, [])


def batch_receipt(seq: int, jws: str, report: Report) -> OpenBatch | None:
    """What follows a receipt that signs for records; None where it is none, or does not state them."""
    if batch_of(report.payload or {}) is None:
        return None
    try:
        return OpenBatch(seq, jws, report)
    except VerificationFailed:
        return None
