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
    key_env: tuple[str, ...] = ()


SOURCES = (
    SourceRow("electricity-maps", "electricity_maps", "ElectricityMaps", ("ELECTRICITYMAPS_TOKEN",)),
    SourceRow("entsoe-a75+ipcc-2014", "entsoe", "Entsoe", ("ENTSOE_TOKEN",)),
    SourceRow("eia-930+ipcc-2014", "eia", "Eia", ("EIA_API_KEY",)),
    SourceRow("watttime", "watttime", "WattTime", ("WATTTIME_USER", "WATTTIME_PASSWORD")),
    SourceRow("energy-charts", "energy_charts", "EnergyCharts"),
    SourceRow("neso", "neso", "Neso"),
)


def default_sources(environ: Mapping[str, str], base_urls: Mapping[str, str] | None = None) -> tuple[GridSource, ...]:
    """Every source, in order; one whose keys `environ` lacks is listed and never asked.

    `base_urls` maps names of sources to where they are asked instead, for tests and proxies of the operator.
    """
    return tuple(_made(row, (base_urls or {}).get(row.name)) for row in SOURCES)


def _made(row: SourceRow, base_url: str | None) -> GridSource:
    made = getattr(import_module(f"wattproof.resources.grid.{row.module}"), row.class_name)
    return made() if base_url is None else made(base_url)
