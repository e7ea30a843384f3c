"""Witnesses on a checkpoint: who, besides the log, has seen this root, and when.

A witness checks that each checkpoint of a log only adds to the one it saw before, and signs it with the time:

    — <witness name> <base64 of 4 bytes of key id, 8 bytes of Unix time and the signature>

The signature covers `cosignature/v1`, `time <Unix time>` and the text of the checkpoint, each line ended. A log that
shows two people two histories needs witnesses who went along with it.

Only Ed25519 (type 0x04) is written and checked. Source: C2SP tlog-cosignature v1.0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.checkpoint import Checkpoint
from wattproof.resources.receipts.note import COSIGNATURE, NoteSigner, Signature, SignedNote, VerifierKey

__all__ = ["Cosignature", "add_cosignatures", "check_witnessed", "cosign", "open_cosignatures"]

_TIME_BYTES = 8
_MAX_TIME_S = (1 << 63) - 1
# How far a witness's clock may run ahead of ours.
_CLOCK_SKEW_S = 300


@dataclass(frozen=True, slots=True)
class Cosignature:
    """That `witness` had seen the checkpoint, as the largest of its log, at `time_s` (Unix time)."""

    witness: VerifierKey
    time_s: int


def cosign(checkpoint: str, name: str, signer: NoteSigner, time_s: int) -> str:
    """The line by which the witness `name` states that it saw this checkpoint, a signed note, at `time_s`.

    It checks nothing of the log: a witness does that first.

    Raises:
        VerificationFailed: check ``format``; it is no checkpoint.
        InvalidInput: the name is no key name, or the time is before 1970.
    """
    if not 0 < time_s <= _MAX_TIME_S:
        raise InvalidInput("time_s", f"is {time_s}", "give Unix time in whole seconds")
    text = _checkpoint_text(SignedNote.parse(checkpoint))
    key = VerifierKey(name, signer.public_key, COSIGNATURE)
    signature = time_s.to_bytes(_TIME_BYTES, "big") + signer.sign(_message(text, time_s))
    return f"{Signature(name, key.key_id, signature)}\n"


def open_cosignatures(checkpoint: str, witnesses: Sequence[VerifierKey]) -> tuple[Cosignature, ...]:
    """Those of `witnesses` that signed this checkpoint, a signed note; none is an answer too.

    Of two lines by one witness the later time counts. The log's own signature is not checked here.

    Raises:
        VerificationFailed: check ``format``: it is no checkpoint; check ``signature``, reason ``bad_signature``: a line
            that names a known witness does not verify.
        InvalidInput: a key of `witnesses` is of another kind than 0x04.
    """
    if any(key.kind != COSIGNATURE for key in witnesses):
        raise InvalidInput("witnesses", "hold a key that signs notes", "give the vkeys of witnesses (type 0x04)")
    note = SignedNote.parse(checkpoint)
    text = _checkpoint_text(note)
    known = {(key.name, key.key_id): key for key in witnesses}
    latest: dict[VerifierKey, int] = {}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:
            latest[key] = max(latest.get(key, 0), _verify(text, line, key))
    return tuple(Cosignature(key, time_s) for key, time_s in latest.items())


def check_witnessed(
    checkpoint: str, witnesses: Sequence[VerifierKey], quorum: int, now_s: float
) -> tuple[Cosignature, ...]:
    """Check that at least `quorum` different keys of `witnesses` signed this checkpoint, and give those that did.

    One that is dated after `now_s` (Unix time) by more than five minutes does not count.

    Raises:
        VerificationFailed: as `open_cosignatures`; or check ``witnesses``, reason ``quorum``.
        InvalidInput: the quorum is not 1 to the number of witnesses.
    """
    keys = {key.public_key for key in witnesses}
    if not 0 < quorum <= len(keys):
        raise InvalidInput("quorum", f"is {quorum}", f"give 1 to {len(keys)}, the number of witnesses' keys")
    found = tuple(
        cosignature
        for cosignature in open_cosignatures(checkpoint, witnesses)
        if cosignature.time_s <= now_s + _CLOCK_SKEW_S
    )
    signed = len({cosignature.witness.public_key for cosignature in found})
    if signed < quorum:
        message = f"{signed} known witnesses signed, at a time that has come; {quorum} are needed."
        raise VerificationFailed("witnesses", "quorum", message)
    return found


def add_cosignatures(checkpoint: str, lines: str, witnesses: Sequence[VerifierKey]) -> str:
    """The checkpoint with those of `lines`, a witness's answer, that are by `witnesses`. Others are left out.

    Raises:
        VerificationFailed: the answer is no sequence of signature lines, or one of a known witness does not verify.
    """
    note = SignedNote.parse(checkpoint)
    answer = SignedNote.parse(f"{note.text}\n{lines}")
    open_cosignatures(str(answer), witnesses)
    known = {(key.name, key.key_id) for key in witnesses}
    added = [line for line in answer.signatures if (line.name, line.key_id) in known and line not in note.signatures]
    return str(SignedNote(note.text, (*note.signatures, *added)))


def _checkpoint_text(note: SignedNote) -> str:
    Checkpoint.parse(note.text)
    return note.text


def _verify(text: str, line: Signature, key: VerifierKey) -> int:
    """The time in a witness's line, once its signature holds."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    time_s = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    try:
        VerifyKey(key.public_key).verify(_message(text, time_s), line.signature[_TIME_BYTES:])
    except (BadSignatureError, ValueError) as error:
        message = f"The signature of the witness {key.name!r} does not fit the checkpoint, its time and the key."
        raise VerificationFailed("signature", "bad_signature", message) from error
    if not 0 < time_s <= _MAX_TIME_S:
        raise VerificationFailed("format", "bad_time", f"The witness {key.name!r} gives no time.")
    return time_s


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
