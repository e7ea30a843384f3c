"""Usage and operands are checked once, when they are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity
from wattproof.methodology.quantity import Operand, Quantity, Usage


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ({"input_tokens": -3}, "input_tokens"),
        ({"output_tokens": 10**12 + 1}, "output_tokens"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"output_tokens": True}, "output_tokens"),
        ({"input_tokens": 10, "cached_input_tokens": 11}, "cached_input_tokens"),
        ({"output_tokens": 10, "reasoning_tokens": 11}, "reasoning_tokens"),
    ],
)
def test_an_absurd_count_is_refused_by_name(counts: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Usage(**{"input_tokens": 0, "output_tokens": 0, **counts})
    assert raised.value.field == field


def test_the_total_counts_no_part_twice() -> None:
    assert Usage(1000, 400, cached_input_tokens=200, reasoning_tokens=120).total_tokens == 1400


@given(st.floats(1e-29, 9e14) | st.floats(-9e14, -1e-29))
def test_an_operand_is_the_number_to_nine_digits(number: float) -> None:
    operand = Operand.of("factor", number, "1", "test")
    assert operand.number == pytest.approx(number, rel=1e-8)
    assert operand.exp10 <= 0
    assert Operand.of("factor", operand.number, "1", "test") == operand


def test_an_operand_that_is_a_short_decimal_is_exact() -> None:
    assert Operand.of("pue", 1.2, "1", "test") == Operand("pue", 12, -1, "1", "test")
    assert Operand.of("pue", 1.2, "1", "test").number == 1.2
    assert Operand.of("pue", 0.0, "1", "test").number == 0.0


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e16, 1e-31])
def test_an_operand_that_is_no_sane_number_is_refused(number: float) -> None:
    with pytest.raises(InvalidInput, match="pue"):
        Operand.of("pue", number, "1", "test")


def test_a_quantity_in_another_unit_keeps_what_it_does_not_know() -> None:
    assert Quantity(2.0, 1.0, 4.0).scaled(1000) == Quantity(2000.0, 1000.0, 4000.0)
    assert Quantity(2.0).scaled(1000) == Quantity(2000.0)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"intensity_gco2e_per_kwh": -1.0}, "intensity_gco2e_per_kwh"),
        ({"intensity_gco2e_per_kwh": math.nan}, "intensity_gco2e_per_kwh"),
        ({"cpu_seconds": -1.0}, "cpu_seconds"),
    ],
)
def test_an_absurd_activity_is_refused_by_name(
    activity: Callable[..., Activity], wrong: dict[str, float], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        activity(**wrong)
