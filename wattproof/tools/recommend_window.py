"""When and where to run something that can wait: from grid forecasts, zones and times weighed together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import rounded
from wattproof.tools.provenance import Provenance
from wattproof.tools.result import JSON_TEXT, Arguments, Detail, Result
from wattproof.tools.window_times import deadline_s, moment_text
from wattproof.tools.window_words import brief

if TYPE_CHECKING:
    from wattproof.resources.grid import Observation
    from wattproof.resources.routing.windows import Slot, StartRange, Windows, ZoneForecast, ZoneWindow
    from wattproof.tools.deps import Deps

__all__ = ["RULE", "WindowArgs", "WindowResult", "brief", "provenance_of", "recommend_window"]

RULE = "wattproof/window@1.0.0"
"""Time-weighted mean of the forecast over the run, one zone per run, one kind of forecast between zones."""

_RANGES_IN_DATA = 10
_SCOPES_NAMED = 10
_Zone = Annotated[str, Field(min_length=1, max_length=40)]


class WindowArgs(Arguments):
    """Arguments of `recommend_window`. Either `zones` or `model`."""

    zones: Annotated[
        Annotated[list[_Zone], JSON_TEXT, Field(min_length=1, max_length=20)] | None,
        Field(description="Grid zones it may run in, e.g. FR"),
    ] = None
    model: Annotated[str | None, Field(max_length=200, description="Instead of zones: where this model is offered")] = (
        None
    )
    duration_minutes: Annotated[int | None, Field(ge=1, le=10_080, description="Default 60")] = None
    deadline: Annotated[
        Annotated[str, Field(max_length=40)] | float | None,
        Field(description="RFC 3339 time or hours from now by which it ends; default 24"),
    ] = None
    seed: Annotated[str | None, Field(max_length=200, description="Request id: spreads callers over equal starts")] = (
        None
    )
    detail: Annotated[Detail | None, Field(description="full: every zone, every equal start")] = None


class WindowResult(Result):
    """What `recommend_window` returns. Times are RFC 3339 UTC.

    `chosen` is the slot to take, `best` the one of least intensity, `equally_good` the starts within the tolerance.
    Intensities of zones in `not_compared` must not be held against the others'; `alone` tells their own now and later.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"deployments", "zones", "alone"})
    unlisted: ClassVar[frozenset[str]] = frozenset({"synthetic", "tolerance_bps", "duration_minutes", "deadline"})
    told_last: ClassVar[tuple[str, ...]] = ("reasons", "synthetic", "provenance")

    verdict: Literal["now", "wait", "no_forecast"]
    chosen: dict[str, Any] | None
    best: dict[str, Any] | None
    now: tuple[dict[str, Any], ...]
    gain_ratio: float | None
    equally_good: tuple[dict[str, Any], ...]
    forecast: dict[str, Any] | None
    not_compared: dict[str, str]
    annual_gco2e_per_kwh: dict[str, float]
    alone: tuple[dict[str, Any], ...] | None = None
    deployments: dict[str, list[str]] | None = None
    zones: tuple[dict[str, Any], ...] | None = None
    duration_minutes: int
    deadline: str
    tolerance_bps: int
    synthetic: bool
    reasons: dict[str, str]
    provenance: Provenance


