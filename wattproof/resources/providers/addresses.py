"""Addresses that a person may configure: HTTPS to a host, or plain HTTP to this machine."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

__all__ = ["ADDRESS_FORM", "address_of", "is_loopback", "joined"]

ADDRESS_FORM = "https://host[:port][/path], or http to this machine (127.0.0.1, ::1, localhost)"
_MOST_CHARACTERS = 500


def address_of(url: str) -> tuple[SplitResult | None, str]:
    """The parts of a base URL, or None and what is wrong with it, worded to follow its name.

    No user, password, query or fragment: keys come from the environment, and paths are appended.
    """
    if len(url) > _MOST_CHARACTERS:
        return None, f"is longer than {_MOST_CHARACTERS} characters"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None, "holds characters that no address may have"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None, "is no address"
    if not host:
        return None, "names no host"
    if "@" in parts.netloc:
        return None, "holds a user name or password"
    if "?" in url or "#" in url:
        return None, "holds a query or a fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return parts, ""
    return None, "is plain http to another machine" if parts.scheme == "http" else "is not https"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def joined(parts: SplitResult, path: str) -> str:
    """Scheme and host of `parts` with `path`, without a trailing slash."""
    return f"{parts.scheme}://{parts.netloc}{path}".rstrip("/")
