"""One run per request_id at a time: whoever comes second waits, and then finds what the first one left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio

from wattproof.methodology.errors import RequestConflict, RequestInFlight
from wattproof.resources.ledger.records import Attempt

__all__ = ["Turn", "Turns", "running_elsewhere", "still_running"]


@dataclass(slots=True)
class _Running:
    digest: bytes
    over: anyio.Event = field(default_factory=anyio.Event)


class Turns:
    """Who in this process runs which request now. Used in one event loop."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], _Running] = {}

    async def take(self, log_id: str, request_id: str, digest: bytes, left_s: Callable[[], float]) -> Turn:
        """The turn at a request whose body has `digest`, once nobody else has it; `left_s` tells how long to wait.

        Raises:
            RequestConflict: whoever runs it has another body.
            RequestInFlight: it still ran when no time was left.
        """
        key = (log_id, request_id)
        while (other := self._running.get(key)) is not None:
            if other.digest != digest:
                raise RequestConflict(
                    f"request_id {request_id!r} is running with another body. "
                    "Use a new request_id, or send the same request with the same limits."
                )
            with anyio.move_on_after(max(left_s(), 0.0)):
                await other.over.wait()
            if not other.over.is_set():
                raise still_running(request_id, "in this process")
        self._running[key] = _Running(digest)
        return Turn(self, key)

    def give_back(self, key: tuple[str, str]) -> None:
        """Let the next one go on."""
        self._running.pop(key).over.set()


class Turn:
    """The right to run one request; it is given back at the end of the `with` block, or before."""

    __slots__ = ("_held", "_key", "_turns")

    def __init__(self, turns: Turns, key: tuple[str, str]) -> None:
        self._turns = turns
        self._key = key
        self._held = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let the next one go on. Giving back twice is harmless."""
        if self._held:
            self._held = False
            self._turns.give_back(self._key)


def running_elsewhere(tries: Iterable[Attempt], now_s: float) -> Attempt | None:
    """The try that runs now: open, within its lease."""
    return next((tried for tried in tries if tried.state == "open" and tried.lease_expires_at >= now_s), None)


def still_running(request_id: str, where: str) -> RequestInFlight:
    """The error of a caller whose time is up while another runs the same request."""
    return RequestInFlight(
        f"request_id {request_id!r} still runs {where}, and the time to wait for it is up. Ask again with the same "
        "request_id, or with a longer deadline_s: nothing is spent twice. Another request_id runs it a second time."
    )
