"""The named methods. A new method is one file and one line here."""

from __future__ import annotations

from wattproof.methodology.closest import closest
from wattproof.methodology.errors import NotDefined, UnknownMethod
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
from wattproof.methodology.quantity import Workload

__all__ = ["Activity", "Intensity", "Method", "Telemetry", "all_methods", "get_method", "require_some_method"]

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


def require_some_method(workload: Workload) -> None:
    """Refuse work that no method covers, with the reason.

    Raises:
        NotDefined: no method of this edition covers the workload.
    """
    if not any(workload in method.workloads for method in _METHODS):
        raise NotDefined(f"No method for the workload {workload.value!r}: {_WHY_NONE[workload]}.")


_WHY_NONE = {
    Workload.IMAGE: "energy per image depends on resolution, steps and model; no published factor covers hosted models",
    Workload.SPEECH: "no published measurement of energy per second of speech covers hosted models",
    Workload.TRANSCRIPTION: "no published measurement of energy per second of audio covers hosted models",
    Workload.VIDEO: "published energy per clip covers single open models and differs by orders of magnitude",
}
