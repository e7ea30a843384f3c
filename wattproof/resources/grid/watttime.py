"""WattTime v3: the marginal operating emissions rate of a region, every five minutes, with an account.

A marginal rate says what one more kWh causes at this moment. It is never compared with an average, never satisfies a
ceiling and is never accounted; it serves for "now or later" within one region. WattTime's `signal-index` is a
percentile within the region and no intensity at all: it is not read here.

| answer | reason |
|---|---|
| 401 or 403 at the login, or twice in a row after it | unauthorized |
| 403 `Invalid scope` | plan |
| 404 | not_covered |
| another region, signal or unit than was asked for | bad_value |

Source: https://docs.watttime.org (v3).
"""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.fields import mapping, number, sequence, unix_seconds
from wattproof.resources.grid.generation import read_table
from wattproof.resources.grid.http import Answer, fetch, refusal, require_json
from wattproof.resources.grid.keys import key_of
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["WattTime", "forecast_points"]

GRAMS_PER_LB = 453.59237
_SIGNAL = "co2_moer"
_UNITS = "lbs_co2_per_mwh"
_MOST_HORIZON_H = 72
# A token is good for 30 minutes; a minute less covers what the request itself takes.
_TOKEN_GOOD_FOR_S = 29 * 60


@dataclass(frozen=True, slots=True)
class _Session:
    account: tuple[str, str]
    token: str
    until_s: float


class WattTime:
    """WattTime's marginal rate, for the regions that one bundled zone names."""

    name = "watttime"
    title = "WattTime API v3 (marginal)"
    key_env: tuple[str, ...] = ("WATTTIME_USER", "WATTTIME_PASSWORD")
    basis: Literal["average", "marginal"] = "marginal"
    factor_scope: Literal["lifecycle", "direct"] = "direct"

    def __init__(self, base_url: str = "https://api.watttime.org") -> None:
        self._base_url = base_url.rstrip("/")
        self._session: _Session | None = None
        self._login = anyio.Lock()

    def covers(self, place: Place) -> bool:
        """Balancing authorities that are one region of WattTime, and California, for which its open region stands."""
        return place.zone in _regions()

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest point that has begun: WattTime's forecast starts with the rate of the moment.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason; see the table above.
        """
        begun = [p for p in await self._points(place, 1, connection) if p.starts_at <= connection.now_s]
        if not begun:
            raise GridUnavailable("no_data", "WattTime sent no point that has begun.")
        return begun[-1]

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """Five-minute points from now until `until_s`, at most 72 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        hours = min(max(math.ceil((until_s - connection.now_s) / 3600), 1), _MOST_HORIZON_H)
        points = await self._points(place, hours, connection)
        return tuple(
            point for point in points if point.starts_at + point.step_s > connection.now_s and point.starts_at < until_s
        )

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """None: a marginal rate is never accounted, so there is nothing that a correction could change."""
        return ()

    async def _points(self, place: Place, hours: int, connection: GridConnection) -> tuple[Observation, ...]:
        region = _regions().get(place.zone)
        if region is None:
            raise GridUnavailable("not_covered", f"No region of WattTime is known for {place.zone}.")
        params = {"region": region, "signal_type": _SIGNAL, "horizon_hours": str(hours)}
        content = await self._get("/v3/forecast", params, connection)
        return forecast_points(content, place.zone, region, int(connection.now_s))

    async def _get(self, path: str, params: Mapping[str, str], connection: GridConnection) -> object:
        session = await self._open(connection, stale=None)
        answer = await self._ask(path, params, session, connection)
        if answer.status in (401, 403) and not _is_plan(answer):
            # An expired token is refused with a page of the web server; a new one is worth one more try.
            session = await self._open(connection, stale=session)
            answer = await self._ask(path, params, session, connection)
        if answer.status in (400, 403) and _is_plan(answer):
            raise refusal(answer, "plan")
        if answer.status in (401, 403):
            raise refusal(answer, "unauthorized")
        if answer.status == 404:
            raise refusal(answer, "not_covered")
        return require_json(answer)

    async def _ask(self, path: str, params: Mapping[str, str], session: _Session, connection: GridConnection) -> Answer:
        return await fetch(
            connection,
            self._base_url + path,
            params=params,
            headers={"authorization": f"Bearer {session.token}"},
            secrets=(session.token, session.account[1]),
        )

    async def _open(self, connection: GridConnection, *, stale: _Session | None) -> _Session:
        """The session of the account in the environment; whoever comes while one logs in waits for that login."""
        account = (key_of(connection, "WATTTIME_USER"), key_of(connection, "WATTTIME_PASSWORD"))
        async with self._login:
            current = self._session
            usable = current is not None and current is not stale and current.account == account
            if current is not None and usable and connection.now_s < current.until_s:
                return current
            self._session = None
            token = await self._log_in(account, connection)
            self._session = _Session(account, token, connection.now_s + _TOKEN_GOOD_FOR_S)
            return self._session

    async def _log_in(self, account: tuple[str, str], connection: GridConnection) -> str:
        packed = base64.b64encode(":".join(account).encode()).decode()
        answer = await fetch(
            connection,
            self._base_url + "/login",
            headers={"authorization": f"Basic {packed}"},
            secrets=(account[1], packed),
        )
        if answer.status in (401, 403):
            raise refusal(answer, "unauthorized")
        token = mapping(require_json(answer)).get("token")
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise GridUnavailable("bad_json", "WattTime answered the login without a token.")
        return token


