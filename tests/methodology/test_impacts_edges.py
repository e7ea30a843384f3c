"""What follows from accelerator energy, from made-up numbers by hand: medians, widths, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from wattproof.methodology.data import read_edition
from wattproof.methodology.hardware import find_accelerator, server
from wattproof.methodology.methods import Activity, all_methods, get_method
from wattproof.methodology.methods.impact_operands import (
    IMPACT_UNITS,
    OPTIONAL_OPERANDS,
    manufacture_operands,
    market_operands,
    mix_operands,
    pue_operands,
    water_operands,
)
from wattproof.methodology.methods.impacts import Multipliers, multipliers, wall_factors, why_null
from wattproof.methodology.propagate import LogNormal
from wattproof.methodology.quantity import Operand

MakeActivity = Callable[..., Activity]

NUMBERS = {
    "accelerator_adpe_kgsbeq": 0.006,
    "accelerator_gwp_kgco2e": 200.0,
    "accelerator_load_ratio": 0.8,
    "accelerators_per_server": 4.0,
    "intensity_gco2e_per_kwh": 300.0,
    "lifetime_h": 20_000.0,
    "market_gco2e_per_kwh": 40.0,
    "mix_adpe_kgsbeq_per_kwh": 2e-6,
    "overhead_ratio": 1.5,
    "provisioned_ratio": 1.3,
    "pue": 1.2,
    "rated_w": 500.0,
    "server_adpe_kgsbeq": 0.4,
    "server_gwp_kgco2e": 3000.0,
    "sigma_ln_accelerator_adpe": 0.31,
    "sigma_ln_accelerator_gwp": 0.63,
    "sigma_ln_accelerator_load": 0.25,
    "sigma_ln_intensity": 0.22,
    "sigma_ln_lifetime": 0.21,
    "sigma_ln_mix_adpe": 0.52,
    "sigma_ln_overhead": 0.15,
    "sigma_ln_provisioned": 0.33,
    "sigma_ln_pue": 0.11,
    "sigma_ln_server_adpe": 0.29,
    "sigma_ln_server_gwp": 0.37,
    "sigma_ln_wue_offsite": 0.54,
    "sigma_ln_wue_onsite": 0.48,
    "wue_offsite_l_per_kwh": 3.0,
    "wue_onsite_l_per_kwh": 0.4,
}
WALL = {"overhead": 0.15, "pue": 0.11}
MACHINE = {"accelerator_load": 0.25, "lifetime": 0.21}


def matched(*terms: tuple[float, Mapping[str, float]]) -> LogNormal:
    """Mean and variance of the sum, straight from the definition."""
    means = [median * math.exp(sum(s * s for s in factors.values()) / 2) for median, factors in terms]
    variance = sum(
        a * b * (math.exp(sum(s * q.get(name, 0.0) for name, s in p.items())) - 1)
        for a, (_, p) in zip(means, terms, strict=True)
        for b, (_, q) in zip(means, terms, strict=True)
    )
    s2 = math.log(1 + variance / sum(means) ** 2)
    return LogNormal(sum(means) * math.exp(-s2 / 2), math.sqrt(s2))


def without(*names: str) -> dict[str, float]:
    return {name: number for name, number in NUMBERS.items() if name not in names}


def assert_same(found: Multipliers, expected: Mapping[str, LogNormal | None]) -> None:
    assert found._fields == tuple(expected)
    for name, value in expected.items():
        at = getattr(found, name)
        assert (at is None) == (value is None), name
        if value is not None:
            assert at == pytest.approx(value, rel=1e-9, abs=0.0), name


def test_every_multiplier_within_the_comprehensive_boundary() -> None:
    machine = 1.3 / (500 * 0.8 * 20_000)
    made = {**MACHINE, "provisioned": 0.33}
    onsite = (1.5 * 0.4, {"overhead": 0.15, "wue_onsite": 0.48})
    offsite = (1.8 * 3.0, {**WALL, "wue_offsite": 0.54})
    expected = {
        "energy": matched((1.8, WALL)),
        "carbon": matched((1.8 * 0.3, {**WALL, "grid": 0.22})),
        "carbon_market": matched((1.8 * 0.04, WALL)),
        "carbon_embodied": matched(
            (1000 * machine * 200, {**made, "accelerator_gwp": 0.63}),
            (1000 * machine * 750, {**made, "server_gwp": 0.37}),
        ),
        "water": matched(onsite, offsite),
        "water_onsite": matched(onsite),
        "water_offsite": matched(offsite),
        "adpe": matched(
            (machine * 0.006, {**made, "accelerator_adpe": 0.31}),
            (machine * 0.1, {**made, "server_adpe": 0.29}),
            (1.8 * 2e-9, {**WALL, "mix_adpe": 0.52}),
        ),
    }
    found = multipliers(NUMBERS, "comprehensive")
    assert_same(found, expected)
    assert why_null(found, "comprehensive") == {}


def test_every_multiplier_within_the_narrow_boundary() -> None:
    machine = 1 / (500 * 0.8 * 20_000)
    expected = {
        "energy": LogNormal(1.0, 0.0),
        "carbon": matched((0.3, {"grid": 0.22})),
        "carbon_market": LogNormal(0.04, 0.0),
        "carbon_embodied": matched((1000 * machine * 200, {**MACHINE, "accelerator_gwp": 0.63})),
        "water": None,
        "water_onsite": None,
        "water_offsite": None,
        "adpe": matched((machine * 0.006, {**MACHINE, "accelerator_adpe": 0.31}), (2e-9, {"mix_adpe": 0.52})),
    }
    found = multipliers(NUMBERS, "narrow")
    assert_same(found, expected)
    reasons = why_null(found, "narrow")
    assert set(reasons) == {"water_ml", "water_onsite_ml", "water_offsite_ml"}
    assert all("narrow boundary" in reason for reason in reasons.values())


def test_the_wall_is_uncertain_within_the_comprehensive_boundary_only() -> None:
    assert wall_factors(NUMBERS, "comprehensive") == WALL
    assert wall_factors(NUMBERS, "narrow") == {}


def test_what_is_unknown_is_none_with_its_reason() -> None:
    found = multipliers(without("market_gco2e_per_kwh", "wue_onsite_l_per_kwh", "rated_w"), "comprehensive")
    missing = {name for name, value in found._asdict().items() if value is None}
    assert missing == {"carbon_market", "carbon_embodied", "water", "water_onsite", "adpe"}
    assert why_null(found, "comprehensive") == {
        "carbon_market_gco2e": "no instrument",
        "carbon_embodied_gco2e": "no published manufacture figure for this hardware",
        "water_ml": "no WUE",
        "water_onsite_ml": "no on-site WUE",
        "adpe_kgsbeq": "no published manufacture figure for this hardware",
    }
    offsite = multipliers(without("wue_offsite_l_per_kwh"), "comprehensive")
    assert (offsite.water, offsite.water_offsite) == (None, None)
    assert why_null(offsite, "comprehensive") == {"water_ml": "no WUE", "water_offsite_ml": "no off-site WUE"}


def test_resource_depletion_without_a_factor_of_the_electricity_is_manufacture_alone() -> None:
    machine = 1 / (500 * 0.8 * 20_000)
    found = multipliers(without("mix_adpe_kgsbeq_per_kwh"), "narrow")
    assert found.adpe == pytest.approx(
        matched((machine * 0.006, {**MACHINE, "accelerator_adpe": 0.31})), rel=1e-9, abs=0.0
    )


def factors(name: str) -> float:
    return read_edition("wattproof/factors.json")["factors"][name]["value"]


def as_rows(operands: tuple[Operand, ...]) -> list[tuple[str, float, str]]:
    assert all(operand.unit == IMPACT_UNITS[operand.name] for operand in operands)
    return [(operand.name, operand.number, operand.source_id) for operand in operands]


def test_pue_is_stated_or_assumed_with_a_wider_spread() -> None:
    ours = read_edition("wattproof/factors.json")["source_id"]
    narrower, wider = factors("sigma_ln_pue_stated"), factors("sigma_ln_pue_assumed")
    assert narrower < wider
    assert as_rows(pue_operands(None, None)) == [("pue", factors("pue"), ours), ("sigma_ln_pue", wider, ours)]
    assert as_rows(pue_operands(1.1, None)) == [("pue", 1.1, "caller"), ("sigma_ln_pue", narrower, ours)]
    assert as_rows(pue_operands(1.1, "report"))[0] == ("pue", 1.1, "report")


def test_a_market_figure_needs_its_value_and_its_instrument() -> None:
    assert as_rows(market_operands(12.0, "go-1")) == [("market_gco2e_per_kwh", 12.0, "go-1")]
    assert market_operands(12.0, None) == market_operands(None, "go-1") == market_operands(None, None) == ()
    assert as_rows(market_operands(0.0, "go-1")) == [("market_gco2e_per_kwh", 0.0, "go-1")]


def test_water_and_resources_are_the_callers_or_absent() -> None:
    ours = read_edition("wattproof/factors.json")["source_id"]
    assert water_operands(None, None, None) == mix_operands(None) == ()
    assert as_rows(water_operands(0.0, None, None)) == [
        ("wue_onsite_l_per_kwh", 0.0, "caller"),
        ("sigma_ln_wue_onsite", factors("sigma_ln_wue_onsite"), ours),
    ]
    assert as_rows(water_operands(None, 1.5, "report")) == [
        ("wue_offsite_l_per_kwh", 1.5, "report"),
        ("sigma_ln_wue_offsite", factors("sigma_ln_wue_offsite"), ours),
    ]
    assert as_rows(mix_operands(5e-8)) == [
        ("mix_adpe_kgsbeq_per_kwh", 5e-8, "caller"),
        ("sigma_ln_mix_adpe", factors("sigma_ln_mix_adpe"), ours),
    ]


@pytest.mark.parametrize("name", ["A100", "B200", None])
def test_manufacture_is_that_of_the_accelerator_and_the_server(name: str | None) -> None:
    row, box = find_accelerator(name or "H100"), server()
    assert row is not None
    found = {operand.name: operand.number for operand in manufacture_operands(name)}
    assert found == {
        "accelerator_adpe_kgsbeq": row.made.adpe_kgsbeq,
        "accelerator_gwp_kgco2e": row.made.gwp_kgco2e,
        "accelerators_per_server": box.accelerators_per_server,
        "rated_w": row.rated_w,
        "server_adpe_kgsbeq": box.made.adpe_kgsbeq,
        "server_gwp_kgco2e": box.made.gwp_kgco2e,
        "sigma_ln_accelerator_adpe": row.made.sigma_ln_adpe,
        "sigma_ln_accelerator_gwp": row.made.sigma_ln_gwp,
        "sigma_ln_server_adpe": box.made.sigma_ln_adpe,
        "sigma_ln_server_gwp": box.made.sigma_ln_gwp,
        **{
            factor: factors(factor)
            for factor in (
                "accelerator_load_ratio",
                "lifetime_h",
                "provisioned_ratio",
                "sigma_ln_accelerator_load",
                "sigma_ln_lifetime",
                "sigma_ln_provisioned",
            )
        },
    }
    assert frozenset(found) in OPTIONAL_OPERANDS
    assert manufacture_operands("TPU v5e") == ()


def test_stated_sources_reach_every_method_that_uses_them(activity: MakeActivity) -> None:
    request = replace(activity(pue=1.3), pue_source="site report", wue_onsite_l_per_kwh=0.5, wue_source="water report")
    unsourced = replace(request, pue_source=None, wue_source=None)
    for method_id, pue, water in (
        ("wattproof/param", "pue", "wue_onsite_l_per_kwh"),
        ("wattproof/cpu-time", "pue", None),
        ("vetted/ladder", "pue", "wue_onsite_l_per_kwh"),
        ("ecologits/llm@0.11.3", "pue_min", "wue_onsite_l_per_kwh_max"),
    ):
        method = get_method(method_id)
        found = {operand.name: operand.source_id for operand in method.operands(request)}
        plain = {operand.name: operand.source_id for operand in method.operands(unsourced)}
        assert (found[pue], plain[pue]) == ("site report", "caller")
        if water is not None:
            assert (found[water], plain[water]) == ("water report", "caller")


SCOPES = {
    "active_params": "model",
    "attention": "model",
    "audited": "provider",
    "batch": "provider",
    "cached_input": "provider",
    "cpu_seconds": "provider",
    "fit": "model",
    "grid": "zone",
    "hardware": "provider",
    "model_tier": "model",
    "overhead": "provider",
    "parametric": "model",
    "prefill": "global",
    "proxy": "model",
    "pue": "provider",
    "telemetry": "provider",
    "watts": "provider",
    "weights": "model",
}


def test_a_factor_is_shared_over_the_same_thing_in_every_method() -> None:
    found = {factor: scope for method in all_methods() for factor, scope in method.factor_scopes.items()}
    assert found == SCOPES
