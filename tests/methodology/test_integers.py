from __future__ import annotations

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.integers import amounts, outputs
from wattproof.methodology.quantity import Footprint, IntervalKind, Operand, Quantity


def footprint(
    energy_wh: Quantity | None,
    carbon_gco2e: Quantity | None = None,
    water_ml: Quantity | None = None,
    adpe_kgsbeq: Quantity | None = None,
    interval: IntervalKind = "credible90",
) -> Footprint:
    return Footprint(
        "test/method@1.0.0",
        interval,
        "proxy",
        "narrow",
        energy_wh,
        carbon_gco2e,
        water_ml=water_ml,
        adpe_kgsbeq=adpe_kgsbeq,
    )


def test_each_amount_is_in_the_unit_of_its_name() -> None:
    given = footprint(Quantity(0.072, 0.026, 0.2), Quantity(0.0022), Quantity(1.5), Quantity(2e-9))
    assert amounts(given) == {
        "energy_nwh": (72_000_000, 26_000_000, 200_000_000),
        "carbon_location_ng": (2_200_000, None, None),
        "carbon_market_ng": None,
        "water_nl": (1_500_000, None, None),
        "adpe_pgsbeq": (2_000_000, None, None),
    }


def test_an_output_says_what_its_bounds_are() -> None:
    assert outputs(footprint(Quantity(1e-9), interval="none"))["energy_nwh"] == {
        "median": 1,
        "low": None,
        "high": None,
        "interval": "none",
    }


def test_what_is_unknown_is_null_and_never_zero() -> None:
    assert outputs(footprint(None))["energy_nwh"] is None


@pytest.mark.parametrize(("nwh", "rounded"), [(0.5, 0), (1.5, 2), (2.5, 2), (2.4999, 2)])
def test_halves_round_to_even(nwh: float, rounded: int) -> None:
    amount = amounts(footprint(Quantity(nwh * 1e-9)))["energy_nwh"]
    assert amount is not None
    assert amount[0] == rounded


@pytest.mark.parametrize("wh", [9.1e6, float("inf"), float("nan")])
def test_an_amount_beyond_the_exact_integers_is_refused(wh: float) -> None:
    with pytest.raises(InvalidInput, match="energy_nwh"):
        outputs(footprint(Quantity(wh)))


def test_an_operand_with_an_absurd_exponent_is_refused_before_it_is_computed() -> None:
    with pytest.raises(InvalidInput, match="exp10"):
        _ = Operand("batch", 1, 10**9, "requests", "caller").number
