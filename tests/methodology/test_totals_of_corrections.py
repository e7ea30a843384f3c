"""Totals where corrections take away, and changes of usage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import Loadings, Row, total
from wattproof.methodology.quantity import MAX_TOKENS, Quantity, Usage, UsageChange

_BATCH, _GRID = (("batch", 0.5),), (("grid", 0.3),)
_LOADINGS: list[Loadings] = [_BATCH, _GRID, (*_BATCH, *_GRID)]
_COUNTS = st.integers(0, MAX_TOKENS)


def test_what_is_taken_away_again_leaves_nothing() -> None:
    assert total([Row([2.0], [_BATCH]), Row([-2.0], [_BATCH])]) == Quantity(0.0, 0.0, 0.0)


def test_a_correction_of_the_same_factors_keeps_the_relative_width() -> None:
    whole, less = total([Row([3.0], [_BATCH])]), total([Row([3.0], [_BATCH]), Row([-1.0], [_BATCH])])
    for more, fewer in zip(_ends(whole), _ends(less), strict=True):
        assert fewer == pytest.approx(more * 2 / 3, rel=1e-12)


def test_a_total_below_zero_mirrors_one_above() -> None:
    above, below = total([Row([2.0], [_BATCH])]), total([Row([-2.0], [_BATCH])])
    assert _ends(below) == tuple(-end for end in reversed(_ends(above)))


def test_equal_means_of_different_factors_spread_around_zero() -> None:
    found = total([Row([2.0], [_BATCH]), Row([-2.0], [_GRID])])
    sd = 2.0 * math.sqrt(math.expm1(0.25) + math.expm1(0.09))
    assert found.median == 0
    assert found.high == pytest.approx(1.6448536269514722 * sd, rel=1e-12)
    assert found.low == -(found.high or 0)


@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.sampled_from(_LOADINGS)), max_size=8))
def test_a_total_lies_between_its_bounds_whatever_was_taken_away(parts: list[tuple[int, Loadings]]) -> None:
    found = total([Row([nanos * 1e-9], [loadings]) for nanos, loadings in parts])
    low, median, high = _ends(found)
    assert low <= median <= high
    assert all(math.isfinite(end) for end in (low, median, high))


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_a_change_leads_from_the_earlier_usage_to_the_later(a: int, b: int, c: int, d: int) -> None:
    earlier, later = Usage(a, b), Usage(c, d, min(c, 7), min(d, 3))
    change = UsageChange.between(earlier, later)
    assert earlier.input_tokens + change.input_tokens == later.input_tokens
    assert earlier.output_tokens + change.output_tokens == later.output_tokens
    assert change.cached_input_tokens == later.cached_input_tokens
    assert change.reasoning_tokens == later.reasoning_tokens


@pytest.mark.parametrize("wrong", [-MAX_TOKENS - 1, MAX_TOKENS + 1, 1.5, True])
def test_a_change_beyond_any_request_is_refused(wrong: int) -> None:
    with pytest.raises(InvalidInput, match="output_tokens"):
        UsageChange(0, wrong)


def _ends(quantity: Quantity) -> tuple[float, float, float]:
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.low, quantity.median, quantity.high