async def recommend_window(args: WindowArgs, deps: Deps) -> WindowResult:
    """Rank every start until the deadline in every zone.

    Raises:
        InvalidInput: neither or both of `zones` and `model`, or a deadline that is not understood or too early.
        UnknownZone, UnknownModel: no edition lists it.
    """
    from wattproof.resources.routing.windows import recommend

    now_s = math.ceil(deps.clock())
    minutes = 60 if args.duration_minutes is None else args.duration_minutes
    until_s = deadline_s(args.deadline, now_s)
    if now_s + minutes * 60 > until_s:
        raise InvalidInput(
            "deadline", f"leaves less than {minutes} minutes", "give a later deadline, or a shorter duration_minutes"
        )
    offered = await _zones(args, deps)
    zones = await _forecasts(tuple(offered), now_s, until_s, deps)
    seed = _seed(args, tuple(offered), deps)
    found = recommend(zones, now_s=now_s, deadline_s=until_s, duration_s=minutes * 60, seed=seed)
    return WindowResult(
        **_slots(found, zones, now_s, full=args.detail == "full"),
        deployments=None if args.model is None else {zone: list(ids) for zone, ids in offered.items()},
        duration_minutes=minutes,
        deadline=moment_text(until_s),
        synthetic=False,
        reasons=({} if deps.grid is not None else {"forecast": "live grid data is off"}) | _why_null(found),
        provenance=provenance_of(found),
    )


async def _zones(args: WindowArgs, deps: Deps) -> dict[str, tuple[str, ...]]:
    """The zones in order, and which deployments stand in each where a model was given."""
    from wattproof.methodology.zones import zone_average

    if (args.zones is None) == (args.model is None):
        problem = "are missing" if args.zones is None else "are given together with model"
        raise InvalidInput("zones", problem, "give zones, or a model for the zones in which it is offered")
    if args.zones is not None:
        return {zone_average(zone).zone: () for zone in args.zones}
    return await _zones_of(args.model or "", deps)


async def _zones_of(model: str, deps: Deps) -> dict[str, tuple[str, ...]]:
    """Zones of the model's deployments that can run here; of all of them where none can."""
    from wattproof.methodology.models import find_model
    from wattproof.resources.providers import deployments_for
    from wattproof.resources.routing import place_of

    offers = deployments_for(find_model(model).id, await deps.deployments())
    placed = [(place.zone, offer) for offer in offers if (place := place_of(offer)) is not None]
    if not placed:
        raise InvalidInput("model", f"{model[:60]!r} has no deployment in a known zone", "give zones")
    usable = [(zone, offer) for zone, offer in placed if deps.why_unusable(offer) is None]
    zones: dict[str, tuple[str, ...]] = {}
    for zone, offer in usable or placed:
        zones[zone] = (*zones.get(zone, ()), offer.id)
    return zones


async def _forecasts(zones: tuple[str, ...], now_s: int, until_s: int, deps: Deps) -> tuple[ZoneForecast, ...]:
    """Every zone's forecast, asked for at the same time, and its annual average."""
    import anyio

    from wattproof.resources.grid import Place, annual_reading
    from wattproof.resources.routing.windows import ZoneForecast

    found: dict[str, tuple[Observation, ...]] = dict.fromkeys(zones, ())
    if deps.grid is not None:
        grid = await deps.grid()

        async def ask(zone: str) -> None:
            found[zone] = await grid.forecast(Place(zone), now_s, until_s)

        async with anyio.create_task_group() as asking:
            for zone in zones:
                asking.start_soon(ask, zone)
    return tuple(ZoneForecast(zone, found[zone], annual_reading(zone, now_s)) for zone in zones)


def _seed(args: WindowArgs, zones: tuple[str, ...], deps: Deps) -> bytes:
    """What tells this caller from others. Without a seed: this installation and its question."""
    own = args.seed or f"{deps.home} {deps.environ.get('HOSTNAME', '')} {zones} {args.duration_minutes} {args.deadline}"
    return f"{deps.log_id}\0{own}".encode(errors="replace")


