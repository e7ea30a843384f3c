"""Do the rows of entries.csv add up to totals.json?

Counts, tokens, costs, market-based carbon, water and adjustments add up exactly. Energy and location-based carbon are
log-normal with factors that entries share, which no row states: their means add up, and the stated interval must lie
between the one of entries that share nothing and the one of entries that share everything. An adjustment is a
difference of two such amounts: its own width is allowed for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wattproof.methodology.foreign import as_name
from wattproof.methodology.propagate import Z90
from wattproof.resources.receipts.pack.cells import plain
from wattproof.resources.receipts.pack.rows import Row

__all__ = ["Sums", "contradictions"]

_RELATIVE = 1e-4
_WIDTH_RELATIVE = 0.02
_FLOAT = 1e-9

# What is summed of each -> (its name in totals, units there)
_SPREAD = {"energy_nwh": ("estimated_energy_kwh", 1e-12), "carbon_location_ng": ("estimated_carbon_kg", 1e-12)}
_BOUNDED = {"carbon_market_ng": ("carbon_market_kg", 1e-12), "water_nl": ("water_ml", 1e-6)}
_COUNTED = (
    "provider",
    "model",
    "zone",
    "tier",
    "energy_source",
    "temporal_match",
    "usage_source",
    "status",
    "workload",
)


@dataclass(slots=True)
class _Spread:
    """Amounts that may share factors: mean, the two extremes of their deviation, and what adjustments may add."""

    known: int = 0
    mean: float = 0.0
    least: float = 0.0
    variance: float = 0.0
    deviation: float = 0.0
    most: float = 0.0
    allowed: float = 0.0

    def add(self, ends: tuple[int, int | None, int | None], *, adjusts: bool) -> None:
        median, low, high = ends
        bounds = (median if low is None else low, median if high is None else high)
        self.known += 1
        self.least += min(bounds)
        self.most += max(bounds)
        mean, deviation = float(median), 0.0
        if adjusts:
            self.allowed += abs(bounds[1] - bounds[0]) + abs(median) * _WIDTH_RELATIVE
        elif high is not None and high > median > 0:
            s = math.log(high / median) / Z90
            mean = median * math.exp(s * s / 2)
            deviation = mean * math.sqrt(math.expm1(s * s))
        self.mean += mean
        self.deviation += deviation
        self.variance += deviation * deviation

    def holds(self, stated: Mapping[str, Any] | None, unit: float) -> bool:
        """Whether a stated figure can be the total."""
        if stated is None or not self.known:
            return stated is None and not self.known
        median, high = stated["median"] / unit, stated["high"] and stated["high"] / unit
        slack = self.known + 1 + _RELATIVE * abs(self.mean) + self.allowed
        if not high or median <= 0 or high < median:
            return self.least - slack <= median <= self.most + slack
        s = math.log(high / median) / Z90
        mean = median * math.exp(s * s / 2)
        deviation = mean * math.sqrt(math.expm1(s * s))
        width = slack + _WIDTH_RELATIVE * self.deviation
        return (
            abs(mean - self.mean) <= slack and math.sqrt(self.variance) - width <= deviation <= self.deviation + width
        )


@dataclass(slots=True)
class Sums:
    """What rows add up to."""

    rows: int = 0
    requests: int = 0
    tokens: int = 0
    cached: int = 0
    adjusted: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    spread: dict[str, _Spread] = field(default_factory=lambda: {name: _Spread() for name in _SPREAD})
    bounded: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    adpe: int = 0
    known: Counter[str] = field(default_factory=Counter[str])
    costs: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter[str]() for name in _COUNTED})
    synthetic: int = 0

    def add(self, row: Row) -> None:
        """One row more."""
        cells = row.cells
        tokens = row.usage["input_tokens"] + row.usage["output_tokens"]
        self.rows += 1
        self.requests += row.requests
        self.tokens += tokens
        self.cached += row.usage["cached_input_tokens"]
        self.synthetic += cells["synthetic"] == "True"
        if row.cost_micros is not None:
            self.costs[cells["currency"]] += row.cost_micros
        for name, spread in self.spread.items():
            if (ends := row.amounts[name]) is not None:
                spread.add(ends, adjusts=row.adjusts)
        self._add_bounded(row)
        if row.adjusts:
            changed = [(row.amounts[name] or (0,))[0] for name in _SPREAD]
            self.adjusted = [old + new for old, new in zip(self.adjusted, [1, tokens, *changed], strict=True)]
            return
        self.kinds[cells["kind"]] += row.requests
        for name, counter in self.counts.items():
            counter[plain(cells[name])] += row.requests

    def _add_bounded(self, row: Row) -> None:
        adpe = row.amounts["adpe_pgsbeq"]
        self.adpe += 0 if adpe is None else adpe[0]
        self.known["adpe_pgsbeq"] += adpe is not None
        for name in _BOUNDED:
            ends = row.amounts[name]
            if ends is None:
                continue
            self.known[name] += 1
            # A correction downwards takes most from the upper bound.
            ordered = (ends[0], ends[2], ends[1]) if ends[0] < 0 else ends
            for place, end in enumerate(ordered):
                self.bounded[name, place] += end or 0


def contradictions(totals: Mapping[str, Any], sums: Sums, groups: Mapping[str, Mapping[str, Sums]]) -> list[str]:
    """Which figures of totals.json the rows do not add up to. `groups` are the sums by model and by provider."""
    try:
        return [
            *_of_summary(totals["summary"], sums),
            *(wrong for by, found in groups.items() for wrong in _of_groups(by, totals[f"by_{by}"], found)),
        ]
    except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError) as error:
        return [f"a figure that is missing or of another form ({type(error).__name__} {str(error)[:60]})"]


def _of_summary(summary: Mapping[str, Any], sums: Sums) -> Iterator[str]:
    exact = {
        "request_count": sums.requests,
        "token_count": sums.tokens,
        "cached_input_tokens": sums.cached,
        "adjustments_count": sums.adjusted[0],
        "cost_micros": dict(sums.costs),
        "kind_counts": {kind: count for kind, count in sums.kinds.items() if count},
    }
    yield from (name for name, value in exact.items() if summary[name] != value)
    yield from _spread(summary, sums)
    for name, (figure, unit) in _BOUNDED.items():
        if not _bounded(
            summary.get(figure), [sums.bounded[name, place] * unit for place in range(3)], sums.known[name]
        ):
            yield figure
    if not _near(summary.get("adpe_kgsbeq"), sums.adpe * 1e-15 if sums.known["adpe_pgsbeq"] else None):
        yield "adpe_kgsbeq"
    if sums.adjusted[0]:
        stated, (_, tokens, energy, carbon) = summary["adjusted"], sums.adjusted
        found = {"token_count": tokens, "estimated_energy_kwh": energy * 1e-12, "estimated_carbon_kg": carbon * 1e-12}
        yield from (f"adjusted.{name}" for name, value in found.items() if not _near(stated[name], value))
    stated_counts: Mapping[str, Mapping[str, int]] = summary["counts"] or {}
    for name, counted in sums.counts.items():
        found_counts = {value: count for value, count in counted.items() if count}
        if {value: count for value, count in stated_counts.get(name, {}).items() if count} != found_counts:
            yield f"counts.{name}"


def _of_groups(by: str, stated: list[Mapping[str, Any]], found: Mapping[str, Sums]) -> Iterator[str]:
    named = {str(group["provider_id" if by == "provider" else by]): group for group in stated}
    if len(named) != len(stated):
        yield f"by_{by} (a group twice)"
    sums_by_name = {as_name(name, 200): sums for name, sums in found.items()}
    for name in sorted(named.keys() ^ sums_by_name.keys()):
        yield f"by_{by} {name}"
    for name in sorted(named.keys() & sums_by_name.keys()):
        group, sums = named[name], sums_by_name[name]
        if group["request_count"] != sums.requests or group["token_count"] != sums.tokens or [*_spread(group, sums)]:
            yield f"by_{by} {name}"


def _spread(stated: Mapping[str, Any], sums: Sums) -> Iterator[str]:
    for name, (figure, unit) in _SPREAD.items():
        if not sums.spread[name].holds(stated.get(figure), unit):
            yield figure


def _bounded(stated: Mapping[str, Any] | None, ends: list[float], known: int) -> bool:
    if stated is None or not known:
        return stated is None and not known
    bounded = stated["low"] is not None
    names = ("median", "low", "high") if bounded else ("median",)
    return all(_near(stated[name], end) for name, end in zip(names, ends, strict=False))


def _near(stated: Any, found: float | None) -> bool:
    if stated is None or found is None:
        return stated is found
    return math.isclose(stated, found, rel_tol=_FLOAT, abs_tol=1e-18)
