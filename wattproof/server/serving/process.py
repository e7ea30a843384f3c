"""One serving process: uvicorn, which stops taking requests when it is told to, and ends once they are answered."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from sse_starlette.sse import AppStatus

from wattproof.server.serving.protocol import patient_protocol

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

    from wattproof.server.serving.drain import Drain

__all__ = ["ServingProcess"]

_SETTLED_WITHIN_S = 15
"""How long cancelled runs may take to be settled in the ledger."""


class ServingProcess(uvicorn.Server):
    """Serves `app` until a signal comes, then for at most `grace_s` what is in flight.

    What is still served then is cancelled: its runs are settled in the ledger and its clients told, before the
    application is closed. A second signal ends the process at once. It also stops when the descriptor `gone` becomes
    readable: then the process that forked this one is no more.
    """

    def __init__(self, app: ASGIApp, drain: Drain, *, grace_s: float, gone: int | None = None, **protocol: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=patient_protocol(**protocol),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=round(grace_s) + _SETTLED_WITHIN_S,
            )
        )
        # It would cut off every stream as soon as the signal comes.
        AppStatus.disable_automatic_graceful_drain()
        self._drain = drain
        self._grace_s = grace_s
        self._gone = gone
        self.stopped_by: int | None = None

    def stop(self) -> None:
        """Begin to stop, as a signal would."""
        self._drain.begin()
        self.should_exit = True

    def _orphaned(self, gone: int) -> None:
        asyncio.get_running_loop().remove_reader(gone)
        self.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.stopped_by is not None:
            os._exit(128 + sig)
        self.stopped_by = sig
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._gone is not None:
            asyncio.get_running_loop().add_reader(self._gone, self._orphaned, self._gone)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cutting_off = asyncio.get_running_loop().call_later(self._grace_s, self._drain.cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cutting_off.cancel()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # uvicorn would raise the signal again once it is done, and a stop as asked for would look like a death.
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
