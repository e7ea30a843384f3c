"""The Carbon Intensity API of Great Britain's National Energy System Operator: half-hours, no key.

Its values are gCO2 per kWh consumed in Great Britain: large power stations, imports with a factor per country, and
losses. The factors are *direct*: wind, sun, hydro and nuclear count zero. They must not be compared with lifecycle
values. The documentation calls `actual` the estimated actual intensity, so the evidence is `estimated`, never
`measured`; it may be null for the half-hour under way, and then the value is NESO's forecast. No renewable share.

Source: https://carbon-intensity.github.io/api-definitions/ (CC BY 4.0); methodology of May 2024, NESO.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.fields import mapping, number, sequence, unix_seconds
from wattproof.resources.grid.http import fetch, require_json
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["HalfHour", "Neso", "half_hours"]


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One row of `/intensity`: direct intensity [gCO2/kWh] of `[starts_at, ends_at)` in Unix seconds."""

    starts_at: int
    ends_at: int
    actual_gco2_per_kwh: float | None
    forecast_gco2_per_kwh: float | None


def half_hours(content: object) -> tuple[HalfHour, ...]:
    """The rows of an `/intensity` answer that have an interval, in order.

    Raises:
        GridUnavailable: bad_json, where the answer is not of that form.
    """
    if not isinstance(mapping(content).get("data"), list):
        raise GridUnavailable("bad_json", "NESO sent JSON without a list `data`.")
    read: list[HalfHour] = []
    for row in sequence(mapping(content)["data"]):
        starts_at, ends_at = unix_seconds(mapping(row).get("from")), unix_seconds(mapping(row).get("to"))
        stated = mapping(mapping(row).get("intensity"))
        if starts_at is not None and ends_at is not None and starts_at < ends_at:
            read.append(HalfHour(starts_at, ends_at, number(stated.get("actual")), number(stated.get("forecast"))))
    return tuple(sorted(read, key=lambda half_hour: half_hour.starts_at))


class Neso:
    """NESO's carbon intensity of Great Britain (`GB`)."""

    name = "neso"
    title = "NESO Carbon Intensity API"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "direct"

    def __init__(self, base_url: str = "https://api.carbonintensity.org.uk") -> None:
        self._base_url = base_url.rstrip("/")

    def covers(self, place: Place) -> bool:
        """Great Britain only: Northern Ireland is another grid."""
        return place.zone == "GB"

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The half-hour under way, or the one before it where that is what NESO answers.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        for row in reversed(await self._rows("/intensity", connection)):
            if row.starts_at > connection.now_s:
                continue
            if row.actual_gco2_per_kwh is not None:
                return _observation(place, row, row.actual_gco2_per_kwh, "estimated", connection)
            if row.forecast_gco2_per_kwh is not None:
                return _observation(place, row, row.forecast_gco2_per_kwh, "forecast", connection)
        raise GridUnavailable("no_data", "NESO stated no intensity for a half-hour that has begun.")

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """NESO's forecast from the half-hour under way until `until_s`, at most 48 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        rows = await self._rows(f"/intensity/{_minute(connection.now_s)}/fw48h", connection)
        return tuple(
            _observation(place, row, row.forecast_gco2_per_kwh, "forecast", connection)
            for row in rows
            if row.forecast_gco2_per_kwh is not None and row.ends_at > connection.now_s and row.starts_at < until_s
        )

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """The half-hours of the last 24 h that have an estimated actual value.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        rows = await self._rows(f"/intensity/{_minute(connection.now_s)}/pt24h", connection)
        return tuple(
            _observation(place, row, row.actual_gco2_per_kwh, "estimated", connection)
            for row in rows
            if row.actual_gco2_per_kwh is not None and row.starts_at <= connection.now_s
        )

    async def _rows(self, path: str, connection: GridConnection) -> tuple[HalfHour, ...]:
        return half_hours(require_json(await fetch(connection, self._base_url + path)))


def _observation(
    place: Place, row: HalfHour, value: float, evidence: Literal["estimated", "forecast"], connection: GridConnection
) -> Observation:
    return Observation(
        zone=place.zone,
        value_gco2e_per_kwh=value,
        starts_at=row.starts_at,
        step_s=row.ends_at - row.starts_at,
        received_at=int(connection.now_s),
        basis="average",
        factor_scope="direct",
        accounting="consumption",
        evidence=evidence,
        source=Neso.name,
        licence="CC BY 4.0",
    )


def _minute(now_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(now_s))
