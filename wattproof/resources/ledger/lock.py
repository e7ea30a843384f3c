"""The ledger's file lock: one process writes, checkpoints or closes at a time.

SQLite's own busy handler sleeps and polls inside the database and starves under load; this lock has the kernel's queue
where there is one, and a deadline, and whoever holds it leaves its name in the file.

Tested on Linux. The paths of macOS (the same `flock`) and Windows (`msvcrt.locking`) have not run there yet.
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
from typing import Protocol

from wattproof.methodology.errors import LedgerLocked
from wattproof.resources.ledger.driver import sqlite_errors, unusable
from wattproof.resources.ledger.lock_queue import LockQueue

__all__ = ["LOCKED_BYTE", "FileLock", "Locks", "Msvcrt", "WindowsLocks", "system_locks"]

_FIRST_WAIT_S = 0.000_2
_LONGEST_WAIT_S = 0.004
_HOLDER_BYTES = 200
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)

LOCKED_BYTE = 1 << 30
"""Which byte of the file is locked on Windows."""


class Locks(Protocol):
    """How an operating system locks an open file for this process. `acquire` never waits.

    Raises (`acquire`):
        BlockingIOError, PermissionError: another process holds the lock.
        OSError: the file system has no locks.
    """

    def acquire(self, descriptor: int) -> None: ...

    def release(self, descriptor: int) -> None: ...

    @property
    def wait(self) -> Callable[[int], None] | None:
        """Waits in a queue until the lock is held; None where the system has no queue."""
        ...


class Msvcrt(Protocol):
    """What is used of the module `msvcrt`."""

    @property
    def LK_NBLCK(self) -> int: ...  # noqa: N802

    @property
    def LK_UNLCK(self) -> int: ...  # noqa: N802

    def locking(self, fd: int, mode: int, nbytes: int, /) -> None: ...


class WindowsLocks:
    """One byte, locked with the C runtime of Windows; it ends with the process there too.

    The byte is far behind the holder's name: locks are mandatory on Windows, and would hide the name.
    """

    wait = None

    def __init__(self, msvcrt: Msvcrt) -> None:
        self._msvcrt = msvcrt

    def acquire(self, descriptor: int) -> None:
        """Lock the byte. LK_NBLCK gives up at once with EACCES, which is a PermissionError."""
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        self._msvcrt.locking(descriptor, self._msvcrt.LK_NBLCK, 1)

    def release(self, descriptor: int) -> None:
        """Unlock it; the position must be that of the lock."""
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        self._msvcrt.locking(descriptor, self._msvcrt.LK_UNLCK, 1)


if sys.platform == "win32":
    import msvcrt

    def system_locks() -> Locks:
        """The locks of this operating system."""
        return WindowsLocks(msvcrt)

else:
    import fcntl

    class PosixLocks:
        """`flock`, on Linux and macOS: the lock belongs to the open file, and ends with the process."""

        def acquire(self, descriptor: int) -> None:
            """Lock the whole file."""
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

        def release(self, descriptor: int) -> None:
            """Unlock it."""
            fcntl.flock(descriptor, fcntl.LOCK_UN)

        def wait(self, descriptor: int) -> None:
            """Lock the whole file, after those who asked before."""
            fcntl.flock(descriptor, fcntl.LOCK_EX)

    def system_locks() -> Locks:
        """The locks of this operating system."""
        return PosixLocks()


class FileLock:
    """An exclusive lock on `path` between processes. Used by one thread at a time, and not re-entrant.

    The operating system drops it when the process dies, so it is never left behind.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float], timeout_s: float, locks: Locks | None = None) -> None:
        self._locks = system_locks() if locks is None else locks
        self._path = path
        self._clock = clock
        self._timeout_s = timeout_s
        self._queue: LockQueue | None = None
        with sqlite_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
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
            self._locks.release(self._descriptor)

    def close(self) -> None:
        """Give the file back to the operating system."""
        if self._queue is not None:
            self._queue.close()
        os.close(self._descriptor)

    def _acquire(self) -> None:
        # A wait that was given up and goes on is joined, not overtaken: it ends by letting the lock go.
        queued = self._queue is not None and self._queue.is_waiting
        if not ((not queued and self._tried()) or self._waited()):
            raise LedgerLocked(
                f"{self._path} is held by {self._holder()}; waited {self._timeout_s:g} s. "
                "Wait until it is done, or stop that process."
            )
        since = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # The name helps others; being unable to leave it (a full disk) must not leave the lock behind instead.
        with suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, f"{self._name} since {since}\n".encode().ljust(_HOLDER_BYTES)[:_HOLDER_BYTES])

    def _waited(self) -> bool:
        wait = self._locks.wait
        if wait is None:
            return self._polled()
        if self._queue is None:
            self._queue = LockQueue(self._descriptor, wait, self._locks.release)
        try:
            return self._queue.acquire(self._timeout_s)
        except OSError as error:
            raise unusable(self._path, error) from error

    def _polled(self) -> bool:
        """Ask again and again, more and more seldom."""
        deadline = time.monotonic() + self._timeout_s
        wait_s = _FIRST_WAIT_S
        while time.monotonic() < deadline:
            time.sleep(wait_s)
            if self._tried():
                return True
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
        return False

    def _tried(self) -> bool:
        try:
            self._locks.acquire(self._descriptor)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise unusable(self._path, error) from error
        return True

    def _holder(self) -> str:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        name = os.read(self._descriptor, _HOLDER_BYTES).decode(errors="replace").strip()
        return name or "another process"
