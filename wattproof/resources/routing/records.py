"""Policy in, decision out: the plain records of routing."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wattproof.methodology.quantity import Quantity, Usage
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment, LocationEvidence

__all__ = [
    "PRESETS",
    "Candidate",
    "Decision",
    "Health",
    "Limit",
    "Policy",
    "Preset",
    "Ranked",
    "Relaxation",
    "Weights",
]

Preset = Literal["balanced", "speed", "price", "eco", "batch"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the score; they add up to 1."""

    environment: float
    price: float
    speed: float


PRESETS: MappingProxyType[Preset, Weights] = MappingProxyType(
    {
        "balanced": Weights(0.20, 0.40, 0.40),
        "speed": Weights(0.10, 0.20, 0.70),
        "price": Weights(0.10, 0.70, 0.20),
        "eco": Weights(0.60, 0.20, 0.20),
        "batch": Weights(0.15, 0.80, 0.05),
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How to choose: a preset and hard limits. None means no limit.

    Units are in the names. `allow_fallback_region` is False: never another zone silently.
    """

    preset: Preset = "balanced"
    max_carbon_intensity: float | None = None
    max_carbon_gco2e: float | None = None
    min_renewable_bps: int | None = None
    max_cost_usd: float | None = 0.10
    max_latency_ms: int | None = None
    zones: tuple[str, ...] = ()
    exclude_zones: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    exclude_providers: tuple[str, ...] = ()
    min_location_evidence: LocationEvidence = "unknown"
    allow_fallback_region: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a deployment's recent calls."""

    latency_ms: float | None = None
    error_rate: float | None = None
    cooling_until: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment with everything the decision needs.

    `ceiling_reading` is the newest usable average, lifecycle reading (else the annual one); `annual_reading` is always
    the bundled edition's. `carbon_gco2e` and `energy_wh` are our own estimate for this request under
    `ceiling_reading`; `carbon_sigma_own` is the part of its log standard deviation not shared with other candidates.
    `cost_usd_micros` is None when the price or its exchange rate is unknown. `unusable` holds a reason for which a
    real run is impossible (`no key: set X`, `not reachable`), which a dry run reports but does not exclude on.
    """

    deployment: Deployment
    ceiling_reading: Reading
    annual_reading: Reading
    energy_wh: Quantity | None
    carbon_gco2e: Quantity | None
    carbon_sigma_own: float
    cost_usd_micros: int | None
    health: Health = Health()
    unusable: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that excluded a candidate: its name, the value that the candidate has, and what was allowed."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate in the decision, allowed or not. `score` is None when excluded."""

    candidate: Candidate
    score: float | None
    terms: tuple[tuple[str, float], ...]
    flags: tuple[str, ...]
    excluded_by: tuple[Limit, ...]
    in_best_band: bool = False


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What loosening one limit alone would admit."""

    limit: str
    to: str
    admits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole trace: every candidate, the order of the allowed ones, and why the first is first."""

    policy: Policy
    usage: Usage
    decided_at: str
    ranked: tuple[Ranked, ...]
    decided_by: str
    ranking_source: str
    forced_annual_by: str | None
    relax: tuple[Relaxation, ...]

    @property
    def allowed(self) -> tuple[Ranked, ...]:
        return tuple(r for r in self.ranked if not r.excluded_by)
