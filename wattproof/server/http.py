"""The ASGI application around the MCP server: streamable HTTP behind a bearer token, and a health check."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.routing import Route

from wattproof import __version__
from wattproof.methodology.errors import Refused

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["MAX_REQUEST_BYTES", "build_http_app"]

MAX_REQUEST_BYTES = 4 * 1024 * 1024

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")


def build_http_app(
    server: MCPServer[Any],
    *,
    token: str | None,
    host: str,
    port: int,
    allow_keyed_runs: bool,
    allowed_hosts: Sequence[str] = (),
) -> Starlette:
    """The application: ``/mcp`` (stateless streamable HTTP) and ``/healthz``.

    With a `token` every request to ``/mcp`` must carry it. Without one the server must be reachable from this machine
    alone, must not be able to spend anybody's keys, and refuses what a proxy forwarded.

    Host and Origin must be of this server, so that a page in a browser cannot reach it by another name. `allowed_hosts`
    adds `name` or `name:port` to its own address. A server on all addresses has too many names to list: there, unless
    `allowed_hosts` says which count, the token guards, and a page may only call the host that it came from.

    Raises:
        Refused: no token, but a public address or keyed runs.
    """
    if token is None and not _is_loopback(host):
        raise Refused(f"A server on {host} needs a token; listen on 127.0.0.1, or leave --no-auth out.")
    if token is None and allow_keyed_runs:
        raise Refused("Without a token, runs on providers that need a key are off: anyone here could spend your money.")
    any_name = host.strip("[]") in _ALL_ADDRESSES and not allowed_hosts
    app = server.streamable_http_app(
        streamable_http_path="/mcp",
        # JSON mode drops progress notifications in both protocol eras.
        json_response=False,
        stateless_http=True,
        max_request_body_size=MAX_REQUEST_BYTES,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False)
        if any_name
        else _transport_security(host, port, allowed_hosts),
        host=host,
    )
    app.router.routes.append(Route("/healthz", _healthz, methods=["GET"]))
    app.add_middleware(_Guard, token=token)
    if any_name:
        app.add_middleware(_SameOrigin)
    return app


class _Guard:
    """Lets a request through to the application: with the token, or, without one, straight from this machine."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            refusal = self._refusal(dict(scope["headers"]))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: dict[bytes, bytes]) -> JSONResponse | None:
        if self._expected is None:
            if any(name in headers for name in _FORWARDED):
                problem = "Without a token, forwarded requests are refused; start the server with one."
                return JSONResponse({"error": problem}, 403)
            return None
        if hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            return None
        problem = "Send the header Authorization: Bearer <token>; wattproof serve --http prints the token."
        return JSONResponse({"error": problem}, 401, {"WWW-Authenticate": 'Bearer realm="wattproof"'})


class _SameOrigin:
    """Refuses a page that was loaded from elsewhere, where the server's own names are not known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers: dict[bytes, bytes] = dict(scope["headers"])
            origin = headers.get(b"origin")
            if origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b""):
                await JSONResponse({"error": "Requests of other origins are refused."}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _healthz(_request: Request) -> JSONResponse:
    """That the process answers, and its version; nothing about what it holds."""
    return JSONResponse({"status": "ok", "version": __version__})


def _transport_security(host: str, port: int, allowed_hosts: Sequence[str]) -> TransportSecuritySettings:
    """Which Host and Origin headers are ours."""
    bare = host.strip("[]")
    own = () if bare in _ALL_ADDRESSES else (f"[{bare}]" if ":" in bare else bare,)
    names = [*_LOOPBACK_NAMES, *own]
    hosts = [f"{name}:{port}" for name in names] + list(allowed_hosts)
    if port in (80, 443):
        hosts += names
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{name}" for name in hosts for scheme in ("http", "https")],
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
