"""An inclusion proof that stands alone: index, path and the signed checkpoint in one text file.

    c2sp.org/tlog-proof@v1
    index <index>
    <base64 hash>
    …

    <checkpoint>

Source: C2SP tlog-proof.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint
from wattproof.resources.receipts.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from wattproof.resources.receipts.note import VerifierKey

__all__ = ["HEADER", "TlogProof", "verify_tlog_proof"]

HEADER = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63
_MAX_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class TlogProof:
    """The path from entry `index` to the root in `checkpoint`, a signed note. Nothing of it has been checked."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        path = "".join(base64.b64encode(node).decode("ascii") + "\n" for node in self.hashes)
        return f"{HEADER}\nindex {self.index}\n{path}\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> TlogProof:
        """Read a proof file. An `extra` line is passed over: it is not authenticated.

        Raises:
            VerificationFailed: check ``format``; it is no proof.
        """
        if len(text) > _MAX_BYTES:
            raise _malformed(f"It has more than {_MAX_BYTES} bytes.")
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines[0] != HEADER:
            raise _malformed(f"The first line is not {HEADER}, or there is no checkpoint.")
        rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
        if not rest or not rest[0].startswith("index "):
            raise _malformed("There is no index line.")
        number = rest[0].removeprefix("index ")
        if not (number.isascii() and number.isdigit()) or (number != "0" and number[0] == "0") or len(number) > 19:
            raise _malformed(f"The index is {number[:24]!r}.")
        if len(rest) - 1 > _MAX_HASHES:
            raise _malformed(f"The path has {len(rest) - 1} hashes.")
        return cls(int(number), tuple(_hash(line) for line in rest[1:]), checkpoint)


def verify_tlog_proof(proof: TlogProof, entry: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Check that `entry` is in the log whose checkpoint one of `keys` has signed, and give that checkpoint.

    Raises:
        VerificationFailed: check ``format``, ``signature`` or ``inclusion``, with the reason.
    """
    checkpoint = open_checkpoint(proof.checkpoint, keys)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint


def _hash(line: str) -> bytes:
    try:
        node = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("A hash of the path is not base64.") from error
    if len(node) != HASH_BYTES or base64.b64encode(node).decode("ascii") != line:
        raise _malformed("A hash of the path has not 32 bytes, or is not strict base64.")
    return node


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_tlog_proof", f"This is not a tlog-proof. {detail}")
