"""A key, and payloads of real footprints to sign with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology import (
    EDITION,
    Activity,
    Intensity,
    Method,
    Usage,
    Workload,
    edition_sha256,
    find_model,
    get_method,
    zone_average,
)
from wattproof.methodology.integers import outputs
from wattproof.methodology.quantity import Boundary
from wattproof.resources.receipts import Issuer, build_payload

MakePayload = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def vectors() -> Path:
    return Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer(bytes(range(32)))


@pytest.fixture(scope="session")
def make_payload() -> MakePayload:
    return _make_payload


def _make_payload(
    method: Method | None = None,
    *,
    usage: Usage | None = None,
    boundary: Boundary = "comprehensive",
    zone: str = "FR",
    activity: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The payload of a chat request in `zone`; `changes` replace arguments of `build_payload`."""
    method = method or get_method("wattproof/param")
    average = zone_average(zone)
    spent = usage or Usage(1000, 400, cached_input_tokens=200, reasoning_tokens=120)
    request = Activity(
        workload=Workload.CHAT,
        usage=spent,
        model=find_model("gpt-oss-120b"),
        intensity=Intensity(average.value_gco2e_per_kwh, average.sigma_ln, average.source_id),
        **(activity or {}),
    )
    operands = method.operands(request)
    footprint = method.compute({operand.name: operand.number for operand in operands}, boundary)
    fields: dict[str, Any] = {
        "log_id": "log-1",
        "issued_at": "2026-11-05T12:00:04Z",
        "occurred_at": "2026-11-05T12:00:00Z",
        "kind": "inference",
        "status": "completed",
        "request_id": "r42-s1",
        "attempts": 1,
        "workload": "chat",
        "provider": "ovhcloud",
        "model": "gpt-oss-120b",
        "resolved_model": "gpt-oss-120b",
        "deployment": "ovhcloud/gpt-oss-120b",
        "region_scope": zone,
        "zone": zone,
        "location_evidence": "declared",
        "energy_source": "grid-mix",
        "renewable_ratio_bps": average.renewable_ratio_bps,
        "ghg_scope": "scope3.cat1",
        "usage": spent,
        "usage_source": "provider",
        "method_id": method.id,
        "method_sha256": method.sha256,
        "edition": EDITION,
        "edition_sha256": edition_sha256(),
        "tier": footprint.tier,
        "boundary": boundary,
        "outputs": outputs(footprint),
        "reasons": footprint.reasons,
        "operands": operands,
        "accounting": _reading(zone),
        "nonce": bytes(16),
        "cost_micros": 278,
        "currency": "USD",
        "latency_ms": 4100,
    }
    return build_payload(**(fields | changes))


@pytest.fixture(scope="session")
def annual_reading() -> Callable[[str], dict[str, Any]]:
    return _reading


def _reading(zone: str) -> dict[str, Any]:
    average = zone_average(zone)
    return {
        "value_gco2e_per_kwh": average.value_gco2e_per_kwh,
        "zone": zone,
        "basis": "average",
        "factor_scope": "lifecycle",
        "accounting": "consumption",
        "observed_at": "2025-01-01T00:00:00Z",
        "requested_at": "2026-11-05T12:00:00Z",
        "age_minutes": 969_840,
        "temporal_match": "fallback",
        "evidence": "annual",
        "source": average.source_id,
        "licence": average.licence,
        "sigma_ln": average.sigma_ln,
        "renewable_ratio_bps": average.renewable_ratio_bps,
        "carbon_free_ratio_bps": average.carbon_free_ratio_bps,
        "low_gco2e_per_kwh": None,
        "high_gco2e_per_kwh": None,
    }
