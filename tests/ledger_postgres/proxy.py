"""A way to the server that breaks when a test says so: before a COMMIT reaches it, or before its answer comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Proxy", "proxy"]


@dataclass
class Proxy:
    """Listens on 127.0.0.1 and passes on to the server's socket; `cut` names what happens at the next COMMIT."""

    target: str
    port: int = 0
    cut: Literal["", "before", "after"] = ""
    commits: int = 0
    refuse: bool = False
    _open: list[socket.socket] = field(default_factory=list[socket.socket])

    def serve(self, listening: socket.socket) -> None:
        """Accept connections until the socket is closed."""
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
                self._open += [client, server]
                for work in (self._to_server, self._to_client):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def close(self) -> None:
        """Close every connection."""
        for each in self._open:
            _shut(each)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if b"COMMIT" in data:
                    self.commits += 1
                    if self.cut == "before":
                        self.cut = ""
                        break
                server.sendall(data)
        _shut(client)
        _shut(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if self.cut == "after" and b"COMMIT" in data:
                    self.cut = ""
                    break
                client.sendall(data)
        _shut(client)
        _shut(server)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def proxy(target: str) -> Generator[Proxy]:
    """A proxy to the unix socket `target`."""
    made = Proxy(target)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.port = listening.getsockname()[1]
        threading.Thread(target=made.serve, args=(listening,), daemon=True).start()
        yield made
        made.close()
        _shut(listening)