def _slots(found: Windows, zones: tuple[ZoneForecast, ...], now_s: int, *, full: bool) -> dict[str, Any]:
    digits = None if full else 3
    left = [window for window in found.zones if not window.compared]
    compared = next((window for window in found.zones if window.compared), None)
    return {
        "verdict": "no_forecast" if found.chosen is None else "now" if found.chosen.start_s == now_s else "wait",
        "chosen": _slot(found.chosen, now_s, digits),
        "best": _slot(found.best, now_s, digits),
        "now": tuple(
            {"zone": slot.zone, "intensity_gco2e_per_kwh": rounded(slot.mean_gco2e_per_kwh, digits)}
            for slot in found.now
        ),
        "gain_ratio": None if found.gain_ratio is None else rounded(found.gain_ratio, digits),
        "equally_good": tuple(map(_range, found.equally_good[: None if full else _RANGES_IN_DATA])),
        "tolerance_bps": round(found.tolerance * 10_000),
        "forecast": _kind(compared, zones),
        "not_compared": {window.zone: window.reason for window in left},
        "annual_gco2e_per_kwh": {z.zone: z.annual.value_gco2e_per_kwh for z in zones if z.annual is not None},
        "alone": tuple(_window(w, zones, now_s, digits) for w in left if w.best is not None) or None,
        "zones": tuple(_window(window, zones, now_s, digits) for window in found.zones) if full else None,
    }


def _slot(slot: Slot | None, now_s: int, digits: int | None) -> dict[str, Any] | None:
    if slot is None:
        return None
    return {
        "zone": slot.zone,
        "start": moment_text(slot.start_s),
        "end": moment_text(slot.end_s),
        "wait_minutes": (slot.start_s - now_s) // 60,
        "intensity_gco2e_per_kwh": rounded(slot.mean_gco2e_per_kwh, digits),
    }


def _range(found: StartRange) -> dict[str, Any]:
    return {
        "zone": found.zone,
        "first_start": moment_text(found.first_s),
        "last_start": moment_text(found.last_s),
    }


def _window(window: ZoneWindow, zones: tuple[ZoneForecast, ...], now_s: int, digits: int | None) -> dict[str, Any]:
    until_s = window.forecast_until_s
    return {
        "zone": window.zone,
        "compared": window.compared,
        "reason": window.reason,
        "best": _slot(window.best, now_s, digits),
        "now": _slot(window.now, now_s, digits),
        "forecast_until": None if until_s is None else moment_text(until_s),
        "forecast": _kind(window, zones),
    }


def _kind(window: ZoneWindow | None, zones: tuple[ZoneForecast, ...]) -> dict[str, Any] | None:
    """What the slots of a zone rest on, with the licence of the source."""
    if window is None or window.kind is None:
        return None
    kind = window.kind
    licence = next(o.licence for z in zones for o in z.forecast if z.zone == window.zone and o.source == kind.source)
    return {
        "source": kind.source,
        "basis": kind.basis,
        "factor_scope": kind.factor_scope,
        "accounting": kind.accounting,
        "licence": licence,
    }


def provenance_of(found: Windows) -> Provenance:
    """The four named fields of a recommendation: those of the chosen slot, or of all zones where none is chosen."""
    names = sorted(window.zone for window in found.zones)
    annual = found.zones[0].annual
    if found.chosen is not None:
        scope, ratio = found.chosen.zone, found.chosen.renewable_ratio_bps
    elif len(names) == 1:
        scope, ratio = names[0], None if annual is None else annual.renewable_ratio_bps
    else:
        hidden = len(names) - _SCOPES_NAMED
        scope = "multi:" + ",".join(names[:_SCOPES_NAMED]) + (f",+{hidden}" if hidden > 0 else "")
        ratio = None
    is_marginal = found.kind is not None and found.kind.basis == "marginal"
    return Provenance(
        region_scope=scope,
        energy_source="grid-marginal" if is_marginal else "grid-mix",
        methodology=RULE,
        renewable_ratio_bps=ratio,
    )


def _why_null(found: Windows) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if found.chosen is None:
        reasons["chosen"] = "no forecast covers the run"
    if found.gain_ratio is None:
        reasons["gain_ratio"] = "the best slot is 0" if found.now else "no forecast covers a run that starts now"
    if provenance_of(found).renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "several zones" if found.chosen is None else "the forecast does not state it"
    return reasons
