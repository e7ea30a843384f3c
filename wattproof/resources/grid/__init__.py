"""Carbon intensity of electricity: one reading per zone and time, with its provenance."""

from wattproof.resources.grid.bundled import annual_reading, reading_for, unknown_reading
from wattproof.resources.grid.desk import Grid, SourceStatus
from wattproof.resources.grid.observation import GridConnection, GridSource, Observation, Place, reading_at
from wattproof.resources.grid.reading import Evidence, Reading, TemporalMatch

__all__ = [
    "Evidence",
    "Grid",
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
