"""What a request would cost: the tool, without any server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wattproof.methodology.errors import (
    InvalidInput,
    NotDefined,
    UnknownMethod,
    UnknownModel,
    UnknownProvider,
    UnknownZone,
)
from wattproof.tools.estimate_request import (
    EstimateArgs,
    EstimateResult,
    brief,
    estimate_one,
)

if TYPE_CHECKING:
    from tests.fakes.installation import Installation


async def estimate(installation: Installation, **given: Any) -> EstimateResult:
    arguments: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, **given}
    async with installation.open() as deps:
        return await estimate_one(EstimateArgs(**arguments), deps)


async def test_a_known_zone_gives_one_intensity_and_its_renewable_share(installation: Installation) -> None:
    result = await estimate(installation, zone="FR")
    assert result.provenance.model_dump() == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": 2700,
    }
    assert result.energy_wh is not None
    assert result.energy_wh.median == pytest.approx(0.072, rel=0.1)
    assert result.location_evidence == "caller"
    assert result.tier == "parametric"
    assert set(result.assumed) == {"batch", "pue"}


async def test_an_estimate_opens_no_ledger_and_writes_nothing(installation: Installation) -> None:
    await estimate(installation, zone="FR")
    assert not installation.home.exists()


async def test_a_closed_model_without_a_zone_is_placed_at_its_unknown_vendor(installation: Installation) -> None:
    installation.deployments = ()
    result = await estimate(installation, model="claude-sonnet-4-5")
    assert result.provenance.region_scope == "unknown:anthropic"
    assert result.provenance.energy_source == "unknown-mix"
    assert result.provenance.renewable_ratio_bps is None
    assert result.reasons["renewable_ratio_bps"] == "location unknown"
    assert result.tier == "proxy"
    assert result.carbon_gco2e_if is not None
    assert list(result.carbon_gco2e_if) == ["US", "FR"]
    assert "zone unknown; " in brief(result)
    assert re.search(r"zone= narrows \d+–\d+ g/kWh to one", brief(result))


async def test_a_provider_gives_its_own_zone_and_how_it_is_known(installation: Installation) -> None:
    result = await estimate(installation, provider="ovhcloud")
    assert result.provider_id == "ovhcloud"
    assert result.provenance.region_scope == "FR"
    assert result.location_evidence != "caller"


async def test_the_callers_zone_wins_over_the_deployments(installation: Installation) -> None:
    result = await estimate(installation, provider="ovhcloud", zone="DE")
    assert result.provenance.region_scope == "DE"
    assert result.location_evidence == "caller"


async def test_an_absent_output_length_is_a_sourced_prior_that_widens_the_interval(installation: Installation) -> None:
    assumed = await estimate(installation, zone="FR", output_tokens=None)
    stated = await estimate(installation, zone="FR", output_tokens=419)
    assert assumed.usage["output_tokens"] == 419
    assert "output_tokens" in assumed.assumed
    assert assumed.output_tokens_prior == {"low": 18, "high": 2228}
    assert "the length of the answer dominates" in brief(assumed)
    assert (assumed.energy_wh and stated.energy_wh) is not None
    for name in ("energy_wh", "carbon_gco2e"):
        wide, narrow = getattr(assumed, name), getattr(stated, name)
        assert wide.median == narrow.median
        assert wide.low < 0.5 * narrow.low
        assert wide.high > 1.5 * narrow.high


async def test_a_model_that_reasons_at_length_has_its_own_prior(installation: Installation) -> None:
    result = await estimate(installation, model="o3-mini", zone="FR", output_tokens=None, detail="full")
    assert result.usage["output_tokens"] > 5000
    assert result.output_tokens_prior is not None
    assert "gpqa" in result.output_tokens_prior["source"]


async def test_text_is_counted_and_the_count_is_listed_as_assumed(installation: Installation) -> None:
    result = await estimate(installation, zone="FR", input_tokens=None, text="abcd" * 10)
    assert result.usage["input_tokens"] == 10
    assert "input_tokens" in result.assumed


async def test_an_embedding_has_no_output_and_none_is_assumed(installation: Installation) -> None:
    result = await estimate(
        installation, model="qwen3-embedding-8b", workload="embedding", output_tokens=None, zone="FR"
    )
    assert result.usage["output_tokens"] == 0
    assert "output_tokens" not in result.assumed


async def test_a_cached_prompt_costs_less(installation: Installation) -> None:
    fresh = await estimate(installation, zone="FR", output_tokens=0)
    cached = await estimate(installation, zone="FR", output_tokens=0, cached_input_tokens=1000)
    assert fresh.energy_wh is not None
    assert cached.energy_wh is not None
    assert cached.energy_wh.median < 0.2 * fresh.energy_wh.median


async def test_half_the_output_is_offered_as_a_lever_with_its_ratio(installation: Installation) -> None:
    result = await estimate(installation, zone="FR")
    lever = next(lever for lever in result.levers if "output_tokens" in lever.set)
    half = await estimate(installation, zone="FR", output_tokens=200)
    assert result.energy_wh is not None
    assert half.energy_wh is not None
    assert lever.energy_ratio == pytest.approx(half.energy_wh.median / result.energy_wh.median, rel=0.01)


async def test_a_smaller_sibling_is_offered_as_a_lever(installation: Installation) -> None:
    result = await estimate(installation, model="claude-sonnet-4-5", zone="US")
    lever = next(lever for lever in result.levers if "model" in lever.set)
    assert lever.energy_ratio < 1
    assert f"{lever.set['model']} would need" in brief(result)


async def test_full_detail_lists_every_operand_and_rounds_nothing(installation: Installation) -> None:
    short = await estimate(installation, zone="FR")
    full = await estimate(installation, zone="FR", detail="full")
    assert short.full is None
    assert full.full is not None
    names = [operand["name"] for operand in full.full["operands"]]
    assert names == sorted(names)
    assert "batch" in names
    assert full.grid["licence"]
    assert full.energy_wh is not None
    assert short.energy_wh is not None
    assert short.energy_wh.median == float(f"{full.energy_wh.median:.2e}")


async def test_the_structured_content_leaves_out_what_does_not_apply(installation: Installation) -> None:
    structured = (await estimate(installation, zone="FR")).structured()
    assert not {"carbon_gco2e_if", "full", "water_ml", "provider_id"} & structured.keys()
    assert next(iter(structured)) == "model"
    assert list(structured)[-1] == "provenance"


async def test_a_known_zone_fits_the_budgets_of_text_and_json(installation: Installation) -> None:
    import orjson

    result = await estimate(installation, provider="ovhcloud")
    assert len(brief(result)) / 4 <= 150
    assert len(orjson.dumps(result.structured())) / 4 <= 250


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"model": "gpt-oss-121b"}, UnknownModel, "gpt-oss-120b"),
        ({"zone": "FRA"}, UnknownZone, "FR"),
        ({"provider": "ovhclout"}, UnknownProvider, "ovhcloud"),
        ({"methods": ["wattproof/parm"]}, UnknownMethod, "wattproof/param"),
        ({"cached_input_tokens": 1001}, InvalidInput, "cached_input_tokens"),
        ({"reasoning_tokens": 401}, InvalidInput, "reasoning_tokens"),
        ({"text": "both"}, InvalidInput, "either input_tokens or text"),
        ({"input_tokens": None}, InvalidInput, "input_tokens is missing"),
        ({"model": "smollm2-135m-instruct", "methods": "cpu-time", "workload": "rerank"}, NotDefined, "rerank"),
        ({"methods": ["wattproof/cpu-time"]}, NotDefined, "smollm2-135m-instruct only"),
        ({"workload": "image"}, NotDefined, "No method for the workload 'image': energy per image"),
        ({"known": {"market_gco2e_per_kwh": 0}}, InvalidInput, "instrument"),
    ],
)
async def test_bad_input_says_what_would_work(
    installation: Installation, wrong: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await estimate(installation, **wrong)


@pytest.mark.parametrize("wrong", [{"input_tokens": -1}, {"output_tokens": 10**13}, {"regoin": "FR"}, {"zone": 7}])
def test_arguments_of_the_wrong_shape_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EstimateArgs.model_validate({"model": "gpt-oss-120b", **wrong})


def test_every_optional_argument_accepts_an_explicit_null() -> None:
    optional = {name: None for name, field in EstimateArgs.model_fields.items() if not field.is_required()}
    assert EstimateArgs(model="gpt-oss-120b", **optional) == EstimateArgs(model="gpt-oss-120b")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(input_tokens=st.integers(0, 10**12), output_tokens=st.integers(0, 10**12))
async def test_any_token_counts_give_an_ordered_interval(
    installation: Installation, input_tokens: int, output_tokens: int
) -> None:
    result = await estimate(installation, zone="SE-SE3", input_tokens=input_tokens, output_tokens=output_tokens)
    for shown in (result.energy_wh, result.carbon_gco2e):
        assert shown is not None
        assert shown.low is not None
        assert shown.high is not None
        assert 0 <= shown.low <= shown.median <= shown.high
    assert brief(result)


async def test_a_region_of_a_provider_is_never_picked_for_the_caller(installation: Installation) -> None:
    result = await estimate(installation, provider="bedrock")
    assert result.provenance.region_scope == "unknown:bedrock"


async def test_of_a_providers_offers_the_one_without_a_pinned_region_is_meant(installation: Installation) -> None:
    result = await estimate(installation, model="claude-opus-4-6", provider="anthropic")
    assert result.provenance.region_scope == "unknown:anthropic"


async def test_an_exchange_rate_of_the_user_decides_what_a_price_is_in_dollars(installation: Installation) -> None:
    from decimal import Decimal

    from wattproof.resources.providers import ExchangeRate, rates_with
    from wattproof.tools.run_inference import RunArgs, run_inference

    dear = ExchangeRate("EUR", Decimal(1000), "test", "2026-11-01")
    args = RunArgs.model_validate(
        {
            "model": "gpt-oss-120b",
            "messages": [{"role": "user", "content": "hello"}],
            "max_output_tokens": 400,
            "providers": ["scaleway", "ovhcloud"],
            "dry_run": True,
        }
    )
    async with installation.open() as deps:
        usual = await run_inference(args, deps)
        odd = await run_inference(args, replace(deps, rates=lambda: rates_with([dear])))
    assert usual.decision is not None
    assert odd.decision is not None
    assert (usual.decision["allowed"], odd.decision["allowed"]) == (2, 1)
    assert odd.decision["excluded"]["above_cost"] == 1
