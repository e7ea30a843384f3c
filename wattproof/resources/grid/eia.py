"""US Energy Information Administration, API v2: hourly generation by energy source, with our own factors, with a key.

Form EIA-930: a balancing authority's net generation. `period` is the hour's *end* in UTC: 2022-10-31T11 is the hour
from 10 to 11. What this gives is generation-based, so it is not what a zone consumes; the label says so.

| answer | reason |
|---|---|
| 401, 403 | unauthorized |
| no complete hour | no_data |
| another respondent or unit than was asked for | bad_value |

Source: https://www.eia.gov/opendata (API), https://www.eia.gov/electricity/gridmonitor/about ("hour ending"); public
domain.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.fields import mapping, number, sequence, unix_seconds
from wattproof.resources.grid.generation import Generation, read_table
from wattproof.resources.grid.http import fetch, refusal, require_json
from wattproof.resources.grid.keys import keep_queries_out_of_logs, key_of
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["Eia", "generation_by_source"]

_VARIABLE = "EIA_API_KEY"
_HOUR_S = 3600
_WINDOW_H = 24
_MOST_ROWS = 5000


class Eia:
    """Generation by energy source from EIA-930, made an intensity with published lifecycle factors."""

    # Names the factors too: with others it would be another source, not comparable with this one.
    name = "eia-930+ipcc-2014"
    title = "US EIA generation with IPCC 2014 factors"
    key_env: tuple[str, ...] = (_VARIABLE,)
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"

    def __init__(self, base_url: str = "https://api.eia.gov/v2") -> None:
        self._base_url = base_url.rstrip("/")

    def covers(self, place: Place) -> bool:
        """Balancing authorities of the lower 48 states, and `US` for all of them together."""
        return place.zone in _respondents()

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest complete hour of the last 24 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason; see the table above.
        """
        return (await self._generation(place, connection)).newest()

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """None: EIA forecasts demand only."""
        return ()

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """Every complete hour of the last 24 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        return (await self._generation(place, connection)).observations()

    async def _generation(self, place: Place, connection: GridConnection) -> Generation:
        respondent = _respondents().get(place.zone)
        if respondent is None:
            raise GridUnavailable("not_covered", f"No respondent of EIA-930 is known for {place.zone}.")
        key = key_of(connection, _VARIABLE)
        keep_queries_out_of_logs()
        answer = await fetch(
            connection,
            f"{self._base_url}/electricity/rto/fuel-type-data/data/",
            params={
                "api_key": key,
                "frequency": "hourly",
                "data[]": "value",
                "facets[respondent][]": respondent,
                "start": _hour(connection.now_s - _WINDOW_H * _HOUR_S),
                "end": _hour(connection.now_s),
                "sort[0][column]": "period",
                "sort[0][direction]": "desc",
                "length": str(_MOST_ROWS),
            },
            secrets=(key,),
        )
        if answer.status in (401, 403):
            raise refusal(answer, "unauthorized")
        return Generation(
            zone=place.zone,
            step_s=_HOUR_S,
            received_at=int(connection.now_s),
            by_interval=generation_by_source(require_json(answer), respondent),
            fuels=read_table("eia_respondents.json")["energy_sources"],
            source=self.name,
            licence="public domain (US EIA)",
        )


def generation_by_source(content: object, respondent: str) -> dict[int, dict[str, float]]:
    """Net generation [MWh] of a `fuel-type-data` answer by start of the hour (Unix seconds) and energy source.

    Values come as numbers or text; a null is no figure. A source that is stated twice for one hour with two values has
    none. Where the answer is a page of more rows, its oldest hour may be cut and is left out.

    Raises:
        GridUnavailable: bad_json or bad_value, where the answer is not of that form, respondent or unit.
    """
    response = mapping(mapping(content).get("response"))
    if not isinstance(response.get("data"), list):
        raise GridUnavailable("bad_json", "EIA sent JSON without a list `response.data`.")
    rows = [mapping(row) for row in sequence(response["data"])]
    stated: dict[int, dict[str, set[float]]] = {}
    for row in rows:
        if row.get("respondent") != respondent or row.get("value-units") != "megawatthours":
            raise GridUnavailable("bad_value", f"EIA did not answer with megawatthours of {respondent}.")
        ends_at, mwh, code = unix_seconds(row.get("period")), number(row.get("value")), row.get("fueltype")
        if ends_at is not None and isinstance(code, str):
            figures = stated.setdefault(ends_at - _HOUR_S, {}).setdefault(code, set())
            figures.update(() if mwh is None else (mwh,))
    if stated and (number(response.get("total")) or 0.0) > len(rows):
        del stated[min(stated)]
    return {
        start: {code: next(iter(figures)) for code, figures in by_code.items() if len(figures) == 1}
        for start, by_code in stated.items()
    }


def _respondents() -> Mapping[str, str]:
    return read_table("eia_respondents.json")["respondents"]


def _hour(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(unix_s))
