"""Readings from the bundled annual edition: they need no network and never expire.

An annual average is always `temporal_match: fallback`, whatever the date of the request.
"""

from __future__ import annotations

import functools
import math
import time
from datetime import UTC, datetime

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.zones import ZoneAverage, all_zones, mixture, zone_average
from wattproof.resources.grid.reading import Reading

__all__ = ["annual_reading", "reading_for", "unknown_reading"]

_YEAR_3000 = 32_503_680_000
# Readings of the seconds just past: those of one request, and of its neighbours, are alike.
_KEPT = 1024


def annual_reading(zone: str, requested_at: float) -> Reading:
    """The bundled annual average of `zone` [gCO2e/kWh, lifecycle, consumption-based].

    `requested_at` is in Unix seconds. `age_minutes` counts from `observed_at`, the start of the year observed.

    Source: the zone's row in the edition, Electricity Maps (ODbL 1.0).

    Raises:
        UnknownZone: the edition has no such zone; names the three closest.
        InvalidInput: `requested_at` is not a time.
    """
    return _annual(zone, _second(requested_at))


@functools.lru_cache(maxsize=_KEPT)
def _annual(zone: str, asked_s: int) -> Reading:
    row = zone_average(zone)
    return _reading(
        row,
        asked_s,
        zone=row.zone,
        value=row.value_gco2e_per_kwh,
        sigma_ln=row.sigma_ln,
        renewable_ratio_bps=row.renewable_ratio_bps,
        carbon_free_ratio_bps=row.carbon_free_ratio_bps,
    )


def unknown_reading(provider: str, requested_at: float) -> Reading:
    """What can be said where a provider names no place: the mixture of all bundled zones.

    The value is the mixture's median, `low` and `high` the zones' 5 and 95 % points; zones count alike, whatever their
    size, because nothing is known. Renewable shares are None.

    Raises:
        InvalidInput: `requested_at` is not a time.
    """
    return _unknown(provider, _second(requested_at))


@functools.lru_cache(maxsize=_KEPT)
def _unknown(provider: str, asked_s: int) -> Reading:
    spread = mixture()
    return _reading(
        _any_zone(),
        asked_s,
        zone=f"unknown:{provider}",
        value=spread.median,
        sigma_ln=spread.sigma_ln,
        bounds=(spread.low, spread.high),
    )


def reading_for(zone: str | None, provider: str, requested_at: float) -> Reading:
    """The annual reading of `zone`, or the mixture named after `provider` where the zone is None.

    Raises:
        UnknownZone: the edition has no such zone.
        InvalidInput: `requested_at` is not a time.
    """
    return unknown_reading(provider, requested_at) if zone is None else annual_reading(zone, requested_at)


def _reading(
    row: ZoneAverage,
    asked_s: int,
    *,
    zone: str,
    value: float,
    sigma_ln: float,
    bounds: tuple[float, float] | None = None,
    renewable_ratio_bps: int | None = None,
    carbon_free_ratio_bps: int | None = None,
) -> Reading:
    observed_s, observed_at = _start_of(row.year)
    low, high = bounds or (None, None)
    return Reading(
        value_gco2e_per_kwh=value,
        zone=zone,
        basis="average",
        factor_scope="lifecycle",
        accounting="consumption",
        observed_at=observed_at,
        requested_at=_rfc3339(asked_s),
        age_minutes=max(0, (asked_s - observed_s) // 60),
        temporal_match="fallback",
        evidence="annual" if bounds is None else "mixture",
        source=row.source_id,
        licence=row.licence,
        sigma_ln=sigma_ln,
        renewable_ratio_bps=renewable_ratio_bps,
        carbon_free_ratio_bps=carbon_free_ratio_bps,
        low_gco2e_per_kwh=low,
        high_gco2e_per_kwh=high,
    )


def _second(requested_at: float) -> int:
    if not (math.isfinite(requested_at) and 0 <= requested_at < _YEAR_3000):
        raise InvalidInput("requested_at", f"is {requested_at!r}", "give Unix seconds from 1970 to 3000")
    return int(requested_at)


@functools.cache
def _any_zone() -> ZoneAverage:
    return zone_average(all_zones()[0])


@functools.cache
def _start_of(year: int) -> tuple[int, str]:
    start_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    return start_s, _rfc3339(start_s)


@functools.lru_cache(maxsize=64)
def _rfc3339(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))
