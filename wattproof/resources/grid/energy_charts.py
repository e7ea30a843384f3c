"""Energy-Charts of Fraunhofer ISE: carbon intensity of European countries by the quarter-hour, no key.

`/co2eq` is generation based. The documentation that we could read does not say whether its factors are lifecycle ones,
so its values are labelled `direct`: the label that never passes a ceiling and never replaces a lifecycle average. They
serve to compare hours of one country. The evidence is `estimated`: a value computed from metered generation with
factors. Recent quarter-hours are null until the generation is known, which takes up to hours.

Source: https://api.energy-charts.info (response form and country codes); licence CC BY 4.0.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.fields import mapping, number, sequence
from wattproof.resources.grid.http import Answer, fetch, refusal, require_json
from wattproof.resources.grid.observation import FRESH_WITHIN_S, GridConnection, Observation, Place

__all__ = ["COUNTRY_OF_ZONE", "EnergyCharts", "QuarterHour", "country_answer", "minute", "quarter_hours"]

_DEFAULT_STEP_S = 900

# Bundled zone -> country code of the API. A zone inside a country (SE-SE3) is not the country and has no row.
_SAME_CODE = (
    "al am at az ba be bg by ch cy cz de dk ee es fi fr ge gr hr hu ie it lt lu lv md me mk mt nl no pl pt ro rs se si "
    "sk tr xk"
)
COUNTRY_OF_ZONE: dict[str, str] = {code.upper(): code for code in _SAME_CODE.split()} | {"GB": "uk", "GB-NIR": "nie"}


@dataclass(frozen=True, slots=True)
class QuarterHour:
    """One column of `/co2eq` [gCO2eq/kWh]; null where the API has null."""

    starts_at: int
    step_s: int
    co2eq_g_per_kwh: float | None
    forecast_g_per_kwh: float | None


def quarter_hours(content: object) -> tuple[QuarterHour, ...]:
    """The parallel arrays of a `/co2eq` answer as rows, in order of time.

    Raises:
        GridUnavailable: bad_json, where the arrays are missing or of unequal length.
    """
    fields = mapping(content)
    times, stated, forecast = (sequence(fields.get(key)) for key in ("unix_seconds", "co2eq", "co2eq_forecast"))
    if not isinstance(fields.get("unix_seconds"), list) or len(times) != len(stated):
        raise GridUnavailable("bad_json", "Energy-Charts sent arrays of unequal length, or none.")
    ahead = forecast + [None] * (len(times) - len(forecast))
    columns = sorted(
        (
            (at, number(now), number(later))
            for at, now, later in zip(times, stated, ahead, strict=False)
            if _is_time(at)
        ),
        key=lambda column: column[0],
    )
    return tuple(QuarterHour(at, _step(columns, index), now, later) for index, (at, now, later) in enumerate(columns))


class EnergyCharts:
    """Carbon intensity of European countries from Energy-Charts, for comparing hours within one country."""

    name = "energy-charts"
    title = "Energy-Charts (Fraunhofer ISE)"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "direct"

    def __init__(self, base_url: str = "https://api.energy-charts.info") -> None:
        self._base_url = base_url.rstrip("/")

    def covers(self, place: Place) -> bool:
        """The countries in `COUNTRY_OF_ZONE`."""
        return place.zone in COUNTRY_OF_ZONE

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest quarter-hour with a value, where that is at most 3 h old; else the forecast for now.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        rows = await self._rows(place, connection, {})
        now_s = connection.now_s
        for row in reversed(rows):
            ended_s = now_s - (row.starts_at + row.step_s)
            if row.starts_at <= now_s and ended_s <= FRESH_WITHIN_S and row.co2eq_g_per_kwh is not None:
                return _observation(place, row, row.co2eq_g_per_kwh, "estimated", connection)
        for row in rows:
            if row.starts_at <= now_s < row.starts_at + row.step_s and row.forecast_g_per_kwh is not None:
                return _observation(place, row, row.forecast_g_per_kwh, "forecast", connection)
        raise GridUnavailable("no_data", f"Energy-Charts stated nothing of the last 3 h for {place.zone}.")

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """The forecast from the quarter-hour under way until `until_s`: of the same day, sometimes the next.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        return tuple(
            _observation(place, row, row.forecast_g_per_kwh, "forecast", connection)
            for row in await self._rows(place, connection, {})
            if row.forecast_g_per_kwh is not None
            and row.starts_at + row.step_s > connection.now_s
            and row.starts_at < until_s
        )

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """The quarter-hours of the last 24 h that have a value.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        span = {"start": minute(connection.now_s - 86_400), "end": minute(connection.now_s)}
        return tuple(
            _observation(place, row, row.co2eq_g_per_kwh, "estimated", connection)
            for row in await self._rows(place, connection, span)
            if row.co2eq_g_per_kwh is not None and row.starts_at <= connection.now_s
        )

    async def _rows(self, place: Place, connection: GridConnection, span: dict[str, str]) -> tuple[QuarterHour, ...]:
        return quarter_hours(require_json(await country_answer(connection, f"{self._base_url}/co2eq", place, span)))


async def country_answer(connection: GridConnection, url: str, place: Place, span: dict[str, str]) -> Answer:
    """What `url` answers for the country of a zone and a span of time.

    Raises:
        GridUnavailable: not_covered, where neither we nor the API know the country; or the request failed.
    """
    if place.zone not in COUNTRY_OF_ZONE:
        raise GridUnavailable("not_covered", f"Energy-Charts has no country for the zone {place.zone}.")
    answer = await fetch(connection, url, params={"country": COUNTRY_OF_ZONE[place.zone], **span})
    # A country that it does not know is a 400 in plain text, one without data a 404.
    if answer.status in (400, 404):
        raise refusal(answer, "not_covered")
    return answer


def minute(at_s: float) -> str:
    """A time as the API takes it."""
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(at_s))


def _observation(
    place: Place, row: QuarterHour, value: float, evidence: Literal["estimated", "forecast"], connection: GridConnection
) -> Observation:
    return Observation(
        zone=place.zone,
        value_gco2e_per_kwh=value,
        starts_at=row.starts_at,
        step_s=row.step_s,
        received_at=int(connection.now_s),
        basis="average",
        factor_scope="direct",
        accounting="production",
        evidence=evidence,
        source=EnergyCharts.name,
        licence="CC BY 4.0",
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _step(columns: list[tuple[int, float | None, float | None]], index: int) -> int:
    """The distance to the next column, or from the one before: some countries are stated by the hour."""
    near = [abs(columns[other][0] - columns[index][0]) for other in (index + 1, index - 1) if 0 <= other < len(columns)]
    return next((step for step in near if 0 < step <= 3600), _DEFAULT_STEP_S)
