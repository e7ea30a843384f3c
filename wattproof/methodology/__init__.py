"""The arithmetic: pure, standard library only. Data is read from the package when it is first asked for."""

from __future__ import annotations

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.methods import Activity, Intensity, Method, all_methods, get_method
from wattproof.methodology.models import Model, Spread, all_model_ids, find_model
from wattproof.methodology.quantity import Footprint, Operand, Quantity, Term, Usage, Workload
from wattproof.methodology.zones import Mixture, ZoneAverage, all_zones, mixture, zone_average

__all__ = [
    "EDITION",
    "Activity",
    "Footprint",
    "Intensity",
    "Method",
    "Mixture",
    "Model",
    "Operand",
    "Quantity",
    "Spread",
    "Term",
    "Usage",
    "Workload",
    "ZoneAverage",
    "all_methods",
    "all_model_ids",
    "all_zones",
    "edition_sha256",
    "find_model",
    "get_method",
    "mixture",
    "zone_average",
]
