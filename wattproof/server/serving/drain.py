"""Stopping: what is in flight when the server is told to stop, and the end of its patience."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio import CancelScope

__all__ = ["Drain"]


class Drain:
    """Whether this process stops, and the calls that it still serves."""

    def __init__(self) -> None:
        self.begun = False
        self._serving: set[CancelScope] = set()

    @property
    def in_flight(self) -> int:
        """How many calls are served now."""
        return len(self._serving)

    @contextmanager
    def serving(self, scope: CancelScope) -> Generator[None]:
        """Hold the scope of one call for as long as it is served."""
        self._serving.add(scope)
        try:
            yield
        finally:
            self._serving.discard(scope)

    def begin(self) -> None:
        """Take on nothing more."""
        self.begun = True

    def cut_off(self) -> None:
        """Cancel what is still served: runs are settled as cancelled, and each client is told."""
        for scope in tuple(self._serving):
            scope.cancel()
