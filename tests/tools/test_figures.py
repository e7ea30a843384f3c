"""How numbers are shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.quantity import Quantity
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, rounded, significant

positive = st.floats(1e-12, 1e12, allow_nan=False)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.2, "0.20"), (3.07, "3.1"), (85.4, "85"), (1234.0, "1,200"), (0.0, "0"), (0.0996, "0.10"), (9.96, "10")],
)
def test_two_significant_figures_are_written_as_people_do(number: float, text: str) -> None:
    assert significant(number) == text


@pytest.mark.parametrize(
    ("energy_wh", "text"),
    [
        (Figure(median=0.072, low=0.026, high=0.2), "0.072 Wh (0.026–0.20)"),
        (Figure(median=2300.0, low=1000.0, high=5000.0), "2.3 kWh (1.0–5.0)"),
        (Figure(median=0.0021, low=0.001, high=0.0042), "2.1 mWh (1.0–4.2)"),
        (Figure(median=2e-6, low=1e-6, high=3e-6), "2.0 µWh (1.0–3.0)"),
        (Figure(median=0.5, low=None, high=None), "0.50 Wh"),
        (Figure(median=0.0, low=0.0, high=0.0), "0 Wh"),
    ],
)
def test_energy_is_written_in_one_readable_unit(energy_wh: Figure, text: str) -> None:
    assert energy_text(energy_wh) == text


def test_mass_names_its_substance_after_the_unit() -> None:
    assert mass_text(Figure(median=0.0022, low=0.00074, high=0.0068)) == "2.2 mg CO2e (0.74–6.8)"
    assert mass_text(Figure(median=0.0022, low=None, high=None), "") == "2.2 mg"


@given(positive)
def test_text_is_within_half_a_unit_of_its_second_figure(number: float) -> None:
    shown = float(significant(number).replace(",", ""))
    assert math.isclose(shown, number, rel_tol=0.0501)


@given(positive, st.integers(1, 9))
def test_rounding_keeps_the_asked_figures_and_is_stable(number: float, digits: int) -> None:
    once = rounded(number, digits)
    assert rounded(once, digits) == once
    assert math.isclose(once, number, rel_tol=0.51 * 10.0 ** (1 - digits))


@given(positive)
def test_full_detail_leaves_a_number_alone(number: float) -> None:
    assert rounded(number, None) == number


def test_an_unknown_quantity_stays_unknown() -> None:
    assert figure(None) is None
    assert figure(Quantity(1.23456)) == Figure(median=1.23, low=None, high=None)
