"""A reading of grid carbon intensity, with everything that is needed to judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Evidence", "Reading", "TemporalMatch"]

TemporalMatch = Literal["live", "fresh", "fallback"]
Evidence = Literal["measured", "estimated", "forecast", "annual", "mixture"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Carbon intensity of electricity in one zone [gCO2e/kWh] and its provenance.

    `zone` is a bundled zone key (`FR`, `SE-SE3`) or `unknown:<provider>`; for the latter `evidence` is `mixture`
    and `low`/`high` hold the 5 and 95 % points of the bundled zones. Times are RFC 3339 UTC, to the second;
    `observed_at` is the start of the interval observed (for an annual average, of the year). `sigma_ln` is the
    standard deviation of the logarithm between sources (or of the mixture). `renewable_ratio_bps` is None when unknown.
    """

    value_gco2e_per_kwh: float
    zone: str
    basis: Literal["average", "marginal"]
    factor_scope: Literal["lifecycle", "direct"]
    accounting: Literal["consumption", "production"]
    observed_at: str
    requested_at: str
    age_minutes: int
    temporal_match: TemporalMatch
    evidence: Evidence
    source: str
    licence: str
    sigma_ln: float
    renewable_ratio_bps: int | None = None
    carbon_free_ratio_bps: int | None = None
    low_gco2e_per_kwh: float | None = None
    high_gco2e_per_kwh: float | None = None

    @property
    def zone_known(self) -> bool:
        return not self.zone.startswith("unknown:")

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}
