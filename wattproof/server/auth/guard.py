"""Lets a request through to the application once it is known who sends it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from wattproof.server.auth.principal import LOCAL_ISSUER, PRINCIPAL_KEY, Principal
from wattproof.server.auth.refusing import refuse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from wattproof.server.auth.entrance import Entrance

__all__ = ["Guard"]


class Guard:
    """Asks `entrance` about every request but those for the paths in `public`, and writes down who it was.

    The `Principal` is then at `PRINCIPAL_KEY` in the ASGI scope, and the SDK's access token says the same, so that a
    question that was put to one caller cannot be answered by another. The credentials themselves go no further.
    """

    def __init__(
        self, app: ASGIApp, entrance: Entrance, *, public: Collection[str] = (), metadata_url: str | None = None
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._entrance = entrance
        self._public = frozenset(public)
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in self._public):
            await self._app(scope, receive, send)
            return
        found = await self._entrance.admit(scope["headers"])
        if isinstance(found, Principal):
            scope = {**scope, "headers": _without_credentials(scope["headers"]), PRINCIPAL_KEY: found}
            if found.issuer != LOCAL_ISSUER:
                scope["user"] = _sdk_user(found)
            await self._app(scope, receive, send)
        else:
            await refuse(found, self._metadata_url, scope, receive, send)


def _without_credentials(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name != b"authorization"]


def _sdk_user(principal: Principal) -> AuthenticatedUser:
    """Who calls, as the SDK keeps it; without the token, which nothing behind this point needs."""
    return AuthenticatedUser(
        AccessToken(
            token="",
            client_id=principal.tenant,
            scopes=sorted(principal.scopes),
            subject=principal.subject,
            claims={"iss": principal.issuer},
        )
    )
