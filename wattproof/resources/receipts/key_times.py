"""When a key may sign: a key set holds every key ever published, and says until when each of them counts.

Optional members of a JWK, each Unix time in seconds or an RFC 3339 time in UTC:

| member | meaning |
|---|---|
| `nbf` | receipts issued before are not by this key |
| `exp` | the key was retired then: receipts issued in its time stay good |
| `wattproof_revoked_at` | somebody else may have held the key since then, and may have dated receipts back |

So a receipt by a revoked key counts only where somebody other than its issuer saw it in the log before that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from wattproof.methodology.errors import KeyUnusable
from wattproof.resources.receipts.canonical import MAX_INTEGER
from wattproof.resources.receipts.schema import instant
from wattproof.resources.receipts.verdict import Verdict, failed, unknown

__all__ = ["KeyTimes", "judge_key_times", "key_times"]

# Clocks of one installation may differ by as much.
_SKEW_S = 300.0
_NOT_BEFORE, _EXPIRES, _REVOKED = "nbf", "exp", "wattproof_revoked_at"


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """The limits of one key in Unix time; None where it has none."""

    not_before: float | None = None
    expires: float | None = None
    revoked_at: float | None = None


def key_times(document: Mapping[str, Any]) -> dict[str, KeyTimes]:
    """The limits that a JWK set states, by kid; keys without any are left out.

    `document` is one that `keys_from_jwks` accepts.

    Raises:
        KeyUnusable: a limit is neither Unix time nor RFC 3339.
    """
    found: dict[str, KeyTimes] = {}
    for jwk in cast("list[Mapping[str, object]]", document["keys"]):
        kid = jwk.get("kid")
        limits = [_moment(jwk, name) for name in (_NOT_BEFORE, _EXPIRES, _REVOKED)]
        if isinstance(kid, str) and any(limit is not None for limit in limits):
            found[kid] = KeyTimes(*limits)
    return found


def judge_key_times(limits: KeyTimes, payload: Mapping[str, Any], seen_at: float | None) -> Verdict | None:
    """What the limits of its key make of a receipt whose signature is good; None where they change nothing.

    `seen_at` is when somebody other than the issuer is known to have seen the receipt in its log (Unix time).
    """
    issued_at = _issued_at(payload)
    if issued_at is None:
        return unknown("not_dated", "Its key has limits in time, and the receipt does not say when it was issued.")
    if limits.not_before is not None and issued_at < limits.not_before - _SKEW_S:
        return failed("key_not_yet_valid", f"It was issued at {payload['issued_at']}, before its key was valid.")
    if limits.expires is not None and issued_at > limits.expires + _SKEW_S:
        return failed("key_retired", f"It was issued at {payload['issued_at']}, after its key was retired.")
    if limits.revoked_at is not None and (seen_at is None or seen_at >= limits.revoked_at):
        message = "Its key was revoked, and no witness saw the receipt in the log before that."
        return failed("key_revoked", message)
    return None


def _issued_at(payload: Mapping[str, Any]) -> float | None:
    text = payload.get("issued_at")
    try:
        return instant(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _moment(jwk: Mapping[str, object], name: str) -> float | None:
    value = jwk.get(name)
    if value is None:
        return None
    if type(value) is int and 0 <= value <= MAX_INTEGER:
        return float(value)
    try:
        return instant(value if isinstance(value, str) else "")
    except ValueError as error:
        message = f'The "{name}" of a key in the JWK set is neither Unix time in seconds nor an RFC 3339 time in UTC.'
        raise KeyUnusable(message) from error
