"""Usage from elsewhere: session logs, spend logs, spans and usage exports, read and brought into the ledger."""

from __future__ import annotations

from wattproof.resources.imports.formats import FORMATS, Format, format_named
from wattproof.resources.imports.importing import ImportReport, ImportRequest, ModelTotals, import_usage
from wattproof.resources.imports.totals import Totals, read_totals

__all__ = [
    "FORMATS",
    "Format",
    "ImportReport",
    "ImportRequest",
    "ModelTotals",
    "Totals",
    "format_named",
    "import_usage",
    "read_totals",
]
