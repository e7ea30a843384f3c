"""The one HTTP client for providers: no redirects, and no proxy between us and this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

__all__ = ["open_client"]


def open_client() -> httpx2.AsyncClient:
    """A client for providers and local servers; close it with `aclose`.

    Proxy settings of the environment apply to providers, never to loopback addresses: a proxy elsewhere would look
    for our local server on its own machine, and would see its key.
    """
    import httpx2

    loopback = ("all://127.0.0.1", "all://localhost", "all://[::1]")
    return httpx2.AsyncClient(
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0),
        mounts={pattern: httpx2.AsyncHTTPTransport() for pattern in loopback},
    )
