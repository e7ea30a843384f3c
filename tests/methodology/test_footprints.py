"""One request at one deployment: which method, which evidence, which scope."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.errors import NotDefined, UnknownMethod
from wattproof.methodology.models import find_model
from wattproof.methodology.propagate import Row, total
from wattproof.methodology.quantity import Usage, Workload
from wattproof.methodology.zones import mixture, zone_average
from wattproof.resources.footprints import Estimate, estimate, factor_terms
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment

USAGE = Usage(1000, 400)
MODEL = find_model("gpt-oss-120b")


def annual(zone: str) -> Reading:
    row = zone_average(zone)
    return Reading(
        value_gco2e_per_kwh=row.value_gco2e_per_kwh,
        zone=row.zone,
        basis="average",
        factor_scope="lifecycle",
        accounting="consumption",
        observed_at="2025-01-01T00:00:00Z",
        requested_at="2026-11-01T00:00:00Z",
        age_minutes=963_360,
        temporal_match="fallback",
        evidence="annual",
        source=row.source_id,
        licence=row.licence,
        sigma_ln=row.sigma_ln,
        renewable_ratio_bps=row.renewable_ratio_bps,
        carbon_free_ratio_bps=row.carbon_free_ratio_bps,
    )


def nowhere(provider: str) -> Reading:
    spread = mixture()
    return replace(
        annual("FR"),
        zone=f"unknown:{provider}",
        value_gco2e_per_kwh=spread.median,
        sigma_ln=spread.sigma_ln,
        evidence="mixture",
        renewable_ratio_bps=None,
        carbon_free_ratio_bps=None,
    )


def deployment(**changes: object) -> Deployment:
    row = Deployment(
        provider="ovhcloud",
        model="gpt-oss-120b",
        native_model="gpt-oss-120b",
        base_url="https://example.invalid/v1",
        protocol="openai-chat",
        key_env=(),
        zone="FR",
        location_evidence="declared",
        location_source="provider documentation",
        checked_at="2026-07-02",
    )
    return replace(row, **changes)


def test_a_hosted_model_is_estimated_by_the_default_method_in_its_zone() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), deployment=deployment())
    assert found.method.id == "wattproof/param@1.0.0"
    assert found.region_scope == "FR"
    assert found.energy_source == "grid-mix"
    assert found.renewable_ratio_bps == 2700
    assert found.location_evidence == "declared"
    assert found.ghg_scope == "scope3.cat1"
    assert found.accuracy == "medium"
    assert found.assumed == ("batch", "pue")
    assert (found.edition, found.edition_sha256) == (EDITION, edition_sha256())


def test_the_figures_come_from_the_operands() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), deployment=deployment())
    numbers = {operand.name: operand.number for operand in found.operands}
    assert found.method.compute(numbers, "comprehensive") == found.footprint


def test_an_unknown_zone_is_a_proxy_with_no_renewable_ratio() -> None:
    found = estimate(MODEL, USAGE, nowhere("groq"), deployment=deployment(provider="groq", zone=None))
    assert found.region_scope == "unknown:groq"
    assert found.energy_source == "unknown-mix"
    assert found.footprint.tier == "proxy"
    assert found.renewable_ratio_bps is None
    assert found.location_evidence == "unknown"


def test_a_zone_that_the_caller_states_is_evidence_by_the_caller() -> None:
    assert estimate(MODEL, USAGE, annual("SE")).location_evidence == "caller"
    assert estimate(MODEL, USAGE, annual("SE"), deployment=deployment()).location_evidence == "caller"
    assert estimate(MODEL, USAGE, annual("SE"), location_evidence="inferred").location_evidence == "inferred"


def test_the_embedded_model_is_estimated_by_its_cpu_time() -> None:
    smollm2 = find_model("smollm2-135m-instruct")
    embedded = deployment(provider="embedded", protocol="embedded", local=True)
    before = estimate(smollm2, USAGE, annual("FR"), deployment=embedded)
    after = estimate(smollm2, USAGE, annual("FR"), deployment=embedded, cpu_seconds=8.0)
    assert before.method.id == after.method.id == "wattproof/cpu-time@1.0.0"
    assert (before.footprint.tier, after.footprint.tier) == ("parametric", "modelled")
    assert after.ghg_scope == "scope2"
    assert estimate(smollm2, USAGE, annual("FR")).method.id == "wattproof/cpu-time@1.0.0"


def test_a_named_method_and_boundary_are_used() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), method_id="batchin/token-estimate", boundary="narrow")
    assert found.method.id == "batchin/token-estimate@1.0.0"
    assert found.footprint.boundary == "narrow"
    with pytest.raises(UnknownMethod):
        estimate(MODEL, USAGE, annual("FR"), method_id="wattproof/guess")


def test_a_workload_that_no_formula_covers_is_refused() -> None:
    with pytest.raises(NotDefined):
        estimate(MODEL, USAGE, annual("FR"), workload=Workload.VIDEO)


def test_a_stated_pue_is_used_and_named_with_its_source() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), deployment=deployment(pue=1.1, pue_source="operator report 2024"))
    operand = next(operand for operand in found.operands if operand.name == "pue")
    assert operand.number == 1.1
    assert operand.source_id == "operator report 2024"
    assert found.assumed == ("batch",)


def test_assumed_output_tokens_are_listed_first() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), output_tokens_assumed=True)
    assert found.assumed == ("output_tokens", "batch", "pue")


def rows(found: Estimate, count: int) -> Row:
    terms = factor_terms(found)
    return Row([count * energy_wh for _, energy_wh, _, _, _ in terms], [loadings for _, _, _, loadings, _ in terms])


def test_a_thousand_requests_are_as_uncertain_as_one() -> None:
    found = estimate(MODEL, USAGE, annual("FR"), deployment=deployment())
    one, many = total([rows(found, 1)]), total([rows(found, 1000)])
    assert found.footprint.energy_wh is not None
    assert one.median == pytest.approx(found.footprint.energy_wh.median)
    assert one.high == pytest.approx(found.footprint.energy_wh.high)
    assert one.high is not None
    assert many.high is not None
    assert many.high / many.median == pytest.approx(one.high / one.median)


def test_two_providers_share_the_model_and_not_the_batch() -> None:
    here = estimate(MODEL, USAGE, annual("FR"), deployment=deployment())
    there = estimate(MODEL, USAGE, annual("SE"), deployment=deployment(provider="berget", zone="SE"))
    names_here = {factor for term in factor_terms(here) for factor, _ in term[4]}
    names_there = {factor for term in factor_terms(there) for factor, _ in term[4]}
    assert names_here & names_there == {"fit:gpt-oss-120b", "prefill"}
    assert {"batch:ovhcloud", "grid:FR"} <= names_here
    assert {"batch:berget", "grid:SE"} <= names_there
