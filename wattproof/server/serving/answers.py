"""Short JSON answers that the server gives itself, without the application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from starlette.types import Send

__all__ = ["BUSY", "JsonRpcId", "answer", "rpc_error"]

JsonRpcId = str | int | None

BUSY = -32029
"""JSON-RPC code of a call that was not taken on, and may be made again later; data.limit says why."""

CLOSE = (b"connection", b"close")


async def answer(
    send: Send, status: int, payload: Mapping[str, Any], headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send one whole JSON answer."""
    body = orjson.dumps(payload)
    length = str(len(body)).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


def rpc_error(request_id: JsonRpcId, message: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON-RPC error that MCP clients show, whatever the HTTP status beside it."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": BUSY, "message": message, "data": dict(data)}}
