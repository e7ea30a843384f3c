"""Invented grids: a daily curve around each zone's bundled annual average, and what a publisher knows of it when.

Synthetic throughout. Only the mean is close to something observed, the bundled annual average of the zone; shape, size
and hour of the swing are made up: two cosines, a factor per day and noise per hour, all drawn from the seed.
"""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass

from wattproof.methodology.zones import zone_average
from wattproof.server.simulate.fleet import DAY_S, World

__all__ = ["HOUR_S", "Curve", "rfc3339"]

HOUR_S = 3600
# A publisher measures about 100 minutes after an hour began; until then it estimates (facts of Electricity Maps' API).
_PUBLISHED_AFTER_S = 100 * 60.0
_LEAST_SHARE = 0.2
_MOST_OF_DAY = 1.4


@dataclass(frozen=True, slots=True)
class Curve:
    """Carbon intensity of every zone at every time."""

    world: World

    def truth(self, zone: str, unix_s: float) -> float:
        """gCO2e/kWh in the hour that holds `unix_s`, as it will be known in the end."""
        average = zone_average(zone).value_gco2e_per_kwh
        swing, peak_h, of_day = _shape(self.world, zone, int(unix_s // DAY_S))
        hour = (unix_s % DAY_S) // HOUR_S
        noise = self.world.draw("hour", zone, int(unix_s // HOUR_S)).gauss(0.0, 0.05)
        daily = math.cos(2 * math.pi * (hour - peak_h) / 24)
        twice = 0.3 * math.cos(4 * math.pi * (hour - peak_h) / 24)
        return round(average * max(_LEAST_SHARE, of_day * (1.0 + swing * (daily + twice)) + noise), 1)

    def stated(self, zone: str, starts_at: float, now_s: float) -> tuple[float, bool]:
        """What a publisher states at `now_s` of the hour from `starts_at`, and whether that is an estimate of its own.

        An hour is estimated at first, by a factor that is wrong by some 10 %, and corrected once it is measured.
        """
        if now_s >= starts_at + _PUBLISHED_AFTER_S:
            return self.truth(zone, starts_at), False
        error = self.world.draw("estimate", zone, int(starts_at // HOUR_S)).lognormvariate(0.0, 0.1)
        return round(self.truth(zone, starts_at) * error, 1), True

    def renewable_percent(self, zone: str, unix_s: float) -> float:
        """Renewable share of the hour; it falls where intensity rises."""
        return self._share(zone, unix_s, zone_average(zone).renewable_ratio_bps)

    def carbon_free_percent(self, zone: str, unix_s: float) -> float:
        """Carbon-free share of the hour; it falls where intensity rises."""
        return self._share(zone, unix_s, zone_average(zone).carbon_free_ratio_bps)

    def _share(self, zone: str, unix_s: float, average_bps: int) -> float:
        average = zone_average(zone).value_gco2e_per_kwh
        above = self.truth(zone, unix_s) / average - 1.0 if average else 0.0
        return round(min(100.0, max(0.0, average_bps / 100 * (1.0 - 0.5 * above))), 1)


@functools.lru_cache(maxsize=4096)
def _shape(world: World, zone: str, day: int) -> tuple[float, float, float]:
    """Swing (share of the mean), hour of the peak, and the day's own factor."""
    place, daily = world.draw("zone", zone), world.draw("day", zone, day)
    of_day = min(_MOST_OF_DAY, max(1 / _MOST_OF_DAY, daily.lognormvariate(0.0, 0.15)))
    return place.uniform(0.1, 0.35), place.uniform(17.0, 20.0), of_day


def rfc3339(unix_s: float, *, to: str = "seconds") -> str:
    """UTC, with milliseconds as Electricity Maps writes it, or to the minute as NESO does."""
    pattern = {"milliseconds": "%Y-%m-%dT%H:%M:%S.000Z", "seconds": "%Y-%m-%dT%H:%M:%SZ", "minutes": "%Y-%m-%dT%H:%MZ"}
    return time.strftime(pattern[to], time.gmtime(unix_s))
