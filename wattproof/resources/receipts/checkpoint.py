"""Checkpoints: the signed size and root of one log.

    <origin>
    <tree size>
    <base64 of the root hash>

    — <origin> <signature>

Exactly these three lines: extension lines are not written, and a checkpoint that has some is read without them.

Source: C2SP tlog-checkpoint v1.0.0.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.merkle import HASH_BYTES
from wattproof.resources.receipts.note import NoteSigner, SignedNote, VerifierKey, open_note, sign_note

__all__ = ["LOCAL_ORIGIN", "Checkpoint", "local_origin", "open_checkpoint", "sign_checkpoint"]

LOCAL_ORIGIN = "wattproof.local/"
"""The origin of a log that its operator has not named begins with this."""

_MAX_SIZE = 1 << 63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """That the log `origin` had `size` entries under `root`.

    Raises:
        InvalidInput: the origin is not one printable line, or size or root are impossible.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or not self.origin.isprintable():
            raise InvalidInput("origin", f"is {self.origin[:60]!r}", "give one line, like ledger.example.com/t/1")
        if not 0 <= self.size < _MAX_SIZE:
            raise InvalidInput("size", f"is {self.size}", "give a number of entries")
        if len(self.root) != HASH_BYTES:
            raise InvalidInput("root", f"has {len(self.root)} bytes", "give a SHA-256 hash")

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the signed text.

        Raises:
            VerificationFailed: check ``format``; it is no checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise _malformed("It has fewer than three lines, or an empty one.")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")) or len(size) > 19:
            raise _malformed(f"The tree size is {size[:24]!r}.")
        try:
            digest = base64.b64decode(root, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _malformed("The root is not base64.") from error
        if base64.b64encode(digest).decode("ascii") != root:
            raise _malformed("The root is not strict base64.")
        try:
            return cls(origin, int(size), digest)
        except InvalidInput as error:
            raise _malformed(str(error)) from error


def local_origin(log_id: str) -> str:
    """The origin of a log that its operator has not named: ``wattproof.local/<log_id>``, escaped as in a URL."""
    return LOCAL_ORIGIN + quote(log_id)


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[NoteSigner]) -> str:
    """The checkpoint as a note signed under its origin; during a rotation by the old key and the new one."""
    return sign_note(checkpoint.text, ((checkpoint.origin, signer) for signer in signers))


def open_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint that at least one of `keys`, under the name of its origin, has signed.

    Raises:
        VerificationFailed: it is no checkpoint, no known key of its origin signed it, or a signature is wrong.
    """
    origin = SignedNote.parse(note).text.partition("\n")[0]
    text, _ = open_note(note, [key for key in keys if key.name == origin])
    return Checkpoint.parse(text)


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_checkpoint", f"This is not a checkpoint. {detail}")
