"""The ASGI application around the MCP server: streamable HTTP behind a guard, and a health check."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.routing import Route

from wattproof import __version__
from wattproof.methodology.errors import Refused
from wattproof.server.auth.entrance import Entrance, opened
from wattproof.server.auth.guard import Guard
from wattproof.server.auth.principal import SCOPES
from wattproof.server.auth.step_up import StepUp

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from pydantic import AnyHttpUrl
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from wattproof.server.serving.house import House

__all__ = ["MAX_REQUEST_BYTES", "build_http_app"]

MAX_REQUEST_BYTES = 4 * 1024 * 1024

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)


def build_http_app(
    server: MCPServer[Any],
    *,
    token: str | None = None,
    entrance: Entrance | None = None,
    host: str,
    port: int,
    allow_keyed_runs: bool,
    allowed_hosts: Sequence[str] = (),
    house: House | None = None,
) -> Starlette:
    """The application: ``/mcp`` (stateless streamable HTTP) and ``/healthz``; with a `house`, its limits and metrics.

    `entrance` says who is let in; without it, whoever has the `token`, or, without that too, everybody on this machine.
    Then the server must be reachable from this machine alone, must not be able to spend anybody's keys, and refuses
    what a proxy forwarded. With OAuth, ``/.well-known/oauth-protected-resource…`` says who issues tokens.

    Host and Origin must be of this server, so that a page in a browser cannot reach it by another name. `allowed_hosts`
    adds `name` or `name:port` to its own address. A server on all addresses has too many names to list: there, unless
    `allowed_hosts` or OAuth says which count, the token guards, and a page may only call the host that it came from.

    Raises:
        Refused: no token, but a public address or keyed runs.
    """
    entrance = entrance or Entrance(anyone=token is None, token=token)
    if entrance.anyone and not _is_loopback(host):
        raise Refused(f"A server on {host} needs a token; listen on 127.0.0.1, or leave --no-auth out.")
    if entrance.anyone and allow_keyed_runs:
        raise Refused("Without a token, runs on providers that need a key are off: anyone here could spend your money.")
    if entrance.oauth is not None:
        # The name by which clients call it, or their tokens would be for another server.
        allowed_hosts = [*allowed_hosts, urlsplit(entrance.oauth.resource).netloc]
    any_name = host.strip("[]") in _ALL_ADDRESSES and not allowed_hosts
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    if not any_name:
        security = _transport_security(host, port, allowed_hosts)
    app = server.streamable_http_app(
        streamable_http_path="/mcp",
        # JSON mode drops progress notifications in both protocol eras.
        json_response=False,
        stateless_http=True,
        max_request_body_size=MAX_REQUEST_BYTES,
        transport_security=security,
        host=host,
    )
    app.router.routes.append(Route("/healthz", _healthz, methods=["GET"]))
    metadata_url, public = _oauth(app, entrance)
    if house is not None:
        house.furnish(app, path="/mcp", anyone=entrance.anyone, security=security)
    _guard(app, entrance, metadata_url, {"/healthz", *public})
    if any_name:
        app.add_middleware(_SameOrigin)
    return app


def _oauth(app: Starlette, entrance: Entrance) -> tuple[str | None, Sequence[str]]:
    """With OAuth: say who issues tokens, and which scopes a call lacks. Where that is said, and what anybody may read.

    Comes first, and so stands last: the body of a request is read here, which is to be bounded by then.
    """
    if entrance.oauth is None:
        return None, ()
    # As text: an AnyHttpUrl gets a slash at its end, and clients compare letter by letter.
    resource, issuer = (cast("AnyHttpUrl", text) for text in (entrance.oauth.resource, entrance.oauth.issuer))
    metadata_url = str(build_resource_metadata_url(resource))
    routes = create_protected_resource_routes(
        resource, [issuer], scopes_supported=list(SCOPES), resource_name="wattproof"
    )
    app.router.routes.extend(routes)
    app.add_middleware(StepUp, issuer=entrance.oauth.issuer, metadata_url=metadata_url, max_bytes=MAX_REQUEST_BYTES)
    return metadata_url, [route.path for route in routes]


def _guard(app: Starlette, entrance: Entrance, metadata_url: str | None, public: Collection[str]) -> None:
    """Put the entrance before everything that is there so far, but not before the paths in `public`."""
    # Whatever is added after this stands before the guard and does not know who calls.
    app.add_middleware(Guard, entrance=entrance, public=public, metadata_url=metadata_url)
    served = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[Any]:
        async with opened(entrance), served(app) as state:
            yield state

    app.router.lifespan_context = lifespan


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
