"""Static API keys: ``wp_<id>_<secret>``. Only a hash is kept; a key is looked up by its id and shown once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from wattproof.methodology.errors import InvalidInput, WattproofError
from wattproof.server.auth.denial import Denial
from wattproof.server.auth.principal import SCOPES, Principal

__all__ = ["KEY_ISSUER", "PREFIX", "ApiKey", "ApiKeys", "KeyLookup", "draw_key", "key_id_of", "scopes_from"]

KEY_ISSUER = "wattproof:apikey"
"""Issuer of the principals that API keys stand for."""
PREFIX = "wp_"

_SECRET_BYTES = 32
_FORM = re.compile(r"wp_([a-z2-7]{10})_([A-Za-z0-9_-]{43})", re.ASCII)
_USED_EVERY_S = 60
_RETRY_S = 5
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key as it is kept; times are Unix seconds. `sha256` is of the whole key, in hex.

    Keys with the same `subject` act on the same `tenant`: a key can be replaced without losing sight of its log.
    """

    id: str
    sha256: str
    name: str
    subject: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None

    def state(self, now_s: float) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now_s >= self.expires_at else "active"


class KeyLookup(Protocol):
    """Where keys are kept."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, as it is at this moment.

        Raises:
            WattproofError: the keys cannot be read.
        """
        ...

    async def used(self, key_id: str, now_s: int) -> None:
        """Note that it was used.

        Raises:
            WattproofError: that cannot be written.
        """
        ...


def draw_key(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> tuple[str, str, str]:
    """A new key: its id, its text, and the hash that is kept of it."""
    key_id = base64.b32encode(random_bytes(7))[:10].decode().lower()
    secret = base64.urlsafe_b64encode(random_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    text = f"{PREFIX}{key_id}_{secret}"
    return key_id, text, _hash(text)


def key_id_of(text: str) -> str | None:
    """The id in the text of a key; None: this is none."""
    match = _FORM.fullmatch(text)
    return None if match is None else match[1]


def scopes_from(text: str) -> tuple[str, ...]:
    """The scopes in a list such as ``estimate,audit``, in their order.

    Raises:
        InvalidInput: one is unknown, or there is none.
    """
    given = text.replace(",", " ").split()
    unknown = sorted(set(given) - set(SCOPES))
    if unknown or not given:
        problem = f"names {', '.join(unknown)[:60]!r}" if unknown else "names none"
        raise InvalidInput("--scopes", problem, f"give some of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


class ApiKeys:
    """Checks keys against where they are kept, every time: a key that was revoked is refused at once."""

    def __init__(self, lookup: KeyLookup, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._clock = clock

    async def principal(self, text: str) -> Principal | Denial:
        """Who the key stands for, or why it does not count. A wrong secret and an unknown id give the same answer."""
        key_id = key_id_of(text)
        if key_id is None:
            return Denial.invalid("The API key is not whole: wp_, its id, and 43 characters")
        try:
            key = await self._lookup.find(key_id)
        except WattproofError:
            return Denial.unavailable(_RETRY_S)
        matches = hmac.compare_digest(_hash(text), _NOBODY if key is None else key.sha256)
        if key is None or not matches:
            return Denial.invalid("No API key of this server is like that")
        now_s = self._clock()
        state = key.state(now_s)
        if state != "active":
            return Denial.invalid(f"The API key {'was revoked' if state == 'revoked' else 'has expired'}")
        if key.last_used_at is None or now_s - key.last_used_at >= _USED_EVERY_S:
            await _unless_it_fails(self._lookup.used(key_id, int(now_s)))
        return Principal(KEY_ISSUER, key.subject, frozenset(key.scopes), key.tenant, key.name)


async def _unless_it_fails(noting: Awaitable[None]) -> None:
    """A key works where its use cannot be written down: on a full disk, or in a home that is read-only."""
    try:
        await noting
    except WattproofError:
        return


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
