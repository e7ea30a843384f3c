"""What a provider reports of its own footprint, in one sentence beside our estimate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wattproof.tools.figures import Figure, energy_text, mass_text

if TYPE_CHECKING:
    from wattproof.resources.providers.reported import Flag, ReportedFootprint

__all__ = ["brief_reported"]

# What a reader must know first; the rest is in the structured content.
_TELLING = (
    ("contradicts_grid", "contradicts the grid"),
    ("beyond_any_grid", "contradicts every grid"),
    ("location_differs", "location differs"),
    ("energy_far_from_estimate", "far from our estimate"),
    ("energy_per_token", "implausible per token"),
    ("below_own_formula", "below its own formula"),
    ("self_contradiction", "contradicts itself"),
    ("renewable_share", "share differs"),
    ("implausible_power", "implausible"),
    ("implausible_pue", "implausible"),
    ("live_overstated", "overstated"),
    ("ambiguous_unit", "unit ambiguous"),
)


def brief_reported(reported: ReportedFootprint, flags: Iterable[Flag] = ()) -> str:
    """`melious reports 0.15 Wh, 60 mg CO2e; 400 gCO2e/kWh implied where FR has 31: contradicts the grid.`

    `flags` are those of `cross_check`. The first telling doubt is told, the number of further ones after it.
    """
    amounts = ", ".join(_amounts(reported)) or "no usable figure"
    doubts = [*reported.flags, *flags]
    told = _first_told(doubts)
    further = len(doubts) - (told is not None)
    more = f" ({further} {'more ' if told else ''}doubt{'' if further == 1 else 's'})" if further else ""
    return f"{reported.vendor} reports {amounts}" + (f"; {told}" if told else "") + f"{more}."


def _amounts(reported: ReportedFootprint) -> Iterable[str]:
    if reported.energy_wh is not None:
        yield energy_text(Figure(median=reported.energy_wh, low=None, high=None))
    if reported.carbon_gco2e is not None:
        yield mass_text(Figure(median=reported.carbon_gco2e, low=None, high=None))


def _first_told(doubts: list[Flag]) -> str | None:
    for code, verdict in _TELLING:
        for flag in doubts:
            if flag.code == code:
                return f"{flag.detail}: {verdict}"
    return None
