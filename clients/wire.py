"""What client and server really said to each other: bytes of both directions, and the JSON-RPC messages in them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

__all__ = ["Relay", "Wire", "messages", "relay"]

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Wire:
    """Two files that grow while a client and the server talk."""

    folder: Path

    @property
    def to_server(self) -> Path:
        return self.folder / "to-server"

    @property
    def to_client(self) -> Path:
        return self.folder / "to-client"

    def sent(self) -> list[dict[str, Any]]:
        """The client's messages so far."""
        return messages(_bytes(self.to_server))

    def answered(self) -> list[dict[str, Any]]:
        """The server's messages so far."""
        return messages(_bytes(self.to_client))


def messages(raw: bytes) -> list[dict[str, Any]]:
    """The JSON-RPC messages in a stream of either transport: lines of stdio, HTTP bodies, events of an SSE stream."""
    text = raw.decode("utf-8", "replace")
    found: list[dict[str, Any]] = []
    position = 0
    while (start := text.find("{", position)) >= 0:
        position = start + 1
        if start and text[start - 1] not in "\n ":
            continue
        with suppress(ValueError):
            content, position = _DECODER.raw_decode(text, start)
            if isinstance(content, dict) and "jsonrpc" in content:
                found.append(cast("dict[str, Any]", content))
    return found


class Relay:
    """A port of 127.0.0.1 that passes connections on, once it is told where to."""

    def __init__(self, listener: socket.socket, wire: Wire) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._wire = wire
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def to(self, port: int) -> None:
        """Pass connections on to this port from now on, and write both directions down."""
        self._start(self._accept, port)

    def wait(self) -> None:
        """Until every connection has ended."""
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, run: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _accept(self, port: int) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._connect, client, port)

    def _connect(self, client: socket.socket, port: int) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = self._start(self._pass_on, server, client, self._wire.to_client)
            self._pass_on(client, server, self._wire.to_server)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, path: Path) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                with self._lock, path.open("ab") as log:
                    log.write(chunk)
                target.sendall(chunk)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(wire: Wire) -> Generator[Relay]:
    """A relay for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        passing = Relay(listener, wire)
        yield passing
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        passing.wait()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
