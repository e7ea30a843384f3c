"""Does what a provider reports agree with our estimate, with the grid and with itself? Nothing is corrected here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wattproof.methodology.data import read_edition
from wattproof.methodology.quantity import Quantity, Usage
from wattproof.methodology.zones import mixture, zone_average
from wattproof.resources.providers.reported.reading import is_zone
from wattproof.resources.providers.reported.record import Flag, ReportedFootprint

__all__ = ["cross_check"]

# Methods that are in use differ by four orders of magnitude for one request, so two either side of our interval.
_FAR_FROM_ESTIMATE = 100.0
# Published methods give from 0.0006 to 18.6 Wh for one call of 1,234 + 567 tokens; none goes ten times further.
_PUBLISHED_WH = (0.0006, 18.6)
_PUBLISHED_TOKENS = 1234 + 567
_BEYOND_PUBLISHED = 10.0
# An hour strays from its zone's average; the same limit from which a receipt's reading is called unusual.
_FAR_FROM_GRID = 3.0
_SHARE_DIFFERS_BPS = 2000
# From the ideal facility to one that wastes two thirds: operators publish 1.09 to 1.55. Judgement.
_PUE = (1.0, 3.0)
# From a share of one processor in a batch to a rack of accelerators working on one request. Judgement.
_POWER_W = (0.1, 20_000.0)
_LOWROUTER_FORMULA = ("lowrouter", "v0.4-2026-01")


@dataclass(frozen=True, slots=True)
class _Grid:
    """What the grid of the place is taken to be."""

    name: str
    value_gco2e_per_kwh: float | None
    renewable_ratio_bps: int | None


def cross_check(
    reported: ReportedFootprint,
    *,
    usage: Usage,
    energy: Quantity | None,
    zone: str | None = None,
    reading_value_gco2e_per_kwh: float | None = None,
    renewable_ratio_bps: int | None = None,
) -> tuple[Flag, ...]:
    """What contradicts the report. `energy` is our own estimate of the same request [Wh].

    `zone` is where the deployment's row says the request ran, None where unknown; the reading's value and renewable
    share belong to it. Where the provider names another zone, it is held against that zone's annual average instead.

    Sources: published methods' range for one call, the bundled zone averages, LowRouter's own coefficients; the limits
    on PUE and power are judgement.
    """
    grid = _grid_of(reported, zone, reading_value_gco2e_per_kwh, renewable_ratio_bps)
    return (
        *_energy(reported, usage, energy),
        *_own_formula(reported, usage),
        *_intensity(reported, grid),
        *_renewable(reported, grid),
        *_facility(reported),
        *_power(reported),
        *_location(reported, zone),
    )


def _grid_of(
    reported: ReportedFootprint, zone: str | None, value_gco2e_per_kwh: float | None, share_bps: int | None
) -> _Grid:
    place, stated = zone, reported.zone
    if stated is not None and is_zone(stated) and (zone is None or not _same_place(stated, zone)):
        place = stated
    if place is not None and place == zone and value_gco2e_per_kwh is not None:
        return _Grid(place, value_gco2e_per_kwh, share_bps)
    if place is None or not is_zone(place):
        return _Grid("the grid", None, None)
    average = zone_average(place)
    return _Grid(place, average.value_gco2e_per_kwh, average.renewable_ratio_bps)


def _energy(reported: ReportedFootprint, usage: Usage, estimate: Quantity | None) -> Iterator[Flag]:
    stated_wh = reported.energy_wh
    if stated_wh is None:
        return
    if estimate is not None:
        low_wh = (estimate.median if estimate.low is None else estimate.low) / _FAR_FROM_ESTIMATE
        high_wh = (estimate.median if estimate.high is None else estimate.high) * _FAR_FROM_ESTIMATE
        if not low_wh <= stated_wh <= high_wh:
            yield Flag(
                "energy_far_from_estimate",
                "energy_wh",
                f"{_g(stated_wh)} Wh is outside {_g(low_wh)} to {_g(high_wh)} Wh, "
                f"{_FAR_FROM_ESTIMATE:g} times beyond our interval",
            )
    elif usage.total_tokens:
        low, high = (wh / _PUBLISHED_TOKENS for wh in _PUBLISHED_WH)
        # Requests without an answer have no published floor.
        least = low / _BEYOND_PUBLISHED if usage.output_tokens else 0.0
        per_token_wh = stated_wh / usage.total_tokens
        if not least <= per_token_wh <= high * _BEYOND_PUBLISHED:
            yield Flag(
                "energy_per_token",
                "energy_wh",
                f"{_g(per_token_wh)} Wh per token is outside {_g(least)} to {_g(high * _BEYOND_PUBLISHED)}",
            )


def _own_formula(reported: ReportedFootprint, usage: Usage) -> Iterator[Flag]:
    """LowRouter's energy is tokens times a line in parameters: even a model of no parameters costs its constant."""
    if reported.energy_wh is None or (reported.vendor, reported.methodology) != _LOWROUTER_FORMULA:
        return
    beta_wh: float = read_edition("wattproof/lowrouter.json")["constants"]["beta"]["value"]
    least_wh = beta_wh * usage.output_tokens
    if reported.energy_wh < 0.99 * least_wh:
        detail = f"{_g(reported.energy_wh)} Wh is less than {_g(least_wh)} Wh, what its own formula gives at least"
        yield Flag("below_own_formula", "energy_wh", detail)


