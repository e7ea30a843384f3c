"""Electricity Maps, API v4: hourly lifecycle intensity of the electricity consumed in a zone, with a key.

The current hour is estimated, the measured value replaces it an hour or two later; `isEstimated` says which one it is.
`disableCallerLookup` is always sent: without it a request that names no zone is answered for the caller's address.

| answer | reason |
|---|---|
| 401 that names the zone or the endpoint | plan |
| any other 401 | unauthorized |
| 404 | no_data |
| another zone than was asked for | not_covered |
| other factors than lifecycle, not flow-traced, a time to come | bad_value |

Source: https://portal.electricitymaps.com/docs (v4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import anyio

from wattproof.methodology.errors import GridUnavailable, UnknownZone
from wattproof.methodology.zones import zone_average
from wattproof.resources.grid.fields import mapping, number, sequence, unix_seconds
from wattproof.resources.grid.http import Answer, fetch, quoted, refusal, require_json
from wattproof.resources.grid.keys import key_of
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["ElectricityMaps", "share_bps"]

_VARIABLE = "ELECTRICITYMAPS_TOKEN"
_LICENCE = "Electricity Maps, proprietary API terms"
_STEPS_S = {"5_minutes": 300, "15_minutes": 900, "hourly": 3600}
_HORIZONS_H = (24, 48, 72)
_CLOCK_SKEW_S = 300
# Printed as whole percents, so a share of all is at most 100.5. A value above is one of production over consumption in
# a zone that exports, and says nothing of the electricity consumed: it is unknown, not 100 %.
_MOST_PERCENT = 100.5


class ElectricityMaps:
    """Electricity Maps v4, by zone or by the cloud region where a deployment names one."""

    name = "electricity-maps"
    title = "Electricity Maps API v4"
    key_env: tuple[str, ...] = (_VARIABLE,)
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"

    def __init__(self, base_url: str = "https://api.electricitymaps.com/v4") -> None:
        self._base_url = base_url.rstrip("/")

    def covers(self, place: Place) -> bool:
        """Every bundled zone: the bundled keys are Electricity Maps' own."""
        return _is_bundled(place.zone)

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The hour under way, with the renewable and carbon-free share where they can be had.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason; see the table above.
        """
        answers: dict[str, dict[str, Any] | GridUnavailable] = {}
        # Shares are worth less than the intensity: they get half of the time, so that they cannot lose it.
        in_half = replace(connection, timeout_s=connection.timeout_s / 2)

        async def ask(signal: str, within: GridConnection) -> None:
            try:
                answers[signal] = await self._get(f"{signal}/latest", place, within)
            except GridUnavailable as error:
                answers[signal] = error

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "carbon-intensity", connection)
            tasks.start_soon(ask, "renewable-energy", in_half)
            tasks.start_soon(ask, "carbon-free-energy", in_half)
        content = answers["carbon-intensity"]
        if isinstance(content, GridUnavailable):
            raise content
        observation = _observation(place, content, content.get("temporalGranularity"), connection)
        if observation.starts_at > connection.now_s + _CLOCK_SKEW_S:
            raise GridUnavailable("bad_value", "Electricity Maps sent a latest value for a time to come.")
        return replace(
            observation,
            renewable_ratio_bps=share_bps(answers["renewable-energy"], observation),
            carbon_free_ratio_bps=share_bps(answers["carbon-free-energy"], observation),
        )

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """Hourly forecast from now until `until_s`, at most 72 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        hours = (until_s - connection.now_s) / 3600
        horizon = next((h for h in _HORIZONS_H if h >= hours), _HORIZONS_H[-1])
        content = await self._get("carbon-intensity/forecast", place, connection, horizonHours=str(horizon))
        points = _series(place, content, "forecast", connection)
        return tuple(
            replace(point, evidence="forecast")
            for point in points
            if point.starts_at + point.step_s > connection.now_s and point.starts_at < until_s
        )

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """The last 24 h as Electricity Maps sees them now.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        content = await self._get("carbon-intensity/history", place, connection)
        points = _series(place, content, "history", connection)
        return tuple(point for point in points if point.starts_at <= connection.now_s)

    async def _get(self, path: str, place: Place, connection: GridConnection, **options: str) -> dict[str, Any]:
        """The answer's JSON object, its `zone` checked and written as the bundled key."""
        centre = _data_centre(place)
        if centre is not None:
            answer = await self._ask(path, {**centre, **options}, connection)
            # A data centre that Electricity Maps does not know, or the plan lacks, leaves the zone to be asked.
            if answer.status not in (400, 404) and not _is_denied(answer):
                return _read(answer, place, by_centre=True)
        return _read(await self._ask(path, {"zone": place.zone, **options}, connection), place, by_centre=False)

    async def _ask(self, path: str, selected: Mapping[str, str], connection: GridConnection) -> Answer:
        token = key_of(connection, _VARIABLE)
        always = {"disableCallerLookup": "true", "temporalGranularity": "hourly"}
        factors = {"emissionFactorType": "lifecycle"} if path.startswith("carbon-intensity/") else {}
        return await fetch(
            connection,
            f"{self._base_url}/{path}",
            params={**selected, **always, **factors},
            headers={"auth-token": token},
            secrets=(token,),
        )


