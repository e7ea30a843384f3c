"""One estimate beside another: the ratio with what both share cancelled, and what drives the spread of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from wattproof.methodology.propagate import LogNormal
from wattproof.methodology.quantity import Quantity, Usage
from wattproof.tools.figures import Figure, figure, rounded, significant

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate

__all__ = ["Compared", "Spread", "compared", "spread"]

SIGNIFICANCE = 0.25
"""Where each of two has at least this probability of being the lower one, the difference is not meaningful."""


class Compared(BaseModel):
    """An estimate beside the one that the caller chose as a baseline: same tokens, same grid factor.

    `ratio` is the estimate over the baseline; its interval rests on the difference of logarithms, where what both share
    cancels. `meaningful` and its probability are null where the method publishes no distribution.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    indicator: str
    baseline: Figure
    ratio: Figure
    probability_lower: float | None
    meaningful: bool | None

    def words(self) -> str:
        """`0.26x (0.11-0.62) of X (same tokens, same grid factor): a meaningful difference.`"""
        span = "" if self.ratio.low is None else f" ({_span(self.ratio)})"
        verdict = {True: ": a meaningful difference", False: ": no meaningful difference", None: ""}[self.meaningful]
        return f"{significant(self.ratio.median)}x{span} of {self.model} (same tokens, same grid factor){verdict}."


class Spread(BaseModel):
    """How far the medians of several rows lie apart, and what that comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    indicator: str
    ratio: float
    lowest: str
    highest: str
    driven_by: str

    def words(self) -> str:
        """`Medians differ 81x (energy), from A to B; energy per output token drives it.`"""
        what = "energy" if self.indicator == "energy_wh" else "CO2e"
        ends = f"from {self.lowest} to {self.highest}"
        return f"Medians differ {significant(self.ratio)}x ({what}), {ends}; {self.driven_by}."


def compared(found: Estimate, baseline: Estimate, digits: int | None = 3) -> Compared | None:
    """The comparison on climate, or on energy where climate is unknown; None where it is the baseline itself."""
    if found.activity.model.id == baseline.activity.model.id:
        return None
    for indicator in ("carbon_gco2e", "energy_wh"):
        mine: Quantity | None = getattr(found.footprint, indicator)
        theirs: Quantity | None = getattr(baseline.footprint, indicator)
        if mine is None or theirs is None or mine.median <= 0 or theirs.median <= 0:
            continue
        sigma_ln, lower = _differences(found, baseline, indicator) or (None, None)
        shown = figure(theirs, digits)
        ratio = figure(_ratio(mine.median / theirs.median, sigma_ln), digits)
        if shown is None or ratio is None:  # neither is None here; figure() keeps None for None
            continue
        return Compared(
            model=baseline.activity.model.id,
            indicator=indicator,
            baseline=shown,
            ratio=ratio,
            probability_lower=None if lower is None else round(lower, 3),
            meaningful=None if lower is None else not SIGNIFICANCE <= lower <= 1 - SIGNIFICANCE,
        )
    return None


def spread(labelled: Sequence[tuple[str, Estimate]]) -> tuple[Spread, ...]:
    """The spread of the medians of energy, and of climate where it differs; nothing for fewer than two."""
    shown: list[Spread] = []
    for indicator in ("energy_wh", "carbon_gco2e"):
        known = [
            (quantity.median, label, found)
            for label, found in labelled
            if (quantity := getattr(found.footprint, indicator)) is not None and quantity.median > 0
        ]
        if len(known) < 2:
            continue
        lowest, highest = min(known, key=lambda row: row[:2]), max(known, key=lambda row: row[:2])
        ratio = rounded(highest[0] / lowest[0])
        if shown and shown[0].ratio == ratio:
            continue
        driver = _driver(lowest[2], highest[2], indicator) if ratio > 1 else "they agree"
        shown.append(Spread(indicator=indicator, ratio=ratio, lowest=lowest[1], highest=highest[1], driven_by=driver))
    return tuple(shown)


def _ratio(median: float, sigma_ln: float | None) -> Quantity:
    return Quantity(median) if sigma_ln is None else LogNormal(median, sigma_ln).quantity()


def _differences(one: Estimate, other: Estimate, indicator: str) -> tuple[float, float] | None:
    """The spread of the difference of the two logarithms, and the probability that the first is the lower one.

    None without a distribution on both sides.
    """
    from wattproof.methodology.significance import chance_less, difference_sigma_ln
    from wattproof.resources.footprints import scoped_terms

    if one.footprint.interval != "credible90" or other.footprint.interval != "credible90":
        return None
    which = ("energy_wh", "carbon_gco2e").index(indicator)
    mine, theirs = scoped_terms(one)[which], scoped_terms(other)[which]
    return difference_sigma_ln(mine, theirs), chance_less(mine, theirs)


def _driver(low: Estimate, high: Estimate, indicator: str) -> str:
    """The largest part of the logarithm of the ratio between the two ends, and its share of it."""
    parts = _energy_parts(low, high)
    if indicator == "carbon_gco2e":
        grid = high.reading.value_gco2e_per_kwh / low.reading.value_gco2e_per_kwh
        parts["grid intensity"] = math.log(grid) if grid > 0 else 0.0
    total = math.fsum(abs(part) for part in parts.values())
    name = max(parts, key=lambda part: abs(parts[part]))
    if total == 0.0:
        return "the methods' other terms drive it"
    return f"{name} drives it ({100 * abs(parts[name]) / total:.0f} % in logarithms)"


def _energy_parts(low: Estimate, high: Estimate) -> dict[str, float]:
    """The ratio of energies as a product: what remains without input tokens, and what input tokens add."""
    whole = _ln_ratio(low, high)
    output_only = _ln_ratio(_without_input(low), _without_input(high))
    same_method = low.method.id == high.method.id
    if same_method and low.activity.model.id == high.activity.model.id:
        return {"PUE and hardware of the deployment": whole}
    if same_method:
        return {"model size": whole}
    return {"energy per output token": output_only, "how input tokens count": whole - output_only}


def _ln_ratio(low: Estimate, high: Estimate) -> float:
    below, above = low.footprint.energy_wh, high.footprint.energy_wh
    if below is None or above is None or below.median <= 0 or above.median <= 0:
        return 0.0
    return math.log(above.median / below.median)


def _without_input(found: Estimate) -> Estimate:
    usage = found.activity.usage
    activity = replace(found.activity, usage=Usage(0, usage.output_tokens, 0, usage.reasoning_tokens))
    return replace(found, footprint=found.method.footprint(activity, found.footprint.boundary))


def _span(ratio: Figure) -> str:
    return f"{significant(ratio.low or 0.0)}–{significant(ratio.high or 0.0)}"
