"""HTTP clients for providers: no redirects, no cookies, and no proxy between us and this machine."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    import httpx2

__all__ = ["open_client", "open_loopback_client"]

_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def open_client(trust: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """A client for providers and local servers; close it with `aclose`. `trust` None: the system's certificates.

    Connections are kept for the next call: HTTP/2 where a provider offers it, HTTP/1.1 elsewhere and behind a proxy.
    Proxy settings of the environment apply to providers, never to loopback addresses: a proxy elsewhere would look
    for our local server on its own machine, and would see its key. Cookies are neither kept nor sent, so that no
    provider can tie one user's requests to another's.
    """
    from urllib.request import getproxies

    import httpx2

    verify = trust or _trusting_the_system()
    limits = httpx2.Limits(max_connections=256, max_keepalive_connections=32, keepalive_expiry=30.0)
    mounts: dict[str, httpx2.AsyncBaseTransport | None] = dict.fromkeys(
        _LOOPBACK, httpx2.AsyncHTTPTransport(verify=_trusting_nobody(), limits=limits)
    )
    if not {"https", "all"} & {name for name, proxy in getproxies().items() if proxy}:
        from wattproof.resources.providers.http2 import Http2Transport

        mounts["https://"] = Http2Transport(verify=verify, limits=limits)
    # hpack logs header values, and so keys that are not in `authorization`, where everything is logged.
    _silence("hpack")
    return httpx2.AsyncClient(
        follow_redirects=False, verify=verify, limits=limits, mounts=mounts, cookies=_no_cookies()
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


def _no_cookies() -> CookieJar:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


def _silence(logger: str) -> None:
    import logging

    logging.getLogger(logger).setLevel(logging.INFO)
