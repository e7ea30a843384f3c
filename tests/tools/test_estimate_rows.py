"""Several models, deployments or methods beside each other, and a baseline of the caller's choice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import all_methods
from wattproof.tools.estimate_request import (
    EstimateArgs,
    EstimateResult,
    EstimateRows,
    brief,
    estimate_one,
    estimate_request,
)

if TYPE_CHECKING:
    from tests.fakes.installation import Installation


async def estimate(installation: Installation, **given: Any) -> EstimateResult | EstimateRows:
    arguments: dict[str, Any] = {"model": "gpt-4o", "input_tokens": 1000, "output_tokens": 400, "zone": "US", **given}
    async with installation.open() as deps:
        return await estimate_request(EstimateArgs(**arguments), deps)


async def rows(installation: Installation, **given: Any) -> EstimateRows:
    result = await estimate(installation, **given)
    assert isinstance(result, EstimateRows)
    return result


async def one(installation: Installation, **given: Any) -> EstimateResult:
    result = await estimate(installation, **given)
    assert isinstance(result, EstimateResult)
    return result


async def test_all_methods_are_listed_with_interval_tier_and_sources_or_with_a_reason(
    installation: Installation,
) -> None:
    result = await rows(installation, methods="all")
    assert [row["methodology"] for row in result.rows] == [method.id for method in all_methods()]
    for row in result.rows:
        if row["energy_wh"] is None:
            assert row["reason"]
        else:
            assert {"interval", "tier", "sources", "accuracy", "region_scope"} <= row.keys()
            assert (row["energy_wh"]["low"] is None) == (row["interval"] == "none")
    assert result.provenance.methodology == "multi"
    assert result.methods == tuple(method.id for method in all_methods())


async def test_the_spread_of_methods_says_which_end_is_which_and_what_drives_it(installation: Installation) -> None:
    result = await rows(installation, methods="all")
    energy = next(part for part in result.spread if part.indicator == "energy_wh")
    medians = {row["label"]: row["energy_wh"]["median"] for row in result.rows if row["energy_wh"]}
    assert energy.highest == max(medians, key=lambda label: medians[label])
    assert energy.lowest == min(medians, key=lambda label: medians[label])
    assert energy.ratio == pytest.approx(max(medians.values()) / min(medians.values()), rel=0.01)
    assert energy.driven_by.startswith("energy per output token drives it")
    assert "Medians differ" in brief(result)


async def test_several_models_are_rows_of_one_method(installation: Installation) -> None:
    result = await rows(installation, model=["gpt-4o", "gpt-oss-120b"])
    assert [row["label"] for row in result.rows] == ["gpt-4o", "gpt-oss-120b"]
    assert result.provenance.methodology == "wattproof/param@1.0.0"
    assert result.provenance.renewable_ratio_bps is not None
    assert result.spread[0].driven_by.startswith("model size")


async def test_several_deployments_differ_by_their_grid(installation: Installation) -> None:
    result = await rows(installation, model="gpt-oss-120b", provider=["ovhcloud", "groq"], zone=None)
    assert [row["region_scope"] for row in result.rows] == ["FR", "unknown:groq"]
    assert result.provenance.region_scope == "multi:FR,unknown:groq"
    assert result.provenance.renewable_ratio_bps is None
    climate = next(part for part in result.spread if part.indicator == "carbon_gco2e")
    assert climate.driven_by.startswith("grid intensity drives it")


async def test_a_baseline_gives_a_ratio_whose_interval_leaves_out_what_both_share(installation: Installation) -> None:
    result = await one(installation, model="claude-haiku-5-5", baseline="claude-sonnet-5-5")
    compared = result.baseline
    assert compared is not None
    assert compared.ratio.low is not None
    assert compared.ratio.high is not None
    assert result.carbon_gco2e is not None
    assert result.carbon_gco2e.low is not None
    assert result.carbon_gco2e.high is not None
    assert compared.ratio.median == pytest.approx(result.carbon_gco2e.median / compared.baseline.median, rel=0.01)
    independent = math.sqrt(2) * math.log(result.carbon_gco2e.high / result.carbon_gco2e.low)
    assert math.log(compared.ratio.high / compared.ratio.low) < 0.8 * independent
    assert compared.meaningful
    assert "of claude-sonnet-5-5 (same tokens, same grid factor): a meaningful difference." in brief(result)


async def test_a_difference_within_the_uncertainty_is_not_called_meaningful(installation: Installation) -> None:
    result = await one(installation, model="claude-sonnet-5-5", baseline="gpt-4o")
    assert result.baseline is not None
    assert result.baseline.meaningful is False
    assert "no meaningful difference" in brief(result)


async def test_a_method_without_a_distribution_gives_a_ratio_and_no_verdict(installation: Installation) -> None:
    result = await one(installation, model="gpt-4o-mini", baseline="gpt-4o", methods="ecologits/llm@0.11.3")
    assert result.baseline is not None
    assert (result.baseline.meaningful, result.baseline.ratio.low) == (None, None)


async def test_the_baseline_itself_is_not_compared_with_itself(installation: Installation) -> None:
    result = await rows(installation, model=["gpt-4o", "gpt-oss-120b"], baseline="gpt-4o")
    assert [("baseline" in row) for row in result.rows] == [False, True]


async def test_a_published_range_is_not_widened_by_our_prior(installation: Installation) -> None:
    stated = await one(installation, methods="ecologits/llm@0.11.3", output_tokens=419)
    assumed = await one(installation, methods="ecologits/llm@0.11.3", output_tokens=None)
    assert stated.energy_wh == assumed.energy_wh
    assert "does not hold the assumed output_tokens" in assumed.reasons["interval"]


async def test_what_the_caller_knows_replaces_what_is_assumed(installation: Installation) -> None:
    known = {"batch": 128, "pue": 1.1, "market_gco2e_per_kwh": 0, "instrument_id": "GO 2026 FR"}
    result = await one(installation, model="gpt-oss-120b", known=known)
    without = await one(installation, model="gpt-oss-120b")
    assert result.assumed == ()
    assert set(without.assumed) == {"batch", "pue"}
    assert result.carbon_market_gco2e is not None
    assert result.carbon_market_gco2e.median == 0
    assert result.provenance.energy_source == "GO 2026 FR"
    assert result.carbon_gco2e is not None
    assert result.carbon_gco2e.median > 0
    assert "Market-based 0 g CO2e by GO 2026 FR, as declared." in brief(result)


async def test_full_detail_shows_every_indicator_and_what_would_narrow_the_interval(
    installation: Installation,
) -> None:
    known = {"wue_onsite_l_per_kwh": 0.2, "wue_offsite_l_per_kwh": 1.0}
    result = await one(installation, detail="full", known=known)
    for name in ("carbon_embodied_gco2e", "water_ml", "water_onsite_ml", "water_offsite_ml", "adpe_kgsbeq"):
        assert getattr(result, name) is not None, name
    assert result.reasons["carbon_market_gco2e"] == "no instrument"
    assert result.full is not None
    assert result.full["drivers"]["energy_wh"][0]["words"] == "batch size"
    shares = [each["share"] for each in result.full["drivers"]["energy_wh"]]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    tightened = result.full["would_tighten"]["energy_wh"]
    assert tightened["input"] == "batch"
    then = await one(installation, known=known | {"batch": 64})
    assert then.energy_wh is not None
    assert tightened["high"] == pytest.approx(then.energy_wh.high, rel=0.03)


async def test_the_narrow_boundary_is_at_most_the_comprehensive_one(installation: Installation) -> None:
    narrow, wide = [await one(installation, boundary=boundary) for boundary in ("narrow", "comprehensive")]
    assert narrow.energy_wh is not None
    assert wide.energy_wh is not None
    assert narrow.energy_wh.median <= wide.energy_wh.median


async def test_the_batch_interface_needs_less_energy(installation: Installation) -> None:
    batch, online = await one(installation, batch_api=True), await one(installation)
    assert batch.energy_wh is not None
    assert online.energy_wh is not None
    assert batch.energy_wh.median < online.energy_wh.median


async def test_rows_keep_their_order_and_the_result_is_plain_data(installation: Installation) -> None:
    import orjson

    result = await rows(installation, model=["gpt-oss-120b", "gpt-4o"], methods="all", detail="full")
    assert orjson.loads(orjson.dumps(result.structured()))["rows"][0]["model"] == "gpt-oss-120b"
    assert len(result.rows) == 2 * len(all_methods())


async def test_too_many_combinations_are_refused_by_their_number(installation: Installation) -> None:
    models = [f"gpt-5.1{suffix}" for suffix in ("", "-codex", "-codex-mini")] + ["gpt-4o", "gpt-4o-mini", "o3-mini"]
    with pytest.raises(InvalidInput, match="combinations"):
        await estimate(installation, model=[*models, "gpt-oss-120b"], methods="all")


async def test_one_estimate_is_asked_for_by_one_name_each(installation: Installation) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match="name one of each"):
            await estimate_one(EstimateArgs(model=["gpt-4o", "o3-mini"], input_tokens=1), deps)


async def test_a_caveat_and_the_calibration_of_a_method_are_told(installation: Installation) -> None:
    result = await one(installation, methods="lowrouter/ecologits@0.4-2026-01")
    assert "About an order of magnitude above the energy per token of metered servers" in brief(result)
    assert result.calibration == "none"
    ours = await one(installation, model="llama-3.3-70b-instruct", detail="full")
    assert ours.calibration == "calibrated"
    assert ours.full is not None
    assert ours.full["calibration"]["family"] == "llama-3.3"
