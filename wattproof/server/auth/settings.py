"""Which ways of `serve --http` to know a caller the operator has chosen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from wattproof.methodology.errors import InvalidInput
from wattproof.server.auth.key_file import FILE_NAME
from wattproof.server.settings import Settings

__all__ = ["WAYS", "OAuthSettings", "Way", "oauth_settings", "require_no_ways", "ways_in"]

Way: TypeAlias = Literal["token", "keys", "oauth"]

WAYS: tuple[Way, ...] = ("token", "keys", "oauth")
"""One token for everybody; static API keys; OAuth 2.1 access tokens."""

_AUTH, _ISSUER, _RESOURCE, _AUDIENCE, _JWKS = (
    "WATTPROOF_HTTP_AUTH",
    "WATTPROOF_OAUTH_ISSUER",
    "WATTPROOF_OAUTH_RESOURCE",
    "WATTPROOF_OAUTH_AUDIENCE",
    "WATTPROOF_OAUTH_JWKS",
)
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Whose tokens count. `resource` is the address by which clients call ``/mcp``; `jwks` an address or a file."""

    issuer: str
    resource: str
    audience: str
    jwks: str | Path


def ways_in(settings: Settings) -> tuple[Way, ...]:
    """The ways that count: those of WATTPROOF_HTTP_AUTH, else OAuth and API keys where they are set up, else a token.

    Raises:
        InvalidInput: an unknown way, or one that is not set up.
    """
    given = settings.environ.get(_AUTH, "").replace(",", " ").split()
    for word in given:
        if word not in WAYS:
            raise InvalidInput(_AUTH, f"names {word[:40]!r}", f"give some of {', '.join(WAYS)}")
    chosen: tuple[Way, ...] = tuple(way for way in WAYS if way in given)
    if "oauth" in chosen and not settings.environ.get(_ISSUER, "").strip():
        raise InvalidInput(_AUTH, "names oauth, but no issuer is set", f"set {_ISSUER}, {_RESOURCE} and {_JWKS}")
    return chosen or _set_up(settings) or ("token",)


def require_no_ways(settings: Settings) -> None:
    """Raises InvalidInput where --no-auth contradicts a setting that names who may come in."""
    for name in (_AUTH, _ISSUER):
        if settings.environ.get(name, "").strip():
            raise InvalidInput("--no-auth", f"was given, but {name} is set", "leave one of the two out")


def _set_up(settings: Settings) -> tuple[Way, ...]:
    keys = settings.ledger_dsn is None and (settings.home / FILE_NAME).exists()
    oauth = bool(settings.environ.get(_ISSUER, "").strip())
    fixed = settings.http_token is not None and (keys or oauth)
    are_set = {"token": fixed, "keys": keys, "oauth": oauth}
    return tuple(way for way in WAYS if are_set[way])


def oauth_settings(settings: Settings) -> OAuthSettings:
    """The settings of OAuth, checked.

    Raises:
        InvalidInput: one is missing or cannot be meant; the text names it.
    """
    issuer, resource, audience, jwks = (
        settings.environ.get(name, "").strip() for name in (_ISSUER, _RESOURCE, _AUDIENCE, _JWKS)
    )
    _require_address(_ISSUER, issuer, "the iss of its tokens, such as https://login.example.com")
    _require_address(_RESOURCE, resource, "the address that clients call, such as https://watt.example.com/mcp")
    if len(audience) > _LONGEST:
        raise InvalidInput(_AUDIENCE, "is too long", f"give at most {_LONGEST} characters")
    place = _jwks(jwks)
    if settings.offline and isinstance(place, str) and not _is_this_machine(urlsplit(place).hostname or ""):
        raise InvalidInput(_JWKS, "is on another machine, but WATTPROOF_OFFLINE is set", "give the path of a file")
    return OAuthSettings(issuer, resource, audience or resource, place)


def _jwks(text: str) -> str | Path:
    if text and "://" not in text:
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise InvalidInput(
                _JWKS, f"is the relative path {text[:80]!r}", "give an absolute path or an https address"
            )
        return path
    _require_address(_JWKS, text, "where the issuer publishes its keys (jwks_uri), or the path of a file with them")
    return text


def _require_address(name: str, text: str, wanted: str) -> None:
    """Tokens and keys travel over these addresses: nothing but this machine may be spoken to in the clear."""
    problem = None
    if not text:
        problem = "is not set"
    elif len(text) > _LONGEST or not text.isascii() or not text.isprintable() or any(c in text for c in ' "\\<>'):
        problem = "is no address"
    else:
        problem = _unsafe(text)
    if problem is not None:
        raise InvalidInput(name, problem, f"give {wanted}")


def _unsafe(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is no address"
    if not host or parts.scheme not in ("https", "http") or parts.fragment:
        return "is no https address"
    if parts.username is not None or parts.password is not None:
        return "holds a name or a password"
    return None if parts.scheme == "https" or _is_this_machine(host) else "is http to another machine"


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
