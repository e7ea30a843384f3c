"""The ways into the server over HTTP, and who comes in by them."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattproof.server.auth.denial import Denial
from wattproof.server.auth.principal import LOCAL_ISSUER, LOCAL_TENANT, SCOPES, Principal
from wattproof.server.settings import Settings

if TYPE_CHECKING:
    from wattproof.server.auth.access_tokens import AccessTokens
    from wattproof.server.auth.api_keys import ApiKeys
    from wattproof.server.auth.key_file import KeyFile
    from wattproof.server.auth.key_table import KeyTable
    from wattproof.server.auth.settings import OAuthSettings, Way

__all__ = ["FORWARDED", "Entrance", "entrance_of", "key_store", "opened"]

FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
"""Headers that a proxy adds: the sender of a request is then somebody else than the peer."""

_EVERYTHING = frozenset[str](SCOPES)
_FIRST_SCOPE = "estimate"


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who is let in: by any of the three ways that is set; with `anyone`, everybody on this machine.

    `token` is for one and all and stands for this installation itself. `state_key` seals questions to users, so that
    another process may take the answer; None: one of this process alone.
    """

    anyone: bool = False
    token: str | None = None
    keys: ApiKeys | None = None
    access_tokens: AccessTokens | None = None
    oauth: OAuthSettings | None = None
    state_key: bytes | None = None
    close: Callable[[], None] | None = None

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways in."""
        given: dict[Way, object] = {"token": self.token, "keys": self.keys, "oauth": self.access_tokens}
        return tuple(way for way, part in given.items() if part is not None)

    async def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> Principal | Denial:
        """Who sends a request with these headers, or why it is refused."""
        if self.anyone:
            if any(name in FORWARDED for name, _ in headers):
                problem = "Without a token, forwarded requests are refused; start the server with one."
                return Denial(403, problem, challenged=False)
            return _local()
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) > 1:
            return Denial(400, "Send one Authorization header, not several", "invalid_request")
        scheme, _, credentials = (given[0] if given else b"").strip().partition(b" ")
        text = credentials.strip().decode("latin-1")
        if scheme.lower() != b"bearer" or not text:
            return Denial(401, self._wanted(), scopes=_FIRST_SCOPE if self.access_tokens is not None else "")
        if not text.isascii() or not text.isprintable() or " " in text:
            return Denial.invalid("The credentials hold characters that no token has")
        return await self._known(text)

    async def _known(self, text: str) -> Principal | Denial:
        if self.token is not None and _same(text, self.token):
            return _local()
        if self.keys is not None and text.startswith("wp_"):
            return await self.keys.principal(text)
        if self.access_tokens is not None and text.count(".") == 2:
            return await self.access_tokens.principal(text)
        return Denial.invalid(self._wanted())

    def _wanted(self) -> str:
        wanted = {
            "token": "<token>; wattproof serve --http prints the token",
            "keys": "wp_...; wattproof apikey create makes an API key",
            "oauth": "<access token of the authorization server>",
        }
        return f"Send the header Authorization: Bearer {', or '.join(wanted[way] for way in self.ways)}"


def entrance_of(settings: Settings, *, token: str | None, clock: Callable[[], float] = time.time) -> Entrance:
    """What the settings ask for. `token` is the one for everybody, where that is one of the ways; None: --no-auth.

    Raises:
        InvalidInput, KeyUnusable: a setting is missing or wrong, or the secret of this installation cannot be had.
        Unavailable: the ledger is in PostgreSQL, and its driver is not installed.
    """
    from wattproof.server.auth.instance import instance_secret, request_state_key, secret_at_hand
    from wattproof.server.auth.settings import oauth_settings, require_no_ways, ways_in

    if token is None:
        require_no_ways(settings)
        return Entrance(anyone=True)
    ways = ways_in(settings)
    if ways == ("token",):
        secret = secret_at_hand(settings)
        return Entrance(token=token, state_key=None if secret is None else request_state_key(secret))
    secret = instance_secret(settings)
    keys, close = _keys(settings, clock) if "keys" in ways else (None, None)
    oauth = oauth_settings(settings) if "oauth" in ways else None
    return Entrance(
        token=token if "token" in ways else None,
        keys=keys,
        access_tokens=None if oauth is None else _access_tokens(oauth, secret),
        oauth=oauth,
        state_key=request_state_key(secret),
        close=close,
    )


@asynccontextmanager
async def opened(entrance: Entrance) -> AsyncGenerator[None]:
    """Close on leaving what the entrance opened meanwhile."""
    try:
        yield
    finally:
        if entrance.close is not None:
            entrance.close()


def key_store(settings: Settings) -> KeyFile | KeyTable:
    """Where the API keys of this installation are: beside its ledger.

    Raises:
        Unavailable: that is PostgreSQL, and its driver is not installed.
    """
    if settings.ledger_dsn is None:
        from wattproof.server.auth.key_file import KeyFile

        return KeyFile(settings.home)
    # Says how to install the driver where it is missing.
    from wattproof.resources.ledger.postgres import open_postgres_ledger
    from wattproof.server.auth.key_table import KeyTable

    del open_postgres_ledger
    return KeyTable(settings.ledger_dsn)


def _keys(settings: Settings, clock: Callable[[], float]) -> tuple[ApiKeys, Callable[[], None]]:
    from wattproof.server.auth.api_keys import ApiKeys

    store = key_store(settings)
    return ApiKeys(store, clock), store.close


def _access_tokens(oauth: OAuthSettings, secret: bytes) -> AccessTokens:
    from wattproof.resources.providers.transport import open_client
    from wattproof.server.auth.access_tokens import AccessTokens
    from wattproof.server.auth.key_set import KeySet

    keys = KeySet(oauth.jwks, open_client)
    return AccessTokens(issuer=oauth.issuer, audience=oauth.audience, keys=keys, secret=secret)


def _local() -> Principal:
    return Principal(LOCAL_ISSUER, "", _EVERYTHING, LOCAL_TENANT)


def _same(one: str, other: str) -> bool:
    """Compares hashes: how long it takes says nothing of where they differ, nor of how long the other one is."""
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
