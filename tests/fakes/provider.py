"""An OpenAI-compatible provider as unkind as the real ones, on a real socket of 127.0.0.1.

It runs in threads, so that tests with and without an event loop, and subprocesses, can use it. Each request takes the
next mode of the script; the last one repeats. A hanging handler waits on an event that `close` sets: no sleeps.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wattproof.resources.providers.records import Deployment, Price

MODES = (
    "ok",
    "slow_headers",
    "hang",
    "hang_mid",
    "cut_before_first",
    "cut_mid",
    "400",
    "401",
    "429",
    "500",
    "503",
    "redirect",
    "html",
    "gzip",
    "bad_json",
    "bad_shape",
    "error_mid",
    "empty",
    "no_usage",
    "zero_usage",
    "lying_usage",
    "no_done",
    "whole",
    "disclosing",
    "huge",
)

PIECES = ("The capital ", "of France ", "is Paris.")
ANSWER = "".join(PIECES)
USAGE: dict[str, Any] = {
    "prompt_tokens": 42,
    "completion_tokens": 8,
    "total_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
_ERRORS = {
    "400": (400, "messages: unknown role 'wizard'"),
    "401": (401, "Incorrect API key provided: {key}"),
    "429": (429, "Rate limit reached"),
    "500": (500, "internal\x1b[31m error\nplease retry"),
    "503": (503, "overloaded"),
}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the provider saw it."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    client_port: int = 0


@dataclass
class FakeProvider:
    """The handle that tests hold."""

    base_url: str
    received: list[Received] = field(default_factory=list[Received])
    retry_after: str = "7"
    slow_s: float = 0.2
    pieces: tuple[str, ...] = PIECES
    usage: dict[str, Any] = field(default_factory=lambda: dict(USAGE))
    lie: dict[str, Any] = field(default_factory=lambda: {"prompt_tokens": -5, "completion_tokens": 8})
    models: tuple[str, ...] = ("gpt-oss-120b",)
    _modes: list[str] = field(default_factory=lambda: ["ok"])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def script(self, *modes: str) -> None:
        """Serve these modes in turn; the last one repeats."""
        unknown = set(modes) - set(MODES)
        assert not unknown, f"no such mode: {unknown}"
        with self._lock:
            self._modes = list(modes)

    def deployment(self, **changes: Any) -> Deployment:
        """A deployment of gpt-oss-120b here; keyword arguments replace its fields."""
        price = Price(90_000, 470_000, None, "USD", "test", "2026-07-02")
        row = Deployment(
            provider="fake",
            model="gpt-oss-120b",
            native_model="openai/gpt-oss-120b",
            base_url=self.base_url,
            protocol="openai-chat",
            key_env=("FAKE_API_KEY",),
            zone="FR",
            location_evidence="declared",
            location_source="test",
            checked_at="2026-11",
            price=price,
        )
        return replace(row, **changes)

    def take(self, request: Received) -> str:
        with self._lock:
            self.received.append(request)
            return self._modes.pop(0) if len(self._modes) > 1 else self._modes[0]

    def wait_closing(self, at_most_s: float) -> None:
        self._closing.wait(at_most_s)

    def release(self) -> None:
        """Let hanging handlers go."""
        self._closing.set()


@contextlib.contextmanager
def serving() -> Generator[FakeProvider]:
    """A fake provider on a free port of 127.0.0.1 for as long as the block runs."""

    class Handler(_Handler):
        pass

    server = _Server(("127.0.0.1", 0), Handler)
    provider = FakeProvider(f"http://127.0.0.1:{server.server_address[1]}/v1")
    Handler.provider = provider
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.release()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: FakeProvider

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: stderr belongs to the test."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._json(404, {"error": {"message": "not found"}})
            return
        self._json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.provider.models]})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        mode = self.provider.take(Received(self.path, headers, body, self.client_address[1]))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if mode in _ERRORS:
                self._error(mode)
            else:
                getattr(self, f"_mode_{mode}")()

    def _mode_ok(self) -> None:
        self._answer(self.provider.usage)

    def _mode_slow_headers(self) -> None:
        self.provider.wait_closing(self.provider.slow_s)
        self._answer(self.provider.usage)

    def _mode_hang(self) -> None:
        self.provider.wait_closing(60)
        self.close_connection = True

    def _mode_hang_mid(self) -> None:
        self._open()
        self._event(_delta(self.provider.pieces[0]))
        self.provider.wait_closing(60)
        self.close_connection = True

    def _mode_cut_before_first(self) -> None:
        self._abort()

    def _mode_cut_mid(self) -> None:
        self._open()
        self._event(_delta(self.provider.pieces[0]))
        self._chunk(b'data: {"choices":[{"index":0,"delta":{"conte')
        self._abort()

    def _mode_redirect(self) -> None:
        self.send_response(307)
        self.send_header("location", self.provider.base_url + "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def _mode_html(self) -> None:
        self._plain(200, "text/html", b"<html><body>Please log in to the hotel Wi-Fi</body></html>")

    def _mode_gzip(self) -> None:
        self._plain(200, "text/event-stream", b"\x1f\x8b\x08", ("content-encoding", "gzip"))

    def _mode_bad_json(self) -> None:
        self._open()
        self._event(_delta(self.provider.pieces[0]))
        self._chunk(b"data: {not json}\n\n")
        self._done()

    def _mode_bad_shape(self) -> None:
        self._open()
        self._event({"choices": {"0": "surprise"}})
        self._done()

    def _mode_error_mid(self) -> None:
        self._open()
        self._event(_delta(self.provider.pieces[0]))
        self._event({"error": {"message": "worker died", "code": 502}})
        self._done()

    def _mode_empty(self) -> None:
        self._open()
        self._done()

    def _mode_no_usage(self) -> None:
        self._answer(None)

    def _mode_zero_usage(self) -> None:
        self._answer({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})

    def _mode_lying_usage(self) -> None:
        self._answer(self.provider.lie)

    def _mode_no_done(self) -> None:
        self._open()
        for piece in self.provider.pieces:
            self._event(_delta(piece))
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": self.provider.usage})
        self._chunk(b"")

    def _mode_whole(self) -> None:
        message = {"role": "assistant", "content": "".join(self.provider.pieces)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._json(200, {"id": "chatcmpl-1", "model": "m", "choices": [choice], "usage": self.provider.usage})

    def _mode_disclosing(self) -> None:
        self._open(("X-Green-Region", "FR"), ("X-Green-Energy-MWh", "0.31"))
        self._body(self.provider.usage)
        self._event({"choices": [], "environment_impact": {"energy_kwh": 0.00015, "location": "FR"}})
        self._chunk(b': energy {"energy_joules": 123.4, "energy_kwh": 0.00003428}\n\n')
        self._done()

    def _mode_huge(self) -> None:
        self._open()
        filler = "x" * 65_536
        for _ in range(200):
            self._event(_delta(filler))
        self._done()

    def _answer(self, usage: Mapping[str, Any] | None) -> None:
        self._open()
        self._body(usage)
        self._done()

    def _body(self, usage: Mapping[str, Any] | None) -> None:
        for piece in self.provider.pieces:
            self._event(_delta(piece))
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if usage is not None:
            self._event({"choices": [], "usage": usage})

    def _error(self, mode: str) -> None:
        status, text = _ERRORS[mode]
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        extra = [("retry-after", self.provider.retry_after)] if mode == "429" else []
        self._json(status, {"error": {"message": text.format(key=key), "type": "error"}}, *extra)

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
        for name, value in (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"), *headers):
            self.send_header(name, value)
        self.end_headers()

    def _event(self, content: Mapping[str, Any]) -> None:
        stamped = {"id": "chatcmpl-1", "model": "gpt-oss-120b-2026", "object": "chat.completion.chunk", **content}
        self._chunk(b"data: " + json.dumps(stamped).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _done(self) -> None:
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _abort(self) -> None:
        """Reset the connection without ending the body."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _delta(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}
