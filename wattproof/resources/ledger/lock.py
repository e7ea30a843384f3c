"""The ledger's file lock: one process writes, checkpoints or closes at a time.

SQLite's own busy handler sleeps and polls inside the database and starves under load; this lock is asked for without
blocking until a deadline, and whoever holds it leaves its name in the file.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from wattproof.methodology.errors import LedgerLocked
from wattproof.resources.ledger.driver import sqlite_errors, unusable

__all__ = ["FileLock"]

_FIRST_WAIT_S = 0.000_2
_LONGEST_WAIT_S = 0.004
_HOLDER_BYTES = 200

if sys.platform == "win32":
    import msvcrt

    # A byte far behind the holder's name: Windows locks are mandatory and would hide it.
    _LOCKED_BYTE = 1 << 30

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock on `path` between processes. Used by one thread at a time, and not re-entrant.

    The operating system drops it when the process dies, so it is never left behind.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float], timeout_s: float) -> None:
        self._path = path
        self._clock = clock
        self._timeout_s = timeout_s
        with sqlite_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._name = f"process {os.getpid()} on {socket.gethostname()}"

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the lock.

        Raises:
            LedgerLocked: another process kept it for the whole `timeout_s`; the text names it.
            LedgerUnusable: the file system has no locks.
        """
        self._acquire()
        try:
            yield
        finally:
            _unlock(self._descriptor)

    def close(self) -> None:
        """Give the file back to the operating system."""
        os.close(self._descriptor)

    def _acquire(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        wait_s = _FIRST_WAIT_S
        while not self._tried():
            if time.monotonic() >= deadline:
                raise LedgerLocked(
                    f"{self._path} is held by {self._holder()}; waited {self._timeout_s:g} s. "
                    "Wait until it is done, or stop that process."
                )
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
        since = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # The name helps others; being unable to leave it (a full disk) must not leave the lock behind instead.
        with suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, f"{self._name} since {since}\n".encode().ljust(_HOLDER_BYTES)[:_HOLDER_BYTES])

    def _tried(self) -> bool:
        try:
            _try_lock(self._descriptor)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise unusable(self._path, error) from error
        return True

    def _holder(self) -> str:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        name = os.read(self._descriptor, _HOLDER_BYTES).decode(errors="replace").strip()
        return name or "another process"