def forecast_points(content: object, zone: str, region: str, received_at: int) -> tuple[Observation, ...]:
    """The points of a `/v3/forecast` answer in order [gCO2/kWh, marginal, direct], without those that are no rate.

    The first point is the rate of the moment at which the forecast was made: an estimate. The rest is forecast.

    Raises:
        GridUnavailable: bad_json or bad_value, where the answer is not of that form, region, signal or unit.
    """
    meta, rows = mapping(mapping(content).get("meta")), _rows(content)
    if not meta or not rows:
        raise GridUnavailable("bad_json", "WattTime sent JSON without points.")
    if (meta.get("region"), meta.get("signal_type"), meta.get("units")) != (region, _SIGNAL, _UNITS):
        raise GridUnavailable("bad_value", f"WattTime did not answer with {_SIGNAL} of {region} in {_UNITS}.")
    step_s = number(meta.get("data_point_period_seconds")) or 0.0
    points: list[Observation] = []
    for index, row in enumerate(rows):
        pounds, starts_at = number(mapping(row).get("value")), unix_seconds(mapping(row).get("point_time"))
        if pounds is None or starts_at is None:
            continue
        with contextlib.suppress(GridUnavailable):
            points.append(_observation(zone, pounds, starts_at, int(step_s), received_at, is_first=index == 0))
    return tuple(sorted(points, key=lambda point: point.starts_at))


def _rows(content: object) -> list[Any]:
    """Points lie under `data`; recordings of the official client wrap them in one entry per time of forecasting."""
    data = sequence(mapping(content).get("data"))
    wrapped = [mapping(entry) for entry in data if "forecast" in mapping(entry)]
    if not wrapped:
        return data
    return sequence(max(wrapped, key=lambda entry: unix_seconds(entry.get("generated_at")) or 0)["forecast"])


def _observation(
    zone: str, pounds_per_mwh: float, starts_at: int, step_s: int, received_at: int, *, is_first: bool
) -> Observation:
    return Observation(
        zone=zone,
        value_gco2e_per_kwh=pounds_per_mwh * GRAMS_PER_LB / 1000,
        starts_at=starts_at,
        step_s=step_s,
        received_at=received_at,
        basis="marginal",
        factor_scope="direct",
        accounting="production",
        evidence="estimated" if is_first else "forecast",
        source=WattTime.name,
        licence="WattTime, proprietary API terms",
    )


def _is_plan(answer: Answer) -> bool:
    return b"Invalid scope" in answer.body


def _regions() -> Mapping[str, str]:
    return read_table("watttime_regions.json")["regions"]
