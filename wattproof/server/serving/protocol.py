"""HTTP/1.1 as uvicorn speaks it, with an end to every wait for a client.

uvicorn waits for ever for the rest of a request line or of headers, for a body that nobody reads, and for a client that
does not read its answer. Here each of these ends, and there is a limit to how many connections are open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from wattproof.server.serving.exchange import safe_headers

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["patient_protocol"]


def patient_protocol(
    *, head_s: float = 10.0, unread_s: float = 30.0, most_connections: int = 1000
) -> type[asyncio.Protocol]:
    """The protocol class for `uvicorn.Config(http=...)`.

    A request line with its headers must be complete `head_s` after its first byte, and after the connection was made;
    an answer that the client does not read is given up after `unread_s`; a connection beyond `most_connections` of this
    process is closed at once.
    """

    class Patient(_Patient):
        def __init__(
            self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self.head_s, self.unread_s, self.most_connections = head_s, unread_s, most_connections

    return Patient


class _Patient(H11Protocol):
    head_s: float
    unread_s: float
    most_connections: int
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._resumed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy:
            self._stop_waiting()
        else:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._busy and (self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]):
            # The client still sends what nobody will read, or began its next request.
            self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resumed()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # An answer has begun already: there is no place for another.
            self.transport.close()
            return
        body = b'{"error":"This is no HTTP/1.1 request."}'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        head = h11.Response(status_code=400, reason=b"Bad Request", headers=[*safe_headers(headers), _CLOSE])
        self.transport.write(
            b"".join(self.conn.send(part) or b"" for part in (head, h11.Data(data=body), h11.EndOfMessage()))
        )
        self.transport.close()

    @property
    def _busy(self) -> bool:
        """Whether the application works on a request: then it, not the client, decides how long that takes."""
        # None before the first request, whatever its annotation says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.head_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _resumed(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


_CLOSE = (b"connection", b"close")
