"""A refusal as an answer over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from wattproof.server.auth.denial import Denial

__all__ = ["refuse"]


async def refuse(denial: Denial, metadata_url: str | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the refusal; `metadata_url` is where a client learns of the authorization server."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = {"Cache-Control": "no-store"}
    if denial.challenged:
        headers["WWW-Authenticate"] = denial.challenge(metadata_url)
    if denial.retry_after_s is not None:
        headers["Retry-After"] = str(denial.retry_after_s)
    await JSONResponse({"error": denial.description}, denial.status, headers)(scope, receive, send)
