"""Ed25519 public keys in the form that OpenSSL reads.

Source: RFC 8410 section 4 (SubjectPublicKeyInfo) and RFC 7468 section 13 (PEM).
"""

from __future__ import annotations

import base64

from wattproof.methodology.errors import InvalidInput

__all__ = ["public_pem"]

# SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }
_PREFIX = bytes.fromhex("302a300506032b6570032100")


def public_pem(public_key: bytes) -> str:
    """The PEM text of a 32-byte Ed25519 public key.

    Raises:
        InvalidInput: the key has not 32 bytes.
    """
    if len(public_key) != 32:
        raise InvalidInput("public_key", f"has {len(public_key)} bytes", "give 32 bytes")
    body = base64.b64encode(_PREFIX + public_key).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
