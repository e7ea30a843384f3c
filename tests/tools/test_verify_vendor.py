"""Other vendors' footprint blocks under the five verdicts: every published shape, contradictions and all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.vendor_block import find_block
from wattproof.tools.verify_receipt import VerifyArgs, VerifyResult, brief, verify_receipt
from wattproof.tools.verify_vendor import brief_vendor, vendor_result

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

NOON = 1_793_880_000.0
CHARACTERS_PER_TOKEN = 4

# Shapes and figures as the vendors document them, 2026-11.
MELIOUS: dict[str, Any] = {
    "environment_impact": {
        "energy_kwh": 0.00015,
        "carbon_g_co2": 0.06,
        "water_liters": 0.0002,
        "renewable_percent": 85,
        "pue": 1.18,
        "provider_id": "ovhcloud",
        "location": "FR",
    },
    "billing_cost": {"energy": "0.0008", "credits": "0.0", "paid_with": "energy"},
}
LOWROUTER: dict[str, Any] = {
    "lowrouter": {
        "generation_id": "gen_01J9...",
        "provider": "openai",
        "region": "eu-west",
        "eco": {
            "energy_wh": 0.0021,
            "carbon_g": 0.00057,
            "carbon_per_1k_tokens_g": 0.013,
            "accuracy": "accurate",
            "methodology_version": "v0.4-2026-01",
        },
    }
}
GREENPT: dict[str, Any] = {
    "impact": {
        "version": "20250922",
        "inferenceTime": {"total": 156, "unit": "ms"},
        "energy": {"total": 40433, "unit": "Wms"},
        "emissions": {"total": 1, "unit": "ugCO2e"},
    }
}
NEURALWATT: dict[str, Any] = {
    "energy": {
        "energy_joules": 1234.56,
        "energy_kwh": 0.000342933,
        "avg_power_watts": 0.0,
        "duration_seconds": 0.0,
        "attribution_method": "<string>",
        "attribution_ratio": 0.0,
        "carbon_g_co2eq": None,
    },
    "cost": {"request_cost_usd": 0.0},
}
NEURALWATT_TAIL = """data: {"choices":[],"usage":{...}}

: energy {"energy_joules": 123.4, "energy_kwh": 0.00003428}

