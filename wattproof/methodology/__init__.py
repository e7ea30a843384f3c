"""The arithmetic: pure, standard library only. Data is read from the package when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Errors and records are needed where no method is: a name brings its module when it is first asked for.
_MODULES = {
    "EDITION": "data",
    "edition_sha256": "data",
    "Activity": "methods",
    "Intensity": "methods",
    "Method": "methods",
    "all_methods": "methods",
    "get_method": "methods",
    "Model": "models",
    "Spread": "models",
    "all_model_ids": "models",
    "find_model": "models",
    "Footprint": "quantity",
    "Operand": "quantity",
    "Quantity": "quantity",
    "Term": "quantity",
    "Usage": "quantity",
    "Workload": "quantity",
    "Mixture": "zones",
    "ZoneAverage": "zones",
    "all_zones": "zones",
    "mixture": "zones",
    "zone_average": "zones",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
