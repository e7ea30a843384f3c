"""OAuth 2.1 access tokens (RFC 9068): a JWT that the configured issuer signed for this server, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol, cast

import jwt

from wattproof.methodology.errors import InvalidInput
from wattproof.server.auth.denial import Denial
from wattproof.server.auth.instance import tenant_of
from wattproof.server.auth.key_set import KeySetUnavailable
from wattproof.server.auth.principal import SCOPES, Principal

__all__ = ["ALGORITHMS", "AccessTokens", "SigningKeys"]

ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""The signature algorithms that are accepted, and the type of key that each needs. All are asymmetric."""

_LEEWAY_S = 30
_LONGEST = 8192
# PyJWT also takes padding, so that one token could be written in several ways.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
# Absent, or one that access tokens have: a token made for something else must not pass for one.
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
_REQUIRED = ["exp", "iss", "aud", "sub"]


class SigningKeys(Protocol):
    """Where the issuer's public keys are."""

    async def find(self, kid: str, algorithm: str) -> Any:
        """The key that `algorithm` needs under the id `kid`; None: the issuer has none such.

        Raises:
            KeySetUnavailable: the keys cannot be had now.
        """
        ...


class AccessTokens:
    """Checks tokens of one issuer for one audience. `secret` gives each subject its tenant."""

    def __init__(self, *, issuer: str, audience: str, keys: SigningKeys, secret: bytes) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._secret = secret
        self._jwt = jwt.PyJWT()

    async def principal(self, token: str) -> Principal | Denial:
        """Who `token` was issued to, or why it does not count."""
        if len(token) > _LONGEST:
            return Denial.invalid("The token is longer than 8 KiB")
        try:
            header = jwt.get_unverified_header(token) if _FORM.fullmatch(token) else None
        except jwt.InvalidTokenError:
            header = None
        if header is None:
            return Denial.invalid("The token is not a JWT that can be read")
        problem = _header_problem(header)
        if problem is not None:
            return Denial.invalid(problem)
        algorithm: str = header["alg"]
        try:
            key = await self._keys.find(header["kid"], algorithm)
        except KeySetUnavailable as error:
            return Denial.unavailable(error.retry_after_s)
        if key is None:
            return Denial.invalid("The token is signed with a key that its issuer does not publish")
        try:
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            return Denial.invalid(_words(error))
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal | Denial:
        subject: str = claims["sub"]
        try:
            tenant = tenant_of(self._secret, self._issuer, subject)
        except InvalidInput:
            return Denial.invalid("The token names no subject that can be used")
        return Principal(self._issuer, subject, _scopes(claims), tenant)


def _header_problem(header: Mapping[str, Any]) -> str | None:
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        return "The token is of a type that is no access token"
    if header.get("alg") not in ALGORITHMS:
        return f"The token must be signed with one of {', '.join(ALGORITHMS)}"
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= 256:
        return "The token does not name its key (kid)"
    # PyJWT knows one extension, of which access tokens have no use.
    return "The token has critical extensions" if "crit" in header or "b64" in header else None


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Ours among those that the token carries: `scope` is a text (RFC 9068), `scp` a text or a list elsewhere."""
    given: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            given.update(value.split())
        elif isinstance(value, list):
            given.update(word for word in cast("list[object]", value) if isinstance(word, str))
    return frozenset(scope for scope in SCOPES if scope in given)


_WORDS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired"),
    (jwt.ImmatureSignatureError, "The token is not valid yet"),
    (jwt.InvalidAudienceError, "The token was issued for another audience"),
    (jwt.InvalidIssuerError, "The token was issued by another issuer"),
    (jwt.MissingRequiredClaimError, f"The token lacks one of {', '.join(_REQUIRED)}"),
    (jwt.InvalidSignatureError, "The signature of the token does not fit"),
)


def _words(error: jwt.PyJWTError) -> str:
    """Ours: what PyJWT says can quote the token."""
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "The token cannot be read")
