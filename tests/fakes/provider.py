"""A provider as unkind as the real ones, on a real socket of 127.0.0.1.

The path decides which wire protocol it speaks (`dialects.py`): chat completions, messages, embeddings or rerank;
`handler.py` has the modes. It runs in threads, so that tests with and without an event loop, and subprocesses, can use
it. Each request takes the next mode of the script; the last one repeats. A hanging handler waits on an event that
`close` sets: no sleeps.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from typing import Any

from tests.fakes.handler import OTHER_MODEL, Handler, Received
from wattproof.resources.providers.records import Deployment, Price

__all__ = ["ANSWER", "MODES", "OTHER_MODEL", "PIECES", "USAGE", "FakeProvider", "Received", "serving"]

MODES = (
    "ok",
    "slow_headers",
    "slow_body",
    "hang",
    "hang_mid",
    "cut_before_first",
    "cut_mid",
    "400",
    "401",
    "402",
    "403",
    "404",
    "408",
    "413",
    "429",
    "500",
    "502",
    "503",
    "504",
    "529",
    "redirect",
    "html",
    "gzip",
    "bad_json",
    "bad_shape",
    "bad_utf8",
    "error_mid",
    "empty",
    "no_usage",
    "zero_usage",
    "lying_usage",
    "absurd_usage",
    "over_limit_usage",
    "wrong_model",
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


@dataclass
class FakeProvider:
    """The handle that tests hold."""

    base_url: str
    received: list[Received] = field(default_factory=list[Received])
    retry_after: str = "7"
    slow_s: float = 0.2
    huge_pieces: int = 200
    pieces: tuple[str, ...] = PIECES
    usage: dict[str, Any] = field(default_factory=lambda: dict(USAGE))
    lie: dict[str, Any] = field(default_factory=lambda: {"prompt_tokens": -5, "completion_tokens": 8})
    models: tuple[str, ...] = ("gpt-oss-120b",)
    accepted_bytes: int = 0
    _modes: list[str] = field(default_factory=lambda: ["ok"])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _stalled: threading.Event = field(default_factory=threading.Event)

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

    def accepted(self, size: int) -> None:
        """So many bytes of a body have gone into the socket."""
        with self._lock:
            self.accepted_bytes += size

    def stalled(self) -> None:
        """The client has read nothing for a while."""
        self._stalled.set()

    def wait_stalled(self, at_most_s: float) -> bool:
        """Whether the client stopped reading within that time (mode `huge`)."""
        return self._stalled.wait(at_most_s)

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def wait_closing(self, at_most_s: float) -> None:
        self._closing.wait(at_most_s)

    def release(self) -> None:
        """Let hanging handlers go."""
        self._closing.set()


@contextlib.contextmanager
def serving() -> Generator[FakeProvider]:
    """A fake provider on a free port of 127.0.0.1 for as long as the block runs."""

    class Answering(Handler):
        pass

    server = _Server(("127.0.0.1", 0), Answering)
    provider = FakeProvider(f"http://127.0.0.1:{server.server_address[1]}/v1")
    Answering.provider = provider
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
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""
