"""Restating: what a period would have come to under another method or other readings, and why it differs."""

from wattproof.resources.restating.entry import PARTS, Basis, Restated, Unrestatable, restated_entry
from wattproof.resources.restating.period import PeriodTotals
from wattproof.resources.restating.statements import Stated, Statements

__all__ = ["PARTS", "Basis", "PeriodTotals", "Restated", "Stated", "Statements", "Unrestatable", "restated_entry"]
