"""Signed notes: a text, a blank line, and signature lines of keys that have a name.

    <text, ending in a newline>

    — <key name> <base64 of 4 bytes of key id and the signature>

Only Ed25519 (type 0x01) is written and checked here; lines of other keys and types are passed over, as the format asks.
Those of witnesses (type 0x04) are checked in cosignature.py.

Source: C2SP signed-note v1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from wattproof.methodology.errors import InvalidInput, VerificationFailed

__all__ = ["COSIGNATURE", "ED25519", "NoteSigner", "Signature", "SignedNote", "VerifierKey", "open_note", "sign_note"]

MAX_NOTE_BYTES = 64 * 1024
ED25519, COSIGNATURE = 0x01, 0x04
_KINDS = (ED25519, COSIGNATURE)
_MAX_SIGNATURES = 64
_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")


class NoteSigner(Protocol):
    """Whoever signs notes: a 32-byte Ed25519 public key and the 64-byte signature of a message."""

    @property
    def public_key(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key and the name it signs under: `<name>+<key id in hex>+<base64 of type and public key>` as text.

    `kind` is the signature type: 0x01 signs notes, 0x04 is a witness that signs what it saw and when.

    Raises:
        InvalidInput: the name is empty or holds spaces, control characters or a plus, the key has not 32 bytes, or the
            kind is another one.
    """

    name: str
    public_key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not self.name or any(ch.isspace() or ch == "+" or not ch.isprintable() for ch in self.name):
            raise InvalidInput("name", f"is {self.name[:60]!r}", "give a name without spaces and plus, like a URL")
        if len(self.public_key) != 32:
            raise InvalidInput("public_key", f"has {len(self.public_key)} bytes", "give 32 bytes")
        if self.kind not in _KINDS:
            raise InvalidInput("kind", f"is {self.kind}", "give 1 (Ed25519) or 4 (Ed25519 cosignature)")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || newline || type || public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + self._material).digest()[:4]

    @property
    def _material(self) -> bytes:
        return bytes((self.kind,)) + self.public_key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._material).decode('ascii')}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The inverse of `str`.

        Raises:
            InvalidInput: it is no Ed25519 verifier key, or its key id belongs to another key.
        """
        problem = InvalidInput("vkey", f"is {text[:60]!r}", "give <name>+<key id>+<base64 key> of an Ed25519 key")
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            material = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise problem from error
        if len(material) != 33 or material[0] not in _KINDS:
            raise problem
        key = cls(name, material[1:], material[0])
        if key.key_id.hex() != key_id:
            raise InvalidInput(
                "vkey", f"has key id {key_id[:8]!r}", f"the id of this key and name is {key.key_id.hex()}"
            )
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note that was taken apart; nothing of it has been checked."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(f"{line}\n" for line in self.signatures)

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """Take a signed note apart.

        Raises:
            VerificationFailed: check ``format``; it is no signed note.
        """
        if len(note.encode("utf-8", "replace")) > MAX_NOTE_BYTES:
            raise _malformed(f"It has more than {MAX_NOTE_BYTES} bytes.")
        if any(ch < " " and ch != "\n" for ch in note) or "\ufffd" in note:
            raise _malformed("It holds control characters.")
        at = note.rfind("\n\n")
        if at < 0 or not note.endswith("\n"):
            raise _malformed("A text, a blank line and signature lines are expected.")
        lines = note[at + 2 : -1].split("\n")
        if not 0 < len(lines) <= _MAX_SIGNATURES:
            raise _malformed(f"It has {len(lines)} signature lines.")
        return cls(note[: at + 1], tuple(_signature(line) for line in lines))


def sign_note(text: str, signers: Iterable[tuple[str, NoteSigner]]) -> str:
    """`text` signed by each (key name, key), in order.

    Raises:
        InvalidInput: the text does not end in a newline or holds control characters.
    """
    if not text.endswith("\n") or any(ch < " " and ch != "\n" for ch in text):
        raise InvalidInput("text", "is no note text", "end it in a newline and leave out control characters")
    message = text.encode()
    signatures = tuple(
        Signature(name, VerifierKey(name, signer.public_key).key_id, signer.sign(message)) for name, signer in signers
    )
    return str(SignedNote(text, signatures))


def open_note(note: str, keys: Sequence[VerifierKey]) -> tuple[str, tuple[VerifierKey, ...]]:
    """The text of a signed note, and those of `keys` that signed it: at least one.

    Raises:
        VerificationFailed: check ``format``: it is no signed note; check ``signature``, reason ``unknown_key``: no line
            is by a known key, or ``bad_signature``: a line that names a known key does not verify.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    parsed = SignedNote.parse(note)
    known = {(key.name, key.key_id): key for key in keys if key.kind == ED25519}
    signed: list[VerifierKey] = []
    for line in parsed.signatures:
        key = known.get((line.name, line.key_id))
        if key is None or key in signed:
            continue
        try:
            VerifyKey(key.public_key).verify(parsed.text.encode(), line.signature)
        except (BadSignatureError, ValueError) as error:
            message = f"The signature under the name {key.name!r} does not fit the text and the key."
            raise VerificationFailed("signature", "bad_signature", message) from error
        signed.append(key)
    if not signed:
        raise VerificationFailed("signature", "unknown_key", "None of the signatures is by a key that was given.")
    return parsed.text, tuple(signed)


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    if found is None:
        raise _malformed("A signature line is not '— name base64'.")
    try:
        raw = base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("A signature line is not base64.") from error
    if len(raw) < 5 or base64.b64encode(raw).decode("ascii") != found[2]:
        raise _malformed("A signature line is too short or not strict base64.")
    return Signature(found[1], raw[:4], raw[4:])


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_note", f"This is not a signed note. {detail}")
