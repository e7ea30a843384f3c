"""Candidates from the bundled catalogue and edition: what each one knows about itself."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.providers import Deployment, Price, deployments_for, load_catalogue, unusable_reason
from wattproof.resources.routing import Candidate, Policy, assemble, decide

NOW = 1795341600.0
NOW_TEXT = "2026-11-22T10:00:00Z"
USAGE = Usage(1000, 400)
MODEL = find_model("gpt-oss-120b")


@pytest.fixture(scope="module")
def candidates() -> tuple[Candidate, ...]:
    found = deployments_for("gpt-oss-120b", load_catalogue())
    return assemble(MODEL, USAGE, found, NOW, unusable=lambda d: unusable_reason(d, {}))


def by_provider(candidates: tuple[Candidate, ...]) -> dict[str, Candidate]:
    return {c.deployment.provider: c for c in candidates}


def test_every_deployment_of_the_catalogue_becomes_a_candidate(candidates: tuple[Candidate, ...]) -> None:
    assert len(candidates) == len(deployments_for("gpt-oss-120b", load_catalogue())) >= 10
    for candidate in candidates:
        assert candidate.energy_wh is not None
        assert candidate.carbon_gco2e is not None
        assert candidate.energy_wh.median > 0


def test_a_provider_that_hides_its_location_gets_the_mixture_and_never_passes_a_ceiling(
    candidates: tuple[Candidate, ...],
) -> None:
    groq = by_provider(candidates)["groq"]
    assert groq.ceiling_reading.zone == "unknown:groq"
    assert groq.ceiling_reading.renewable_ratio_bps is None
    decision = decide(Policy(max_carbon_intensity=1e6), USAGE, candidates, now=NOW_TEXT, dry_run=True)
    for ranked in decision.allowed:
        assert ranked.candidate.annual_reading.zone_known
    assert "groq" not in {r.candidate.deployment.provider for r in decision.allowed}


def test_a_ceiling_of_100_keeps_the_low_carbon_zones_only(candidates: tuple[Candidate, ...]) -> None:
    decision = decide(Policy(max_carbon_intensity=100), USAGE, candidates, now=NOW_TEXT, dry_run=True)
    zones = {r.candidate.deployment.zone for r in decision.allowed}
    assert "FR" in zones
    assert not zones & {"DE", "PL", "IT", None}


def test_the_cost_is_that_of_the_whole_request_and_the_rate_is_not_rounded(candidates: tuple[Candidate, ...]) -> None:
    dollars = [c for c in candidates if c.deployment.price is not None and c.deployment.price.currency == "USD"]
    assert dollars
    for candidate in dollars:
        price = candidate.deployment.price
        assert price is not None
        assert candidate.cost_usd_micros == price.cost_micros(USAGE)
        blended = (1000 * price.input_micros_per_mtok + 400 * price.output_micros_per_mtok) / 1400 / 1e6
        assert candidate.usd_per_mtok == pytest.approx(blended, rel=1e-5)


def test_a_price_in_euros_is_unknown_in_dollars(candidates: tuple[Candidate, ...]) -> None:
    scaleway = by_provider(candidates)["scaleway"]
    assert scaleway.deployment.price is not None
    assert scaleway.deployment.price.currency == "EUR"
    assert scaleway.cost_usd_micros is None
    assert scaleway.usd_per_mtok is None


def deployment(**changes: object) -> Deployment:
    row = Deployment(
        provider="here",
        model="gpt-oss-120b",
        native_model="gpt-oss-120b",
        base_url="http://127.0.0.1:1/v1",
        protocol="openai-chat",
        key_env=(),
        zone="FR",
        location_evidence="declared",
        location_source="test",
        checked_at="2026-11-01",
        price=Price(10, 10, None, "USD", "test", "2026-11-01"),
    )
    return replace(row, **changes)  # pyright: ignore[reportArgumentType]


def test_a_server_on_this_machine_costs_nothing() -> None:
    (local,) = assemble(MODEL, USAGE, [deployment(local=True, price=None)], NOW)
    assert (local.cost_usd_micros, local.usd_per_mtok) == (0, 0.0)


def test_a_zone_without_evidence_is_not_believed() -> None:
    (found,) = assemble(MODEL, USAGE, [deployment(zone="SE", location_evidence="unknown")], NOW)
    assert found.annual_reading.zone == "unknown:here"


def test_the_reference_energy_is_the_same_whatever_the_pue_of_the_candidate() -> None:
    low, high = assemble(MODEL, USAGE, [deployment(pue=1.1), deployment(pue=1.5, provider="there")], NOW)
    assert low.reference_energy_wh == high.reference_energy_wh
    assert low.energy_wh is not None
    assert low.reference_energy_wh is not None
    assert low.energy_wh.median / low.reference_energy_wh == pytest.approx(1.1, rel=0.05)


def test_no_tokens_still_have_a_price_and_a_decision() -> None:
    pool = assemble(MODEL, Usage(0, 0), [deployment()], NOW)
    decision = decide(Policy(), Usage(0, 0), pool, now=NOW_TEXT, dry_run=True)
    assert len(decision.allowed) == 1


def test_a_decision_over_the_whole_catalogue_takes_milliseconds(candidates: tuple[Candidate, ...]) -> None:
    deployments = deployments_for("gpt-oss-120b", load_catalogue())
    best_s = 1e9
    for _ in range(5):
        started = time.perf_counter()
        pool = assemble(MODEL, USAGE, deployments, NOW)
        decide(Policy(max_carbon_intensity=100), USAGE, pool, now=NOW_TEXT, dry_run=True)
        best_s = min(best_s, time.perf_counter() - started)
    assert best_s < 0.05
