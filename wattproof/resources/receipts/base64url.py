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
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad() from error
    if encode(data) != text:
        raise _bad()
    return data


def _bad() -> VerificationFailed:
    return VerificationFailed("format", "bad_base64url", "A part is not base64url in its only spelling, unpadded.")
