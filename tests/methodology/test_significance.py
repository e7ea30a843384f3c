"""Whether one footprint is below another."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.quantity import Term
from wattproof.methodology.significance import chance_below, chance_less, difference_sigma_ln

MakeActivity = Callable[..., Activity]
PARAM = get_method("wattproof/param")


def test_a_footprint_is_as_likely_below_itself_as_above(activity: MakeActivity) -> None:
    terms = PARAM.footprint(activity()).energy_terms
    assert difference_sigma_ln(terms, terms) == pytest.approx(0, abs=1e-6)
    assert chance_less(terms, terms) == 0.5


def test_what_both_share_cancels() -> None:
    wide = Term("a", 1.0, (("grid", 1.0), ("own", 0.1)))
    other = Term("b", 1.2, (("grid", 1.0), ("other", 0.1)))
    assert difference_sigma_ln([wide], [other]) == pytest.approx(math.hypot(0.1, 0.1))
    assert chance_less([wide], [other]) > 0.89


def test_factors_of_different_names_do_not_cancel() -> None:
    here, there = Term("a", 1.0, (("grid:FR", 0.3),)), Term("b", 1.0, (("grid:SE", 0.4),))
    assert difference_sigma_ln([here], [there]) == pytest.approx(0.5)


@given(median=st.floats(0.01, 100), other=st.floats(0.01, 100), sigma=st.floats(0.01, 3))
def test_one_of_two_is_below_the_other(median: float, other: float, sigma: float) -> None:
    assert chance_below(median, other, sigma) + chance_below(other, median, sigma) == pytest.approx(1)
    assert (chance_below(median, other, sigma) >= 0.5) == (median <= other)


def test_without_uncertainty_the_order_is_certain() -> None:
    assert chance_below(1.0, 2.0, 0.0) == 1.0
    assert chance_below(2.0, 1.0, 0.0) == 0.0
    assert chance_below(1.0, 1.0, 0.0) == 0.5
    assert chance_below(0.0, 1.0, 0.5) == 1.0
    assert chance_below(1.0, 0.0, 0.5) == 0.0


def test_the_chance_agrees_with_a_simulation() -> None:
    one = (Term("x", 2.0, (("a", 0.5), ("b", 0.3))), Term("y", 1.0, (("a", 0.2),)))
    other = (Term("x", 2.5, (("a", 0.6), ("c", 0.4))), Term("y", 1.0, (("b", 0.2),)))
    noise = random.Random(11)

    def total(terms: tuple[Term, ...], z: dict[str, float]) -> float:
        return sum(t.median * math.exp(sum(sigma * z[name] for name, sigma in t.loadings)) for t in terms)

    draws = ({name: noise.gauss(0, 1) for name in "abc"} for _ in range(40_000))
    below = fmean(total(one, z) < total(other, z) for z in draws)
    assert chance_less(one, other) == pytest.approx(below, abs=0.03)


def test_a_smaller_model_on_the_same_machine_is_surely_below(activity: MakeActivity) -> None:
    small = PARAM.footprint(activity(model="gpt-oss-20b")).energy_terms
    large = PARAM.footprint(activity(model="gpt-oss-120b")).energy_terms
    assert chance_less(small, large) > 0.999
    assert chance_less(large, small) < 0.001
