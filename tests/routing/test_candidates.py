"""Candidates from the bundled catalogue and edition: what each one knows about itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.footprints import estimate
from wattproof.resources.grid import Place, Reading
from wattproof.resources.providers import Deployment, Price, deployments_for, load_catalogue, unusable_reason
from wattproof.resources.providers.exchange import ExchangeRate
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


def test_a_price_in_another_currency_needs_a_sourced_rate() -> None:
    euros = deployment(price=Price(10, 10, None, "EUR", "test", "2026-11-01"))
    assert assemble(MODEL, USAGE, [euros], NOW, rates={})[0].cost_usd_micros is None
    rate = ExchangeRate("EUR", Decimal(2), "test", "2026-11-01")
    (known,) = assemble(
        MODEL,
        USAGE,
        [replace(euros, price=Price(10**6, 10**6, None, "EUR", "test", "2026-11-01"))],
        NOW,
        rates={"EUR": rate},
    )
    assert (known.cost_usd_micros, known.usd_per_mtok) == (2800, 2.0)


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


def test_a_candidate_has_the_figures_of_an_estimate_of_its_own() -> None:
    live = Reading(
        57.3, "FR", "average", "lifecycle", "consumption", NOW_TEXT, NOW_TEXT, 0, "live", "estimated", "x", "y", 0.31
    )
    offers = [
        d for model in ("gpt-oss-120b", "smollm2-135m-instruct") for d in deployments_for(model, load_catalogue())
    ]
    offers += [deployment(protocol="embedded", local=True), deployment(pue=1.4, hardware="NVIDIA H100")]
    places = {Place("FR"): live}
    for offer in offers:
        model = find_model(offer.model)
        (found,) = assemble(model, USAGE, [offer], NOW, readings=places)
        direct = estimate(model, USAGE, found.ceiling_reading, deployment=offer).footprint
        assert found.energy_wh == direct.energy_wh
        assert found.carbon_gco2e is not None
        assert direct.carbon_gco2e is not None
        for end in ("median", "low", "high"):
            assert getattr(found.carbon_gco2e, end) == pytest.approx(getattr(direct.carbon_gco2e, end), rel=1e-8)


def test_sharing_work_between_candidates_changes_nothing(candidates: tuple[Candidate, ...]) -> None:
    for shared in candidates:
        (alone,) = assemble(MODEL, USAGE, [shared.deployment], NOW)
        assert shared._replace(unusable=None) == alone


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"basis": "marginal"}, "newest_reading_marginal"),
        ({"factor_scope": "direct"}, "newest_reading_direct"),
        ({"temporal_match": "fallback"}, "newest_reading_old"),
    ],
)
def test_a_reading_that_no_ceiling_may_use_gives_way_to_the_annual_one_and_is_named(
    reading: Callable[..., Reading], change: dict[str, str], flag: str
) -> None:
    newest = reading("FR", 5.0, **{"source": "live", "evidence": "estimated", "temporal_match": "live", **change})
    pool = assemble(MODEL, USAGE, [deployment()], NOW, readings={Place("FR"): newest})
    assert pool[0].ceiling_reading == pool[0].annual_reading
    assert pool[0].unused_reading == newest
    assert flag in decide(Policy(), USAGE, pool, now=NOW_TEXT, dry_run=True).allowed[0].flags


def test_the_newest_usable_reading_serves_ceiling_and_carbon(reading: Callable[..., Reading]) -> None:
    newest = reading("FR", 310.0, source="live", evidence="estimated", temporal_match="fresh", sigma_ln=0.24)
    (annual,) = assemble(MODEL, USAGE, [deployment()], NOW)
    (live,) = assemble(MODEL, USAGE, [deployment()], NOW, readings={Place("FR"): newest})
    assert live.ceiling_reading == newest
    assert live.unused_reading is None
    assert annual.carbon_gco2e is not None
    assert live.carbon_gco2e is not None
    assert live.carbon_gco2e.median == pytest.approx(annual.carbon_gco2e.median * 310 / 31, rel=1e-6)


def test_the_annual_reading_of_the_desk_is_no_reading_that_went_unused() -> None:
    annual = assemble(MODEL, USAGE, [deployment()], NOW)[0].annual_reading
    (again,) = assemble(MODEL, USAGE, [deployment()], NOW, readings={Place("FR"): annual})
    assert again.unused_reading is None


def test_a_row_that_nobody_checked_for_half_a_year_is_flagged() -> None:
    fresh, old = deployment(), deployment(provider="old", checked_at="2026-01-01")
    pool = assemble(MODEL, USAGE, [fresh, old], NOW)
    assert [c.stale for c in pool] == [(), ("stale_row",)]
    decision = decide(Policy(), USAGE, pool, now=NOW_TEXT, dry_run=True)
    assert {r.candidate.deployment.provider: "stale_row" in r.flags for r in decision.allowed} == {
        "here": False,
        "old": True,
    }


def test_an_old_exchange_rate_is_flagged() -> None:
    euros = deployment(price=Price(10, 10, None, "EUR", "test", "2026-11-01"))
    rate = ExchangeRate("EUR", Decimal("1.16"), "test", "2025-01-01")
    assert assemble(MODEL, USAGE, [euros], NOW, rates={"EUR": rate})[0].stale == ("stale_rate",)
