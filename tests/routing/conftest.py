"""Candidates as plain records, so that a test states only what matters to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wattproof.methodology.quantity import Quantity
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment, LocationEvidence
from wattproof.resources.routing.records import Candidate, Health

NOW = "2026-11-22T10:00:00Z"


def build_reading(zone: str = "FR", value: float = 31.0, **changes: Any) -> Reading:
    fields: dict[str, Any] = {
        "value_gco2e_per_kwh": value,
        "zone": zone,
        "basis": "average",
        "factor_scope": "lifecycle",
        "accounting": "consumption",
        "observed_at": "2025-01-01T00:00:00Z",
        "requested_at": NOW,
        "age_minutes": 1,
        "temporal_match": "fallback",
        "evidence": "annual",
        "source": "annual-2025",
        "licence": "ODbL-1.0",
        "sigma_ln": 0.2,
        "renewable_ratio_bps": 2700,
    }
    return Reading(**{**fields, **changes})


def build_candidate(
    provider: str = "alpha",
    zone: str | None = "FR",
    value: float = 31.0,
    *,
    newest: Reading | None = None,
    cost_usd: float | None = 0.001,
    usd_per_mtok: float | None = 0.3,
    speed: float | None = 100.0,
    pue: float | None = 1.2,
    grams_high: float | None = None,
    energy_wh: float = 0.072,
    evidence: LocationEvidence = "declared",
    sigma_own: float = 0.0,
    sigma_grid: float = 0.2,
    renewable_bps: int | None = 2700,
    health: Health | None = None,
    unusable: str | None = None,
    context: int | None = 131_072,
    quality: float | None = None,
    variant: str | None = None,
    unused: Reading | None = None,
    stale: tuple[str, ...] = (),
) -> Candidate:
    known = zone is not None
    annual = build_reading(
        zone if zone is not None else f"unknown:{provider}",
        value,
        sigma_ln=sigma_grid,
        evidence="annual" if known else "mixture",
        renewable_ratio_bps=renewable_bps if known else None,
        low_gco2e_per_kwh=None if known else 29.55,
        high_gco2e_per_kwh=None if known else 699.45,
    )
    grams = energy_wh * value / 1000
    return Candidate(
        deployment=Deployment(
            provider=provider,
            model="gpt-oss-120b",
            native_model="gpt-oss-120b",
            base_url="https://provider.invalid/v1",
            protocol="openai-chat",
            key_env=(),
            zone=zone,
            location_evidence=evidence if known else "unknown",
            location_source="test",
            checked_at="2026-11-01",
            pue=pue,
            speed_tokens_per_s=speed,
            context_tokens=context,
            quality=quality,
            variant=variant,
        ),
        ceiling_reading=newest or annual,
        annual_reading=annual,
        energy_wh=Quantity(energy_wh, energy_wh / 3, energy_wh * 3),
        carbon_gco2e=Quantity(grams, grams / 3, grams * 3 if grams_high is None else grams_high),
        carbon_sigma_own=sigma_own,
        cost_usd_micros=None if cost_usd is None else round(cost_usd * 1e6),
        health=health or Health(),
        unusable=unusable,
        usd_per_mtok=usd_per_mtok,
        reference_energy_wh=0.06,
        unused_reading=unused,
        stale=stale,
    )


@pytest.fixture(scope="session")
def reading() -> Callable[..., Reading]:
    return build_reading


@pytest.fixture(scope="session")
def candidate() -> Callable[..., Candidate]:
    return build_candidate
