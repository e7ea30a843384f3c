"""`melious/measured-token@1.0.0`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.quantity import Quantity

MakeActivity = Callable[..., Activity]

MELIOUS = get_method("melious/measured-token")
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "system_vectors.json").read_text("utf-8")
)["melious_formula"]["vectors"]
PROFILE = {
    "kwh_per_input_token": 2e-8,
    "kwh_per_output_token": 2e-7,
    "pue": 1.18,
    "wue_l_per_kwh": 1.33,
    "wue_base_it": 0.0,
}


def median(quantity: Quantity | None) -> float:
    assert quantity is not None
    return quantity.median


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"pue {vector['pue']}")
@pytest.mark.parametrize(("wue_base_it", "water"), [(0.0, "on_facility_kwh"), (1.0, "on_it_kwh")])
def test_the_formula_gives_what_was_worked_out_by_hand(
    activity: MakeActivity, vector: dict[str, Any], wue_base_it: float, water: str
) -> None:
    fields = ("kwh_per_input_token", "kwh_per_output_token", "pue", "wue_l_per_kwh")
    found = MELIOUS.footprint(
        activity(
            vector["input_tokens"],
            vector["output_tokens"],
            intensity_gco2e_per_kwh=vector["grid_g_per_kwh"],
            profile={**{field: vector[field] for field in fields}, "wue_base_it": wue_base_it},
        )
    )
    assert median(found.energy_wh) == pytest.approx(vector["energy_kwh"] * 1000, rel=1e-12)
    assert median(found.carbon_gco2e) == pytest.approx(vector["carbon_g_co2"], rel=1e-12)
    assert median(found.water_ml) == pytest.approx(vector[f"water_liters_{water}"] * 1000, rel=1e-12)
    assert found.water_onsite_ml == found.water_ml


def test_water_is_per_kwh_at_the_wall_unless_the_profile_says_otherwise(activity: MakeActivity) -> None:
    without = {name: value for name, value in PROFILE.items() if name != "wue_base_it"}
    assert MELIOUS.footprint(activity(profile=without)) == MELIOUS.footprint(activity(profile=PROFILE))


def test_the_narrow_boundary_leaves_out_pue_and_water(activity: MakeActivity) -> None:
    narrow = MELIOUS.footprint(activity(1000, 400, profile=PROFILE), "narrow")
    assert median(narrow.energy_wh) == pytest.approx(0.1)
    assert narrow.water_ml is None
    assert narrow.reasons["water_ml"] == "outside the narrow boundary"


def test_the_default_profile_is_marked_as_an_interpretation_and_listed_as_assumed(activity: MakeActivity) -> None:
    assert read_edition("wattproof/melious_profile.json")["interpretation"] is True
    assert MELIOUS.assumed(activity()) == ("profile",)
    assert MELIOUS.assumed(activity(profile=PROFILE)) == ()
    assert MELIOUS.footprint(activity()) == MELIOUS.footprint(activity(profile=PROFILE))


def test_no_interval_is_invented(activity: MakeActivity) -> None:
    found = MELIOUS.footprint(activity(profile=PROFILE))
    assert found.interval == "none"
    assert found.energy_wh is not None
    assert (found.energy_wh.low, found.energy_wh.high) == (None, None)


def test_zero_tokens_are_zero(activity: MakeActivity) -> None:
    found = MELIOUS.footprint(activity(0, 0))
    assert found.energy_wh == found.carbon_gco2e == found.water_ml == Quantity(0.0)


@pytest.mark.parametrize(
    "wrong",
    [{"pue": 0.9}, {"wue_base_it": 0.5}, {"kwh_per_input_token": -1e-9}, {"wue_l_per_kwh": -1.0}, {"unheard_of": 1.0}],
)
def test_a_wrong_profile_is_refused(activity: MakeActivity, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="profile"):
        MELIOUS.footprint(activity(profile={**PROFILE, **wrong}))


def test_an_incomplete_profile_is_refused_naming_the_fields(activity: MakeActivity) -> None:
    with pytest.raises(InvalidInput, match=r"give .*kwh_per_output_token"):
        MELIOUS.footprint(activity(profile={"pue": 1.1}))
