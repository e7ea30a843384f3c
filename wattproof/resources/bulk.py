"""Footprints of many requests to one deployment at once, for imports and restatement; needs the extra `[bulk]`.

The scalar method prepares its rates once and arrays carry the token counts through them (`bulk_arrays.py`). Every
figure is the one that `footprints.estimate` gives for the request, to 1e-12 relative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from wattproof.methodology.errors import InvalidInput, NotDefined, Unavailable
from wattproof.methodology.methods.accelerator import TERMS, accelerator_loadings
from wattproof.methodology.methods.param import PARAM, Indicators, ParamRates, rates
from wattproof.methodology.models import Model
from wattproof.methodology.propagate import LogNormal, Row, mean, scoped, total
from wattproof.methodology.quantity import Boundary, Quantity, Term, Usage, Workload
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wattproof.resources.bulk_arrays import Amounts

__all__ = ["ManyEstimates", "UsageColumns", "estimate_many"]

Column: TypeAlias = "Sequence[int] | NDArray[np.integer[Any]]"


@dataclass(frozen=True, slots=True, eq=False)
class UsageColumns:
    """Token counts of many requests, one column each, as `Usage` defines them; a column left out is all 0.

    A column is a sequence of integers or a one-dimensional array of an integer type.
    """

    input_tokens: Column
    output_tokens: Column
    cached_input_tokens: Column | None = None
    reasoning_tokens: Column | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ManyEstimates:
    """Many requests to one deployment: each request's amounts, and what belongs to them all.

    `amounts` holds, by the names and units of `Footprint`, arrays in the order of the requests; an indicator that is
    not known or was not asked for is missing there and has its reason in `reasons`. `common` holds method, operands,
    tier and provenance: for each distinct reading the estimate of a request without tokens. Request r has those of
    `common[reading_of[r]]`. `sums_wh[i][k]` is term k of accelerator energy, summed over the requests of `common[i]`.
    """

    common: tuple[Estimate, ...]
    reading_of: NDArray[np.intp]
    amounts: Mapping[str, Amounts]
    reasons: Mapping[str, str]
    sums_wh: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.reading_of)

    @property
    def energy_wh(self) -> Amounts | None:
        return self.amounts.get("energy_wh")

    @property
    def carbon_gco2e(self) -> Amounts | None:
        return self.amounts.get("carbon_gco2e")

    def total(self, indicator: str) -> Quantity | None:
        """The indicator over all requests, shared factors kept; None where it is not known.

        Raises:
            InvalidInput: the method has no such indicator.
        """
        rows = self.rows(indicator)
        return None if rows is None else total(rows)

    def rows(self, indicator: str) -> tuple[Row, ...] | None:
        """The parts of `total` with factors named by scope (`grid:FR`), to be added to the parts of other batches.

        Energy and carbon have the factors of the method. Every other indicator has those of accelerator energy and one
        more, for all that lies between the two at this provider.

        Raises:
            InvalidInput: the method has no such indicator.
        """
        _require_indicators((indicator,))
        rows = [_row(found, sums, indicator) for found, sums in zip(self.common, self.sums_wh, strict=True)]
        known = tuple(row for row in rows if row is not None)
        return known or None


def estimate_many(
    model: Model,
    reading: Reading | Sequence[Reading],
    usages: UsageColumns | Sequence[Usage],
    *,
    deployment: Deployment | None = None,
    boundary: Boundary = "comprehensive",
    workload: Workload = Workload.CHAT,
    supplied: Mapping[str, Any] | None = None,
    indicators: Collection[str] | None = None,
) -> ManyEstimates:
    """What each of many requests costs by `wattproof/param`, under one grid reading or one for each request.

    `supplied` is as for `footprints.estimate`. `indicators` (by default all) are those whose arrays are wanted: each
    takes 24 bytes a request, and beside them and the index of the readings nothing grows with the requests.

    Raises:
        Unavailable: numpy is not installed.
        InvalidInput: a token count is wrong (names the column and the row), or anything that `estimate` refuses.
        NotDefined: `wattproof/param` does not cover the workload, or another method is due to the deployment.
    """
    try:
        from wattproof.resources import bulk_arrays as arrays
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise Unavailable("Many estimates at once need numpy; run: pip install 'wattproof[bulk]'.") from error
    requests = len(usages.input_tokens if isinstance(usages, UsageColumns) else usages)
    readings, places = _distinct(reading, requests)
    common = tuple(
        estimate(
            model, Usage(0, 0), each, deployment=deployment, boundary=boundary, workload=workload, supplied=supplied
        )
        for each in readings
    )
    deployed = tuple(_rates(found) for found in common)
    wanted = Indicators._fields if indicators is None else tuple(_require_indicators(indicators))
    reading_of = arrays.index(places, requests)
    parts = (
        arrays.parts_of_columns(_columns(usages))
        if isinstance(usages, UsageColumns)
        else arrays.parts_of_usages(usages)
    )
    amounts, sums_wh = arrays.evaluate(deployed[0], _factors(deployed, wanted), reading_of, len(readings), parts)
    not_asked = {name: "not asked for" for name in Indicators._fields if name not in wanted}
    return ManyEstimates(
        common=common,
        reading_of=reading_of,
        amounts=MappingProxyType(amounts),
        reasons=MappingProxyType({**not_asked, **deployed[0].reasons}),
        sums_wh=sums_wh,
    )


def _require_indicators(names: Collection[str]) -> Collection[str]:
    unknown = sorted(set(names) - set(Indicators._fields))
    if unknown:
        problem = f"names no indicator of {PARAM.id}: {', '.join(unknown)[:200]}"
        raise InvalidInput("indicators", problem, f"choose from {', '.join(Indicators._fields)}")
    return names


def _distinct(reading: Reading | Sequence[Reading], requests: int) -> tuple[tuple[Reading, ...], list[int] | None]:
    """The distinct readings, and the place among them of each request's; None where there is one for all."""
    if isinstance(reading, Reading):
        return (reading,), None
    if len(reading) != requests or not requests:
        fix = "give one reading, or one for each request"
        raise InvalidInput("reading", f"has {len(reading)} rows for {requests} requests", fix)
    place_of: dict[Reading, int] = {}
    seen: dict[int, tuple[Reading, int]] = {}
    places: list[int] = []
    for each in reading:
        # Hashing a record takes longer than the estimate; most rows share the object of an earlier one.
        kept = seen.get(id(each))
        if kept is None:
            kept = seen[id(each)] = each, place_of.setdefault(each, len(place_of))
        places.append(kept[1])
    return tuple(place_of), places


