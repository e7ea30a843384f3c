"""What providers report of an answer's footprint: read into one record, cross-checked, kept apart from our estimate."""

from wattproof.resources.providers.reported.checks import cross_check
from wattproof.resources.providers.reported.reading import read_reported
from wattproof.resources.providers.reported.record import Flag, ReportedFootprint
from wattproof.resources.providers.reported.stated import STATED_SCHEMA, stated_json

__all__ = ["STATED_SCHEMA", "Flag", "ReportedFootprint", "cross_check", "read_reported", "stated_json"]
