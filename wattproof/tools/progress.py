"""How a long tool says that it is alive, without knowing who listens."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Report", "unreported"]


class Report(Protocol):
    """Takes the progress so far, the total where it is known, and a word about it."""

    async def __call__(self, progress: float, total: float | None = None, message: str | None = None) -> None: ...


async def unreported(progress: float, total: float | None = None, message: str | None = None) -> None:
    """The listener that is not there."""
