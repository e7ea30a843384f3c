"""Checkpoints in the database: what was signed stays, so that a log never signs two roots for one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from wattproof.methodology.errors import InvalidInput, LedgerForked
from wattproof.resources.ledger.append import Transaction
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.queries import head, logs
from wattproof.resources.ledger.tiling import subtrees
from wattproof.resources.receipts import Frontier, inclusion_proof, leaf_hash
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from wattproof.resources.receipts.note import SignedNote, VerifierKey
from wattproof.resources.receipts.tlog_proof import TlogProof

__all__ = ["Comparison", "compare", "newest", "sign_head", "size_of", "tlog_proof"]

_ENTRIES = "SELECT entry_hash FROM entry WHERE log_id = ? ORDER BY seq"
_AT_SIZE = "SELECT root, note FROM checkpoint WHERE log_id = ? AND size = ?"
_NEWEST = "SELECT note FROM checkpoint WHERE log_id = ? ORDER BY size DESC LIMIT 1"
_ADD = (
    "INSERT INTO checkpoint (log_id, size, root, note, created_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET note = excluded.note, created_at = excluded.created_at"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an older checkpoint (`old`) and the log as it is now say of each other.

    ``consistent``: the first `old.size` entries are those of `old`. ``forked``: they are others. ``shorter``: some of
    them are missing. `entry_count` and `root` are of the entries as they are now, `root_then` of the first `old.size`.
    """

    verdict: Literal["consistent", "forked", "shorter"]
    old: Checkpoint
    entry_count: int
    root: bytes
    root_then: bytes


def size_of(note: str) -> int:
    """The tree size of a stored checkpoint."""
    return Checkpoint.parse(SignedNote.parse(note).text).size


def newest(connection: sqlite3.Connection, log_id: str) -> str | None:
    """The stored checkpoint of the largest size."""
    row = connection.execute(_NEWEST, (log_id,)).fetchone()
    return None if row is None else row[0]


def sign_head(transaction: Transaction, keyring: Keyring, log_id: str) -> str:
    """The stored checkpoint of the present head, signed now where there is none or the keys have changed since.

    Raises:
        LedgerForked: another root was signed for this size.
        InvalidInput: there is no such log.
    """
    connection = transaction.connection
    size, root = head(connection, log_id)
    known = logs(connection)
    if log_id not in known:
        raise InvalidInput("log_id", f"is {log_id!r}", f"the logs here are {', '.join(known) or 'none yet'}")
    checkpoint = Checkpoint(keyring.origin_of(log_id), size, root)
    signers = keyring.signers("log")
    keys = [VerifierKey(checkpoint.origin, signer.public_key) for signer in signers]
    row = connection.execute(_AT_SIZE, (log_id, size)).fetchone()
    if row is not None and row[0] != root:
        raise LedgerForked(
            f"The root {row[0].hex()} was signed for the first {size} entries of log {log_id!r}; now their root is "
            f"{root.hex()}. Nothing was signed. `wattproof ledger fsck` says what was changed."
        )
    if row is not None and _signed_by(row[1], checkpoint, keys):
        return row[1]
    note = sign_checkpoint(checkpoint, signers)
    connection.execute(_ADD, (log_id, size, root, note, transaction.now))
    keyring.publish_vkeys(known)
    return note


def _signed_by(note: str, checkpoint: Checkpoint, keys: Sequence[VerifierKey]) -> bool:
    """Whether a stored note is this checkpoint with signatures under exactly these keys."""
    parsed = SignedNote.parse(note)
    ids = {(line.name, line.key_id) for line in parsed.signatures}
    return parsed.text == checkpoint.text and ids == {(key.name, key.key_id) for key in keys}


def tlog_proof(connection: sqlite3.Connection, log_id: str, seq: int, note: str) -> TlogProof:
    """The path from entry `seq` to the root of the checkpoint `note`."""
    return TlogProof(seq, tuple(inclusion_proof(seq, size_of(note), subtrees(connection, log_id))), note)


def compare(connection: sqlite3.Connection, log_id: str, older: str, keys: Sequence[VerifierKey]) -> Comparison:
    """Hold the entries of a log, one by one, against an older checkpoint. Tiles are not taken at their word.

    Raises:
        VerificationFailed: `older` is no checkpoint, or none of `keys` signed it.
        InvalidInput: it is of another log.
    """
    origin = SignedNote.parse(older).text.partition("\n")[0]
    if keys and origin != keys[0].name:
        raise InvalidInput("checkpoint", f"is of the log {origin[:80]!r}", f"give one of {keys[0].name!r}")
    old = open_checkpoint(older, keys)
    leaves = (leaf_hash(entry) for (entry,) in connection.execute(_ENTRIES, (log_id,)))
    then = Frontier().extend(islice(leaves, old.size))
    tree = then.extend(leaves)
    verdict = "consistent" if then.root() == old.root else "forked"
    return Comparison("shorter" if tree.size < old.size else verdict, old, tree.size, tree.root(), then.root())
