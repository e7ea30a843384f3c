"""Amounts in a text are read as they are written: value, unit, interval."""

from __future__ import annotations

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.claims import amounts_in, figures_of

READ = (
    ("0.075 Wh (0.029–0.20)", "energy_wh", 0.075, 0.029, 0.20),
    ("2.3 mg CO2e (0.82–6.6) in FR", "carbon_gco2e", 0.0023, 0.00082, 0.0066),
    ("31 gCO2e/kWh", "intensity_gco2e_per_kwh", 31.0, None, None),
    ("between 0.4 and 2.1 g", "carbon_gco2e", None, 0.4, 2.1),
    ("0.4-2.1 g CO2e", "carbon_gco2e", None, 0.4, 2.1),
    ("1,234 kWh", "energy_wh", 1_234_000.0, None, None),
    ("3.2 MWh", "energy_wh", 3_200_000.0, None, None),
    ("3.2 mWh", "energy_wh", 0.0032, None, None),
    ("14 Mg CO2", "carbon_gco2e", 14e6, None, None),
    ("14 mg CO2", "carbon_gco2e", 0.014, None, None),
    ("4.3 g ± 0.2", "carbon_gco2e", 4.3, 4.1, 4.5),
    ("5 kgCO2e per year", "carbon_gco2e", 5000.0, None, None),
    ("1.2 Wh [90 % interval 0.3–4]", "energy_wh", 1.2, 0.3, 4.0),
    ("3.6 kJ", "energy_wh", 1.0, None, None),
    ("12 tonnes of CO2e", "carbon_gco2e", 12e6, None, None),
    ("1e-3 kWh", "energy_wh", 1.0, None, None),
)


@pytest.mark.parametrize(("text", "quantity", "value", "low", "high"), READ)
def test_an_amount_is_read_with_its_unit_and_interval(
    text: str, quantity: str, value: float | None, low: float | None, high: float | None
) -> None:
    amount = next(iter(amounts_in(text)))

    assert amount.quantity == quantity
    for found, wanted in ((amount.value, value), (amount.low, low), (amount.high, high)):
        assert (found is None) == (wanted is None)
        assert found is None or wanted is None or isclose(found, wanted, rel_tol=1e-9)


@pytest.mark.parametrize("text", ["claude-haiku-5-5", "GPT-4 t", "version 1.2.3", "5 gnomes", "Wh", "3 people"])
def test_what_is_no_amount_is_not_read_as_one(text: str) -> None:
    assert list(amounts_in(text)) == []


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    list(amounts_in(text))


@given(st.floats(1e-3, 1e6), st.sampled_from(["Wh", "kWh", "mWh"]))
def test_a_printed_figure_reads_back(value: float, unit: str) -> None:
    (amount,) = amounts_in(f"{value:.3f} {unit}")

    assert amount.value is not None
    assert isclose(amount.value, float(f"{value:.3f}") * {"Wh": 1, "kWh": 1e3, "mWh": 1e-3}[unit], rel_tol=1e-9)


def test_a_bare_figure_lacks_everything_that_a_reader_needs() -> None:
    found = figures_of("We emitted 4.3 g CO2e.")

    assert set(found.missing) == {"estimate", "interval", "method", "boundary", "period", "place", "accounting"}


def test_a_figure_with_everything_beside_it_lacks_nothing() -> None:
    text = (
        "Estimated 2.3 mg CO2e (0.82–6.6) for one request of 1,000 tokens, location-based in FR at 31 g/kWh, by "
        "method wattproof/param@1.0.0, training not covered."
    )
    assert figures_of(text).missing == {}


def test_energy_alone_needs_no_place() -> None:
    assert "place" not in figures_of("It took 3 Wh.").missing


def test_a_text_without_figures_lacks_nothing() -> None:
    assert figures_of("We pick zones by their intensity.").missing == {}


def test_more_than_three_significant_figures_are_too_many() -> None:
    assert [amount.text for amount in figures_of("0.12345 Wh, 0.123 Wh, 12,000 kWh").too_precise] == ["0.12345 Wh"]
