"""How a method's figures compare with published ones: error and width as ratios, coverage as a count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median

from docs.generate.measurements import Case
from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods import Method
from wattproof.methodology.quantity import Quantity

__all__ = ["OUT_OF_SCOPE", "Comparison", "NotApplicable", "Score", "compare", "score"]

OUT_OF_SCOPE = {"wattproof/cpu-time": "it predicts the CPU time of the embedded model; the cases ran on accelerators"}
"""Methods that would answer, and must not be asked, by the id without its version."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method's energy for one case, beside the published figure [Wh]."""

    case: Case
    energy_wh: Quantity

    @property
    def ratio(self) -> float:
        """Estimated over published: 1 is a hit, 2 is twice too high."""
        return self.energy_wh.median / self.case.published_wh

    @property
    def inside(self) -> bool | None:
        """Whether the published figure lies within the method's interval; None where it gives none for this case."""
        low, high = self.energy_wh.low, self.energy_wh.high
        return None if low is None or high is None or low == high else low <= self.case.published_wh <= high

    @property
    def width(self) -> float | None:
        """Upper over lower end of the interval; None where there is none."""
        low, high = self.energy_wh.low, self.energy_wh.high
        return None if not low or not high or low == high else high / low


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why a method has no figure for a case."""

    case: Case
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """A method over several cases.

    `bias` is the median of estimated over published. `error` is the factor by which half of the cases are missed by
    more: exp of the median of |ln ratio|. `covered` counts the published figures within the `intervals` that the method
    gave, and `width` is the median of upper over lower end.
    """

    n: int
    bias: float
    error: float
    covered: int
    intervals: int
    width: float | None


def compare(method: Method, case: Case) -> Comparison | NotApplicable:
    """One method's energy for one case, within the boundary of the published figure."""
    out_of_scope = OUT_OF_SCOPE.get(method.id.partition("@")[0])
    if out_of_scope is not None:
        return NotApplicable(case, out_of_scope)
    try:
        footprint = method.footprint(case.activity(), case.boundary)
    except (InvalidInput, NotDefined) as error:
        return NotApplicable(case, str(error))
    if footprint.energy_wh is None:
        return NotApplicable(case, footprint.reasons.get("energy_wh", "the method defines no energy"))
    return Comparison(case, footprint.energy_wh)


def score(comparisons: Iterable[Comparison]) -> Score | None:
    """The score over these cases; None without any."""
    kept = list(comparisons)
    if not kept:
        return None
    inside = [each.inside for each in kept if each.inside is not None]
    widths = [each.width for each in kept if each.width is not None]
    logs = [log(each.ratio) for each in kept]
    return Score(
        n=len(kept),
        bias=_median_ratio(logs),
        error=_median_ratio([abs(each) for each in logs]),
        covered=sum(inside),
        intervals=len(inside),
        width=_median_ratio([log(width) for width in widths]) if widths else None,
    )


def _median_ratio(logs: Sequence[float]) -> float:
    return exp(median(logs))
