"""`factors/tokens@2026-11`: rows, their validity, and what they follow from."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods import Activity, Intensity, get_method
from wattproof.methodology.methods.factors import TokenFactor, factor_for, model_tier, token_factors
from wattproof.methodology.models import Model, Spread, all_model_ids, find_model
from wattproof.methodology.propagate import Z90, LogNormal, match
from wattproof.methodology.quantity import Quantity, Usage, Workload

MakeActivity = Callable[..., Activity]

FACTORS = get_method("factors/tokens")
ROW = TokenFactor("f", 1, "2026-01-01", "2026-07-01", "small", 0.01, 0.1, 0.001, 0.5, "test", None)
HISTORY = (ROW, replace(ROW, version=2, valid_from="2026-07-01", valid_to=None, wh_per_1k_out=0.2, supersedes="f@1"))


def by_our_fit(model: Model, usage: Usage) -> LogNormal:
    request = Activity(Workload.CHAT, usage, model, Intensity(1.0, 0.0, "test"))
    return match(get_method("wattproof/param").footprint(request).energy_terms)


@pytest.mark.parametrize(
    ("day", "version"), [("2026-01-01", 1), ("2026-06-30", 1), ("2026-07-01", 2), ("2030-01-01", 2), (None, 2)]
)
def test_a_request_counts_with_the_row_of_its_day(day: str | None, version: int) -> None:
    assert factor_for(HISTORY, "small", day).version == version


def test_before_the_first_row_there_is_no_factor() -> None:
    with pytest.raises(NotDefined, match="2025-12-31"):
        factor_for(HISTORY, "small", "2025-12-31")


def test_a_row_does_not_count_on_the_day_it_ends() -> None:
    with pytest.raises(NotDefined, match="2026-07-01"):
        factor_for((ROW,), "small", "2026-07-01")


def test_of_two_rows_that_are_valid_the_later_version_counts() -> None:
    overlapping = (*HISTORY, replace(ROW, version=3, valid_from="2026-06-01", supersedes="f@2"))
    assert factor_for(reversed(overlapping), "small", "2026-06-15").version == 3
    assert factor_for(overlapping, "small", "2026-05-31").version == 1


def test_a_tier_without_a_row_has_no_factor() -> None:
    with pytest.raises(NotDefined, match="'large'"):
        factor_for(HISTORY, "large", None)


def test_every_tier_has_exactly_one_row_in_force_and_names_what_it_supersedes() -> None:
    rows = token_factors()
    ids = {row.source_id for row in rows}
    assert sorted(row.model_tier for row in rows if row.valid_to is None) == ["large", "medium", "small"]
    for row in rows:
        assert row.source
        assert row.valid_to is None or row.valid_from < row.valid_to
        assert row.supersedes in ids if row.version > 1 else row.supersedes is None


@pytest.mark.parametrize(
    ("model", "tier"), [("gpt-oss-120b", "small"), ("qwen3-32b", "medium"), ("gpt-4o", "large"), ("o1", "large")]
)
def test_a_model_maps_to_a_tier_by_its_active_parameters(model: str, tier: str) -> None:
    assert model_tier(find_model(model)) == tier


def test_a_model_at_the_limit_of_a_tier_is_in_the_next() -> None:
    assert model_tier(replace(find_model("qwen3-32b"), active_b=Spread(10.0))) == "medium"


@pytest.mark.parametrize("row", token_factors(), ids=lambda row: row.source_id)
def test_the_rows_follow_from_our_own_fit(row: TokenFactor) -> None:
    models = [model for model in map(find_model, all_model_ids()) if model_tier(model) == row.model_tier]

    def typical_wh(usage: Usage) -> float:
        return math.exp(statistics.median(math.log(by_our_fit(model, usage).median) for model in models))

    assert row.wh_per_1k_in == pytest.approx(typical_wh(Usage(1000, 0)), rel=0.05)
    assert row.wh_per_1k_out == pytest.approx(typical_wh(Usage(0, 1000)), rel=0.05)
    assert row.wh_per_1k_cached == pytest.approx(typical_wh(Usage(1000, 0, 1000)), rel=0.05)
    chats = [by_our_fit(model, Usage(1000, 400)) for model in models]
    between_models = statistics.stdev(math.log(chat.median) for chat in chats)
    within_one = statistics.median(chat.sigma_ln for chat in chats)
    assert row.sigma_ln == pytest.approx(math.hypot(between_models, within_one), rel=0.05)


def test_energy_adds_the_three_kinds_of_tokens_and_has_the_rows_bounds(activity: MakeActivity) -> None:
    row = factor_for(token_factors(), "small", None)
    found = FACTORS.footprint(activity(1000, 400, cached_input_tokens=600, intensity_gco2e_per_kwh=50.0, sigma_ln=0.2))
    energy_wh = row.wh_per_1k_in * 0.4 + row.wh_per_1k_cached * 0.6 + row.wh_per_1k_out * 0.4
    assert found.energy_wh is not None
    assert found.carbon_gco2e is not None
    assert found.energy_wh.median == pytest.approx(energy_wh)
    assert found.energy_wh.high == pytest.approx(energy_wh * math.exp(Z90 * row.sigma_ln))
    assert found.carbon_gco2e.median == pytest.approx(energy_wh * 0.05)
    assert found.carbon_gco2e.low == pytest.approx(energy_wh * 0.05 * math.exp(-Z90 * math.hypot(row.sigma_ln, 0.2)))


def test_the_row_that_was_used_is_the_source_of_the_operands(activity: MakeActivity) -> None:
    operands = {operand.name: operand for operand in FACTORS.operands(activity(model="gpt-4o"))}
    assert operands["wh_per_1k_output"].source_id == "token-factors/large@1"


def test_a_request_before_every_row_is_refused(activity: MakeActivity) -> None:
    with pytest.raises(NotDefined, match="2020-02-03"):
        FACTORS.footprint(replace(activity(), requested_on="2020-02-03"))


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "2026-1-1", "2026-11-22T00:00:00Z"])
def test_a_day_that_is_no_date_is_refused(activity: MakeActivity, day: str) -> None:
    with pytest.raises(InvalidInput, match="requested_on"):
        replace(activity(), requested_on=day)


def test_an_embedding_costs_its_input_only(activity: MakeActivity) -> None:
    row = factor_for(token_factors(), "small", None)
    found = FACTORS.footprint(activity(1000, 0, workload=Workload.EMBEDDING))
    assert found.energy_wh is not None
    assert found.energy_wh.median == pytest.approx(row.wh_per_1k_in)


def test_zero_tokens_are_zero_without_width(activity: MakeActivity) -> None:
    assert FACTORS.footprint(activity(0, 0)).energy_wh == Quantity(0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", ["wh_per_1k_input", "sigma_ln_factor"])
def test_a_negative_factor_in_a_receipt_is_refused(activity: MakeActivity, name: str) -> None:
    given = {operand.name: operand.number for operand in FACTORS.operands(activity())}
    with pytest.raises(InvalidInput, match="negative"):
        FACTORS.compute({**given, name: -0.1})


def test_what_nobody_knows_of_the_deployment_is_listed_as_assumed(activity: MakeActivity) -> None:
    assert FACTORS.assumed(activity()) == ("model_tier", "batch", "pue", "requested_on")
    assert FACTORS.assumed(replace(activity(), requested_on="2026-11-22")) == ("model_tier", "batch", "pue")
