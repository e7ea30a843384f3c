"""Generation by type of European countries from Energy-Charts, with published lifecycle factors: no key.

`/public_power` states the power of each production type [MW] by the quarter-hour. Unlike its `/co2eq` (see
`energy_charts`), what our own factors make of that is lifecycle, so it may be a reading. It is generation-based:
imports do not enter it, and the label says so. The newest quarter-hour that is complete is taken.

Source: https://api.energy-charts.info (response form); licence CC BY 4.0. Factors: data/generation_factors.json.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.energy_charts import COUNTRY_OF_ZONE, country_answer, minute
from wattproof.resources.grid.fields import mapping, number, sequence
from wattproof.resources.grid.generation import STORAGE, Generation
from wattproof.resources.grid.http import require_json
from wattproof.resources.grid.observation import GridConnection, Observation, Place

__all__ = ["EnergyChartsMix", "generation_by_type"]

_LATEST_WINDOW_S = 12 * 3600
_HISTORY_WINDOW_S = 24 * 3600
_STEPS_S = (900, 1800, 3600)

# Production type -> fuel of the factor set; a type that is in neither table counts as generation without a factor.
_FUELS = {
    "Biomass": "biomass",
    "Fossil brown coal / lignite": "coal",
    "Fossil gas": "gas",
    "Fossil hard coal": "coal",
    "Fossil oil": "oil",
    "Geothermal": "geothermal",
    "Hydro Run-of-River": "hydro",
    "Hydro pumped storage": STORAGE,
    "Hydro water reservoir": "hydro",
    "Nuclear": "nuclear",
    "Solar": "solar",
    "Wind offshore": "wind",
    "Wind onshore": "wind",
}
_NOT_GENERATION = frozenset(
    {
        "Cross border electricity trading",
        "Hydro pumped storage consumption",
        "Load",
        "Renewable share of generation",
        "Renewable share of load",
        "Residual load",
    }
)


class EnergyChartsMix:
    """Energy-Charts' generation by type, made an intensity with published lifecycle factors."""

    # Names the factors too: with others it would be another source, not comparable with this one.
    name = "energy-charts+ipcc-2014"
    title = "Energy-Charts generation with IPCC 2014 factors"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"

    def __init__(self, base_url: str = "https://api.energy-charts.info") -> None:
        self._base_url = base_url.rstrip("/")

    def covers(self, place: Place) -> bool:
        """The countries in `COUNTRY_OF_ZONE`."""
        return place.zone in COUNTRY_OF_ZONE

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        """The newest complete interval of the last 12 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        return (await self._generation(place, _LATEST_WINDOW_S, connection)).newest()

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        """None: no forecast of the whole mix is published here."""
        return ()

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        """Every complete interval of the last 24 h.

        Raises:
            GridUnavailable: nothing usable was sent, with the reason.
        """
        return (await self._generation(place, _HISTORY_WINDOW_S, connection)).observations()

    async def _generation(self, place: Place, window_s: int, connection: GridConnection) -> Generation:
        span = {"start": minute(connection.now_s - window_s), "end": minute(connection.now_s)}
        answer = await country_answer(connection, f"{self._base_url}/public_power", place, span)
        step_s, by_interval = generation_by_type(require_json(answer))
        return Generation(
            zone=place.zone,
            step_s=step_s,
            received_at=int(connection.now_s),
            by_interval=by_interval,
            fuels=_FUELS,
            source=self.name,
            licence="CC BY 4.0",
        )


def generation_by_type(content: object) -> tuple[int, dict[int, dict[str, float]]]:
    """The step [s] of a `/public_power` answer, and its generation [MWh] by start of the interval and production type.

    A null is no figure. Loads, shares and exchanges are left out.

    Raises:
        GridUnavailable: bad_json, where arrays are missing, of unequal length or not evenly spaced; no_data.
    """
    fields = mapping(content)
    times, types = sequence(fields.get("unix_seconds")), sequence(fields.get("production_types"))
    if not times or not types:
        raise GridUnavailable("no_data", "Energy-Charts stated no generation.")
    if not all(isinstance(at, int) and not isinstance(at, bool) and at >= 0 for at in times):
        raise GridUnavailable("bad_json", "Energy-Charts sent times that are none.")
    steps = {later - at for at, later in pairwise(times)}
    if len(steps) != 1 or not steps <= set(_STEPS_S):
        raise GridUnavailable("bad_json", "Energy-Charts sent times that are not evenly spaced.")
    (step_s,) = steps
    by_interval: dict[int, dict[str, float]] = {at: {} for at in times}
    for row in map(mapping, types):
        name, figures = row.get("name"), sequence(row.get("data"))
        if not isinstance(name, str) or len(figures) != len(times):
            raise GridUnavailable("bad_json", "Energy-Charts sent arrays of unequal length.")
        if name in _NOT_GENERATION:
            continue
        for at, figure in zip(times, figures, strict=True):
            mw = number(figure)
            if mw is not None:
                by_interval[at][name] = mw * step_s / 3600
    return step_s, by_interval
