"""The table of grid-signal sources, in the order in which they are asked: keyed before keyless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from wattproof.resources.grid.observation import GridSource

__all__ = ["SOURCES", "SourceRow", "default_sources"]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Where the class of one source is; its module is imported when the source is made."""

    name: str
    module: str
    class_name: str


SOURCES = (
    SourceRow("electricity-maps", "electricity_maps", "ElectricityMaps"),
    SourceRow("entsoe-a75+ipcc-2014", "entsoe", "Entsoe"),
    SourceRow("eia-930+ipcc-2014", "eia", "Eia"),
    SourceRow("watttime", "watttime", "WattTime"),
    SourceRow("energy-charts+ipcc-2014", "energy_charts_mix", "EnergyChartsMix"),
    SourceRow("neso", "neso", "Neso"),
    SourceRow("energy-charts", "energy_charts", "EnergyCharts"),
)


def default_sources(environ: Mapping[str, str], base_urls: Mapping[str, str] | None = None) -> tuple[GridSource, ...]:
    """Every source, in order; the desk lists one whose keys are missing, and never asks it.

    `base_urls` maps names of sources to where they are asked instead, for tests and proxies of the operator.
    """
    return tuple(_made(row, (base_urls or {}).get(row.name)) for row in SOURCES)


def _made(row: SourceRow, base_url: str | None) -> GridSource:
    made = getattr(import_module(f"wattproof.resources.grid.{row.module}"), row.class_name)
    return made() if base_url is None else made(base_url)
