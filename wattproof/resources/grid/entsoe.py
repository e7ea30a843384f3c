"""ENTSO-E Transparency Platform: metered generation per type of European areas, with our own factors, with a token.

Document A75 (actual generation per type), process A16 (realised). The newest hour that is complete is taken: see
`Generation.newest`. What this gives is generation-based, so it is not what a zone consumes; the label says so.

| answer | reason |
|---|---|
| 401, 403 | unauthorized |
| an acknowledgement instead of data | no_data |
| a document type declaration, or no XML | bad_xml |
| two figures for one type and time, another area or unit | bad_value |

Source: https://transparency.entsoe.eu (API guide), licence CC BY 4.0 for most items, stated by ENTSO-E per item.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Literal
from xml.etree.ElementTree import Element, ParseError, fromstring

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.fields import number, unix_seconds
from wattproof.resources.grid.generation import Generation, read_table
from wattproof.resources.grid.http import Answer, fetch, quoted, refusal, require_text
from wattproof.resources.grid.keys import keep_queries_out_of_logs, key_of
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["Entsoe", "generation_by_type"]

_VARIABLE = "ENTSOE_TOKEN"
_XML = ("application/xml", "text/xml")
_LICENCE = "ENTSO-E Transparency Platform, CC BY 4.0 for most items"
_RESOLUTIONS_S = {"PT15M": 900, "PT30M": 1800, "PT60M": 3600, "PT1H": 3600}
_QUARTER_S = 900
_LATEST_WINDOW_S = 12 * 3600
_HISTORY_WINDOW_S = 24 * 3600
_LONGEST_PERIOD_S = 32 * 86_400
# A document that declares entities can grow without end while it is parsed; ENTSO-E's documents declare none.
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class Entsoe:
    """Generation per type from ENTSO-E, made an intensity with published lifecycle factors."""

    # Names the factors too: with others it would be another source, not comparable with this one.
    name = "entsoe-a75+ipcc-2014"
    title = "ENTSO-E generation with IPCC 2014 factors"
    key_env: tuple[str, ...] = (_VARIABLE,)
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"

    def __init__(self, url: str = "https://web-api.tp.entsoe.eu/api") -> None:
        self._url = url

    def covers(self, place: Place) -> bool:
        """The European areas of data/entsoe_areas.json."""
        return place.zone in _areas()

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest complete interval of the last 12 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason; see the table above.
        """
        return (await self._generation(place, _LATEST_WINDOW_S, connection)).newest()

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """None: ENTSO-E forecasts wind, sun and the total, which is no mix."""
        return ()

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """Every complete interval of the last 24 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        return (await self._generation(place, _HISTORY_WINDOW_S, connection)).observations()

    async def _generation(self, place: Place, window_s: int, connection: GridConnection) -> Generation:
        area = _areas().get(place.zone)
        if area is None:
            raise GridUnavailable("not_covered", f"No area of ENTSO-E is known for {place.zone}.")
        token = key_of(connection, _VARIABLE)
        keep_queries_out_of_logs()
        hour = int(connection.now_s) // 3600 * 3600
        answer = await fetch(
            connection,
            self._url,
            params={
                "securityToken": token,
                "documentType": "A75",
                "processType": "A16",
                "in_Domain": area,
                "periodStart": _minute(hour - window_s),
                "periodEnd": _minute(hour + 3600),
            },
            headers={"accept": ", ".join(_XML)},
            secrets=(token,),
        )
        step_s, by_interval = generation_by_type(_document(answer, token), area, connection.now_s)
        return Generation(
            zone=place.zone,
            step_s=step_s,
            received_at=int(connection.now_s),
            by_interval=by_interval,
            fuels=read_table("entsoe_areas.json")["production_types"],
            source=self.name,
            licence=_LICENCE,
        )


def generation_by_type(root: Element, area: str, now_s: float) -> tuple[int, dict[int, dict[str, float]]]:
    """Generation [MWh] of a `GL_MarketDocument` by start of interval and production type, and the interval [s].

    Series of a type may be many, as long as no two of them speak of the same time. Where one type comes by the quarter
    and another by the hour, everything is summed to the hour. Series with an `outBiddingZone_Domain` are consumption
    (pumps, a plant's own use) and left out. Intervals that have not ended at `now_s` (Unix seconds) are left out.

    Raises:
        GridUnavailable: bad_xml or bad_value, where the document contradicts itself or the question.
    """
    if _name(root) != "GL_MarketDocument":
        raise GridUnavailable("bad_xml", f"ENTSO-E sent a document {quoted(_name(root))}.")
    megawatts: dict[str, dict[int, float]] = {}
    step_s = _QUARTER_S
    for series in _children(root, "TimeSeries"):
        if any(_name(child).startswith("outBiddingZone_Domain") for child in series):
            continue
        _require(_text(series, "inBiddingZone_Domain.mRID") == area, "another area")
        _require(_text(series, "quantity_Measure_Unit.name") == "MAW", "another unit than MW")
        curve = _text(series, "curveType") or "A01"
        _require(curve in ("A01", "A03"), "a curve of another type")
        code = _text(next(iter(_children(series, "MktPSRType")), series), "psrType")
        of_type = megawatts.setdefault(code, {})
        for period in _children(series, "Period"):
            resolution_s, stated = _period(period, repeats=curve == "A03", now_s=now_s)
            step_s = max(step_s, resolution_s)
            for start, mw in stated.items():
                for quarter in range(start, start + resolution_s, _QUARTER_S):
                    _require(quarter not in of_type, f"two figures of {quoted(code)} for one time")
                    of_type[quarter] = mw
    return step_s, _summed(megawatts, step_s)


def _period(period: Element, *, repeats: bool, now_s: float) -> tuple[int, dict[int, float]]:
    """Power [MW] by start of the resolution's intervals; with `repeats`, a missing point is the one before it."""
    interval = next(iter(_children(period, "timeInterval")), period)
    start, end = unix_seconds(_text(interval, "start")), unix_seconds(_text(interval, "end"))
    resolution_s = _RESOLUTIONS_S.get(_text(period, "resolution"))
    if start is None or end is None or resolution_s is None:
        raise _contradiction("a period without times or resolution")
    _require(0 < end - start <= _LONGEST_PERIOD_S and start % resolution_s == 0, "an impossible period")
    count = (end - start) // resolution_s
    points: dict[int, float | None] = {}
    for point in _children(period, "Point"):
        position = _text(point, "position")
        _require(position.isascii() and position.isdigit() and len(position) <= 5, "a point without position")
        _require(1 <= int(position) <= count and int(position) not in points, "a point outside its period, or twice")
        points[int(position)] = number(_text(point, "quantity"))
    stated: dict[int, float] = {}
    current: float | None = None
    for position in range(1, count + 1):
        at = start + (position - 1) * resolution_s
        if at + resolution_s > now_s:
            break
        if position in points or not repeats:
            current = points.get(position)
        if current is not None:
            stated[at] = current
    return resolution_s, stated


def _summed(megawatts: Mapping[str, Mapping[int, float]], step_s: int) -> dict[int, dict[str, float]]:
    """Energy [MWh] by interval and type, where every quarter of an hour of the interval has a figure."""
    energy: dict[int, dict[str, float]] = {}
    for code, by_quarter in megawatts.items():
        for start in {quarter // step_s * step_s for quarter in by_quarter}:
            quarters = [by_quarter.get(at) for at in range(start, start + step_s, _QUARTER_S)]
            known = [mw for mw in quarters if mw is not None]
            if len(known) == len(quarters):
                energy.setdefault(start, {})[code] = sum(known) * _QUARTER_S / 3600
    return energy


def _document(answer: Answer, token: str) -> Element:
    if answer.status in (401, 403):
        raise refusal(answer, "unauthorized")
    if answer.status == 400 and b"No matching data" in answer.body:
        raise refusal(answer, "no_data")
    root = _parsed(require_text(answer, _XML))
    if _name(root) == "Acknowledgement_MarketDocument":
        said = " ".join(_text(reason, "text") for reason in _children(root, "Reason")).replace(token, "***")
        raise GridUnavailable("no_data", f"ENTSO-E has no data: {quoted(said)}.")
    return root


def _parsed(body: bytes) -> Element:
    try:
        text = body.decode("utf-8-sig")
        if _DECLARATION.search(text):
            raise GridUnavailable("bad_xml", "ENTSO-E sent a document type declaration, which is never read.")
        return fromstring(text)  # noqa: S314 - no declarations, at most 2 MiB
    except (UnicodeDecodeError, ParseError) as error:
        raise GridUnavailable("bad_xml", "ENTSO-E sent a body that is not XML.") from error


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _contradiction(what)


def _contradiction(what: str) -> GridUnavailable:
    return GridUnavailable("bad_value", f"ENTSO-E sent {what}.")


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if _name(child) == name]


def _text(element: Element, name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "").strip()


def _minute(unix_s: int) -> str:
    return time.strftime("%Y%m%d%H%M", time.gmtime(unix_s))


def _areas() -> Mapping[str, str]:
    return read_table("entsoe_areas.json")["areas"]