def _columns(usages: UsageColumns) -> dict[str, Column | None]:
    return {field.name: getattr(usages, field.name) for field in fields(usages)}


def _rates(found: Estimate) -> ParamRates:
    """The scalar method's own rates for the deployment of an estimate."""
    if found.method is not PARAM:
        raise NotDefined(f"{found.method.id} is due to this deployment and has no path in bulk; estimate one by one.")
    return rates(_numbers(found), found.footprint.boundary)


def _numbers(found: Estimate) -> dict[str, float]:
    return {operand.name: operand.number for operand in found.operands}


def _factors(deployed: Sequence[ParamRates], wanted: Collection[str]) -> dict[str, list[LogNormal]]:
    """For each wanted indicator that is known, its multiplier under each reading."""
    named = [dict(zip(Indicators._fields, each.multipliers, strict=True)) for each in deployed]
    factors = {name: [each[name] for each in named] for name in Indicators._fields if name in wanted}
    return {
        name: [factor for factor in each if factor is not None] for name, each in factors.items() if each[0] is not None
    }


def _row(found: Estimate, sums_wh: Sequence[float], indicator: str) -> Row | None:
    """The requests under one reading as a part of a total."""
    deployed = _rates(found)
    factor = dict(zip(Indicators._fields, deployed.multipliers, strict=True))[indicator]
    if factor is None:
        return None
    loadings = {"energy_wh": deployed.energy_loadings, "carbon_gco2e": deployed.carbon_loadings}.get(indicator)
    if loadings is None:
        own = {f"{indicator} per Wh:{found.provider}": factor.sigma_ln}
        loadings = accelerator_loadings(_numbers(found), **own)
    per_term = zip(TERMS, sums_wh, loadings, strict=True)
    terms = scoped(
        [Term(name, wh * factor.median, term_loadings) for name, wh, term_loadings in per_term],
        PARAM.factor_scopes,
        {"model": found.activity.model.id, "zone": found.region_scope, "provider": found.provider},
    )
    return Row([mean(term) for term in terms], [term.loadings for term in terms])
