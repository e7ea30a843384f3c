"""Sums of log-normal terms that share factors: median and 90 % interval by the Fenton-Wilkinson match.

A term is `c * exp(sum_j L_j z_j)` with standard normal factors z_j shared by name. The sum is matched by one log-normal
with the same mean and variance:

    m_k = c_k exp(1/2 sum_j L_kj^2)                              mean of a term
    M   = sum_k m_k                                              mean of the sum
    V   = sum_kl m_k m_l (exp(sum_j L_kj L_lj) - 1)              its variance
    s^2 = ln(1 + V / M^2)
    median = M exp(-s^2 / 2),   90 % interval = median exp(-+ 1.6448536 s)

Exact for one term and for terms with equal loadings; otherwise slightly wide. Source: L. F. Fenton, "The sum of log-normal
probability distributions in scatter transmission systems", IRE Trans. 1960.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from wattproof.methodology.quantity import Quantity, Term

__all__ = ["Z90", "Loadings", "LogNormal", "Row", "combine", "match", "mean", "scoped", "total"]

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
    return term.median * _means_per_median((term.loadings,))[0]


def match(terms: Sequence[Term]) -> LogNormal:
    """The log-normal with the mean and variance of the sum of `terms`; median 0 and no width when all are 0."""
    loadings = tuple([term.loadings for term in terms])
    means = [term.median * ratio for term, ratio in zip(terms, _means_per_median(loadings), strict=True)]
    return _matched(means, _relative_covariances(loadings), 0.0)


def combine(terms: Sequence[Term]) -> Quantity:
    """Median and 90 % interval of the sum of `terms`, shared factors kept."""
    return match(terms).quantity()


def total(rows: Iterable[Row | tuple[Sequence[float], Sequence[Loadings], float]]) -> Quantity:
    """Median and 90 % interval of a total over many requests, from sums of means.

    Shared factors do not average out: a thousand identical requests have the relative width of one.
    """
    mean_by_loadings: dict[Loadings, float] = {}
    own_variance = 0.0
    for means, loadings, row_variance in rows:
        own_variance += row_variance
        for term_mean, term_loadings in zip(means, loadings, strict=True):
            mean_by_loadings[term_loadings] = mean_by_loadings.get(term_loadings, 0.0) + term_mean
    covariances = _covariances(tuple(mean_by_loadings))
    return _matched(tuple(mean_by_loadings.values()), covariances, own_variance).quantity()


def scoped(terms: Sequence[Term], scopes: Mapping[str, str], values: Mapping[str, str]) -> tuple[Term, ...]:
    """The terms with factors named by what they are shared over: `grid` of zone FR becomes `grid:FR`.

    `scopes` maps a factor to its scope and `values` a scope to its value here. A factor of scope `global` keeps its name.
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
def _means_per_median(loadings: tuple[Loadings, ...]) -> tuple[float, ...]:
    return tuple(math.exp(0.5 * sum(sigma * sigma for _, sigma in term)) for term in loadings)


def _covariances(loadings: tuple[Loadings, ...]) -> tuple[float, ...]:
    """exp(sum_j L_kj L_lj) - 1 for every pair of terms, row by row."""
    by_factor = [dict(term) for term in loadings]
    return tuple(
        math.expm1(math.fsum(sigma * other.get(factor, 0.0) for factor, sigma in term.items()))
        for term, other in product(by_factor, by_factor)
    )


@lru_cache(maxsize=4096)
def _relative_covariances(loadings: tuple[Loadings, ...]) -> tuple[float, ...]:
    return _covariances(loadings)


def _matched(means: Sequence[float], relative_covariances: Sequence[float], own_variance: float) -> LogNormal:
    total_mean = sum(means)
    if total_mean == 0.0:
        return LogNormal(0.0, 0.0)
    pairs = zip(product(means, means), relative_covariances, strict=True)
    variance = own_variance + sum([a * b * covariance for (a, b), covariance in pairs])
    s2 = math.log1p(variance / (total_mean * total_mean))
    return LogNormal(total_mean * math.exp(-0.5 * s2), math.sqrt(s2))
