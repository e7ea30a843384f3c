"""What the tries of one run spent, added up: each try has its share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wattproof.methodology.quantity import Usage, UsageSource
from wattproof.resources.providers import Deployment

__all__ = ["Share", "Tally"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one try spent. `counted` is our own count, for the case that the stated `usage` turns out absurd."""

    deployment: Deployment
    usage: Usage
    source: UsageSource
    counted: Usage
    cpu_seconds: float | None = None

    def as_counted(self) -> Share:
        return Share(self.deployment, self.counted, "local_count", self.counted, self.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Tally:
    """The shares of all tries of a request, in order."""

    shares: tuple[Share, ...] = field(default=())

    def plus(self, share: Share) -> Tally:
        return Tally((*self.shares, share))

    def as_counted(self) -> Tally:
        """The same tries with our own counts."""
        return Tally(tuple(share.as_counted() for share in self.shares))

    @property
    def usage(self) -> Usage:
        """The sum.

        Raises:
            InvalidInput: it exceeds what a request can have.
        """
        if len(self.shares) == 1:
            return self.shares[0].usage
        return Usage(
            input_tokens=self._sum(lambda usage: usage.input_tokens),
            output_tokens=self._sum(lambda usage: usage.output_tokens),
            cached_input_tokens=self._sum(lambda usage: usage.cached_input_tokens),
            reasoning_tokens=self._sum(lambda usage: usage.reasoning_tokens),
        )

    @property
    def source(self) -> UsageSource:
        """`provider` only where the provider stated every share."""
        return "provider" if all(share.source == "provider" for share in self.shares) else "local_count"

    @property
    def cpu_seconds(self) -> float | None:
        """CPU seconds of all tries; None unless they were measured for each."""
        known = [share.cpu_seconds for share in self.shares if share.cpu_seconds is not None]
        return sum(known) if known and len(known) == len(self.shares) else None

    @property
    def cost(self) -> tuple[int, str] | None:
        """Micro-units and currency of the sum; None where a price is unknown or the currencies differ."""
        costs = [_cost(share) for share in self.shares]
        known = [cost for cost in costs if cost is not None]
        currencies = {currency for _, currency in known}
        if len(known) != len(costs) or len(currencies) != 1:
            return None
        return sum(micros for micros, _ in known), currencies.pop()

    def _sum(self, count: Callable[[Usage], int]) -> int:
        return sum(count(share.usage) for share in self.shares)


def _cost(share: Share) -> tuple[int, str] | None:
    price = share.deployment.price
    if price is None or price.currency is None:
        return None
    micros = price.cost_micros(share.usage)
    return None if micros is None else (micros, price.currency)
