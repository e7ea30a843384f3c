"""Several serving processes on one socket: forked, watched, replaced when they die, and stopped together."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Backoff", "Workers"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Backoff:
    """How long to wait before a process that died is replaced: twice as long each time, at once after a long life."""

    first_s: float = 0.1
    longest_s: float = 30.0
    long_life_s: float = 60.0
    _next_s: float = 0.0

    def pause_s(self, lived_s: float) -> float:
        """The pause after a process that lived so long."""
        if lived_s >= self.long_life_s:
            self._next_s = 0.0
        pause_s, self._next_s = self._next_s, min(max(2 * self._next_s, self.first_s), self.longest_s)
        return pause_s


@dataclass(slots=True)
class _Place:
    """A place for one process; `pid` is None while it is empty, until `due`."""

    pid: int | None = None
    began: float = 0.0
    due: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


class Workers:
    """Runs `work` in `count` processes until a signal comes; `work` is given what becomes readable when we are gone.

    Make everything that they share before: sockets, secrets, memory. The parent opens nothing and has no threads.
    `ended` is told of each process that died unasked: its pid, how it ended, and when it is replaced. After a first
    signal `stopping` is called and they have `stop_s` to end; whatever is left then, or at a second signal, is killed.
    `left` is told the pid of every process that is no more.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int], int],
        *,
        ended: Callable[[int, str, float], None],
        stopping: Callable[[], None],
        stop_s: float,
        left: Callable[[int], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = [_Place() for _ in range(count)]
        self._work = work
        self._ended = ended
        self._left = left
        self._stopping = stopping
        self._stop_s = stop_s
        self._monotonic = monotonic
        self._stopped_by: list[int] = []

    def run(self) -> int:
        """Serve until stopped; returns the signal that did it.

        Raises:
            OSError: the system allows no further process.
        """
        watched, self._held = os.pipe()
        self._watched = watched
        with self._waking() as woken:
            while not self._stopped_by:
                self._reap()
                self._fill()
                select.select([woken], [], [], self._until_due())
                _drained(woken)
            self._stop(woken)
        os.close(self._held)
        os.close(watched)
        return self._stopped_by[0]

    def _fill(self) -> None:
        for place in self._places:
            if place.pid is None and place.due <= self._monotonic():
                place.began = self._monotonic()
                place.pid = self._forked()

    def _forked(self) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            # Ctrl-C reaches every process of the terminal; only the parent decides what it means.
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._held)
            status = self._work(self._watched)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        for place in self._places:
            if place.pid is None:
                continue
            pid, status = os.waitpid(place.pid, os.WNOHANG)
            if not pid:
                continue
            self._left(pid)
            place.pid = None
            if self._stopped_by:
                continue
            pause_s = place.backoff.pause_s(self._monotonic() - place.began)
            place.due = self._monotonic() + pause_s
            self._ended(pid, _words(status), pause_s)

    def _stop(self, woken: int) -> None:
        self._stopping()
        self._send(signal.SIGTERM)
        deadline = self._monotonic() + self._stop_s
        while any(place.pid is not None for place in self._places):
            self._reap()
            left_s = deadline - self._monotonic()
            if left_s <= 0 or len(self._stopped_by) > 1:
                self._send(signal.SIGKILL)
                left_s = 1.0
            if any(place.pid is not None for place in self._places):
                select.select([woken], [], [], left_s)
                _drained(woken)

    def _send(self, number: int) -> None:
        for place in self._places:
            if place.pid is not None:
                os.kill(place.pid, number)

    def _until_due(self) -> float | None:
        dues = [place.due for place in self._places if place.pid is None]
        return max(0.0, min(dues) - self._monotonic()) if dues else None

    @contextmanager
    def _waking(self) -> Generator[int]:
        """A descriptor that becomes readable at every signal, so that none is missed between two looks."""
        woken, waking = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(waking, False)
        before = {number: signal.signal(number, self._noted) for number in (*_SIGNALS, signal.SIGCHLD)}
        old = signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(woken)
            os.close(waking)

    def _noted(self, number: int, _frame: FrameType | None) -> None:
        if number in _SIGNALS:
            self._stopped_by.append(number)


def _drained(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        return


def _words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
