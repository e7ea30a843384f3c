"""An event loop in a thread of its own, for callers that have none or must not wait in theirs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

from wattproof.methodology.errors import WattproofError

__all__ = ["BackgroundLoop", "Closed"]

T = TypeVar("T")


class Closed(WattproofError):
    """It was closed, or belongs to the process before a fork."""


class BackgroundLoop:
    """Runs coroutines in a daemon thread that starts with the first of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._gate = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._closed = False
        self._process = os.getpid()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work`; the future may be waited for in any other thread.

        Raises:
            Closed: the loop was closed, or the process forked since.
        """
        try:
            with self._gate:
                loop = self._running()
        except Closed:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` and wait for it."""
        return self.start(work).result()

    def close(self) -> None:
        """End the thread; what it still does is cancelled. Closing twice is harmless."""
        with self._gate:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._process != os.getpid():
            raise Closed("The process forked; make another recorder in the child.")
        if self._closed:
            raise Closed("The recorder was closed; make another.")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            pending = asyncio.all_tasks(loop)
            for task in pending:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
