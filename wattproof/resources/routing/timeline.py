"""Forecast intervals of one zone as a function of time, and its mean over any window. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from wattproof.resources.grid import Observation

__all__ = ["Kind", "Stretch", "stretches"]

# An annual average or a mixture is no forecast of an hour, whoever sends it as one.
_NO_FORECAST = ("annual", "mixture")


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What makes two intensities comparable: who states them, and what they mean."""

    source: str
    basis: str
    factor_scope: str
    accounting: str

    @classmethod
    def of(cls, observation: Observation) -> Kind:
        return cls(observation.source, observation.basis, observation.factor_scope, observation.accounting)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Intervals without a gap: `values[i]` [gCO2e/kWh] holds from `bounds[i]` to `bounds[i + 1]` (Unix seconds).

    `shares` are renewable shares in 1/10,000, None where unknown. `sums[i]` is the integral from the beginning to
    `bounds[i]` [gCO2e/kWh times s].
    """

    bounds: tuple[int, ...]
    values: tuple[float, ...]
    shares: tuple[int | None, ...]
    sums: tuple[float, ...]

    def mean(self, start_s: int, duration_s: int) -> float:
        """Time-weighted mean intensity from `start_s` on [gCO2e/kWh]; the window must lie within the stretch."""
        first, last = self._at(start_s), self._at(start_s + duration_s - 1)
        if first == last:
            return self.values[first]
        return (self._until(last, start_s + duration_s) - self._until(first, start_s)) / duration_s

    def renewable_ratio_bps(self, start_s: int, duration_s: int) -> int | None:
        """Time-weighted mean renewable share of the window; None when any part is unknown."""
        total = 0
        for place in range(self._at(start_s), self._at(start_s + duration_s - 1) + 1):
            share = self.shares[place]
            if share is None:
                return None
            seconds = min(start_s + duration_s, self.bounds[place + 1]) - max(start_s, self.bounds[place])
            total += share * seconds
        return round(total / duration_s)

    def starts(self, earliest_s: int, deadline_s: int, duration_s: int) -> tuple[int, ...]:
        """Where the mean of a window can bend: its ends on a bound, and the first and last start that are possible.

        Between two of them the mean is linear in the start. Empty where no window fits.
        """
        first = max(earliest_s, self.bounds[0])
        last = min(deadline_s, self.bounds[-1]) - duration_s
        if last < first:
            return ()
        bends = {bound - shift for bound in self.bounds for shift in (0, duration_s)}
        return tuple(sorted({first, last} | {bend for bend in bends if first < bend < last}))

    def _at(self, moment_s: int) -> int:
        return bisect_right(self.bounds, moment_s) - 1

    def _until(self, place: int, moment_s: int) -> float:
        return self.sums[place] + self.values[place] * (moment_s - self.bounds[place])


def stretches(observations: Iterable[Observation]) -> dict[Kind, tuple[Stretch, ...]]:
    """The intervals by kind, in order, cut into stretches without gaps.

    They may come in any order. Of two that start together the one received last holds; of two that overlap the later
    one holds from its start, and what the earlier one said of the time after that is dropped.
    """
    by_kind: dict[Kind, dict[int, Observation]] = {}
    for observation in sorted(observations, key=_order):
        if observation.evidence not in _NO_FORECAST:
            by_kind.setdefault(Kind.of(observation), {})[observation.starts_at] = observation
    return {kind: tuple(_gapless(list(held.values()))) for kind, held in by_kind.items()}


def _order(observation: Observation) -> tuple[int, int, int, float]:
    # Everything that tells two of them apart, so that the order in which they came never matters.
    return (
        observation.starts_at,
        observation.received_at,
        observation.step_s,
        observation.value_gco2e_per_kwh,
    )


def _gapless(ordered: list[Observation]) -> Iterator[Stretch]:
    ends = [one.starts_at + one.step_s for one in ordered]
    for place, (_, following) in enumerate(pairwise(ordered)):
        ends[place] = min(ends[place], following.starts_at)
    begin = 0
    for place in range(1, len(ordered) + 1):
        if place == len(ordered) or ends[place - 1] < ordered[place].starts_at:
            yield _stretch(ordered[begin:place], ends[place - 1])
            begin = place


def _stretch(joined: list[Observation], end_s: int) -> Stretch:
    bounds = (*(one.starts_at for one in joined), end_s)
    values = tuple(one.value_gco2e_per_kwh for one in joined)
    areas = (value * (until - start) for value, (start, until) in zip(values, pairwise(bounds), strict=True))
    return Stretch(
        bounds, values, tuple(one.renewable_ratio_bps for one in joined), tuple(accumulate(areas, initial=0.0))
    )
