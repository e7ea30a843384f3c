"""Figures of the match worked out by hand, and what it refuses."""

from __future__ import annotations

import math

import pytest

from wattproof.methodology.propagate import LogNormal, Row, log_loadings, match, mean, mix, scoped, total
from wattproof.methodology.quantity import Quantity, Term


def test_nothing_has_no_spread_either() -> None:
    assert match([Term("decode", 0.0, (("batch", 0.5),))]) == LogNormal(0.0, 0.0)


def test_two_terms_that_share_a_factor_by_hand() -> None:
    matched = match([Term("a", 2.0, (("fit", 0.3), ("grid", 0.4))), Term("b", 3.0, (("grid", 0.5),))])
    mean_a, mean_b = 2.0 * math.exp(0.125), 3.0 * math.exp(0.125)
    variance = (
        mean_a**2 * (math.exp(0.25) - 1) + mean_b**2 * (math.exp(0.25) - 1) + 2 * mean_a * mean_b * (math.exp(0.2) - 1)
    )
    s2 = math.log(1 + variance / (mean_a + mean_b) ** 2)
    assert matched.median == pytest.approx((mean_a + mean_b) * math.exp(-s2 / 2), rel=1e-12)
    assert matched.sigma_ln == pytest.approx(math.sqrt(s2), rel=1e-12)


def test_the_interval_lies_between_the_5_and_the_95_percent_points() -> None:
    quantity = LogNormal(2.0, 0.5).quantity()
    assert quantity.low == pytest.approx(2.0 * math.exp(-1.6448536269514722 * 0.5), rel=1e-12)
    assert quantity.high == pytest.approx(2.0 * math.exp(1.6448536269514722 * 0.5), rel=1e-12)


def test_products_are_those_of_times_and_none_stays_none() -> None:
    base = LogNormal(3.0, 0.4)
    found = base.products([LogNormal(0.5, 0.3), None, LogNormal(7.0, 0.0)])
    assert found[1] is None
    for product, expected in ((found[0], base.times(0.5, 0.3)), (found[2], base.times(7.0, 0.0))):
        assert isinstance(product, Quantity)
        assert expected.median in (1.5, 21.0)
        assert product == expected.quantity()


def test_the_mean_lies_above_the_median() -> None:
    assert mean(Term("decode", 2.0, (("fit", 0.3), ("grid", 0.4)))) == pytest.approx(2.0 * math.exp(0.125), rel=1e-12)


def test_more_medians_than_terms_are_refused() -> None:
    two = mix(((("fit", 0.3),), (("grid", 0.4),)))
    with pytest.raises(ValueError, match="zip"):
        two.match([1.0])
    with pytest.raises(ValueError, match="zip"):
        two.match([1.0, 2.0, 3.0])


def test_a_row_with_more_means_than_loadings_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        total([Row([1.0, 2.0], [(("fit", 0.3),)])])


def test_the_own_variance_of_rows_adds_up() -> None:
    loadings = (("fit", 0.3),)
    found = total([Row([1.0], [loadings], 0.25), Row([2.0], [loadings], 0.5)])
    s2 = math.log1p((9.0 * math.expm1(0.09) + 0.75) / 9.0)
    assert found.median == pytest.approx(3.0 * math.exp(-s2 / 2), rel=1e-12)
    assert found.high == pytest.approx(found.median * math.exp(1.6448536269514722 * math.sqrt(s2)), rel=1e-12)


def test_scoped_factors_stay_sorted() -> None:
    scopes, values = {"pue": "provider", "pue2": "global"}, {"provider": "ovhcloud"}
    (term,) = scoped([Term("decode", 1.5, (("pue", 0.1), ("pue2", 0.2)))], scopes, values)
    assert term == Term("decode", 1.5, (("pue2", 0.2), ("pue:ovhcloud", 0.1)))


def test_a_factor_without_a_scope_is_global() -> None:
    (term,) = scoped([Term("decode", 1.0, (("grid", 0.2),))], {}, {})
    assert term.loadings == (("grid", 0.2),)


def test_the_slope_of_a_sum_is_the_mean_of_the_loadings_by_median() -> None:
    terms = [Term("a", 1.0, (("fit", 0.3), ("grid", 0.4))), Term("b", 3.0, (("fit", 0.5),))]
    assert log_loadings(terms) == pytest.approx({"fit": 0.25 * 0.3 + 0.75 * 0.5, "grid": 0.1})
    assert log_loadings([Term("only", 2.0, (("fit", 0.3),))]) == {"fit": 0.3}


def test_nothing_has_no_slope() -> None:
    assert log_loadings([Term("a", 0.0, (("fit", 0.3),)), Term("b", 0.0, (("fit", 0.3),))]) == {"fit": 0.0}
