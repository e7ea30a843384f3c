"""HTTP clients for providers: no redirects, and no proxy between us and this machine."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

__all__ = ["open_client", "open_loopback_client"]

_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def open_client() -> httpx2.AsyncClient:
    """A client for providers and local servers; close it with `aclose`.

    Proxy settings of the environment apply to providers, never to loopback addresses: a proxy elsewhere would look
    for our local server on its own machine, and would see its key.
    """
    import httpx2

    loopback = httpx2.AsyncHTTPTransport(verify=_trusting_nobody())
    return httpx2.AsyncClient(
        follow_redirects=False,
        verify=_trusting_the_system(),
        limits=httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0),
        mounts=dict.fromkeys(_LOOPBACK, loopback),
    )


def open_loopback_client() -> httpx2.AsyncClient:
    """A client for servers on this machine only: opens at once, for it reads no certificates and no proxy settings."""
    import httpx2

    return httpx2.AsyncClient(follow_redirects=False, trust_env=False, verify=_trusting_nobody())


@functools.cache
def _trusting_the_system() -> ssl.SSLContext:
    """Reading the certificates takes some 50 ms: once is enough."""
    import httpx2

    return httpx2.create_ssl_context()


def _trusting_nobody() -> ssl.SSLContext:
    """No certificate passes: loopback is spoken to in plain HTTP, and nothing there is trusted by accident."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
