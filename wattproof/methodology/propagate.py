"""Sums of log-normal terms that share factors: median and 90 % interval by the Fenton-Wilkinson match.

A term is `c * exp(sum_j L_j z_j)` with standard normal factors z_j shared by name. The sum is matched by one log-normal
with the same mean and variance:

    m_k = c_k exp(1/2 sum_j L_kj^2)                              mean of a term
    M   = sum_k m_k                                              mean of the sum
    V   = sum_ki m_k m_i (exp(sum_j L_kj L_ij) - 1)              its variance
    s^2 = ln(1 + V / M^2)
    median = M exp(-s^2 / 2),   90 % interval = median exp(-+ 1.6448536 s)

Exact for one term and for terms with equal loadings; otherwise slightly wide. Source: L. F. Fenton, "The sum of
log-normal probability distributions in scatter transmission systems", IRE Transactions 1960.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import NamedTuple

from wattproof.methodology.quantity import Quantity, Term

__all__ = [
    "Z90",
    "Loadings",
    "LogNormal",
    "Mix",
    "Row",
    "combine",
    "log_loadings",
    "match",
    "mean",
    "mix",
    "scoped",
    "total",
]

Z90 = 1.6448536269514722
"""The 95 % point of the standard normal: -+Z90 holds 90 %."""

Loadings = tuple[tuple[str, float], ...]
"""`(factor, sigma of ln)` sorted by factor."""


class LogNormal(NamedTuple):
    """A matched sum: its median and the standard deviation of its logarithm."""

    median: float
    sigma_ln: float

    def times(self, factor: float, sigma_ln: float) -> LogNormal:
        """The product with an independent log-normal factor."""
        return LogNormal(self.median * factor, math.hypot(self.sigma_ln, sigma_ln))

    def quantity(self) -> Quantity:
        """Median and 90 % interval."""
        spread = math.exp(Z90 * self.sigma_ln)
        return Quantity(self.median, self.median / spread, self.median * spread)

    def products(self, factors: Iterable[LogNormal | None]) -> list[Quantity | None]:
        """The product with each independent factor; None stays None."""
        median, sigma_ln = self
        found: list[Quantity | None] = []
        for factor in factors:
            if factor is None:
                found.append(None)
                continue
            product = median * factor[0]
            spread = math.exp(Z90 * math.hypot(sigma_ln, factor[1]))
            found.append(Quantity(product, product / spread, product * spread))
        return found


class Mix:
    """A sum of terms whose loadings are fixed: what of the match does not depend on the medians, worked out once.

    `means_per_median[k]` turns the median of term k into its mean. `covariances` holds `(k, i, c)` so that the variance
    of the sum is the sum of `mean_k mean_i c`.
    """

    __slots__ = ("covariances", "means_per_median")

    def __init__(self, loadings: Sequence[Loadings]) -> None:
        self.means_per_median = tuple(_mean_per_median(term) for term in loadings)
        self.covariances = tuple(_covariances(loadings))

    def match(self, medians: Sequence[float]) -> LogNormal:
        """The log-normal with the mean and variance of the sum of terms with these medians."""
        means = [median * ratio for median, ratio in zip(medians, self.means_per_median, strict=True)]
        return _matched(means, self.covariances, 0.0)


@lru_cache(maxsize=4096)
def mix(loadings: tuple[Loadings, ...]) -> Mix:
    """The mix of terms with these loadings, made once."""
    return Mix(loadings)


class Row(NamedTuple):
    """Part of a total: entries with the same factor signature, added up.

    `means[k]` is the sum of the means of term k and `loadings[k]` its scoped loadings. `own_variance` is the sum of the
    variances that no other entry shares, in the unit of the means squared.
    """

    means: Sequence[float]
    loadings: Sequence[Loadings]
    own_variance: float = 0.0


def mean(term: Term) -> float:
    """The mean of a term; means add up where medians do not."""
    return term.median * _mean_per_median(term.loadings)


def match(terms: Sequence[Term]) -> LogNormal:
    """The log-normal with the mean and variance of the sum of `terms`; median 0 and no width when all are 0."""
    return mix(tuple([term.loadings for term in terms])).match([term.median for term in terms])


def log_loadings(terms: Sequence[Term]) -> dict[str, float]:
    """How far each factor moves the logarithm of the sum: its slope at the median, exact for one term."""
    whole = math.fsum(term.median for term in terms)
    slopes: dict[str, float] = {}
    for term in terms:
        for factor, sigma in term.loadings:
            slopes[factor] = slopes.get(factor, 0.0) + (term.median * sigma / whole if whole else 0.0)
    return slopes


def combine(terms: Sequence[Term]) -> Quantity:
    """Median and 90 % interval of the sum of `terms`, shared factors kept."""
    return match(terms).quantity()


def total(rows: Iterable[Row | tuple[Sequence[float], Sequence[Loadings], float]]) -> Quantity:
    """Median and 90 % interval of a total over many requests, from sums of means.

    Shared factors do not average out: a thousand identical requests have the relative width of one. Means of
    corrections may be negative. A total below 0 is the mirror image of one above. Where corrections leave less than one
    standard deviation, the total may lie on either side of 0, and is a normal.
    """
    mean_by_loadings: dict[Loadings, float] = {}
    own_variance = 0.0
    for means, loadings, row_variance in rows:
        own_variance += row_variance
        for term_mean, term_loadings in zip(means, loadings, strict=True):
            mean_by_loadings[term_loadings] = mean_by_loadings.get(term_loadings, 0.0) + term_mean
    means, covariances = tuple(mean_by_loadings.values()), tuple(_covariances(tuple(mean_by_loadings)))
    whole = sum(means)
    if any(part < 0 for part in means):
        variance = max(0.0, _variance(means, covariances, own_variance))
        if variance > whole * whole:
            spread = Z90 * math.sqrt(variance)
            return Quantity(whole, whole - spread, whole + spread)
    low, median, high = sorted(_ends(_matched(means, covariances, own_variance)))
    return Quantity(median, low, high)


def _ends(matched: LogNormal) -> tuple[float, float, float]:
    spread = math.exp(Z90 * matched.sigma_ln)
    return matched.median / spread, matched.median, matched.median * spread


def scoped(terms: Sequence[Term], scopes: Mapping[str, str], values: Mapping[str, str]) -> tuple[Term, ...]:
    """The terms with factors named by what they are shared over: `grid` of zone FR becomes `grid:FR`.

    `scopes` maps a factor to its scope and `values` a scope to its value here. A factor of scope `global` keeps its
    name.
    """
    return tuple(
        Term(term.name, term.median, _scoped_loadings(term.loadings, tuple(scopes.items()), tuple(values.items())))
        for term in terms
    )


@lru_cache(maxsize=4096)
def _scoped_loadings(
    loadings: Loadings, scopes: tuple[tuple[str, str], ...], values: tuple[tuple[str, str], ...]
) -> Loadings:
    scope_of, value_of = dict(scopes), dict(values)
    names = ((factor, scope_of.get(factor, "global"), sigma) for factor, sigma in loadings)
    return tuple(
        sorted(
            (factor if scope == "global" else f"{factor}:{value_of[scope]}", sigma) for factor, scope, sigma in names
        )
    )


@lru_cache(maxsize=4096)
def _mean_per_median(loadings: Loadings) -> float:
    return math.exp(0.5 * math.fsum(sigma * sigma for _, sigma in loadings))


def _covariances(loadings: Sequence[Loadings]) -> Iterator[tuple[int, int, float]]:
    """`(k, i, exp(sum_j L_kj L_ij) - 1)` for every pair k <= i of terms that share a factor, doubled where k < i."""
    by_factor = [dict(term) for term in loadings]
    for (k, term), (i, other) in combinations_with_replacement(enumerate(by_factor), 2):
        shared = term.keys() & other.keys()
        if shared:
            covariance = math.expm1(math.fsum(term[factor] * other[factor] for factor in shared))
            yield k, i, covariance if k == i else 2 * covariance


def _matched(
    means: Sequence[float], relative_covariances: Iterable[tuple[int, int, float]], own_variance: float
) -> LogNormal:
    total_mean = sum(means)
    if total_mean == 0.0:
        return LogNormal(0.0, 0.0)
    variance = _variance(means, relative_covariances, own_variance)
    # Where parts are taken away, rounding can leave less than nothing.
    s2 = math.log1p(max(0.0, variance) / (total_mean * total_mean))
    return LogNormal(total_mean * math.exp(-0.5 * s2), math.sqrt(s2))


def _variance(
    means: Sequence[float], relative_covariances: Iterable[tuple[int, int, float]], own_variance: float
) -> float:
    return own_variance + sum([means[k] * means[i] * covariance for k, i, covariance in relative_covariances])