def share_bps(content: Mapping[str, Any] | GridUnavailable, observation: Observation) -> int | None:
    """The share of a `renewable-energy` or `carbon-free-energy` answer, or None unless it is of the same interval."""
    if isinstance(content, GridUnavailable):
        return None
    percent = number(content.get("value"))
    same = unix_seconds(content.get("datetime")) == observation.starts_at and content.get("zone") == observation.zone
    if percent is None or not same or content.get("unit") != "%" or not 0 <= percent <= _MOST_PERCENT:
        return None
    return min(10_000, round(percent * 100))


def _data_centre(place: Place) -> dict[str, str] | None:
    provider, _, region = (place.cloud_region or "").lower().partition("/")
    return {"dataCenterProvider": provider, "dataCenterRegion": region} if provider and region else None


def _is_denied(answer: Answer) -> bool:
    """A 401 is also how Electricity Maps says that the plan lacks a zone or an endpoint."""
    return answer.status == 401 and ("zoneKey=" in answer.said or b"do not have access" in answer.body)


def _read(answer: Answer, place: Place, *, by_centre: bool) -> dict[str, Any]:
    if answer.status == 401:
        raise refusal(answer, "plan" if _is_denied(answer) else "unauthorized")
    if answer.status == 404:
        raise refusal(answer, "no_data")
    content = mapping(require_json(answer))
    return {**content, "zone": _answered_zone(place, content.get("zone"), by_centre=by_centre)}


def _answered_zone(place: Place, answered: object, *, by_centre: bool) -> str:
    """The zone that the answer is for, if it is the place's, a part of it, or the one that its data centre is in."""
    if isinstance(answered, str) and _is_bundled(answered):
        zone = answered.upper()
        if by_centre or zone == place.zone.upper() or zone.startswith(f"{place.zone.upper()}-"):
            return zone
    said = quoted(answered) if isinstance(answered, str) else "no zone"
    raise GridUnavailable("not_covered", f"Electricity Maps was asked for {place.zone} and answered for {said}.")


def _series(place: Place, content: Mapping[str, Any], field: str, connection: GridConnection) -> list[Observation]:
    if not isinstance(content.get(field), list):
        raise GridUnavailable("bad_json", f"Electricity Maps sent JSON without a list {field!r}.")
    points: list[Observation] = []
    for row in sequence(content[field]):
        try:
            stated = {**mapping(row), "zone": content["zone"]}
            points.append(_observation(place, stated, content.get("temporalGranularity"), connection))
        except GridUnavailable:
            continue
    return sorted(points, key=lambda point: point.starts_at)


def _observation(
    place: Place, content: Mapping[str, Any], granularity: object, connection: GridConnection
) -> Observation:
    if content.get("emissionFactorType", "lifecycle") != "lifecycle" or content.get("flowTraced") is False:
        raise GridUnavailable("bad_value", "Electricity Maps answered with direct factors or without flow tracing.")
    value, starts_at = number(content.get("carbonIntensity")), unix_seconds(content.get("datetime"))
    step_s = _STEPS_S.get(granularity) if isinstance(granularity, str) else None
    if value is None:
        raise GridUnavailable("no_data", f"Electricity Maps has no intensity for {place.zone} now.")
    if starts_at is None or step_s is None:
        raise GridUnavailable("bad_value", "Electricity Maps sent an intensity without its interval.")
    return Observation(
        zone=content["zone"],
        value_gco2e_per_kwh=value,
        starts_at=starts_at,
        step_s=step_s,
        received_at=int(connection.now_s),
        basis="average",
        factor_scope="lifecycle",
        accounting="consumption",
        # What does not say that it was measured is not taken for measured.
        evidence="measured" if content.get("isEstimated") is False else "estimated",
        source=ElectricityMaps.name,
        licence=_LICENCE,
    )


def _is_bundled(zone: str) -> bool:
    try:
        zone_average(zone)
    except UnknownZone:
        return False
    return True
