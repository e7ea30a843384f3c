"""Waiting for a file lock in the kernel's queue, and no longer than until a deadline.

The system call that queues has no time limit, and asking again and again loses to whoever happens to ask at the right
moment. So a thread of its own waits in the queue. Who waits for that thread may give up; the lock is then let go as
soon as it comes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event, Lock, Thread

__all__ = ["LockQueue"]


class LockQueue:
    """Waits for the lock of one open file: `wait` blocks until it is held, `release` gives it up. For one thread."""

    def __init__(self, descriptor: int, wait: Callable[[int], None], release: Callable[[int], None]) -> None:
        # Of the same open file, so that its lock is the same, but never reused for another while the thread waits.
        self._descriptor = os.dup(descriptor)
        self._wait = wait
        self._release = release
        self._mutex = Lock()
        self._wanted = Event()
        self._granted = Event()
        self._waiting = False
        self._given_up = False
        self._closed = False
        self._error: OSError | None = None
        Thread(target=self._run, name="wattproof-ledger-lock", daemon=True).start()

    @property
    def is_waiting(self) -> bool:
        """Whether the thread still waits, for somebody who gave up. Its lock would be one with another of this file."""
        with self._mutex:
            return self._waiting

    def acquire(self, timeout_s: float) -> bool:
        """Hold the lock; False where it did not come within `timeout_s`.

        Raises:
            OSError: the file system has no locks.
        """
        with self._mutex:
            self._given_up = False
            if not self._waiting:
                self._waiting = True
                self._granted.clear()
                self._wanted.set()
        if not self._granted.wait(timeout_s):
            with self._mutex:
                self._given_up = not self._granted.is_set()
                if self._given_up:
                    return False
        if self._error is not None:
            raise self._error
        return True

    def close(self) -> None:
        """Stop the thread, at the latest when the lock comes."""
        with self._mutex:
            self._closed = True
            self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if not self._closed:
                self._queue()
            if self._closed:
                # The last descriptor of the open file takes the lock with it.
                os.close(self._descriptor)
                return

    def _queue(self) -> None:
        error: OSError | None = None
        try:
            self._wait(self._descriptor)
        except OSError as failed:
            error = failed
        with self._mutex:
            self._waiting = False
            self._error = error
            if not (self._given_up or self._closed):
                self._granted.set()
            elif error is None:
                self._release(self._descriptor)
