"""Split conformal calibration over model families: how wide an interval must be to hold what was published.

A score is |ln y - ln yhat| / s for one published figure y, an estimate yhat and its stated spread s; the calibrated
interval is yhat exp(-+ q s). Figures of one family err together, so families are exchangeable and rows are not: with G
families each of weight 1 / (G + 1), shared out evenly over its rows, q is the level's quantile of the scores, the
remaining weight lying at infinity. With one row per family that is the usual ceil((G + 1) level)-th smallest score.

Source: Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with hierarchical data" (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from wattproof.methodology.errors import InvalidInput

__all__ = ["Conformal", "Grouping", "Status", "calibrate", "grouping", "score"]

Grouping = Literal["global", "cell"]
Status = Literal["pass", "review", "fail"]

_LEAST_GROUPS = 30
_LEAST_TRUTHS = 10
_PASSES = (0.85, 0.97)


@dataclass(frozen=True, slots=True)
class Conformal:
    """A calibration: the multiple of the stated spread that an interval needs, and what it rests on.

    `quantile` is None where there are too few families for the level. `coverage` is the share of each family's figures
    within the interval that the others give, averaged over families; None where the others are too few. `status` is
    `pass` for a coverage of 0.85 to 0.97, `fail` below, and `review` above or without one.
    """

    level: float
    quantile: float | None
    n_groups: int
    n_rows: int
    mode: Grouping
    coverage: float | None
    status: Status


def score(published: float, estimated: float, sigma_ln: float) -> float:
    """How far a published figure lies from the estimate, in stated spreads.

    Raises:
        InvalidInput: one of the three is not a finite number above 0.
    """
    for name, number in (("published", published), ("estimated", estimated), ("sigma_ln", sigma_ln)):
        if not 0.0 < number < math.inf:
            raise InvalidInput(name, f"is {number!r}", "give a finite number above 0")
    return abs(math.log(published / estimated)) / sigma_ln


def calibrate(scores: Mapping[str, Sequence[float]], level: float = 0.9) -> Conformal:
    """Calibrate on the scores of each family, over all families together.

    Raises:
        InvalidInput: the level is not between 0 and 1, or a score is negative or not finite.
    """
    if not 0.0 < level < 1.0:
        raise InvalidInput("level", f"is {level!r}", "give a number between 0 and 1")
    families = {family: sorted(rows) for family, rows in scores.items() if rows}
    for family, rows in families.items():
        if not (rows[0] >= 0.0 and all(math.isfinite(row) for row in rows)):
            raise InvalidInput(f"scores of {family}", "hold a negative or infinite one", "give |ln ratio| / sigma_ln")
    coverage = _left_out_coverage(families, level)
    return Conformal(
        level=level,
        quantile=_quantile(list(families.values()), level),
        n_groups=len(families),
        n_rows=sum(map(len, families.values())),
        mode="global",
        coverage=coverage,
        status=_status(coverage),
    )


def grouping(n_groups: int, truths_in_cell: int) -> Grouping:
    """What an interval may be calibrated over: a cell needs 30 families in all and 10 published figures of its own."""
    return "cell" if n_groups >= _LEAST_GROUPS and truths_in_cell >= _LEAST_TRUTHS else "global"


def _left_out_coverage(families: Mapping[str, Sequence[float]], level: float) -> float | None:
    shares: list[float] = []
    for family, rows in families.items():
        quantile = _quantile([others for name, others in families.items() if name != family], level)
        if quantile is None:
            return None
        shares.append(sum(row <= quantile for row in rows) / len(rows))
    return fmean(shares) if shares else None


def _quantile(families: Sequence[Sequence[float]], level: float) -> float | None:
    """The smallest score below which the families' weights add up to `level`; None where that lies at infinity."""
    weighted = sorted((row, 1.0 / ((len(families) + 1) * len(rows))) for rows in families for row in rows)
    reached = 0.0
    for row, weight in weighted:
        reached += weight
        if reached >= level - 1e-12:
            return row
    return None


def _status(coverage: float | None) -> Status:
    if coverage is None or coverage > _PASSES[1]:
        return "review"
    return "pass" if coverage >= _PASSES[0] else "fail"
