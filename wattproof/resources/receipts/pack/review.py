"""One walk through a pack, in the order of its log: every receipt, every row, every place of the sequence."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.batch import RecordProof
from wattproof.resources.receipts.key_statement import read_key_statement
from wattproof.resources.receipts.key_times import KeyTimes
from wattproof.resources.receipts.log_evidence import LogGiven, judge_inclusion
from wattproof.resources.receipts.merkle import leaf_hash
from wattproof.resources.receipts.note import VerifierKey
from wattproof.resources.receipts.pack import COUNTED_KINDS, OTHER_PERIOD, RECEIPT, UNDRAWN
from wattproof.resources.receipts.pack.batches import OpenBatch, batch_receipt
from wattproof.resources.receipts.pack.cells import plain
from wattproof.resources.receipts.pack.files import PackFiles, broken
from wattproof.resources.receipts.pack.operands import Assumptions, read_table
from wattproof.resources.receipts.pack.rows import Row, differences, read_row
from wattproof.resources.receipts.pack.steps import places_of_steps
from wattproof.resources.receipts.pack.sums import Sums, contradictions
from wattproof.resources.receipts.tlog_proof import TlogProof
from wattproof.resources.receipts.verdict import Verdict
from wattproof.resources.receipts.verify import Report, verify_receipt
from wattproof.resources.receipts.verify_record import verify_record

__all__ = ["Given", "Review", "sample_of"]

_TOLD = 20
_UNREADABLE = {"bad_payload", "not_read", "unknown_schema"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Keys by kid and when they may sign, keys of the log, and the present moment (Unix time)."""

    keys: Mapping[str, bytes]
    limits: Mapping[str, KeyTimes]
    vkeys: tuple[VerifierKey, ...]
    now: float


