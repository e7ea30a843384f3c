"""`batchin/token-estimate@1.0.0`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.quantity import Quantity

MakeActivity = Callable[..., Activity]
BATCHIN = get_method("batchin/token-estimate")
PROFILE = {
    "wh_per_input_token": 1e-5,
    "wh_per_output_token": 1e-4,
    "residual_gco2e_per_kwh": 400.0,
    "renewable_ratio_bps": 9200.0,
}


def test_location_based_grams_ignore_the_renewable_claim_and_market_based_grams_hold_it(activity: MakeActivity) -> None:
    footprint = BATCHIN.footprint(activity(1000, 400, intensity_gco2e_per_kwh=300.0, profile=PROFILE))
    assert footprint.energy_wh is not None
    assert footprint.carbon_gco2e is not None
    assert footprint.carbon_market_gco2e is not None
    assert footprint.energy_wh.median == pytest.approx(0.05)
    assert footprint.carbon_gco2e.median == pytest.approx(0.05 * 0.3)
    assert footprint.carbon_market_gco2e.median == pytest.approx(0.05 * 0.4 * 0.08)


def test_no_interval_is_invented(activity: MakeActivity) -> None:
    footprint = BATCHIN.footprint(activity(profile=PROFILE))
    assert footprint.interval == "none"
    for quantity in (footprint.energy_wh, footprint.carbon_gco2e, footprint.carbon_market_gco2e):
        assert quantity is not None
        assert (quantity.low, quantity.high) == (None, None)


def test_the_default_profile_is_marked_as_an_interpretation_and_listed_as_assumed(activity: MakeActivity) -> None:
    assert read_edition("wattproof/batchin_profile.json")["interpretation"] is True
    assert BATCHIN.assumed(activity()) == ("profile",)
    assert BATCHIN.assumed(activity(profile=PROFILE)) == ()
    footprint = BATCHIN.footprint(activity(1000, 400))
    assert footprint.energy_wh is not None
    assert footprint.energy_wh.median == pytest.approx(0.24)


def test_zero_tokens_are_zero(activity: MakeActivity) -> None:
    assert BATCHIN.footprint(activity(0, 0)).energy_wh == Quantity(0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wh_per_input_token": -1.0},
        {"renewable_ratio_bps": 10_001.0},
        {"unheard_of": 1.0},
    ],
)
def test_a_wrong_profile_is_refused(activity: MakeActivity, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="profile"):
        BATCHIN.footprint(activity(profile={**PROFILE, **wrong}))
