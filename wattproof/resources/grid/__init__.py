"""Carbon intensity of electricity: one reading per zone and time, with its provenance.

The desk is imported when it is first named: what only needs the annual edition starts without asyncio and the network.
"""

from typing import TYPE_CHECKING, Any

from wattproof.resources.grid.bundled import annual_reading, reading_for, unknown_reading
from wattproof.resources.grid.observation import GridConnection, GridSource, Observation, Place, reading_at
from wattproof.resources.grid.reading import Evidence, Reading, TemporalMatch

if TYPE_CHECKING:
    from wattproof.resources.grid.cache import GridCache
    from wattproof.resources.grid.desk import Grid, SourceStatus

__all__ = [
    "Evidence",
    "Grid",
    "GridCache",
    "GridConnection",
    "GridSource",
    "Observation",
    "Place",
    "Reading",
    "SourceStatus",
    "TemporalMatch",
    "annual_reading",
    "reading_at",
    "reading_for",
    "unknown_reading",
]

_MODULES = {"Grid": "desk", "GridCache": "cache", "SourceStatus": "desk"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
