"""A log of receipts in memory: what its owner, its witnesses and an auditor of it would hold."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from wattproof.resources.receipts import (
    Frontier,
    InclusionProof,
    Issuer,
    consistency_proof,
    entry_hash,
    inclusion_proof,
    leaf_hash,
    subtree_from_leaves,
)
from wattproof.resources.receipts.checkpoint import Checkpoint, local_origin, sign_checkpoint
from wattproof.resources.receipts.cosignature import add_cosignatures, cosign
from wattproof.resources.receipts.note import COSIGNATURE, VerifierKey
from wattproof.resources.receipts.tlog_proof import TlogProof

WITNESS = Issuer(b"w" * 32)
WITNESS_KEY = VerifierKey("witness.example.com/w1", WITNESS.public_key, COSIGNATURE)


@dataclass
class ReceiptLog:
    """Entries are receipts; those that a test does not name are fillers."""

    log_id: str = "log-1"
    key: Issuer = field(default_factory=lambda: Issuer(b"l" * 32))
    leaves: list[bytes] = field(default_factory=list[bytes])

    @property
    def origin(self) -> str:
        return local_origin(self.log_id)

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, self.key.public_key)

    def fill(self, count: int, seed: bytes = b"filler") -> ReceiptLog:
        self.leaves += [leaf_hash(seed + str(len(self.leaves) + number).encode()) for number in range(count)]
        return self

    def append(self, jws: str) -> int:
        self.leaves.append(leaf_hash(entry_hash(jws)))
        return len(self.leaves) - 1

    def _subtree(self, start: int, end: int) -> bytes:
        return subtree_from_leaves(lambda low, high: self.leaves[low:high])(start, end)

    def root(self, size: int) -> bytes:
        return Frontier().extend(self.leaves[:size]).root()

    def checkpoint(self, size: int | None = None, witnessed_at_s: int | None = None) -> str:
        taken = len(self.leaves) if size is None else size
        note = sign_checkpoint(Checkpoint(self.origin, taken, self.root(taken)), [self.key])
        if witnessed_at_s is None:
            return note
        return add_cosignatures(note, cosign(note, WITNESS_KEY.name, WITNESS, witnessed_at_s), [WITNESS_KEY])

    def tlog_proof(self, index: int, size: int | None = None, witnessed_at_s: int | None = None) -> str:
        taken = len(self.leaves) if size is None else size
        path = inclusion_proof(index, taken, self._subtree)
        return str(TlogProof(index, tuple(path), self.checkpoint(taken, witnessed_at_s)))

    def json_proof(self, index: int) -> InclusionProof:
        size = len(self.leaves)
        path = inclusion_proof(index, size, self._subtree)
        return InclusionProof(self.log_id, index, size, self.root(size), tuple(path))

    def consistency(self, old_size: int) -> str:
        """As text, a hash a line."""
        path = consistency_proof(old_size, len(self.leaves), self._subtree)
        return "".join(f"{b64encode(node).decode()}\n" for node in path)
