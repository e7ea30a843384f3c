"""The invented fleet as rows: who offers what where at what price, and what goes wrong with each during the period.

Zones and prices resemble rows of the bundled catalogue; names, speeds and faults are made up and stand for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wattproof.resources.providers import Deployment, Price
from wattproof.server.simulate.fleet import FleetTransport, Host, Outage, Profile, Provider, World
from wattproof.server.simulate.grid_fleet import ElectricityMapsApi, EnergyChartsApi, GridProfile, NesoApi
from wattproof.server.simulate.wire import Wire

__all__ = [
    "ENVIRON",
    "GRID_URLS",
    "MODELS",
    "SimulatedProvider",
    "deployments",
    "fleet",
    "grid_profiles",
    "provider_rows",
]

ENVIRON: Mapping[str, str] = {"SIMULATED_API_KEY": "simulated", "ELECTRICITYMAPS_TOKEN": "simulated"}
"""Keys that open nothing, for providers and grids that do not exist."""

GRID_URLS: Mapping[str, str] = {
    "electricity-maps": "https://sim-electricitymaps.invalid/v4",
    "energy-charts": "https://sim-energy-charts.invalid",
    "neso": "https://sim-neso.invalid",
}

MODELS = ("gpt-oss-120b", "llama-3.3-70b-instruct", "mistral-small-3.2-24b")
_SOURCE = "invented by the simulator"

# Micro-dollars per million tokens, in and out.
_Prices = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """One row. `outages` are (start, end, kind) with times as shares of the period."""

    name: str
    zone: str | None
    prices: _Prices
    profile: Profile
    wire: Wire = "openai-chat"
    outages: tuple[tuple[float, float, Any], ...] = ()
    pue: float | None = None

    def with_outages(self, starts_at: float, length_s: float) -> Profile:
        """The profile within a period that begins at `starts_at` (Unix seconds)."""
        outages = tuple(Outage(starts_at + a * length_s, starts_at + b * length_s, kind) for a, b, kind in self.outages)
        return replace(self.profile, outages=outages, drifts_from=starts_at, models=tuple(self.prices))


def provider_rows() -> tuple[SimulatedProvider, ...]:
    """Every invented provider."""
    oss, llama, mistral = MODELS
    return (
        SimulatedProvider(
            "sim-fr",
            "FR",
            {oss: (90_000, 470_000), llama: (740_000, 740_000), mistral: (100_000, 310_000)},
            Profile(host="sim-fr.invalid", first_token_s=0.4, tokens_per_s=70.0),
            outages=((0.38, 0.44, "503"),),
        ),
        SimulatedProvider(
            "sim-fr2",
            "FR",
            {oss: (170_000, 690_000), llama: (1_040_000, 1_040_000), mistral: (170_000, 400_000)},
            Profile(host="sim-fr2.invalid", first_token_s=0.3, tokens_per_s=110.0, error_rate=0.01),
            outages=((0.75, 0.77, "refused"),),
        ),
        SimulatedProvider(
            "sim-se",
            "SE-SE3",
            {oss: (220_000, 830_000), llama: (990_000, 990_000), mistral: (330_000, 330_000)},
            Profile(host="sim-se.invalid", first_token_s=0.5, tokens_per_s=90.0, requests_per_minute=4),
        ),
        SimulatedProvider(
            "sim-fi",
            "FI",
            {oss: (150_000, 600_000), llama: (130_000, 400_000)},
            Profile(host="sim-fi.invalid", first_token_s=0.35, tokens_per_s=120.0, discloses="FI"),
            outages=((0.58, 0.60, "silent"),),
        ),
        SimulatedProvider(
            "sim-it",
            "IT-NO",
            {oss: (1_000_000, 4_200_000), mistral: (500_000, 2_200_000)},
            Profile(host="sim-it.invalid", first_token_s=0.6, tokens_per_s=60.0, capacity=2),
        ),
        SimulatedProvider(
            "sim-de",
            "DE",
            {oss: (490_000, 710_000), llama: (490_000, 710_000)},
            Profile(host="sim-de.invalid", first_token_s=0.3, tokens_per_s=130.0, error_rate=0.03),
        ),
        SimulatedProvider(
            "sim-us",
            "US-MIDA-PJM",
            {oss: (150_000, 600_000), llama: (600_000, 600_000)},
            Profile(host="sim-us.invalid", first_token_s=0.25, tokens_per_s=200.0, cut_rate=0.01),
            wire="anthropic-messages",
        ),
        SimulatedProvider(
            "sim-unknown",
            None,
            {oss: (150_000, 600_000), llama: (590_000, 790_000)},
            Profile(
                host="sim-unknown.invalid", first_token_s=0.15, tokens_per_s=450.0, error_rate=0.04, drift_per_day=1.5
            ),
        ),
        SimulatedProvider(
            "sim-cheap",
            None,
            {oss: (39_000, 190_000), llama: (100_000, 320_000), mistral: (75_000, 200_000)},
            Profile(host="sim-cheap.invalid", first_token_s=0.8, tokens_per_s=45.0, cut_rate=0.02, drift_per_day=0.5),
        ),
    )


def deployments(rows: tuple[SimulatedProvider, ...]) -> tuple[Deployment, ...]:
    """The catalogue of the simulation."""
    return tuple(
        Deployment(
            provider=row.name,
            model=model,
            native_model=f"simulated/{model}",
            base_url=f"https://{row.profile.host}/v1",
            protocol=row.wire,
            key_env=("SIMULATED_API_KEY",),
            zone=row.zone,
            location_evidence="unknown" if row.zone is None else "declared",
            location_source=_SOURCE,
            checked_at="2026-11",
            price=Price(price_in, price_out, None, "USD", _SOURCE, "2026-11-01"),
            pue=row.pue,
            pue_source=None if row.pue is None else _SOURCE,
            speed_tokens_per_s=row.profile.tokens_per_s,
            auth="x-api-key" if row.wire == "anthropic-messages" else "bearer",
        )
        for row in rows
        for model, (price_in, price_out) in row.prices.items()
    )


def grid_profiles(starts_at: float, length_s: float) -> Mapping[str, GridProfile]:
    """How each grid API fares during the period: the first one is away for a while and lacks an hour now and then."""
    away = Outage(starts_at + 0.5 * length_s, starts_at + 0.7 * length_s, "refused")
    return {
        "electricity-maps": GridProfile(latency_s=0.12, null_rate=0.03, outages=(away,)),
        "energy-charts": GridProfile(latency_s=0.4, null_rate=0.02),
        "neso": GridProfile(latency_s=0.2),
    }


def fleet(
    rows: tuple[SimulatedProvider, ...],
    grids: Mapping[str, GridProfile],
    world: World,
    *,
    starts_at: float,
    length_s: float,
) -> FleetTransport:
    """Every invented host behind one transport."""
    hosts: dict[str, Host] = {row.profile.host: Provider(row.with_outages(starts_at, length_s), world) for row in rows}
    apis = {"electricity-maps": ElectricityMapsApi, "energy-charts": EnergyChartsApi, "neso": NesoApi}
    for name, profile in grids.items():
        hosts[GRID_URLS[name].split("/")[2]] = apis[name](profile, world)
    return FleetTransport(hosts)
