"""How often each caller called lately: one table of fixed size that every worker process shares."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattproof.server.serving.limits import Rate

try:
    import fcntl
except ImportError:  # Windows, where there is one process only
    fcntl = None

__all__ = ["RateTable"]

_SLOT = struct.Struct("=Qd")
_WAYS = 8
_BUCKETS = 8192


class RateTable:
    """Token buckets by the generic cell rate algorithm: of each caller, only when its bucket will be full again.

    A slot whose bucket is full again holds nothing that a new one would not, so it is given to the next caller and
    nothing is forgotten that matters: the table has 65,536 slots in 1 MiB and never grows. Make it before the worker
    processes are forked; they then share it. `clock` gives seconds that all of them agree on.

    Source: ITU-T I.371 (GCRA, virtual scheduling).
    """

    def __init__(self, clock: Callable[[], float], *, buckets: int = _BUCKETS) -> None:
        self._clock = clock
        self._buckets = buckets
        self._memory = mmap.mmap(-1, buckets * _WAYS * _SLOT.size)
        # A lock of the system: a process that is killed while it holds it gives it back.
        self._lock_file = _nameless_file()
        # Nobody can choose names that fall into one bucket.
        self._secret = token_bytes(16)

    def take(self, caller: str, rate: Rate) -> float:
        """Take one token of `caller`; 0.0 when there was one, else the seconds until there is (and none is taken)."""
        return self.take_all(((caller, rate),))

    def take_all(self, wanted: tuple[tuple[str, Rate], ...]) -> float:
        """Take a token of each caller and rate, or none at all: 0.0, or the seconds until all can be had."""
        now = self._clock()
        with self._locked():
            found = [(self._slot(caller, now), rate) for caller, rate in wanted]
            dues = [(max(due, now), 60.0 / rate.per_minute, rate.burst) for (_, _, due), rate in found]
            wait_s = max((due - now - (burst - 1) * each_s for due, each_s, burst in dues), default=0.0)
            # The sums above are not exact to the last bit.
            if wait_s > 1e-6:
                return wait_s
            for ((at, key, _), _), (due, each_s, _) in zip(found, dues, strict=True):
                _SLOT.pack_into(self._memory, at, key, due + each_s)
        return 0.0

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self._lock_file)

    def _slot(self, caller: str, now: float) -> tuple[int, int, float]:
        """Offset of the caller's slot, its key, and when its bucket is full again.

        A caller without one is given the slot of its bucket that was full again first, which may be now.
        """
        digest = blake2b(caller.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        key = int.from_bytes(digest, "big") or 1
        start = key % self._buckets * _WAYS * _SLOT.size
        oldest_at, oldest_due = start, float("inf")
        for at in range(start, start + _WAYS * _SLOT.size, _SLOT.size):
            held, due = _SLOT.unpack_from(self._memory, at)
            if held == key:
                return at, key, due
            if due < oldest_due:
                oldest_at, oldest_due = at, due
        return oldest_at, key, now

    @contextmanager
    def _locked(self) -> Generator[None]:
        if fcntl is None:
            yield
            return
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)


def _nameless_file() -> int:
    """A file to lock, which is gone with the last process that has it; in memory where that can be had."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("wattproof-rates")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
