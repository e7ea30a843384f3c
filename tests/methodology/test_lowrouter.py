"""`lowrouter/ecologits@0.4-2026-01`, and models that are known by their name only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.guess import guess_model
from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.quantity import Quantity, Workload

MakeActivity = Callable[..., Activity]

LOWROUTER = get_method("lowrouter/ecologits")
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "system_vectors.json").read_text("utf-8")
)["lowrouter_formula"]["vectors"]


def number_of(activity: Activity, name: str) -> float:
    return next(operand.number for operand in LOWROUTER.operands(activity) if operand.name == name)


def median(quantity: Quantity | None) -> float:
    assert quantity is not None
    return quantity.median


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["label"])
def test_the_formula_gives_what_was_worked_out_by_hand(activity: MakeActivity, vector: dict[str, Any]) -> None:
    request = activity(vector["tokens"], 0, intensity_gco2e_per_kwh=vector["grid_g_per_kwh"])
    given = {operand.name: operand.number for operand in LOWROUTER.operands(request)}
    found = LOWROUTER.compute({**given, "active_params_b": vector["active_params_b"]})
    assert found.energy_wh is not None
    assert found.carbon_gco2e is not None
    assert found.energy_wh.median == pytest.approx(vector["energy_wh"], rel=1e-12)
    assert found.carbon_gco2e.median == pytest.approx(vector["carbon_g"], rel=1e-12)
    if vector["tokens"]:
        per_1k = found.carbon_gco2e.median / request.usage.total_tokens * 1000
        assert per_1k == pytest.approx(vector["carbon_per_1k_tokens_g"], rel=1e-12)


def test_tokens_are_input_and_output_unless_the_profile_says_output(activity: MakeActivity) -> None:
    total, output = activity(1000, 400), activity(1000, 400, profile={"token_basis_output": 1.0})
    per_token = 8.91e-5 * 5.1 + 1.43e-3
    assert median(LOWROUTER.footprint(total).energy_wh) == pytest.approx(1400 * per_token)
    assert median(LOWROUTER.footprint(output).energy_wh) == pytest.approx(400 * per_token)
    assert LOWROUTER.assumed(total) == ("token_basis",)
    assert LOWROUTER.assumed(output) == ()
    assert LOWROUTER.assumed(activity(model="gpt-4o")) == ("weights", "token_basis")
    sources = [{one.name: one.source_id for one in LOWROUTER.operands(request)} for request in (total, output)]
    assert [source["token_basis_output"] for source in sources] == ["lowrouter-v0.4-2026-01", "caller"]


def test_a_range_of_parameters_counts_at_its_arithmetic_middle(activity: MakeActivity) -> None:
    assert number_of(activity(model="gpt-4o"), "active_params_b") == (55 + 220) / 2


def test_the_reader_is_told_that_the_figure_is_far_above_metered_servers(activity: MakeActivity) -> None:
    assert "order of magnitude above" in LOWROUTER.caveats(activity())[0]
    assert any("factor of two" in caveat for caveat in LOWROUTER.caveats(activity(model="gpt-4o")))
    assert not any("factor of two" in caveat for caveat in LOWROUTER.caveats(activity()))


def test_no_interval_is_invented(activity: MakeActivity) -> None:
    found = LOWROUTER.footprint(activity(model="gpt-4o"))
    assert found.interval == "none"
    assert found.energy_wh is not None
    assert found.energy_wh.low is None


def test_both_boundaries_are_the_single_gpu(activity: MakeActivity) -> None:
    narrow, wide = (LOWROUTER.footprint(activity(), boundary) for boundary in ("narrow", "comprehensive"))
    assert replace(narrow, boundary="comprehensive") == wide


@pytest.mark.parametrize("workload", [Workload.EMBEDDING, Workload.RERANK, Workload.IMAGE])
def test_other_workloads_than_chat_have_no_figure(activity: MakeActivity, workload: Workload) -> None:
    with pytest.raises(NotDefined, match=workload.value):
        LOWROUTER.footprint(activity(workload=workload))


@pytest.mark.parametrize(
    "profile", [{"token_basis_output": 0.5}, {"token_basis_output": -1.0}, {"kwh_per_input_token": 1.0}]
)
def test_a_wrong_profile_is_refused(activity: MakeActivity, profile: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=r"profile|operands"):
        LOWROUTER.footprint(activity(profile=profile))


@pytest.mark.parametrize("name", ["alpha", "active_params_b", "intensity_gco2e_per_kwh"])
def test_a_negative_operand_in_a_receipt_is_refused(activity: MakeActivity, name: str) -> None:
    given = {operand.name: operand.number for operand in LOWROUTER.operands(activity())}
    with pytest.raises(InvalidInput, match="negative"):
        LOWROUTER.compute({**given, name: -1e-9})


@pytest.mark.parametrize(
    ("name", "active_b", "total_b"),
    [
        ("llama-70b", 70, 70),
        ("some-lab/New-Model-1.5B-Instruct", 1.5, 1.5),
        ("qwen9-235b-a22b-instruct", 22, 235),
    ],
)
def test_a_size_in_a_name_is_a_gross_guess(activity: MakeActivity, name: str, active_b: float, total_b: float) -> None:
    guessed = guess_model(name)
    assert (guessed.active_b.median, guessed.total_b.median) == (active_b, total_b)
    assert guessed.band == "gross"
    assert guessed.active_b.ends == pytest.approx((active_b / 2, active_b * 2))
    assert number_of(replace(activity(), model=guessed), "active_params_b") == active_b


@pytest.mark.parametrize("name", ["gpt-9", "mixtral-8x7b", "a-7b-and-a-13b", "llama-0b", "70billion", "v2.70b1"])
def test_a_name_without_one_size_has_no_figure(name: str) -> None:
    with pytest.raises(NotDefined, match="size"):
        guess_model(name)
