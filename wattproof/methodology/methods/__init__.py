"""The named methods. A new method is one file and one line here."""

from __future__ import annotations

from wattproof.methodology.closest import closest
from wattproof.methodology.errors import UnknownMethod
from wattproof.methodology.methods.activity import Activity, Intensity, Telemetry
from wattproof.methodology.methods.batchin import BATCHIN
from wattproof.methodology.methods.cpu_time import CPU_TIME
from wattproof.methodology.methods.method import Method
from wattproof.methodology.methods.param import PARAM

__all__ = ["Activity", "Intensity", "Method", "Telemetry", "all_methods", "get_method"]

_METHODS = (PARAM, CPU_TIME, BATCHIN)
_BY_NAME = {name: method for method in _METHODS for name in (method.id, *method.aliases)}


def get_method(id_or_alias: str) -> Method:
    """The method with this full id (`family/name@x.y.z`) or alias (`wattproof/param`).

    Raises:
        UnknownMethod: no method has it; carries the three closest.
    """
    method = _BY_NAME.get(id_or_alias)
    if method is None:
        raise UnknownMethod(id_or_alias, closest(id_or_alias, _BY_NAME))
    return method


def all_methods() -> tuple[Method, ...]:
    """Every method, the default first."""
    return _METHODS