def _intensity(reported: ReportedFootprint, grid: _Grid) -> Iterator[Flag]:
    implied = reported.intensity_gco2e_per_kwh
    if implied is None:
        return
    expected = grid.value_gco2e_per_kwh
    if expected is not None and expected > 0:
        if not expected / _FAR_FROM_GRID <= implied <= expected * _FAR_FROM_GRID:
            detail = f"{_g(implied)} gCO2e/kWh implied where {grid.name} has {_g(expected)}"
            yield Flag("contradicts_grid", "intensity_gco2e_per_kwh", detail)
        return
    zones = mixture()
    if not zones.low / _FAR_FROM_GRID <= implied <= zones.high * _FAR_FROM_GRID:
        detail = f"{_g(implied)} gCO2e/kWh implied where zones have {_g(zones.low)} to {_g(zones.high)}"
        yield Flag("beyond_any_grid", "intensity_gco2e_per_kwh", detail)


def _renewable(reported: ReportedFootprint, grid: _Grid) -> Iterator[Flag]:
    stated, expected = reported.renewable_ratio_bps, grid.renewable_ratio_bps
    if stated is not None and expected is not None and abs(stated - expected) > _SHARE_DIFFERS_BPS:
        detail = f"{stated / 100:.0f} % renewable stated where {grid.name} has {expected / 100:.0f} %"
        yield Flag("renewable_share", "renewable_ratio_bps", detail)


def _facility(reported: ReportedFootprint) -> Iterator[Flag]:
    if reported.pue is not None and not _PUE[0] <= reported.pue <= _PUE[1]:
        yield Flag("implausible_pue", "pue", f"a PUE of {_g(reported.pue)} is outside {_PUE[0]:g} to {_PUE[1]:g}")


def _power(reported: ReportedFootprint) -> Iterator[Flag]:
    implied_w = None
    if reported.energy_wh is not None and reported.duration_s is not None:
        implied_w = reported.energy_wh * 3600 / reported.duration_s
    for field, power_w in (("average_power_w", reported.average_power_w), ("duration_s", implied_w)):
        if power_w is not None and not _POWER_W[0] <= power_w <= _POWER_W[1]:
            yield Flag(
                "implausible_power",
                field,
                f"{_g(power_w)} W {'implied' if power_w is implied_w else 'stated'} is outside 0.1 W to 20 kW",
            )


def _location(reported: ReportedFootprint, zone: str | None) -> Iterator[Flag]:
    stated = reported.zone
    if zone is not None and stated is not None and is_zone(stated) and not _same_place(stated, zone):
        yield Flag("location_differs", "zone", f"it states {stated} where its row has {zone}")


def _same_place(one: str, other: str) -> bool:
    """The same zone, or one within the other: SE and SE-SE3, but not SE-SE1 and SE-SE3."""
    short, long = sorted((one.upper(), other.upper()), key=len)
    return long == short or long.startswith(short + "-")


def _g(number: float) -> str:
    """Two significant figures below a hundred, whole numbers above."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"
