"""What the fake provider does with a request: one method per mode."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.fakes.dialects import Answer, Dialect, dialect_for

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

__all__ = ["OTHER_MODEL", "Handler", "Received"]

OTHER_MODEL = "llama-3.1-8b-instruct"
_RESOLVED_MODEL = "gpt-oss-120b-2026"
# No text: what a proxy in front says, in HTML.
_ERRORS = {
    "400": (400, "messages: unknown role 'wizard'"),
    "401": (401, "Incorrect API key provided: {key}"),
    "402": (402, "Insufficient credits"),
    "403": (403, ""),
    "404": (404, "The model does not exist"),
    "408": (408, "Request timed out"),
    "413": (413, ""),
    "429": (429, "Rate limit reached"),
    "500": (500, "internal\x1b[31m error\nplease retry"),
    "502": (502, ""),
    "503": (503, "overloaded"),
    "504": (504, ""),
    "529": (529, "Overloaded"),
}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the provider saw it."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    client_port: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: FakeProvider
    asked: dict[str, Any]
    dialect: Dialect

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: stderr belongs to the test."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._json(404, {"error": {"message": "not found"}})
            return
        self._json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.provider.models]})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        self.asked = json.loads(self.rfile.read(length) or b"{}")
        self.dialect = dialect_for(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        mode = self.provider.take(Received(self.path, headers, self.asked, self.client_address[1]))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if mode in _ERRORS:
                self._error(mode)
            else:
                getattr(self, f"_mode_{mode}")()

    def _mode_ok(self) -> None:
        self._send(self._answer(self.provider.usage))

    def _mode_slow_headers(self) -> None:
        self.provider.wait_closing(self.provider.slow_s)
        self._mode_ok()

    def _mode_slow_body(self) -> None:
        self._open()
        for frame in (*self.dialect.frames(self._answer(self.provider.usage)), self.dialect.done):
            self.provider.wait_closing(self.provider.slow_s)
            self._chunk(frame)
        self._close()

    def _mode_hang(self) -> None:
        self.provider.wait_closing(60)
        self.close_connection = True

    def _mode_hang_mid(self) -> None:
        self._begin()
        self.provider.wait_closing(60)
        self.close_connection = True

    def _mode_cut_before_first(self) -> None:
        self._abort()

    def _mode_cut_mid(self) -> None:
        self._begin()
        self._chunk(self.dialect.torn)
        self._abort()

    def _mode_redirect(self) -> None:
        self.send_response(307)
        self.send_header("location", self.provider.base_url + "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def _mode_html(self) -> None:
        self._plain(200, "text/html", b"<html><body>Please log in to the hotel Wi-Fi</body></html>")

    def _mode_gzip(self) -> None:
        self._plain(200, self.dialect.media_type, b"\x1f\x8b\x08", ("content-encoding", "gzip"))

    def _mode_bad_json(self) -> None:
        self._begin()
        self._chunk(self.dialect.broken())
        self._end()

    def _mode_bad_shape(self) -> None:
        self._open()
        self._chunk(self.dialect.misshapen(self._answer(None)))
        self._end()

    def _mode_bad_utf8(self) -> None:
        """Latin-1 where UTF-8 was promised."""
        self._open()
        answer = self._answer(self.provider.usage, pieces=("caf!",), model="caf!")
        for frame in self.dialect.frames(answer):
            self._chunk(frame.replace(b"caf!", b"caf\xe9"))
        self._end()

    def _mode_error_mid(self) -> None:
        if self.dialect.media_type == "text/event-stream":
            self._begin()
        else:
            self._open()
        self._chunk(self.dialect.error("worker died"))
        self._end()

    def _mode_empty(self) -> None:
        self._open()
        self._end()

    def _mode_no_usage(self) -> None:
        self._send(self._answer(None))

    def _mode_zero_usage(self) -> None:
        self._send(self._answer({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))

    def _mode_lying_usage(self) -> None:
        self._send(self._answer(self.provider.lie))

    def _mode_absurd_usage(self) -> None:
        self._send(self._answer({"prompt_tokens": 10**9, "completion_tokens": 8, "total_tokens": 10**9 + 8}))

    def _mode_over_limit_usage(self) -> None:
        self._send(self._answer({"prompt_tokens": 42, "completion_tokens": 10**6, "total_tokens": 10**6 + 42}))

    def _mode_wrong_model(self) -> None:
        self._send(self._answer(self.provider.usage, model=OTHER_MODEL))

    def _mode_no_done(self) -> None:
        self._open()
        for frame in self.dialect.unfinished(self._answer(self.provider.usage)):
            self._chunk(frame)
        self._close()

    def _mode_whole(self) -> None:
        self._json(200, self.dialect.whole(self._answer(self.provider.usage, model="m")))

    def _mode_disclosing(self) -> None:
        """Headers, a last event and a comment, as the providers that disclose a footprint send them."""
        self._open(("X-Green-Region", "FR"), ("X-Green-Energy-MWh", "0.31"))
        for frame in self.dialect.frames(self._answer(self.provider.usage)):
            self._chunk(frame)
        if self.dialect.media_type == "text/event-stream":
            block: dict[str, Any] = {"choices": [], "environment_impact": {"energy_kwh": 0.00015, "location": "FR"}}
            self._chunk(b"data: " + json.dumps(block).encode() + b"\n\n")
            self._chunk(b': energy {"energy_joules": 123.4, "energy_kwh": 0.00003428}\n\n')
        self._end()

    def _mode_huge(self) -> None:
        """Pieces of 64 KiB, 13 MB unless told; says when the client has stopped reading."""
        self._open()
        answer = self._answer(None)
        for frame in self.dialect.frames(answer)[: self.dialect.head - 1]:
            self._chunk(frame)
        piece = self.dialect.piece(answer, "x" * 65_536)
        for _ in range(self.provider.huge_pieces):
            self._push(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self._end()

    def _answer(
        self, usage: Mapping[str, Any] | None, pieces: tuple[str, ...] | None = None, model: str = _RESOLVED_MODEL
    ) -> Answer:
        return Answer(model, self.provider.pieces if pieces is None else pieces, usage, self.asked)

    def _send(self, answer: Answer) -> None:
        self._open()
        for frame in self.dialect.frames(answer):
            self._chunk(frame)
        self._end()

    def _begin(self) -> None:
        """Headers, and the answer up to its first piece."""
        self._open()
        for frame in self.dialect.frames(self._answer(self.provider.usage))[: self.dialect.head]:
            self._chunk(frame)

    def _error(self, mode: str) -> None:
        status, text = _ERRORS[mode]
        extra = [("retry-after", self.provider.retry_after)] if mode == "429" else []
        if text:
            content = self.dialect.refusal(text.format(key=self._key()))
            self._json(status, content, *extra)
        else:
            self._plain(status, "text/html", f"<html><center><h1>{status}</h1></center></html>".encode())

    def _key(self) -> str:
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return bearer or self.headers.get("x-api-key") or self.headers.get("api-key") or ""

    def _json(self, status: int, content: object, *headers: tuple[str, str]) -> None:
        self._plain(status, "application/json", json.dumps(content).encode(), *headers)

    def _plain(self, status: int, media_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("content-type", media_type), ("content-length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _open(self, *headers: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in (("content-type", self.dialect.media_type), ("transfer-encoding", "chunked"), *headers):
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        """One chunk; nothing for no bytes, because that would end the body."""
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            self.provider.accepted(len(data))

    def _push(self, data: bytes) -> None:
        """Send as the client takes it, and say when it takes nothing."""
        while data and not self.provider.is_closing:
            _, writable, _ = select.select([], [self.connection], [], 0.5)
            if not writable:
                self.provider.stalled()
                continue
            size = self.connection.send(data, socket.MSG_DONTWAIT)
            self.provider.accepted(size)
            data = data[size:]

    def _end(self) -> None:
        self._chunk(self.dialect.done)
        self._close()

    def _close(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _abort(self) -> None:
        """Reset the connection without ending the body."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
