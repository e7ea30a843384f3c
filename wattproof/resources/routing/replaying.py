"""Stored decisions under another policy: which first choices would differ, and what was expected of either.

The figures are the candidates' own estimates at the time of the decision. What another deployment would have answered,
and with how many tokens, nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wattproof.methodology.quantity import Quantity
from wattproof.resources.routing.limits import expected_latency_ms
from wattproof.resources.routing.records import Candidate, Preset, Weights
from wattproof.resources.routing.stored import StoredDecision, redecide

__all__ = ["NOWHERE", "Compared", "Move", "Pair", "Replayed", "replay_one", "replayed"]

NOWHERE = "(none allowed)"


@dataclass(frozen=True, slots=True)
class Compared:
    """The first choice as it was decided and under the other policy; None where every candidate is excluded."""

    before: Candidate | None
    after: Candidate | None
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Move:
    """How many decisions would have gone to `to` first instead of `origin`."""

    origin: str
    to: str
    count: int


@dataclass(frozen=True, slots=True)
class Pair:
    """An amount expected of the first choices as decided and under the other policy, over the decisions that know both.

    Sums; `low` and `high` are the sums of the bounds, as if all estimates erred alike. For latency the mean.
    """

    count: int
    before: Quantity
    after: Quantity

    @property
    def difference(self) -> float:
        """After less before, of the medians."""
        return self.after.median - self.before.median


@dataclass(frozen=True, slots=True)
class Replayed:
    """Decisions under another policy; an amount is None where no decision knows it of both choices."""

    decisions: int
    changed: int
    moves: tuple[Move, ...]
    carbon_gco2e: Pair | None
    cost_usd: Pair | None
    latency_ms: Pair | None


def replay_one(stored: StoredDecision, *, preset: Preset | None, weights: Weights | None) -> Compared:
    """One decision again, under the weights of `preset`, or under `weights`; its limits stay as they were."""
    policy = None if preset is None else replace(stored.policy, preset=preset)
    allowed = redecide(stored, policy=policy, weights=weights).allowed
    chosen = {c.deployment.id: c for c in stored.candidates}
    return Compared(
        None if stored.chosen is None else chosen[stored.chosen],
        allowed[0].candidate if allowed else None,
        stored.usage.output_tokens,
    )


def replayed(compared: Iterable[Compared]) -> Replayed:
    """Totals of many decisions."""
    decisions = 0
    moves: Counter[tuple[str, str]] = Counter()
    pairs: dict[str, list[tuple[Quantity, Quantity]]] = {"carbon": [], "cost": [], "latency": []}
    for one in compared:
        decisions += 1
        before, after = _name(one.before), _name(one.after)
        if before != after:
            moves[before, after] += 1
        of_after = _amounts(one.after, one.output_tokens)
        for kind, amount in _amounts(one.before, one.output_tokens).items():
            if kind in of_after:
                pairs[kind].append((amount, of_after[kind]))
    latency = _summed(pairs["latency"])
    return Replayed(
        decisions=decisions,
        changed=moves.total(),
        moves=tuple(Move(*way, count) for way, count in sorted(moves.items(), key=lambda item: (-item[1], item[0]))),
        carbon_gco2e=_summed(pairs["carbon"]),
        cost_usd=_summed(pairs["cost"]),
        latency_ms=None
        if latency is None
        else Pair(latency.count, latency.before.scaled(1 / latency.count), latency.after.scaled(1 / latency.count)),
    )


def _name(candidate: Candidate | None) -> str:
    return NOWHERE if candidate is None else candidate.deployment.id


def _amounts(candidate: Candidate | None, output_tokens: int) -> Mapping[str, Quantity]:
    """What is known of a choice."""
    if candidate is None:
        return {}
    found: dict[str, Quantity] = {}
    if candidate.carbon_gco2e is not None:
        found["carbon"] = candidate.carbon_gco2e
    if candidate.cost_usd_micros is not None:
        found["cost"] = Quantity(candidate.cost_usd_micros / 1e6)
    latency_ms = expected_latency_ms(candidate, output_tokens)
    if latency_ms is not None:
        found["latency"] = Quantity(latency_ms)
    return found


def _summed(pairs: list[tuple[Quantity, Quantity]]) -> Pair | None:
    if not pairs:
        return None
    return Pair(len(pairs), _sum([before for before, _ in pairs]), _sum([after for _, after in pairs]))


def _sum(amounts: list[Quantity]) -> Quantity:
    lows = [amount.low for amount in amounts if amount.low is not None]
    highs = [amount.high for amount in amounts if amount.high is not None]
    bounded = len(lows) == len(highs) == len(amounts)
    median = sum([amount.median for amount in amounts])
    return Quantity(median, sum(lows), sum(highs)) if bounded else Quantity(median)
