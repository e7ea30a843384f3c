"""Check of records that were signed together: against the root of their batch, and against what it states of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Finding, Settled
from wattproof.resources.ledger.rows import SELECT_ENTRY, from_row
from wattproof.resources.receipts import Frontier, leaf_hash, parse
from wattproof.resources.receipts.batch import batch_of, expanded, groups_of, read_record

__all__ = ["check"]

AgainstReceipt = Callable[[Settled, Mapping[str, Any]], Iterator[str]]

_BATCHES = (
    "SELECT e.seq, e.receipt_id, r.jws FROM entry e JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "WHERE e.log_id = ? AND e.kind = 'operation' ORDER BY e.seq"
)
_HASHES = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq > ? AND seq <= ? ORDER BY seq"
# Every record, the place of the batch that it names, and whether the receipt of that is there.
_RECORDS = (
    "SELECT e.seq, p.seq, EXISTS (SELECT 1 FROM receipt b WHERE b.log_id = p.log_id AND b.seq = p.seq) "
    "FROM entry e JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "LEFT JOIN entry p ON p.log_id = e.log_id AND p.receipt_id = e.parent_id AND p.kind = 'operation' "
    "WHERE e.log_id = ? AND substr(r.jws, 1, 1) = '{' ORDER BY e.seq"
)


def check(connection: sqlite3.Connection, log_id: str, against_receipt: AgainstReceipt | None) -> Iterator[Finding]:
    """The root of every batch against its records and, with `against_receipt`, the columns of each record against it.

    A batch whose receipt was erased can be checked no further.
    """
    counts: dict[int, int] = {}
    for seq, receipt_id, jws in connection.execute(_BATCHES, (log_id,)):
        try:
            payload = parse(jws).payload
            batch = batch_of(payload)
            if batch is None:
                continue
            counts[seq] = batch["count"]
            yield from _root(connection, log_id, seq, batch)
            if against_receipt is not None:
                yield from _records(connection, log_id, seq, receipt_id, payload, against_receipt)
        except (VerificationFailed, ValueError, TypeError, KeyError) as error:
            yield Finding(log_id, f"entry {seq}", f"its batch cannot be read: {error}")
    for seq, batch_seq, signed in connection.execute(_RECORDS, (log_id,)):
        if batch_seq is None:
            yield Finding(log_id, f"entry {seq}", "it is a record, and the receipt of its batch is not in the log")
        elif signed and not batch_seq < seq <= batch_seq + counts.get(batch_seq, 0):
            yield Finding(
                log_id, f"entry {seq}", f"it is a record that the batch at entry {batch_seq} does not sign for"
            )


def _root(connection: sqlite3.Connection, log_id: str, seq: int, batch: Mapping[str, Any]) -> Iterator[Finding]:
    count = batch["count"]
    entries = [entry for (entry,) in connection.execute(_HASHES, (log_id, seq, seq + count))]
    if len(entries) != count:
        yield Finding(log_id, f"entry {seq}", f"its batch has {count} records; {len(entries)} follow it")
        return
    root = Frontier().extend(leaf_hash(entry) for entry in entries).root().hex()
    if root != batch["root_hex"]:
        message = f"its batch states the root {batch['root_hex']}; its records give {root}"
        yield Finding(log_id, f"entry {seq}", message)


def _records(
    connection: sqlite3.Connection,
    log_id: str,
    seq: int,
    receipt_id: str,
    payload: Mapping[str, Any],
    against_receipt: AgainstReceipt,
) -> Iterator[Finding]:
    batch: Mapping[str, Any] = payload["batch"]
    groups = groups_of(batch)
    sql = f"{SELECT_ENTRY} WHERE e.log_id = ? AND e.seq > ? AND e.seq <= ? ORDER BY e.seq"
    for row in connection.execute(sql, (log_id, seq, seq + batch["count"])):
        try:
            settled = from_row(row)
        except (ValueError, LookupError, TypeError, InvalidInput):
            continue  # said where the entry is checked
        for message in _record(settled, groups, payload, receipt_id, against_receipt):
            yield Finding(log_id, f"entry {settled.seq}", message)


def _record(
    settled: Settled,
    groups: Mapping[str, Mapping[str, Any]],
    payload: Mapping[str, Any],
    receipt_id: str,
    against_receipt: AgainstReceipt,
) -> Iterator[str]:
    if settled.jws is None:
        return  # erased; its leaf stays
    try:
        record = read_record(settled.jws)
    except VerificationFailed as error:
        yield f"its record cannot be read: {error}"
        return
    group = groups.get(record["group"])
    if group is None:
        yield "its batch does not state the group of its record"
        return
    yield from against_receipt(settled, expanded(record, group, payload, receipt_id))
    draft, source = settled.draft, payload["batch"]["source"]
    held = {"external_id": draft.external_id, "project": draft.project, "finish_reason": draft.finish_reason}
    for name, value in {**held, "latency_ms": draft.latency_ms, "cost_micros": draft.cost_micros}.items():
        if record[name] != value:
            yield f"{name} is {value!r}; its record states {record[name]!r}"
    if draft.source != source:
        yield f"source is {draft.source!r}; its batch states {source!r}"
