"""RFC 3161 timestamps of checkpoints: the request, and a place for the answer beside the checkpoint.

A timestamp authority signs the SHA-256 of the checkpoint's three signed lines with the time at which it got them, so
the token stays good when signature lines are added. The token itself is checked by tools made for it:

    openssl ts -verify -data checkpoint.txt -in 1000.tsr -CAfile authority.pem

Here nothing of its signature is checked, and nothing here calls a log timestamped.

Source: RFC 3161 section 2.4.1, RFC 5754 section 2 (SHA-256), X.690 (DER).
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from wattproof.methodology.errors import InvalidInput, LedgerUnusable, VerificationFailed
from wattproof.resources.receipts.checkpoint import Checkpoint

__all__ = ["MAX_TOKEN_BYTES", "store_timestamp", "timestamp_request"]

MAX_TOKEN_BYTES = 64 * 1024
_INTEGER, _OCTETS, _NULL, _SEQUENCE = 0x02, 0x04, 0x05, 0x30
_SHA256 = bytes.fromhex("0609608648016503040201")
_TRUE = bytes.fromhex("0101ff")


def timestamp_request(checkpoint: Checkpoint, nonce: int) -> bytes:
    """The TimeStampReq (DER) for `checkpoint`, to be posted as ``application/timestamp-query``.

    `nonce` is a random number of up to 64 bits that the answer must repeat. The authority's certificate is asked for,
    so that the token can be checked without it being fetched.

    Raises:
        InvalidInput: the nonce is not a positive number of 64 bits.
    """
    if not 0 < nonce < 1 << 64:
        raise InvalidInput("nonce", f"is {nonce}", "give a random number from 1 to 2**64 - 1")
    version = _der(_INTEGER, b"\x01")
    number = _der(_INTEGER, nonce.to_bytes(nonce.bit_length() // 8 + 1, "big"))
    return _der(_SEQUENCE, version + _imprint(checkpoint) + number + _TRUE)


def store_timestamp(folder: Path, checkpoint: Checkpoint, token: bytes) -> Path:
    """Keep the answer of a timestamp authority as `<tree size>.tsr` in `folder`; what is there is never replaced.

    That it speaks of this checkpoint is looked at; its signature and time are not.

    Raises:
        VerificationFailed: check ``timestamp``, reason ``other_data``: it does not hold this checkpoint's SHA-256, for
            example because the authority refused, or ``too_large``.
        LedgerUnusable: the file exists already or cannot be written.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise VerificationFailed("timestamp", "too_large", f"The token has more than {MAX_TOKEN_BYTES} bytes.")
    if _imprint(checkpoint) not in token:
        message = "The answer holds no timestamp of this checkpoint: the authority refused, or stamped something else."
        raise VerificationFailed("timestamp", "other_data", message)
    path = folder / f"{checkpoint.size}.tsr"
    try:
        with path.open("xb") as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise LedgerUnusable(f"{path} exists already; a timestamp is never replaced.") from error
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise LedgerUnusable(f"Cannot write {path}: {error.strerror}. Make its folder writable.") from error
    return path


def _imprint(checkpoint: Checkpoint) -> bytes:
    algorithm = _der(_SEQUENCE, _SHA256 + _der(_NULL, b""))
    return _der(_SEQUENCE, algorithm + _der(_OCTETS, sha256(checkpoint.text.encode()).digest()))


def _der(tag: int, content: bytes) -> bytes:
    """One DER value; everything in a request is shorter than 128 bytes."""
    return bytes((tag, len(content))) + content
