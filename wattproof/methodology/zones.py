"""Annual carbon intensity of electricity by zone, and the mixture of all zones for a request from nowhere known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from wattproof.methodology.closest import closest
from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import UnknownZone

__all__ = ["Mixture", "ZoneAverage", "all_zones", "mixture", "zone_average"]


@dataclass(frozen=True, slots=True)
class ZoneAverage:
    """The average of one zone over one year: lifecycle, consumption-based [gCO2e/kWh].

    `sigma_ln` is the spread between published sources for the zone's country. Ratios are shares of the mix in 1/10,000.
    """

    zone: str
    value_gco2e_per_kwh: float
    renewable_ratio_bps: int
    carbon_free_ratio_bps: int
    sigma_ln: float
    year: int
    source: str
    source_id: str
    licence: str


@dataclass(frozen=True, slots=True)
class Mixture:
    """Every bundled zone with equal weight [gCO2e/kWh]: what is known of a location that nobody states.

    `median` and `sigma_ln` are those of the log-normal with the mean and standard deviation of the zones' logarithms.
    The zones themselves are skewed towards low values, so `low` and `high` are their own 5 and 95 % points.
    """

    median: float
    low: float
    high: float
    sigma_ln: float


def zone_average(zone: str) -> ZoneAverage:
    """The bundled annual average of a zone such as `FR` or `SE-SE3`, case ignored.

    Raises:
        UnknownZone: the edition has no such zone; carries the three closest.
    """
    found = _averages().get(zone.upper())
    if found is None:
        raise UnknownZone(zone, closest(zone, _averages()))
    return found


def all_zones() -> tuple[str, ...]:
    """Every bundled zone, sorted."""
    return tuple(sorted(_averages()))


@cache
def mixture() -> Mixture:
    """What to assume of the grid when the zone is unknown."""
    values = [average.value_gco2e_per_kwh for average in _averages().values()]
    logs = [math.log(value) for value in values]
    twentieths = statistics.quantiles(values, n=20, method="inclusive")
    return Mixture(math.exp(statistics.fmean(logs)), twentieths[0], twentieths[-1], statistics.stdev(logs))


@cache
def _averages() -> Mapping[str, ZoneAverage]:
    edition = read_edition("electricitymaps/zones.json")
    spread = read_edition("wattproof/grid_spread.json")
    averages: dict[str, ZoneAverage] = {}
    for zone, (intensity_gco2e_per_kwh, renewable_percent, carbon_free_percent) in edition["zones"].items():
        country = zone.partition("-")[0]
        averages[zone] = ZoneAverage(
            zone=zone,
            value_gco2e_per_kwh=float(intensity_gco2e_per_kwh),
            renewable_ratio_bps=renewable_percent * 100,
            carbon_free_ratio_bps=carbon_free_percent * 100,
            sigma_ln=max(spread["least_sigma_ln"], spread["sigma_ln"].get(country, spread["default_sigma_ln"])),
            year=edition["year"],
            source=edition["source"],
            source_id=edition["source_id"],
            licence=edition["licence"],
        )
    return averages
