"""Policy in, decision out: the plain records of routing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Quantity, Usage
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import EVIDENCE_RANK, Deployment, LocationEvidence

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
    """Shares of the score; they add up to 1.

    Raises:
        InvalidInput: one is negative or not finite, or their sum is not 1 (to 1e-6).
    """

    environment: float
    price: float
    speed: float

    def __post_init__(self) -> None:
        for name in ("environment", "price", "speed"):
            share: float = getattr(self, name)
            if not (math.isfinite(share) and share >= 0.0):
                raise InvalidInput(name, f"is {share!r}", "give a share from 0 to 1")
        whole = self.environment + self.price + self.speed
        if abs(whole - 1.0) > 1e-6:
            raise InvalidInput("weights", f"add up to {whole:g}", "give environment, price and speed that add up to 1")


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

    Units are in the names; `max_carbon_intensity` is in gCO2e/kWh. Carbon per request is compared at the high bound of
    its interval. A zone matches itself and its parts (`SE` covers `SE-SE3`). With `allow_fallback_region` False a
    request never goes to a zone outside `zones`, and after a failure never to another zone than the first choice's
    unless `zones` names it. `min_quality` is on the operator's own scale; a candidate of unknown quality fails it.

    Raises:
        InvalidInput: a limit is negative or not finite, or a name is not one of the listed ones.
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
    min_quality: float | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise InvalidInput("preset", f"is {self.preset!r}", f"give one of {', '.join(PRESETS)}")
        for name in ("max_carbon_intensity", "max_carbon_gco2e", "max_cost_usd", "max_latency_ms"):
            most: float | None = getattr(self, name)
            if most is not None and not (math.isfinite(most) and most >= 0):
                raise InvalidInput(name, f"is {most!r}", "give a number from 0, or null for no limit")
        if self.min_renewable_bps is not None and not 0 <= self.min_renewable_bps <= 10_000:
            raise InvalidInput("min_renewable_bps", f"is {self.min_renewable_bps}", "give an integer from 0 to 10000")
        if self.min_location_evidence not in EVIDENCE_RANK:
            fix = f"give one of {', '.join(EVIDENCE_RANK)}"
            raise InvalidInput("min_location_evidence", f"is {self.min_location_evidence!r}", fix)
        if self.min_quality is not None and not math.isfinite(self.min_quality):
            raise InvalidInput("min_quality", f"is {self.min_quality!r}", "give a number, or null for no limit")


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a deployment's recent calls: moving averages, and a cooldown in Unix seconds.

    `half_open` is true once a cooldown is over and until a call ends well: one caller may try it. While that one does,
    `cooling_until` holds for the others.
    """

    latency_ms: float | None = None
    error_rate: float | None = None
    cooling_until: float | None = None
    tokens_per_s: float | None = None
    half_open: bool = False


class Candidate(NamedTuple):
    """A deployment with everything the decision needs.

    `ceiling_reading` is the newest usable average, lifecycle reading (else the annual one); `annual_reading` is always
    the bundled edition's. `unused_reading` is the newest one where it is of another kind or too old to be used.
    `carbon_gco2e` and `energy_wh` are our own estimate for this request under
    `ceiling_reading`; `carbon_sigma_own` is the part of its log standard deviation that neither the grid reading nor
    the other candidates share (batch and PUE of this provider). `reference_energy_wh` is the same request's energy at
    PUE 1.0 by the model's default method, equal for all candidates. `cost_usd_micros` is the cost of the whole request
    and `usd_per_mtok` its unrounded rate; None when the price or its exchange rate is unknown. `unusable` holds a
    reason for which a real run is impossible (`no key: set X`, `not reachable`), which a dry run reports but does not
    exclude on. `stale` names what was last checked so long ago that it may have changed: `stale_row`, `stale_rate`.
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
    usd_per_mtok: float | None = None
    reference_energy_wh: float | None = None
    method_id: str | None = None
    unused_reading: Reading | None = None
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that excluded a candidate: its name, and the candidate's value beside what was allowed.

    `code` groups reasons for counting (`no_key`, `location_unknown`, `above_ceiling`). `admits_at` is the value of a
    numeric limit at which this candidate would pass; None where only removing the limit would do.
    """

    name: str
    reason: str
    code: str = ""
    admits_at: float | None = None


class Ranked(NamedTuple):
    """One candidate in the decision, allowed or not. `score` is None when excluded."""

    candidate: Candidate
    score: float | None
    terms: tuple[tuple[str, float], ...]
    flags: tuple[str, ...]
    excluded_by: tuple[Limit, ...]
    in_best_band: bool = False


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What loosening one limit alone would admit: `to` is its new value, `null` for no limit, or what to do."""

    limit: str
    to: str
    admits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole trace: every candidate, the order of the allowed ones, and why the first is first.

    `incumbent` is the deployment that was asked to stay first among equals, `scales` the edition of the scales.
    """

    policy: Policy
    usage: Usage
    decided_at: str
    ranked: tuple[Ranked, ...]
    decided_by: str
    ranking_source: str
    forced_annual_by: str | None
    relax: tuple[Relaxation, ...]
    weights: Weights
    dry_run: bool
    scales: str
    incumbent: str | None = None

    @property
    def allowed(self) -> tuple[Ranked, ...]:
        return tuple(r for r in self.ranked if not r.excluded_by)
