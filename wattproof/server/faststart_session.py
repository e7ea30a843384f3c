"""The SDK's server behind the desk: lines from the reading thread in, messages out to the pipe.

The SDK's own stdio transport needs a thread for each line that it reads and for each that it writes. Here a thread that
only reads hands lines over, and what fits the pipe is written at once.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.to_thread
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.server import MCPServer

    from wattproof.server.faststart_wire import Wire

__all__ = ["serve_behind"]

TERMINATED = 128 + signal.SIGTERM
"""The exit status after SIGTERM."""

# What a host allows between closing stdin and a signal is about two seconds.
_ANSWERED_AFTER_THE_END_S = 1.5


def serve_behind(wire: Wire, server: MCPServer[Any]) -> int:
    """Serve until the input ends or SIGTERM comes; returns the exit status."""
    if sys.platform == "win32":
        from mcp.os.win32.utilities import rebind_std_handle_to_fd

        for descriptor in (0, 1):
            rebind_std_handle_to_fd(descriptor)
    return anyio.run(_serve, wire, server)


async def _serve(wire: Wire, server: MCPServer[Any]) -> int:
    incoming, messages = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
    session = _Session(wire, incoming)
    # MCPServer offers no public way to serve streams of one's own.
    lowlevel: Any = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    with anyio.CancelScope() as scope:
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, scope.cancel)
        wire.hand_over(_InLoop(session))
        await lowlevel.run(messages, session, lowlevel.create_initialization_options())
    return TERMINATED if scope.cancelled_caught else 0


class _InLoop:
    """A session for the reading thread: everything happens in the loop, soon."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._can_watch = sys.platform != "win32"

    def deliver(self, lines: list[bytes]) -> None:
        self._soon(lambda: self._session.deliver(lines))

    def end(self) -> None:
        self._soon(self._session.end)

    def say(self, line: bytes) -> None:
        self._soon(lambda: self._session.say(line))

    def read_from_now_on(self) -> bool:
        if self._can_watch:
            self._soon(self._watch)
        return self._can_watch

    def _watch(self) -> None:
        """Wait for input in the loop: no line has to change threads. Ordinary files cannot be waited for."""
        wire = self._session.wire
        try:
            self._loop.add_reader(wire.reading, self._read)
        except OSError:
            self._can_watch = False
            wire.start()

    def _read(self) -> None:
        if not self._session.wire.read():
            self._loop.remove_reader(self._session.wire.reading)

    def _soon(self, act: Callable[[], None]) -> None:
        try:
            if threading.get_ident() == self._thread:
                act()
            else:
                self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            # The loop has closed: nobody serves any more.
            return


class _Session:
    """Where the SDK writes, and what is known of the requests on their way."""

    def __init__(self, wire: Wire, incoming: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        self.wire = wire
        self._incoming = incoming
        self._open: set[str] = set()
        self._ended = False
        self._writing = anyio.Lock()
        self._write_what_fits = _writer(wire.writing)
        self._saying: set[asyncio.Task[None]] = set()

    def deliver(self, lines: list[bytes]) -> None:
        """Hand lines to the SDK, as its own transport would."""
        for line in lines:
            try:
                message = jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
            except ValueError as error:
                self._give(error)
                continue
            if isinstance(message, JSONRPCRequest):
                self._open.add(str(message.id))
            elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
                self._open.discard(str((message.params or {}).get("requestId")))
            self._give(SessionMessage(message))

    def _give(self, item: SessionMessage | Exception) -> None:
        try:
            self._incoming.send_nowait(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def end(self) -> None:
        """The input has ended. The SDK cancels what it is working on when it hears, so it hears a little later."""
        self._ended = True
        if self._open:
            asyncio.get_running_loop().call_later(_ANSWERED_AFTER_THE_END_S, self._incoming.close)
        else:
            self._incoming.close()

    def say(self, line: bytes) -> None:
        """Write a line of our own."""
        saying = asyncio.get_running_loop().create_task(self._said(line))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)

    async def _said(self, line: bytes) -> None:
        with suppress(OSError):
            await self._write(line)

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message of the SDK.

        Raises:
            BrokenResourceError: the client is gone.
        """
        message = item.message
        answered = message.id if isinstance(message, JSONRPCResponse | JSONRPCError) else None
        if answered != self.wire.desk.opening_id:
            try:
                await self._write(message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            except OSError:
                self._incoming.close()
                raise anyio.BrokenResourceError from None
        if answered is not None:
            self._open.discard(str(answered))
            if self._ended and not self._open:
                self._incoming.close()

    async def _write(self, line: bytes) -> None:
        try:
            self._writing.acquire_nowait()
        except anyio.WouldBlock:
            await self._writing.acquire()
        try:
            rest = line[self._write_what_fits(line) :]
            if rest:
                # Half a line must never be followed by another.
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self.wire.write, rest)
        finally:
            self._writing.release()

    async def aclose(self) -> None:
        """The pipe stays open: it belongs to the process."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        return None


def _writer(descriptor: int) -> Callable[[bytes], int]:
    """What writes as much of a line as the pipe takes without waiting, and says how much that was."""
    if sys.platform == "win32":
        return lambda _line: 0
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write(line: bytes) -> int:
        done = 0
        # A pipe that polls as ready takes this much at once, whoever reads it.
        with suppress(BlockingIOError):
            while done < len(line) and poll.poll(0):
                done += os.write(descriptor, line[done : done + select.PIPE_BUF])
        return done

    return write