@dataclass(slots=True)
class Review:
    """What was found: `counts` of what is in order, `wrong` and `unsettled` in words, the first twenty of each."""

    pack: PackFiles
    given: Given
    manifest: Mapping[str, Any]
    counts: Counter[str] = field(default_factory=Counter[str])
    states: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    unsettled: list[str] = field(default_factory=list[str])
    sums: Sums = field(default_factory=Sums)
    _groups: dict[str, dict[str, Sums]] = field(default_factory=lambda: {"model": {}, "provider": {}})
    _assumed: Assumptions = field(default_factory=Assumptions)
    _steps: dict[int, str] = field(default_factory=dict[int, str])
    _places: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    _batch: OpenBatch | None = None
    _drawn: list[int] = field(default_factory=list[int])
    _ranks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def fail(self, what: str) -> None:
        """Something is wrong."""
        self.counts["wrong"] += 1
        if len(self.wrong) < _TOLD:
            self.wrong.append(what)

    def leave_open(self, what: str) -> None:
        """Something could not be established."""
        self.counts["unsettled"] += 1
        if len(self.unsettled) < _TOLD:
            self.unsettled.append(what)

    def leaves(self) -> Iterator[bytes]:
        """Judge everything, and give the leaf of every entry of the sequence as it comes by.

        Raises:
            VerificationFailed: a file cannot be read further.
        """
        self._find_steps()
        rows = (read_row(cells) for cells in self.pack.rows("entries.csv"))
        lines = self.pack.lines("receipts.jsonl")
        row, line = next(rows, None), next(lines, None)
        for seq, entry, kind, state in self._sequence():
            leaf = leaf_hash(entry)
            self._follow_batch(seq, leaf)
            held = row if row is not None and row.seq == seq else None
            if held is not None:
                self._take_row(held, entry, kind, state)
                row = next(rows, None)
            elif kind in COUNTED_KINDS and state != OTHER_PERIOD:
                self.fail(f"entry {seq}: a {kind} of the period without a row in entries.csv")
            if line is not None and line.get("seq") == seq:
                self._take_line(seq, entry, line, held, kind)
                line = next(lines, None)
            elif state == RECEIPT:
                self.fail(f"entry {seq}: its receipt is said to be in receipts.jsonl and is not")
            yield leaf
        if row is not None or line is not None:
            self.fail("entries.csv or receipts.jsonl has lines that are out of order or of no entry in sequence.csv")
        if self._batch is not None and not self._batch.complete:
            self.leave_open("the records of the last batch go on behind the sequence")
        self._conclude()

    def _sequence(self) -> Iterator[tuple[int, bytes, str, str]]:
        expected: int | None = None
        for cells in self.pack.rows("sequence.csv"):
            try:
                seq, entry = int(cells["seq"]), bytes.fromhex(cells["entry_hex"])
                kind, state = cells["kind"], cells["state"]
            except (KeyError, ValueError) as error:
                raise broken("sequence.csv", "has a row that cannot be read") from error
            if len(entry) != 32 or (expected is not None and seq != expected):
                self.counts["gaps"] += 1
                self.fail(f"sequence.csv: entry {expected} is missing, or the hash of entry {seq} is none")
            expected = seq + 1
            self.states[state.partition(" at ")[0]] += 1
            yield seq, entry, kind, state

    def _find_steps(self) -> None:
        """Keep the receipts of the steps of the operations that are in the pack: they are added up."""
        self._places = places_of_steps(self.pack)
        wanted = {place for places in self._places.values() for place in places}
        for line in self.pack.lines("receipts.jsonl") if wanted else ():
            if line.get("seq") in wanted and isinstance(line.get("jws"), str):
                self._steps[line["seq"]] = line["jws"]

    def _take_row(self, row: Row, entry: bytes, kind: str, state: str) -> None:
        cells = row.cells
        if cells.get("entry_hash") != entry.hex() or cells.get("kind") != kind:
            self.fail(f"entry {row.seq}: entries.csv and sequence.csv name different entries")
        if state == OTHER_PERIOD or kind not in COUNTED_KINDS:
            self.fail(f"entry {row.seq}: a row of entries.csv that the period does not count")
        since, until = self.manifest.get("since"), self.manifest.get("until")
        if (since and cells["occurred_at"] < since) or (until and cells["occurred_at"] >= until):
            self.fail(f"entry {row.seq}: it occurred at {cells['occurred_at'][:30]!r}, outside the period")
        self.sums.add(row)
        for by, groups in self._groups.items():
            groups.setdefault(plain(cells[by]), Sums()).add(row)
        if state not in {RECEIPT, UNDRAWN}:
            self.leave_open(f"entry {row.seq}: its receipt is {state[:80]}; the row alone says what it was")
        sample = sample_of(self.manifest)
        rank = int.from_bytes(sha256(str(sample.get("seed")).encode() + entry).digest(), "big")
        # The largest of what is kept goes first.
        push = heapq.heappush if len(self._ranks) < int(sample.get("size") or 0) else heapq.heappushpop
        if sample.get("size"):
            push(self._ranks, (-rank, row.seq))

    def _follow_batch(self, seq: int, leaf: bytes) -> None:
        batch = self._batch
        if batch is None:
            return
        if not batch.holds(seq):
            self._batch = None
            return
        if not batch.take(leaf):
            self.fail(
                f"entries {batch.first} to {batch.end - 1}: they are not the records under the root of their batch"
            )

    def _take_line(self, seq: int, entry: bytes, line: Mapping[str, Any], row: Row | None, kind: str) -> None:
        record, jws = line.get("record"), line.get("jws")
        text = record if isinstance(record, str) else jws
        if not isinstance(text, str) or not text.isascii() or sha256(text.encode()).digest() != entry:
            self.fail(f"entry {seq}: its receipt does not hash to the entry of the log")
            return
        self.counts["receipts"] += 1
        if isinstance(line.get("tlog_proof"), str):
            self._drawn.append(seq)
        if kind == "key":
            self._judge_key_statement(seq, text)
            return
        payload = self._judge_record(seq, text, line) if text is record else self._judge_receipt(seq, text, line)
        if payload is None:
            return
        if payload.get("kind") != kind or payload.get("log_id") != self.manifest.get("log_id"):
            self.fail(f"entry {seq}: its receipt is of another kind or log than the pack says")
        self._assumed.add(payload["method_id"], payload["operands"])
        if row is not None:
            differing = differences(row, payload, record=text is record)
            if differing:
                self.fail(f"entry {seq}: entries.csv and its receipt differ in {', '.join(differing)}")
            self.counts["rows_agree"] += not differing

    def _judge_key_statement(self, seq: int, jws: str) -> None:
        """What is said of a key has no figures: it was signed by a key of that time, or it was not."""
        try:
            read_key_statement(jws, self.given.keys)
        except VerificationFailed as error:
            (self.leave_open if error.reason == "unknown_key" else self.fail)(f"entry {seq}: {error}")
            return
        self.counts["signatures"] += 1
        self.counts["keys"] += 1

    def _judge_receipt(self, seq: int, jws: str, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
        given = self.given
        report = verify_receipt(
            jws,
            given.keys,
            now=given.now,
            limits=given.limits,
            log=self._log(seq, line),
            steps=[self._steps[place] for place in self._places.get(seq, ()) if place in self._steps],
            trust="given",
        )
        self._count(seq, report)
        following = batch_receipt(seq, jws, report)
        if following is not None:
            self._close_batch(seq)
            self._batch = following
        return report.payload if report.verdicts["arithmetic"].reason not in _UNREADABLE else None

    def _close_batch(self, seq: int) -> None:
        if self._batch is not None and seq < self._batch.end:
            self.fail(f"entry {seq}: a batch among the records of another")

    def _judge_record(self, seq: int, text: str, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if isinstance(line.get("batch"), str):
            return self._judge_drawn_record(seq, line)
        batch = self._batch
        if batch is None or not batch.holds(seq):
            self.leave_open(f"entry {seq}: a record without the receipt of its batch")
            return None
        payload, arithmetic, plausibility = batch.judge(text)
        self.counts["records"] += 1
        self.counts["signatures"] += batch.signed
        self._count_figures(seq, arithmetic)
        if plausibility.verdict == "fail":
            self.fail(f"entry {seq}: plausibility: {plausibility.message}")
        if isinstance(line.get("tlog_proof"), str) and payload is not None:
            self._count_inclusion(seq, judge_inclusion(text, payload, None, self._log(seq, line), None).verdict)
        return payload

    def _judge_drawn_record(self, seq: int, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            proof = RecordProof.from_dict(line)
        except InvalidInput as error:
            self.fail(f"entry {seq}: {error}")
            return None
        given, log = self.given, self._log(seq, line)
        report = verify_record(proof, given.keys, now=given.now, limits=given.limits, log=log, trust="given")
        self.counts["records"] += 1
        self._count(seq, report)
        return report.payload

    def _log(self, seq: int, line: Mapping[str, Any]) -> LogGiven:
        text = line.get("tlog_proof")
        if not isinstance(text, str):
            return LogGiven()
        try:
            if TlogProof.parse(text).index != seq:
                self.fail(f"entry {seq}: its proof is of another place")
        except VerificationFailed:
            pass  # the verdict on inclusion says it
        return LogGiven(tlog_proof=text, vkeys=self.given.vkeys)

    def _count(self, seq: int, report: Report) -> None:
        verdicts = dict(report.verdicts)
        arithmetic, inclusion = verdicts.pop("arithmetic"), verdicts.pop("inclusion")
        if verdicts["signature"].verdict == "pass":
            self.counts["signatures"] += 1
        elif verdicts["signature"].verdict == "unknown":
            self.leave_open(f"entry {seq}: signature: {verdicts['signature'].message}")
        for name, verdict in verdicts.items():
            if verdict.verdict == "fail":
                self.fail(f"entry {seq}: {name}: {verdict.message}")
        self._count_figures(seq, arithmetic)
        self._count_inclusion(seq, inclusion)

    def _count_inclusion(self, seq: int, verdict: Verdict) -> None:
        if verdict.reason != "no_proof":
            self.counts["proofs"] += verdict.verdict == "pass"
            if verdict.verdict != "pass":
                (self.fail if verdict.verdict == "fail" else self.leave_open)(f"entry {seq}: {verdict.message}")

    def _count_figures(self, seq: int, verdict: Verdict) -> None:
        if verdict.verdict == "pass":
            self.counts["recomputed"] += 1
        elif verdict.verdict == "fail":
            self.fail(f"entry {seq}: arithmetic: {verdict.message}")
        elif verdict.reason == "no_estimate":
            self.counts["without_figures"] += 1
        elif verdict.reason == "batch_of_records":
            self.counts["batches"] += 1
        else:
            self.leave_open(f"entry {seq}: arithmetic: {verdict.message}")

    def _conclude(self) -> None:
        """What can be said once everything has come by."""
        totals = self.pack.json("totals.json")
        for name in contradictions(totals, self.sums, self._groups):
            self.fail(f"totals.json: the rows of entries.csv do not add up to {name}")
        drawn = sorted(seq for _, seq in self._ranks)
        sample = sample_of(self.manifest)
        here = [seq for seq in drawn if seq in set(self._drawn)]
        if drawn and set(self._drawn) - set(drawn):
            self.fail("receipts.jsonl: a receipt is marked as drawn that the seed does not draw")
        if len(here) != len(drawn):
            self.leave_open(f"{len(drawn) - len(here)} of the {len(drawn)} that the seed draws are not here")
        if sample.get("population") != self.sums.rows:
            self.fail("manifest.jws: the sample is of another number of entries than entries.csv has")
        self._compare_assumptions()

    def _compare_assumptions(self) -> None:
        listed = read_table(self.pack.rows("assumptions.csv"))
        for name in self._assumed.within(listed)[:_TOLD]:
            self.fail(f"assumptions.csv: receipts use {name} with other values, or oftener, than it says")
        whole = self.manifest.get("receipts") == "all" and not self._assumed.left_out
        if whole and self._assumed.table() != listed:
            self.fail("assumptions.csv: it is not the table that the receipts give")
        self.counts["assumptions"] = len(listed)


def sample_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the manifest says of the draw; empty where it says nothing."""
    sample: object = manifest.get("sample")
    return cast("Mapping[str, Any]", sample) if isinstance(sample, dict) else {}
