"""One strict schema for every file of the edition."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from wattproof.methodology.data import FILES, read_edition
from wattproof.methodology.data.schema import problems, require_valid
from wattproof.methodology.data.shapes import SHAPES
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.facilities import all_facilities, facility_of
from wattproof.methodology.hardware import all_accelerators, find_accelerator, server


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_edition_has_its_shape(name: str) -> None:
    require_valid(name, read_edition(name), SHAPES[name])


def test_no_shape_is_left_over() -> None:
    assert SHAPES.keys() == set(FILES)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"surprise": 1}, "surprise: unknown field"),
        ({"factors": None}, "factors: not a mapping"),
        ({"licence": ""}, "licence: empty"),
        ({"source_id": 7}, "source_id: int instead of str"),
        ({"factors": {"pue": {"value": True, "unit": "1", "source": "x"}}}, "bool instead of float"),
        ({"factors": {"pue": {"value": math.nan, "unit": "1", "source": "x"}}}, "not finite"),
        ({"factors": {"pue": {"value": 1.2, "unit": "1"}}}, "source: missing"),
        ({"factors": {"pue": 1.2}}, "not a record"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: dict[str, Any], named: str) -> None:
    document = copy.deepcopy(read_edition("wattproof/factors.json")) | change
    with pytest.raises(InvalidInput, match=named):
        require_valid("wattproof/factors.json", document, SHAPES["wattproof/factors.json"])


@pytest.mark.parametrize("value", [[20, 10], [1, 2, 3], ["a", "b"], "70", None, []])
def test_a_parameter_count_is_a_number_or_its_bounds(value: object) -> None:
    registry = copy.deepcopy(read_edition("wattproof/models.json"))
    registry["models"][0]["total_params_b"] = value
    shape = SHAPES["wattproof/models.json"]
    assert any("total_params_b" in problem for problem in problems(registry, {**shape, "source": str}, "models"))


def test_a_file_without_a_date_is_refused() -> None:
    document = {name: value for name, value in read_edition("wattproof/factors.json").items() if name != "date"}
    with pytest.raises(InvalidInput, match="neither date nor year"):
        require_valid("wattproof/factors.json", document, SHAPES["wattproof/factors.json"])


def test_hardware_is_found_by_id_or_alias_and_never_by_a_part_of_its_name() -> None:
    assert find_accelerator("h100") is find_accelerator("NVIDIA H100")
    assert find_accelerator("H100 cluster") is None
    assert find_accelerator("") is None
    assert {row.id for row in all_accelerators()} >= {"H100", "H200", "B200", "A100", "L40S", "MI300X"}


def test_the_embodied_figures_carry_the_stated_spreads() -> None:
    h100 = find_accelerator("H100")
    assert h100 is not None
    assert (h100.made.sigma_ln_gwp, h100.made.sigma_ln_adpe) == (0.63, 0.3)
    logs = [math.log(kg) for kg in (164, 273, 575.1)]
    assert h100.made.gwp_kgco2e == pytest.approx(math.exp(sum(logs) / 3), rel=0.01)
    assert server().accelerators_per_server == 8


def test_a_facility_names_its_source_and_keeps_withdrawal_and_consumption_apart() -> None:
    rows = {row.operator: row for row in all_facilities()}
    assert rows["amazon-web-services"].water == "withdrawal"
    assert rows["google"].water == "consumption"
    assert all(row.source and row.source_id == "wattproof-facilities-2026-11" for row in all_facilities())
    ovhcloud = facility_of("ovhcloud")
    assert ovhcloud is not None
    assert ovhcloud.wue_onsite_l_per_kwh == 0.185
    assert facility_of("groq") is None
