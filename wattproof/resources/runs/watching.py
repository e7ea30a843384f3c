"""What may watch runs as they happen: metrics and traces of a server. It sees names and numbers, never content."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.ledger.records import EntryStatus
    from wattproof.resources.providers import ChatEnd, Deployment
    from wattproof.resources.providers.records import UpstreamRequest

__all__ = ["Try", "Watch"]


@dataclass(slots=True)
class Try:
    """One call of a provider. `end` is set once its answer is complete; without one it failed, or was left."""

    end: ChatEnd | None = None


class Watch:
    """Watches nothing; a subclass overrides what it wants to know. Nothing here may raise."""

    def a_try(self, deployment: Deployment, request: UpstreamRequest, server: str) -> AbstractContextManager[Try]:
        """Around one call of a provider at the base URL `server`."""
        return nullcontext(Try())

    def writing(self, write: Literal["open", "settle"]) -> AbstractContextManager[None]:
        """Around a write to the ledger, until it is durable."""
        return nullcontext()

    def settled(self, deployment: Deployment, status: EntryStatus, estimate: Estimate) -> None:
        """A run was recorded; `deployment` is that of its last try."""
