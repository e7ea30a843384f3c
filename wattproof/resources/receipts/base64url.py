"""Base64url without padding (RFC 7515 section 2), with exactly one spelling per byte string."""

from __future__ import annotations

import base64
import binascii

from wattproof.methodology.errors import VerificationFailed

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """Base64url of `data`, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes that `text` spells.

    Raises:
        VerificationFailed: check ``format``, reason ``bad_base64url``: a foreign character, padding, or spare bits
            that are not zero (the same bytes would then have several spellings).
    """
    if "+" in text or "/" in text or "=" in text:
        raise _bad()
    plain = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        data = binascii.a2b_base64(plain, strict_mode=True)
    except ValueError as error:
        raise _bad() from error
    # Only a last group that is not full can have spare bits.
    left = len(data) % 3
    if left and encode(data[-left:]) != text[-(len(text) % 4) :]:
        raise _bad()
    return data


def _bad() -> VerificationFailed:
    return VerificationFailed("format", "bad_base64url", "A part is not base64url in its only spelling, unpadded.")
