"""Invented grid-signal APIs in the real shapes: Electricity Maps v4, Energy-Charts and NESO, as unkind as those.

Late values, nulls at the end, a 401 that means "not in your plan", values that are corrected later, and outages.

Source of the shapes: electricitymaps.com API v4, api.energy-charts.info, carbonintensity.org.uk (see each class).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from wattproof.methodology.errors import UnknownZone
from wattproof.methodology.zones import zone_average
from wattproof.server.simulate.fleet import DAY_S, Outage, World, plain, suffer
from wattproof.server.simulate.grid_truth import HOUR_S, Curve, rfc3339

__all__ = ["ElectricityMapsApi", "EnergyChartsApi", "GridProfile", "NesoApi"]

_QUARTER_S, _HALF_S = 900, 1800
# Direct factors leave out building and fuel supply: lower than lifecycle ones. The ratio is made up.
_DIRECT_SHARE = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class GridProfile:
    """How one invented grid API behaves.

    `lag_s` is how old its newest value is. `plan` are the zones that the key may ask for (None: all). `null_rate` is
    the share of hours for which it has no value. `regions` maps `provider/region` of a cloud to a zone.
    """

    latency_s: float = 0.08
    lag_s: float = 0.0
    null_rate: float = 0.0
    plan: frozenset[str] | None = None
    regions: Mapping[str, str] | None = None
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refused(Exception):
    status: int
    body: str
    media_type: str = "application/json"


class _Api:
    """What the three have in common: an outage, a delay, a route, an answer."""

    def __init__(self, profile: GridProfile, world: World) -> None:
        self._profile = profile
        self._world = world
        self._curve = Curve(world)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if await suffer(self._profile.outages, request, self._world):
            return plain(503, b"<html><body><h1>503 Service Unavailable</h1></body></html>", "text/html")
        await self._world.wait(self._profile.latency_s)
        try:
            content = self._answer(request)
        except _Refused as refused:
            return plain(refused.status, refused.body.encode(), refused.media_type)
        return plain(200, json.dumps(content).encode(), "application/json")

    def _answer(self, request: httpx2.Request) -> object:
        raise NotImplementedError

    def _is_null(self, zone: str, unix_s: float) -> bool:
        return self._world.draw("null", zone, int(unix_s // HOUR_S)).random() < self._profile.null_rate

    @property
    def _newest_s(self) -> float:
        return self._world.clock() - self._profile.lag_s


class ElectricityMapsApi(_Api):
    """`/v4/{signal}/{latest|history|forecast}` by zone or data centre, with a key in `auth-token`."""

    def _answer(self, request: httpx2.Request) -> object:
        parts = request.url.path.strip("/").split("/")
        if not request.headers.get("auth-token"):
            raise _Refused(401, json.dumps({"error": "Unauthorized"}))
        answer = self._routes.get((parts[-2], parts[-1])) if len(parts) >= 2 else None
        if answer is None:
            raise _Refused(404, json.dumps({"status": "error", "message": "Not found"}))
        zone = self._zone(request.url.params)
        if self._profile.plan is not None and zone not in self._profile.plan:
            refusal = f"Request unauthorized for zoneKey={zone},requestType={parts[-1]},dataType={parts[-2]}."
            message = "You do not have access to this specific endpoint for this specific zone."
            raise _Refused(401, json.dumps({"error": refusal, "message": message}))
        return answer(zone, request.url.params)

    @property
    def _routes(self) -> Mapping[tuple[str, str], Callable[[str, httpx2.QueryParams], object]]:
        return {
            ("carbon-intensity", "latest"): self._latest,
            ("carbon-intensity", "history"): self._history,
            ("carbon-intensity", "forecast"): self._forecast,
            ("renewable-energy", "latest"): self._renewable,
            ("carbon-free-energy", "latest"): self._carbon_free,
        }

    def _zone(self, asked: httpx2.QueryParams) -> str:
        region = f"{asked.get('dataCenterProvider')}/{asked.get('dataCenterRegion')}"
        zone = asked.get("zone") or (self._profile.regions or {}).get(region)
        if zone is None:
            # As the real one: without disableCallerLookup a missing zone becomes the caller's own place.
            if asked.get("disableCallerLookup") != "true":
                return "US-CAL-CISO"
            raise _Refused(400, json.dumps({"status": "error", "message": "No zone was given"}))
        try:
            return zone_average(zone).zone
        except UnknownZone as error:
            raise _Refused(
                404, json.dumps({"status": "error", "message": f'No recent data for zone "{zone}"'})
            ) from error

    def _latest(self, zone: str, _: httpx2.QueryParams) -> object:
        at_s = self._newest_s // HOUR_S * HOUR_S
        if self._is_null(zone, at_s):
            raise _Refused(404, json.dumps({"status": "error", "message": f'No recent data for zone "{zone}"'}))
        return {"zone": zone, **self._hour(zone, at_s), "temporalGranularity": "hourly"}

    def _history(self, zone: str, _: httpx2.QueryParams) -> object:
        last = self._newest_s // HOUR_S * HOUR_S
        hours = [last - back * HOUR_S for back in reversed(range(24))]
        rows = [{"zone": zone, **self._hour(zone, at_s)} for at_s in hours if not self._is_null(zone, at_s)]
        return {"zone": zone, "history": rows, "temporalGranularity": "hourly"}

    def _forecast(self, zone: str, asked: httpx2.QueryParams) -> object:
        horizon = asked.get("horizonHours", "24")
        if horizon not in ("6", "24", "48", "72"):
            raise _Refused(400, json.dumps({"status": "error", "message": "horizonHours must be 6, 24, 48 or 72"}))
        first = self._world.clock() // HOUR_S * HOUR_S
        rows = [
            {"carbonIntensity": round(self._foreseen(zone, at_s)), "datetime": rfc3339(at_s, to="milliseconds")}
            for at_s in (first + ahead * HOUR_S for ahead in range(int(horizon)))
        ]
        updated = rfc3339(self._world.clock(), to="milliseconds")
        return {"zone": zone, "forecast": rows, "updatedAt": updated, "temporalGranularity": "hourly"}

    def _renewable(self, zone: str, _: httpx2.QueryParams) -> object:
        return self._share(zone, self._curve.renewable_percent)

    def _carbon_free(self, zone: str, _: httpx2.QueryParams) -> object:
        return self._share(zone, self._curve.carbon_free_percent)

    def _share(self, zone: str, percent: Callable[[str, float], float]) -> object:
        at_s = self._newest_s // HOUR_S * HOUR_S
        hour = self._hour(zone, at_s)
        kept = {key: hour[key] for key in ("datetime", "updatedAt", "createdAt", "isEstimated", "estimationMethod")}
        value = percent(zone, at_s)
        return {"zone": zone, **kept, "unit": "%", "value": value, "flowTraced": True, "temporalGranularity": "hourly"}

    def _hour(self, zone: str, at_s: float) -> dict[str, Any]:
        value, estimated = self._curve.stated(zone, at_s, self._world.clock())
        return {
            "carbonIntensity": round(value),
            "datetime": rfc3339(at_s, to="milliseconds"),
            "updatedAt": rfc3339(self._world.clock(), to="milliseconds"),
            "createdAt": rfc3339(at_s - DAY_S, to="milliseconds"),
            "emissionFactorType": "lifecycle",
            "flowTraced": True,
            "isEstimated": estimated,
            "estimationMethod": "FORECASTS_HIERARCHY" if estimated else None,
        }

    def _foreseen(self, zone: str, at_s: float) -> float:
        return self._curve.truth(zone, at_s) * self._world.draw("forecast", zone, int(at_s)).lognormvariate(0.0, 0.12)


class EnergyChartsApi(_Api):
    """`/co2eq?country=`: parallel arrays by the quarter-hour, the last ones null until generation is known."""

    countries: Mapping[str, str] = {code.lower(): code for code in ("FR", "FI", "IT", "DE", "PL", "SE", "CH", "ES")}

    def _answer(self, request: httpx2.Request) -> object:
        country = request.url.params.get("country", "de")
        zone = self.countries.get(country)
        if request.url.path != "/co2eq":
            raise _Refused(404, "Not Found", "text/plain")
        if zone is None:
            text = (
                f"'{country}' is not the code for an available country. "
                "Please refer to the API doc for information about available countries"
            )
            raise _Refused(400, text, "text/plain")
        now_s = self._world.clock()
        first, last = self._asked_span(request.url.params, now_s)
        times = list(range(first, last, _QUARTER_S))
        known = [at for at in times if at + _QUARTER_S <= now_s - max(self._profile.lag_s, 2 * HOUR_S)]
        return {
            "unix_seconds": times,
            "co2eq": [self._value(zone, at) if at in known else None for at in times],
            "co2eq_forecast": [None if at in known else self._value(zone, at) for at in times],
            "deprecated": False,
        }

    def _asked_span(self, asked: httpx2.QueryParams, now_s: float) -> tuple[int, int]:
        """Quarter-hours from `start` to `end`; the present day unless given."""
        today = int(now_s // DAY_S * DAY_S)
        first = int(_utc(asked["start"])) if "start" in asked else today
        last = int(_utc(asked["end"])) if "end" in asked else today + int(DAY_S)
        return first // _QUARTER_S * _QUARTER_S, min(last, first + 31 * int(DAY_S))

    def _value(self, zone: str, at_s: int) -> float | None:
        return None if self._is_null(zone, at_s) else round(_DIRECT_SHARE * self._curve.truth(zone, at_s), 1)


class NesoApi(_Api):
    """`/intensity` and its ranges: half-hours of Great Britain; `actual` of the one under way is null."""

    def _answer(self, request: httpx2.Request) -> object:
        parts = request.url.path.strip("/").split("/")
        now_s = self._world.clock()
        span = (
            {1: lambda: (now_s, now_s), 3: lambda: _span(*parts[1:])}.get(len(parts))
            if parts[0] == "intensity"
            else None
        )
        if span is None:
            raise _bad_request()
        begins, ends = span()
        first = begins // _HALF_S * _HALF_S
        count = min(97, int((ends - first) // _HALF_S) + 1)
        return {"data": [self._half_hour(first + step * _HALF_S) for step in range(count)]}

    def _half_hour(self, at_s: float) -> dict[str, Any]:
        known = at_s + _HALF_S <= self._newest_s
        truth = _DIRECT_SHARE * self._curve.truth("GB", at_s)
        ahead = truth * self._world.draw("forecast", "GB", int(at_s)).lognormvariate(0.0, 0.08)
        return {
            "from": rfc3339(at_s, to="minutes"),
            "to": rfc3339(at_s + _HALF_S, to="minutes"),
            "intensity": {
                "forecast": round(ahead),
                "actual": round(truth) if known and not self._is_null("GB", at_s) else None,
                "index": "moderate",
            },
        }


def _span(start: str, end: str) -> tuple[float, float]:
    """From and to of `/intensity/{from}/{to}`, where `to` may be fw24h, fw48h or pt24h."""
    relative = {"fw24h": DAY_S, "fw48h": 2 * DAY_S, "pt24h": -DAY_S}
    begins = _utc(start)
    ends = begins + relative[end] if end in relative else _utc(end)
    return min(begins, ends), max(begins, ends)


def _utc(text: str) -> float:
    """Unix seconds of a time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_request() from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _bad_request() -> _Refused:
    return _Refused(400, json.dumps({"error": {"code": "400 Bad Request", "message": "Please enter a valid path"}}))