data: [DONE]
"""
BATCHIN = {
    "X-Green-Region": "US clean-power compute regions",
    "X-Green-Energy-Source": "renewable",
    "X-Green-Methodology": "token-estimate-v1",
    "X-Green-Renewable-Ratio-Bps": "9200",
    "X-Green-Energy-MWh": "<per request>",
    "X-Green-Carbon-Mg": "<per request>",
}
VETTED: dict[str, Any] = {
    "vetted": {
        "tier": "telemetry",
        "telemetry": {"gpu_wh": 0.198, "host_wh": 0.034, "idle_wh": 0.012, "pue_factor": 1.18, "samples": 31},
    }
}
VETTED_FIRST_CALL: dict[str, Any] = {
    "vetted": {
        "grid_temporal_match": "live",
        "grid_intensity_source": "entsoe_derived_live",
        "grid_intensity_age_minutes": 200_736,
    }
}


def judged(answer: dict[str, Any]) -> VerifyResult:
    block = find_block(answer)
    assert block is not None
    return vendor_result(block, NOON, full=True)


def reasons(result: VerifyResult) -> dict[str, str]:
    return {name: found["reason"] or "pass" for name, found in result.verdicts.items()}


def without(block: dict[str, Any], *names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (block | changes).items() if name not in names}


async def test_the_published_melious_sample_fails_on_its_intensity_and_its_renewable_share(
    installation: Installation,
) -> None:
    async with installation.open() as deps:
        result = await verify_receipt(VerifyArgs(receipt=MELIOUS), deps)
    assert brief(result) == (
        "Melious block, FR: plausibility FAIL: 0.06 g over 0.00015 kWh implies 400 gCO2e/kWh; FR averaged 31 in 2025. "
        "It states 85 % renewable; FR had 27 %. signature, inclusion: unknown (unsigned). "
        "arithmetic: unknown (no token counts). freshness: unknown (no time). As stated: region_scope FR; "
        "energy_source unstated; methodology melious; renewable_ratio_bps 8500."
    )
    structured = result.structured()
    message = structured["verdicts"]["plausibility"].pop("message")
    assert message.startswith("0.06 g over")
    assert structured == {
        "subject": "melious/environment_impact",
        "receipt_id": None,
        "outcome": "failed",
        "verdicts": {
            "signature": {"verdict": "unknown", "reason": "unsigned"},
            "inclusion": {"verdict": "unknown", "reason": "unsigned"},
            "arithmetic": {"verdict": "unknown", "reason": "no_token_counts"},
            "plausibility": {"verdict": "fail", "reason": "implied_intensity"},
            "freshness": {"verdict": "unknown", "reason": "no_time"},
        },
        "checks": (
            {
                "field": "intensity_gco2e_per_kwh",
                "stated": 400.0,
                "expected": 31.0,
                "source": "electricitymaps-2025",
            },
            {"field": "renewable_ratio_bps", "stated": 8500, "expected": 2700, "source": "electricitymaps-2025"},
        ),
        "reasons": {},
        "synthetic": False,
        "provenance": {
            "region_scope": "FR",
            "energy_source": "unstated",
            "methodology": "melious",
            "renewable_ratio_bps": 8500,
            "as_stated": True,
        },
    }
    assert not installation.home.exists()


@pytest.mark.parametrize("answer", [MELIOUS, LOWROUTER, GREENPT, NEURALWATT, BATCHIN, VETTED], ids=str)
async def test_text_and_data_stay_within_their_budgets(installation: Installation, answer: dict[str, Any]) -> None:
    async with installation.open() as deps:
        result = await verify_receipt(VerifyArgs(receipt=answer), deps)
    assert len(brief(result)) / CHARACTERS_PER_TOKEN <= 150
    assert len(json.dumps(result.structured(), separators=(",", ":"))) / CHARACTERS_PER_TOKEN <= 220


def test_the_published_lowrouter_sample_lies_below_its_own_formula() -> None:
    """0.00057 g at 0.013 g per 1,000 tokens are 43.8 tokens; the formula costs 1.43e-3 Wh each at least."""
    result = judged(LOWROUTER)
    assert (result.subject, result.outcome) == ("lowrouter/eco", "failed")
    assert reasons(result)["arithmetic"] == "does_not_follow"
    assert "energy_wh = tokens (8.91e-5 P + 1.43e-3)" in (result.verdicts["arithmetic"]["message"] or "")
    row = next(check for check in result.checks if check["field"] == "wh_per_token")
    assert (row["stated"], row["expected"]) == (4.79e-05, 0.00143)
    # Its intensity, 271 g/kWh, is that of no stated zone and of an ordinary grid.
    assert reasons(result)["plausibility"] == "not_a_zone"
    assert result.provenance.methodology == "lowrouter/v0.4-2026-01"


@pytest.mark.parametrize(
    ("wh_per_token", "beside", "expected"),
    [
        (4.8e-5, {"usage": {"prompt_tokens": 18, "completion_tokens": 26}}, "does_not_follow"),
        (1.0, {}, "no_token_counts"),
        (1.0, {"usage": {"prompt_tokens": 18, "completion_tokens": 26}}, "no_model"),
        (1.0, {"usage": {"prompt_tokens": 18, "completion_tokens": 26}, "model": "nobody/knows-it"}, "unknown_model"),
        (1.0, {"usage": {"prompt_tokens": 18, "completion_tokens": 26}, "model": "gpt-oss-120b"}, "parameters_differ"),
    ],
)
def test_a_lowrouter_block_without_its_ratio_is_computed_as_far_as_its_answer_allows(
    wh_per_token: float, beside: dict[str, Any], expected: str
) -> None:
    eco = without(LOWROUTER["lowrouter"]["eco"], "carbon_per_1k_tokens_g", energy_wh=26 * wh_per_token)
    found = judged({"lowrouter": LOWROUTER["lowrouter"] | {"eco": eco}, **beside})
    assert reasons(found)["arithmetic"] == expected


@pytest.mark.parametrize("tokens", [44, 26])
def test_a_lowrouter_block_that_follows_from_its_formula_on_either_token_basis_passes(tokens: int) -> None:
    """gpt-oss-120b has 5.1e9 active parameters."""
    energy_wh = float(f"{tokens * (8.91e-5 * 5.1 + 1.43e-3):.3g}")
    eco = without(LOWROUTER["lowrouter"]["eco"], "carbon_per_1k_tokens_g", energy_wh=energy_wh, carbon_g=0.03)
    answer = {
        "lowrouter": LOWROUTER["lowrouter"] | {"eco": eco, "region": "DE"},
        "model": "gpt-oss-120b",
        "usage": {"prompt_tokens": 18, "completion_tokens": 26},
    }
    found = judged(answer)
    assert reasons(found)["arithmetic"] == "pass"
    assert reasons(found)["plausibility"] == "pass"
    assert found.outcome == "not_established"


def test_another_methodology_of_lowrouter_is_not_held_against_this_one() -> None:
    eco = LOWROUTER["lowrouter"]["eco"] | {"methodology_version": "v0.9"}
    assert reasons(judged({"lowrouter": {"eco": eco}}))["arithmetic"] == "unknown_formula"


def test_the_published_greenpt_sample_implies_less_carbon_than_any_grid() -> None:
    """40,433 W ms are 0.0112 Wh: 0.089 mg over that much would be 0.089 g/kWh."""
    result = judged(GREENPT)
    assert (result.subject, reasons(result)["plausibility"]) == ("greenpt/impact", "implied_intensity")
    rows = {check["field"]: check for check in result.checks}
    assert rows["intensity_gco2e_per_kwh"]["stated"] == pytest.approx(0.08904)
    assert rows["implied_power_w"]["stated"] == pytest.approx(259.2)


def test_the_published_neuralwatt_shape_agrees_with_itself_and_states_no_power() -> None:
    assert reasons(judged(NEURALWATT))["plausibility"] == "zero"
    assert reasons(judged(NEURALWATT))["arithmetic"] == "no_token_counts"


def test_joules_that_are_not_the_kilowatt_hours_beside_them_contradict_themselves() -> None:
    """A published record printed 1234.56 J as 3.43e-07 kWh."""
    slipped = {"energy": {"energy_joules": 1234.56, "energy_kwh": 3.43e-07}}
    assert reasons(judged(slipped))["plausibility"] == "self_contradiction"


async def test_the_tail_of_a_stream_is_read_where_its_energy_is_a_comment(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await verify_receipt(VerifyArgs(receipt=NEURALWATT_TAIL), deps)
    assert result.subject == "neuralwatt/energy"
    assert reasons(result)["plausibility"] == "nothing_to_compare"


def test_headers_count_wherever_they_stand_and_placeholders_are_no_figures() -> None:
    plain = judged(dict(BATCHIN))
    assert plain.subject == "batchin/headers"
    assert reasons(plain)["plausibility"] == "not_a_number"
    assert plain.provenance.energy_source == "renewable"
    assert plain.provenance.renewable_ratio_bps == 9200
    for form in (BATCHIN, [list(pair) for pair in BATCHIN.items()]):
        assert judged({"headers": form}).verdicts == plain.verdicts


def test_megawatt_hours_in_a_header_are_read_as_milliwatt_hours_and_the_verdict_says_so() -> None:
    filled = without(BATCHIN, "X-Green-Region", **{"X-Green-Energy-MWh": "240", "X-Green-Carbon-Mg": "99.4"})
    usage = {"prompt_tokens": 1000, "completion_tokens": 400}
    result = judged({**filled, "usage": usage})
    assert reasons(result)["plausibility"] == "pass"
    assert "MWh is read as milliwatt-hours" in (result.verdicts["plausibility"]["message"] or "")
    # Megawatt-hours per token would be beyond every method.
    meant = judged({**without(filled, **{"X-Green-Energy-MWh": "240e9", "X-Green-Carbon-Mg": "99e9"}), "usage": usage})
    assert reasons(meant)["plausibility"] in ("energy_per_token", "out_of_range")


def test_a_profile_that_names_no_zone_is_left_open() -> None:
    filled = BATCHIN | {"X-Green-Energy-MWh": "240", "X-Green-Carbon-Mg": "99.4"}
    assert reasons(judged(filled))["plausibility"] == "not_a_zone"


def test_the_published_telemetry_sample_of_vetted_does_not_have_the_share_that_its_methodology_states() -> None:
    result = judged(VETTED)
    assert (result.subject, reasons(result)["arithmetic"]) == ("vetted/telemetry", "does_not_follow")
    assert "narrow_share is 0.6877, not 0.4 to 0.45" in (result.verdicts["arithmetic"]["message"] or "")


def test_telemetry_with_that_share_is_open_for_what_it_does_not_show() -> None:
    samples = {"gpu_wh": 0.1, "host_wh": 0.09, "idle_wh": 0.012, "pue_factor": 1.18, "samples": 31}
    assert reasons(judged({"vetted": {"telemetry": samples}}))["arithmetic"] == "no_embodied_share"
    del samples["host_wh"]
    assert reasons(judged({"vetted": {"telemetry": samples}}))["arithmetic"] == "no_samples"


def test_a_live_grid_value_that_is_months_old_is_not_fresh() -> None:
    result = judged(VETTED_FIRST_CALL)
    assert reasons(result)["freshness"] == "match_overstated"
    assert "200,736 minutes old" in (result.verdicts["freshness"]["message"] or "")
    assert result.outcome == "failed"


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (NOON, "pass"),
        (NOON - 86_400, "pass"),
        ("2026-11-05T12:00:00Z", "pass"),
        (NOON + 4000, "in_the_future"),
        (NOON - 500 * 86_400, "long_ago"),
        (None, "no_time"),
    ],
)
def test_the_time_beside_a_block_is_its_age(created: object, expected: str) -> None:
    assert reasons(judged(MELIOUS | {"created": created}))["freshness"] == expected


@pytest.mark.parametrize(("grams", "verdict"), [(0.005, "pass"), (0.0165, "unknown"), (0.06, "fail"), (0.0005, "fail")])
def test_an_intensity_is_ordinary_unusual_or_that_of_another_grid(grams: float, verdict: str) -> None:
    """FR averaged 31 g/kWh: 33, 110, 400 and 3.3 are implied."""
    block = without(MELIOUS["environment_impact"], "renewable_percent", carbon_g_co2=grams)
    assert judged({"environment_impact": block}).verdicts["plausibility"]["verdict"] == verdict


@pytest.mark.parametrize(("percent", "verdict"), [(30, "pass"), (60, "unknown"), (85, "fail")])
def test_a_renewable_share_may_stray_from_the_zones_year(percent: int, verdict: str) -> None:
    block = without(MELIOUS["environment_impact"], carbon_g_co2=0.005, renewable_percent=percent)
    found = judged({"environment_impact": block}).verdicts["plausibility"]
    assert (found["verdict"], found["reason"]) == (verdict, None if verdict == "pass" else "renewable_share")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pue": 0.5}, "implausible_pue"),
        ({"energy_kwh": 1e9}, "out_of_range"),
        ({"energy_kwh": "much"}, "not_a_number"),
        ({"carbon_g_co2": 0}, "zero"),
    ],
)
def test_what_no_request_can_be_is_told(changes: dict[str, Any], reason: str) -> None:
    block = without(MELIOUS["environment_impact"], "renewable_percent", **({"carbon_g_co2": 0.005} | changes))
    assert reasons(judged({"environment_impact": block}))["plausibility"] == reason


def test_tokens_beside_a_block_bring_its_energy_per_token_to_judgement() -> None:
    block = without(MELIOUS["environment_impact"], "renewable_percent", carbon_g_co2=0.005)
    few = judged({"environment_impact": block, "usage": {"input_tokens": 1, "output_tokens": 0}})
    assert reasons(few)["arithmetic"] == "no_published_coefficients"
    many = judged({"environment_impact": block, "usage": {"prompt_tokens": 10**8, "completion_tokens": 10**8}})
    assert reasons(many)["plausibility"] == "energy_per_token"


def test_a_known_model_brings_our_own_estimate_to_judgement() -> None:
    block = without(MELIOUS["environment_impact"], "renewable_percent", energy_kwh=0.5, carbon_g_co2=15.5)
    answer = {
        "environment_impact": block,
        "model": "gpt-oss-120b",
        "usage": {"prompt_tokens": 100, "completion_tokens": 100},
    }
    found = judged(answer)
    assert reasons(found)["plausibility"] == "energy_far_from_estimate"
    assert reasons(judged(answer | {"model": "nobody/knows-it"}))["plausibility"] == "energy_per_token"


def test_anthropic_usage_counts_cached_tokens_beside_its_input() -> None:
    block = find_block(
        MELIOUS | {"usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 5}, "choices": [1]}
    )
    assert block is not None
    assert block.usage is not None
    assert block.usage.total_tokens == 105


@pytest.mark.parametrize(
    ("beside", "field"),
    [
        ({"usage": 7}, "receipt.usage"),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": 1}}, "receipt.usage.input_tokens"),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": 1}}, "receipt.usage.prompt_tokens"),
        ({"created": "yesterday"}, "receipt.created"),
        ({"created": True}, "receipt.created"),
        ({"created": -1}, "receipt.created"),
    ],
)
def test_what_stands_beside_a_block_and_cannot_be_read_is_named(beside: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        find_block(MELIOUS | beside)


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {"input_tokens": 25, "output_tokens": 150, "inference_geo": "us"}},
        {"billing_cost": MELIOUS["billing_cost"]},
        {"environment_impact": {}},
        {"energy": "much"},
        {},
    ],
)
async def test_an_answer_that_states_no_footprint_is_refused_with_what_would_work(
    installation: Installation, answer: dict[str, Any]
) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match="another vendor's footprint block"):
            await verify_receipt(VerifyArgs(receipt=answer), deps)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([MELIOUS, LOWROUTER, GREENPT, NEURALWATT, VETTED, {"headers": dict(BATCHIN)}]),
    st.data(),
)
def test_any_value_in_any_place_of_a_block_gives_verdicts(answer: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(answer))
    place = changed
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(JSON)
    block = find_block(changed)
    if block is not None:
        result = vendor_result(block, NOON, full=False)
        assert result.verdicts["signature"]["reason"] == "unsigned"
        assert brief_vendor(result).isprintable()
