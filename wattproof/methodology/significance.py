"""Whether one footprint is below another: differences of logarithms, with what both share cancelled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wattproof.methodology.propagate import log_loadings, match
from wattproof.methodology.quantity import Term

__all__ = ["chance_below", "chance_less", "difference_sigma_ln"]


def chance_below(median: float, other_median: float, sigma_ln: float) -> float:
    """Probability that one log-normal lies below another; `sigma_ln` is that of the difference of their logarithms."""
    if median == other_median:
        return 0.5
    if sigma_ln == 0.0 or min(median, other_median) <= 0.0:
        return 1.0 if median < other_median else 0.0
    return 0.5 * math.erfc(math.log(median / other_median) / sigma_ln / math.sqrt(2.0))


def difference_sigma_ln(terms: Sequence[Term], other_terms: Sequence[Term]) -> float:
    """Standard deviation of the difference of the logarithms of two sums of terms.

    Factors of the same name are the same unknown in both and cancel as far as both rest on them. Name them by scope
    first (`propagate.scoped`), or the batch of one provider would cancel against that of another. By the slopes at the
    median: matched log-normals are too wide for a difference in which most of the width cancels.
    """
    one, other = log_loadings(terms), log_loadings(other_terms)
    return math.hypot(*(one.get(factor, 0.0) - other.get(factor, 0.0) for factor in one.keys() | other.keys()))


def chance_less(terms: Sequence[Term], other_terms: Sequence[Term]) -> float:
    """Probability that the sum of `terms` lies below the sum of `other_terms`."""
    sigma_ln = difference_sigma_ln(terms, other_terms)
    return chance_below(match(terms).median, match(other_terms).median, sigma_ln)
