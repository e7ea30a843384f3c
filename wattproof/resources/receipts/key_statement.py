"""A statement about a key, signed by the issuer's key of that moment: an entry of the log like any receipt.

    {"schema": "wattproof-key/1", "kind": "key", "action": "rotate", "role": "issuer", "replaces": "<kid>",
     "jwk": {…}, "effective_at": "2026-11-22T06:00:00Z", "issued_at": "2026-11-22T06:00:00Z", "log_id": "local"}

`rotate`: from `effective_at` the public key `jwk` does what `replaces` did: sign receipts (`issuer`) or checkpoints
(`log`). `revoke`: from `effective_at` somebody else may have held `jwk`. Who trusts the old key can follow it to the
new one: `read_key_statement` with the old key gives the new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wattproof.methodology.errors import InvalidInput, KeyUnusable, VerificationFailed
from wattproof.resources.receipts.jws import parse, verify
from wattproof.resources.receipts.keys import keys_from_jwks, public_jwk, thumbprint
from wattproof.resources.receipts.schema import instant

__all__ = ["KEY_SCHEMA", "KeyAction", "KeyRole", "KeyStatement", "read_key_statement"]

KEY_SCHEMA = "wattproof-key/1"

KeyAction = Literal["rotate", "revoke"]
KeyRole = Literal["issuer", "log"]

_NAMES = {"schema", "kind", "action", "role", "replaces", "jwk", "effective_at", "issued_at", "log_id"}
_TEXTS = ("effective_at", "issued_at", "log_id")


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """What is said about `public_key` (32 bytes). `replaces` is the kid before it, None for a revocation.

    `effective_at` is RFC 3339 UTC.
    """

    action: KeyAction
    role: KeyRole
    public_key: bytes
    replaces: str | None
    effective_at: str

    @property
    def kid(self) -> str:
        return thumbprint(self.public_key)

    def payload(self, log_id: str, issued_at: str) -> dict[str, Any]:
        """What is signed for the log `log_id`."""
        return {
            "schema": KEY_SCHEMA,
            "kind": "key",
            "action": self.action,
            "role": self.role,
            "replaces": self.replaces,
            "jwk": public_jwk(self.public_key),
            "effective_at": self.effective_at,
            "issued_at": issued_at,
            "log_id": log_id,
        }


def read_key_statement(jws: str, keys: Mapping[str, bytes]) -> KeyStatement:
    """The statement in `jws`, signed by one of `keys` (32 bytes by kid).

    Raises:
        VerificationFailed: check ``signature``, or check ``format``, reason ``bad_key_statement``.
    """
    parsed = parse(jws)
    verify(parsed, keys)
    payload = parsed.payload
    if set(payload) != _NAMES or (payload["schema"], payload["kind"]) != (KEY_SCHEMA, "key"):
        raise _malformed(f"Its members are not those of {KEY_SCHEMA}.")
    action, role, replaces = payload["action"], payload["role"], payload["replaces"]
    if action not in ("rotate", "revoke") or role not in ("issuer", "log"):
        raise _malformed("Its action or role is unknown.")
    if not all(isinstance(payload[name], str) for name in _TEXTS) or not isinstance(replaces, str | None):
        raise _malformed("A member is not text.")
    try:
        (public_key,) = keys_from_jwks({"keys": [payload["jwk"]]}).values()
        instant(payload["effective_at"])
    except (InvalidInput, KeyUnusable, ValueError) as error:
        raise _malformed("Its key or its time cannot be read.") from error
    return KeyStatement(action, role, public_key, replaces, payload["effective_at"])


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_key_statement", f"This is not a statement about a key. {detail}")
