"""Carbon intensity of electricity: one reading per zone and time, with its provenance."""

from wattproof.resources.grid.bundled import annual_reading, reading_for, unknown_reading
from wattproof.resources.grid.reading import Evidence, Reading, TemporalMatch

__all__ = ["Evidence", "Reading", "TemporalMatch", "annual_reading", "reading_for", "unknown_reading"]
