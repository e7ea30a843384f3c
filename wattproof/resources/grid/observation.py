"""What a grid-signal source said of one zone and one interval, before it is judged for a request."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from wattproof.methodology.errors import GridUnavailable
from wattproof.methodology.zones import zone_average
from wattproof.resources.grid.reading import Evidence, Reading, TemporalMatch

if TYPE_CHECKING:
    import httpx2

__all__ = ["GridConnection", "GridSource", "Observation", "Place", "reading_at"]

LIVE_WITHIN_S = 15 * 60
FRESH_WITHIN_S = 3 * 3600
# No grid of the world is above this; a source that says so has its units wrong.
_MOST_GCO2E_PER_KWH = 3000.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where electricity is asked about: a bundled zone key, and the cloud region (`aws/eu-north-1`) where known."""

    zone: str
    cloud_region: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Carbon intensity of one zone in one interval [gCO2e/kWh], as a source states it.

    `starts_at` and `received_at` are Unix seconds; the interval is `[starts_at, starts_at + step_s)`.

    Raises:
        GridUnavailable: the value is not finite, negative or beyond any grid, or the interval is impossible.
    """

    zone: str
    value_gco2e_per_kwh: float
    starts_at: int
    step_s: int
    received_at: int
    basis: Literal["average", "marginal"]
    factor_scope: Literal["lifecycle", "direct"]
    accounting: Literal["consumption", "production"]
    evidence: Evidence
    source: str
    licence: str
    renewable_ratio_bps: int | None = None
    carbon_free_ratio_bps: int | None = None

    def __post_init__(self) -> None:
        value = self.value_gco2e_per_kwh
        if not (math.isfinite(value) and 0.0 <= value <= _MOST_GCO2E_PER_KWH):
            raise GridUnavailable("bad_value", f"{self.source} stated {value!r} gCO2e/kWh for {self.zone}.")
        if not 0 < self.step_s <= 366 * 86_400 or self.starts_at < 0:
            raise GridUnavailable("bad_value", f"{self.source} stated an impossible interval for {self.zone}.")
        for ratio in (self.renewable_ratio_bps, self.carbon_free_ratio_bps):
            if ratio is not None and not 0 <= ratio <= 10_000:
                raise GridUnavailable("bad_value", f"{self.source} stated a share of {ratio} bps for {self.zone}.")


@dataclass(frozen=True, slots=True)
class GridConnection:
    """What a source may use: the client (redirects off), the environment that holds keys, the time, and how long."""

    client: httpx2.AsyncClient
    environ: Mapping[str, str]
    now_s: float
    timeout_s: float


class GridSource(Protocol):
    """One grid-signal API. `key_env` names the variables it needs, all of them; empty: it needs no key.

    `basis` and `factor_scope` are those of every observation that it makes.
    """

    name: str
    title: str
    key_env: tuple[str, ...]
    basis: Literal["average", "marginal"]
    factor_scope: Literal["lifecycle", "direct"]

    def covers(self, place: Place) -> bool:
        """Whether it can speak of this place at all."""
        ...

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest observation that has begun.

        Raises:
            GridUnavailable: there is none, with the reason.
        """
        ...

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """Forecast intervals from now until `until_s`, in order; empty where the source offers none."""
        ...

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """What the source says now of recent intervals, in order; empty where it offers none."""
        ...


def reading_at(observation: Observation, requested_s: float) -> Reading:
    """The observation judged for a request at `requested_s` (Unix seconds).

    `live`: the request lies within 15 minutes of the observed interval, and it is no forecast; `fresh`: within 3 h;
    else `fallback`. The spread is that between published sources for the zone, which a newer value does not narrow.
    """
    ends_at = observation.starts_at + observation.step_s
    distance_s = max(observation.starts_at - requested_s, requested_s - ends_at, 0.0)
    return Reading(
        value_gco2e_per_kwh=observation.value_gco2e_per_kwh,
        zone=observation.zone,
        basis=observation.basis,
        factor_scope=observation.factor_scope,
        accounting=observation.accounting,
        observed_at=_rfc3339(observation.starts_at),
        requested_at=_rfc3339(int(requested_s)),
        age_minutes=max(0, int(requested_s - observation.starts_at) // 60),
        temporal_match=_match(distance_s, observation.evidence),
        evidence=observation.evidence,
        source=observation.source,
        licence=observation.licence,
        sigma_ln=zone_average(observation.zone).sigma_ln,
        renewable_ratio_bps=observation.renewable_ratio_bps,
        carbon_free_ratio_bps=observation.carbon_free_ratio_bps,
    )


def _match(distance_s: float, evidence: Evidence) -> TemporalMatch:
    if distance_s <= LIVE_WITHIN_S and evidence != "forecast":
        return "live"
    return "fresh" if distance_s <= FRESH_WITHIN_S else "fallback"


def _rfc3339(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))
