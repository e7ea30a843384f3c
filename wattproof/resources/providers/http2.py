"""HTTP/2 to providers that offer it, with streams that really end when we leave them.

httpcore2 2.16 forgets a stream that is closed early without telling the server, which goes on computing, and bills it.
So each request carries a trace callback (a public extension) that resets its stream on the way out, and retires the
connection once its other streams have ended. The way from there
to the stream's connection is private to httpcore2; where a later version moves it, streams are left as that version
leaves them, and `tests/providers/test_transport.py` fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import httpx2

__all__ = ["Http2Transport"]

_CANCEL = 8
# A peer that reads nothing must not hold up the leaving of an answer.
_RESET_AT_MOST_S = 1.0


class Http2Transport(httpx2.AsyncHTTPTransport):
    """HTTP/2 where the server agrees during the TLS handshake, HTTP/1.1 where it does not.

    Source: RFC 9113, section 5.4.2 (stream errors) and section 7 (CANCEL).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(http2=True, **options)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions = {**request.extensions, "trace": _Leaving(self._pool)}
        return await super().handle_async_request(request)


class _Leaving:
    """Follows one request, and resets its stream if it is left before its end."""

    def __init__(self, pool: object) -> None:
        self._pool = pool
        self._connection: Any = None
        self._request: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http2.send_request_headers.started":
            self._request = info.get("request")
            self._connection = _http2_connection(self._pool, self._request)
        elif event == "http2.response_closed.started" and self._connection is not None:
            await self._reset(info["stream_id"])

    async def _reset(self, stream_id: int) -> None:
        from h2.exceptions import ProtocolError

        state = self._connection._h2_state
        stream = state.streams.get(stream_id)
        if stream is None or stream.closed:
            return
        # The connection may be dead, which nobody would notice: its other streams go on, and new calls open another.
        self._connection._used_all_stream_ids = True
        try:
            state.reset_stream(stream_id, error_code=_CANCEL)
        except ProtocolError:
            # The connection is ending anyway.
            return
        with anyio.move_on_after(_RESET_AT_MOST_S):
            await self._connection._write_outgoing_data(self._request)


def _http2_connection(pool: object, request: object) -> Any:
    """The HTTP/2 connection that carries `request`; None where it cannot be told."""
    carried: list[Any] = getattr(pool, "_requests", [])
    outer = next((one.connection for one in carried if one.request is request), None)
    inner = getattr(outer, "_connection", None)
    known = all(hasattr(inner, name) for name in ("_h2_state", "_used_all_stream_ids", "_write_outgoing_data"))
    return inner if known else None
