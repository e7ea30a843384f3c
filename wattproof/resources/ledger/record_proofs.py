"""The proof of one record of a batch, from the entries that it stands among."""

from __future__ import annotations

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.queries import find
from wattproof.resources.ledger.records import Settled
from wattproof.resources.receipts import inclusion_proof, leaf_hash, parse, subtree_from_leaves
from wattproof.resources.receipts.batch import RecordProof, batch_of, is_record

__all__ = ["find_record", "record_proof"]

_BATCH = (
    "SELECT e.seq, r.jws FROM entry e JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "WHERE e.log_id = ? AND e.receipt_id = ?"
)
_HASHES = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq > ? AND seq <= ? ORDER BY seq"


def find_record(connection: sqlite3.Connection, log_id: str, receipt_id: str) -> RecordProof | None:
    """The proof of the record with this name."""
    settled = find(connection, log_id, "receipt_id", receipt_id)
    return None if settled is None else record_proof(connection, settled)


def record_proof(connection: sqlite3.Connection, settled: Settled) -> RecordProof | None:
    """The record with the receipt of its batch and the path to the root that it states.

    None where the entry is no record, or the receipt of its batch was erased or cannot be read.
    """
    if settled.jws is None or not is_record(settled.jws) or settled.draft.parent_id is None:
        return None
    row = connection.execute(_BATCH, (settled.log_id, settled.draft.parent_id)).fetchone()
    if row is None:
        return None
    seq, jws = row
    try:
        batch = batch_of(parse(jws).payload)
    except VerificationFailed:
        return None
    position = settled.seq - seq - 1
    if batch is None or not 0 <= position < batch["count"]:
        return None
    values = (settled.log_id, seq, seq + batch["count"])
    leaves = [leaf_hash(entry) for (entry,) in connection.execute(_HASHES, values)]
    if len(leaves) != batch["count"]:
        return None
    path = inclusion_proof(position, len(leaves), subtree_from_leaves(lambda start, end: leaves[start:end]))
    return RecordProof(settled.jws, jws, position, tuple(path))
