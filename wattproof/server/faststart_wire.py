"""The two pipes to the client: a thread reads lines, hands each to the desk, and later to the SDK.

The descriptors are taken before anything else runs: descriptor 0 then reads nothing and descriptor 1 is stderr, so that
no print and no child process, ours or a library's, ever reaches the client or takes its lines. Whoever serves behind
the desk calls `hand_over` once, when it is ready; nothing that was read before is lost or seen twice. Standard library
only.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wattproof.server.faststart_desk import Desk

__all__ = ["Lines", "Receiver", "Wire", "take_stdio"]

MOST_LINE_BYTES = 16 * 2**20
"""A longer message is dropped, and the client is told."""

_MOST_HELD_BYTES = 4 * MOST_LINE_BYTES
_CHUNK_BYTES = 65_536

_TOO_LONG = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":'
    b'"A message was longer than %d bytes and was dropped."}}\n' % MOST_LINE_BYTES
)


class Lines:
    """Cuts what is read into lines, without their ends (LF or CRLF), leaving out empty ones."""

    def __init__(self, most_bytes: int = MOST_LINE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._begun = bytearray()
        self._dropping = False

    def cut(self, chunk: bytes) -> tuple[list[bytes], int]:
        """The lines that end in `chunk`, and how many were dropped because they are too long."""
        *ended, rest = chunk.split(b"\n")
        lines: list[bytes] = []
        dropped = 0
        for part in ended:
            line = bytes(self._begun + part) if self._begun else part
            self._begun.clear()
            if self._dropping:
                self._dropping = False
                continue
            if len(line) > self._most_bytes:
                dropped += 1
            elif line.strip():
                lines.append(line.removesuffix(b"\r"))
        if not self._dropping:
            self._begun += rest
            if len(self._begun) > self._most_bytes:
                self._begun.clear()
                self._dropping = True
                dropped += 1
        return lines, dropped

    def rest(self) -> list[bytes]:
        """The last line, where the input ended without an end of line."""
        line = bytes(self._begun)
        self._begun.clear()
        return [line.removesuffix(b"\r")] if line.strip() and not self._dropping else []


class Receiver(Protocol):
    """Who serves behind the desk. Every method may be called in the reading thread."""

    def deliver(self, lines: list[bytes]) -> None:
        """Take these lines."""
        ...

    def end(self) -> None:
        """There are no more lines."""
        ...

    def say(self, line: bytes) -> None:
        """Write this line to the client."""
        ...

    def read_from_now_on(self) -> bool:
        """Whether the receiver waits for input itself from now on, and calls `Wire.read` whenever there is some."""
        ...


class Wire:
    """The client's end of the pipes."""

    def __init__(self, reading: int, writing: int, desk: Desk) -> None:
        self.desk = desk
        self.reading = reading
        self.writing = writing
        self.first_line = threading.Event()
        self._lines = Lines()
        self._lock = threading.Lock()
        self._held: list[tuple[str | int | None, bytes]] = []
        self._held_bytes = 0
        self._at_end = False
        self._receiver: Receiver | None = None
        self._handed_over = threading.Event()

    def start(self) -> None:
        """Begin to read, in a thread."""
        threading.Thread(target=self._read_on, name="wattproof-stdin", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Write all of `line`; waits while the pipe is full.

        Raises:
            OSError: the client is gone.
        """
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self.writing, rest) :]
            except BlockingIOError:
                _wait(writing=self.writing)

    def hand_over(self, receiver: Receiver) -> None:
        """From now on every line is for `receiver`, those held back first."""
        with self._lock:
            self._receiver = receiver
            held, self._held = self._held, []
            receiver.deliver([line for _, line in held])
            if self._at_end:
                receiver.end()
        self._handed_over.set()

    def read(self) -> bool:
        """Read once, waiting for input if there is none yet; False at the end of it."""
        try:
            chunk = os.read(self.reading, _CHUNK_BYTES)
        except BlockingIOError:
            _wait(reading=self.reading)
            return True
        except OSError:
            chunk = b""
        if not chunk:
            self._take(self._lines.rest())
            self._end()
            return False
        complete, dropped = self._lines.cut(chunk)
        self._take(complete)
        for _ in range(dropped):
            self._say(_TOO_LONG)
        return True

    def _read_on(self) -> None:
        while self.read():
            if self._receiver is None:
                # What is held back must not outgrow the memory.
                if self._held_bytes > _MOST_HELD_BYTES:
                    self._handed_over.wait()
            elif self._receiver.read_from_now_on():
                return

    def _take(self, lines: list[bytes]) -> None:
        if not lines:
            return
        with self._lock:
            if self._receiver is not None:
                self._receiver.deliver(lines)
            else:
                for line in lines:
                    self._keep(line)
        self.first_line.set()

    def _end(self) -> None:
        with self._lock:
            self._at_end = True
            if self._receiver is not None:
                self._receiver.end()
            elif not any(request_id is not None for request_id, _ in self._held):
                _leave()

    def _keep(self, line: bytes) -> None:
        outcome = self.desk.take(line)
        if outcome.reply is not None:
            self._say(outcome.reply)
        if outcome.cancels is not None:
            # It has not begun, and now never will.
            self._held = [kept for kept in self._held if kept[0] is None or str(kept[0]) != str(outcome.cancels)]
        if outcome.forward is not None:
            self._held.append((outcome.request_id, outcome.forward))
            self._held_bytes += len(outcome.forward)

    def _say(self, line: bytes) -> None:
        if self._receiver is not None:
            self._receiver.say(line)
            return
        try:
            self.write(line)
        except OSError:
            _leave()


def take_stdio(desk: Desk) -> Wire | None:
    """The client's end of stdin and stdout, moved out of everyone's reach; None where they are not what they usually
    are, such as closed or replaced by something in memory.
    """
    try:
        if sys.stdin.fileno() != 0 or sys.stdout.fileno() != 1:
            return None
        sys.stdout.flush()
        reading, writing = _moved(0), _moved(1)
    except (AttributeError, OSError, ValueError):
        return None
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        os.dup2(2, 1)
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
    return Wire(reading, writing, desk)


def _moved(descriptor: int) -> int:
    """A duplicate of a standard descriptor, above the standard ones and not inherited by children."""
    if sys.platform == "win32":
        import msvcrt

        duplicate = os.dup(descriptor)
        # Line ends stay as they are.
        msvcrt.setmode(duplicate, os.O_BINARY)
    else:
        import fcntl

        duplicate = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    return duplicate


def _wait(*, reading: int | None = None, writing: int | None = None) -> None:
    """Wait for a pipe that whoever made it has set not to block."""
    import select

    select.select([] if reading is None else [reading], [] if writing is None else [writing], [])


def _leave() -> None:
    """End the process from the reading thread: the client has gone, nothing is open, and the rest is still loading."""
    sys.stderr.flush()
    os._exit(0)
