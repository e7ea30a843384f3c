"""Compact JWS (RFC 7515) with Ed25519 (RFC 8037) over canonical JSON.

A receipt is ``base64url(header).base64url(payload).base64url(signature)`` in ASCII, with the header
``{"alg":"EdDSA","kid":"<RFC 7638 thumbprint>","typ":"wattproof-receipt+jws"}``. Keys never come from the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import base64url, canonical

__all__ = ["ALGORITHMS", "RECEIPT_TYP", "SIMULATION_TYP", "Parsed", "Signer", "parse", "sign", "sign_encoded", "verify"]

RECEIPT_TYP = "wattproof-receipt+jws"
SIMULATION_TYP = "wattproof-simulation+jws"

# `EdDSA` is what we write, because most libraries know it; RFC 9864 prefers `Ed25519`.
ALGORITHMS = ("EdDSA", "Ed25519")

_HEADER_NAMES = {"alg", "kid", "typ"}
_KEY_CARRYING_NAMES = {"jwk", "jku", "x5u", "x5c", "crit"}


class Signer(Protocol):
    """Whoever signs: `kid` is the thumbprint of the public key, `sign` gives the 64-byte Ed25519 signature."""

    @property
    def kid(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Parsed:
    """A well-formed JWS whose signature has not been checked."""

    header: Mapping[str, str]
    payload: Mapping[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def kid(self) -> str:
        return self.header["kid"]

    @property
    def typ(self) -> str:
        return self.header["typ"]


def sign(payload: Mapping[str, Any], key: Signer, typ: str = RECEIPT_TYP) -> str:
    """Sign `payload` as a compact JWS.

    Raises:
        InvalidInput: the payload is outside the canonical subset, or the JWS would exceed 64 KiB.
    """
    return sign_encoded(canonical.dumps(payload), key, typ)


def sign_encoded(payload: bytes, key: Signer, typ: str = RECEIPT_TYP) -> str:
    """Sign a payload that is canonical JSON already.

    Raises:
        InvalidInput: the JWS would exceed 64 KiB.
    """
    signing_input = f"{_encoded_header(key.kid, typ)}.{base64url.encode(payload)}"
    jws = f"{signing_input}.{base64url.encode(key.sign(signing_input.encode('ascii')))}"
    if len(jws) > canonical.MAX_BYTES:
        raise InvalidInput("payload", f"gives a JWS of {len(jws)} bytes", f"at most {canonical.MAX_BYTES} can be read")
    return jws


@lru_cache(maxsize=64)
def _encoded_header(kid: str, typ: str) -> str:
    return base64url.encode(canonical.dumps({"alg": "EdDSA", "kid": kid, "typ": typ}))


def parse(jws: str) -> Parsed:
    """Take a compact JWS apart; accepts exactly what `sign` writes (and alg `Ed25519`).

    Raises:
        VerificationFailed: check ``format``; reason ``too_large``, ``not_jws``, ``bad_base64url``, ``bad_header``,
            ``header_carries_key``, ``bad_alg``, ``bad_signature_size`` or one of `canonical.loads`.
    """
    if len(jws) > canonical.MAX_BYTES:
        raise _failed("too_large", f"The receipt has {len(jws)} characters; at most {canonical.MAX_BYTES} are read.")
    parts = jws.split(".")
    if len(parts) != 3 or not jws.isascii():
        raise _failed("not_jws", "A receipt is three base64url parts joined by dots.")
    header = _header(canonical.loads(base64url.decode(parts[0])))
    payload = canonical.loads(base64url.decode(parts[1]))
    if not isinstance(payload, dict):
        raise _failed("not_jws", "The payload of a receipt is a JSON object.")
    signature = base64url.decode(parts[2])
    if len(signature) != 64:
        raise _failed("bad_signature_size", f"An Ed25519 signature has 64 bytes, not {len(signature)}.")
    return Parsed(header, cast("dict[str, Any]", payload), f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def verify(parsed: Parsed, keys: Mapping[str, bytes]) -> None:
    """Check the signature against the 32-byte public keys by kid.

    libsodium is strict: it refuses small-order keys and non-canonical signatures that OpenSSL lets pass.

    Raises:
        VerificationFailed: check ``signature``; reason ``unknown_key`` or ``bad_signature``.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    public_key = keys.get(parsed.kid)
    if public_key is None:
        raise VerificationFailed("signature", "unknown_key", f"No known key has the id {parsed.kid}.")
    try:
        VerifyKey(public_key).verify(parsed.signing_input, parsed.signature)
    except BadSignatureError as error:
        message = f"The signature was not made over these bytes by the key {parsed.kid}."
        raise VerificationFailed("signature", "bad_signature", message) from error


def _header(header: object) -> Mapping[str, str]:
    if not isinstance(header, dict):
        raise _failed("bad_header", "The header of a receipt is a JSON object.")
    members = cast("dict[str, object]", header)
    carrying = sorted(_KEY_CARRYING_NAMES & members.keys())
    if carrying:
        message = f"The header carries {', '.join(carrying)}; a receipt may not bring or change its own keys."
        raise _failed("header_carries_key", message)
    if members.keys() != _HEADER_NAMES or not all(isinstance(text, str) for text in members.values()):
        raise _failed("bad_header", "The header must hold alg, kid and typ as strings, and nothing else.")
    if members["alg"] not in ALGORITHMS:
        raise _failed("bad_alg", f"The alg must be one of {', '.join(ALGORITHMS)}.")
    return cast("dict[str, str]", members)


def _failed(reason: str, message: str) -> VerificationFailed:
    return VerificationFailed("format", reason, message)
