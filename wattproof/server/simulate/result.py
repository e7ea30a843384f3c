"""What a simulated day gave under one policy, and all of them side by side. Every figure is synthetic."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from wattproof.resources.ledger.records import SummaryQuery

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.routing import Policy

__all__ = ["LABEL", "Amount", "DayResult", "PolicyResult", "Ran", "Tally", "policy_result", "quantile"]

LABEL = "SIMULATION: invented traffic, providers and grid"


@dataclass(frozen=True, slots=True)
class Amount:
    """Median and 90 % interval of a total."""

    median: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Ran:
    """One request that was completed: where, on which reading (that of its receipt), for how much, how fast.

    `true_gco2e_per_kwh` is what the invented grid had in that hour once it was corrected; None in an unknown zone.
    """

    number: int
    deployment: str
    model: str
    zone: str
    intensity_gco2e_per_kwh: float
    true_gco2e_per_kwh: float | None
    temporal_match: str
    latency_ms: int
    cost_micros: int | None
    receipt_id: str

    @property
    def zone_known(self) -> bool:
        return not self.zone.startswith("unknown:")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """Totals of one policy.

    `refused` requests had no candidate and spent nothing; `failed` ones were tried and gave no answer. `switches`
    counts how often a request ran elsewhere than the one before it of the same model. `failed_tries` counts tries that
    ended without an answer, whether or not another one followed. `over_ceiling` counts requests above the policy's
    ceiling on the reading frozen for them, or in an unknown location; `over_ceiling_after` those above it by what the
    invented grid turned out to have been. Both are None without a ceiling.
    """

    policy: str
    ceiling_gco2e_per_kwh: float | None
    requests: int
    completed: int
    refused: int
    failed: int
    carbon_gco2e: Amount | None
    energy_wh: Amount | None
    cost_usd: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    temporal_match: Mapping[str, float]
    providers: Mapping[str, int]
    zone_known: float | None
    switches: int
    failed_tries: int
    over_ceiling: int | None
    over_ceiling_after: int | None
    log_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """All policies, each over the same arrivals, outages and grids."""

    seed: int
    hours: float
    requests: int
    grid: str
    policies: tuple[PolicyResult, ...]
    label: str = LABEL
    synthetic: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain data; the same seed gives the same."""
        return asdict(self)


@dataclass(slots=True)
class Tally:
    """What happened so far under one policy."""

    ran: list[Ran] = field(default_factory=list[Ran])
    refused: int = 0
    failed: int = 0
    failed_tries: int = 0

    def switches(self) -> int:
        last: dict[str, str] = {}
        count = 0
        for ran in sorted(self.ran, key=lambda r: r.number):
            count += last.get(ran.model, ran.deployment) != ran.deployment
            last[ran.model] = ran.deployment
        return count

    def shares(self) -> dict[str, float]:
        """Share of completed requests by temporal match."""
        counts = Counter(ran.temporal_match for ran in self.ran)
        total = len(self.ran)
        return {match: round(counts[match] / total, 4) if total else 0.0 for match in ("live", "fresh", "fallback")}

    def providers(self) -> dict[str, int]:
        """Completed requests by provider, most first."""
        counts = Counter(ran.deployment.partition("/")[0] for ran in self.ran)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


async def policy_result(
    name: str, policy: Policy, requests: int, tally: Tally, ledger: Ledger, log_id: str
) -> PolicyResult:
    """The totals of one policy: amounts from the ledger, which keeps shared uncertainty; the rest from `tally`."""
    total = (await ledger.summary(SummaryQuery(log_id=log_id))).total
    latencies = [ran.latency_ms for ran in tally.ran]
    ceiling = policy.max_carbon_intensity
    return PolicyResult(
        policy=name,
        ceiling_gco2e_per_kwh=ceiling,
        requests=requests,
        completed=len(tally.ran),
        refused=tally.refused,
        failed=tally.failed,
        carbon_gco2e=_amount(total.carbon_gco2e),
        energy_wh=_amount(total.energy_wh),
        cost_usd=total.cost_micros_by_currency.get("USD", 0) / 1e6,
        latency_p50_ms=quantile(latencies, 0.5),
        latency_p95_ms=quantile(latencies, 0.95),
        temporal_match=tally.shares(),
        providers=tally.providers(),
        zone_known=round(sum(ran.zone_known for ran in tally.ran) / len(tally.ran), 4) if tally.ran else None,
        switches=tally.switches(),
        failed_tries=tally.failed_tries,
        over_ceiling=_count_over(tally, ceiling, lambda ran: ran.intensity_gco2e_per_kwh),
        over_ceiling_after=_count_over(tally, ceiling, lambda ran: ran.true_gco2e_per_kwh),
        log_id=log_id,
    )


def quantile(values: Sequence[float], share: float) -> float | None:
    """The least value that at least `share` of `values` do not exceed (nearest rank); None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _count_over(tally: Tally, ceiling: float | None, intensity: Callable[[Ran], float | None]) -> int | None:
    """How many requests ran above the ceiling or in an unknown location."""
    if ceiling is None:
        return None
    found = [(ran, intensity(ran)) for ran in tally.ran]
    return sum(not ran.zone_known or value is None or value > ceiling for ran, value in found)


def _amount(total: tuple[float, float | None, float | None] | None) -> Amount | None:
    if total is None:
        return None
    median, low, high = total
    return Amount(_short(median), None if low is None else _short(low), None if high is None else _short(high))


def _short(amount: float) -> float:
    """Six significant figures: the order in which a database adds floats must not show."""
    return float(f"{amount:.6g}")
