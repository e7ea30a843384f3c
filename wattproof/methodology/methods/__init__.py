"""The named methods. A new method is one file and one line here."""

from __future__ import annotations

from wattproof.methodology.closest import closest
from wattproof.methodology.errors import UnknownMethod
from wattproof.methodology.methods.activity import Activity, Intensity, Telemetry
from wattproof.methodology.methods.batchin import BATCHIN
from wattproof.methodology.methods.cpu_time import CPU_TIME
from wattproof.methodology.methods.ecologits_v0_4 import ECOLOGITS_V0_4
from wattproof.methodology.methods.ecologits_v0_11 import ECOLOGITS_V0_11
from wattproof.methodology.methods.factors import FACTORS
from wattproof.methodology.methods.lowrouter import LOWROUTER
from wattproof.methodology.methods.melious import MELIOUS
from wattproof.methodology.methods.method import Method
from wattproof.methodology.methods.param import PARAM
from wattproof.methodology.methods.vetted import VETTED

__all__ = ["Activity", "Intensity", "Method", "Telemetry", "all_methods", "get_method"]

_METHODS = (PARAM, CPU_TIME, VETTED, ECOLOGITS_V0_11, ECOLOGITS_V0_4, FACTORS, LOWROUTER, MELIOUS, BATCHIN)
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
