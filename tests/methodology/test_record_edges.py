"""Records of the methods are frozen and hold nothing but their fields; the registry refuses what no method covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import pytest

from wattproof.methodology.errors import NotDefined
from wattproof.methodology.methods import (
    Activity,
    Intensity,
    Telemetry,
    all_methods,
    get_method,
    require_some_method,
)
from wattproof.methodology.methods.ecologits_registry import registered
from wattproof.methodology.methods.factors import token_factors
from wattproof.methodology.methods.param import rates
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Workload

MakeActivity = Callable[..., Activity]


def test_a_record_does_not_change_and_takes_no_other_field(activity: MakeActivity) -> None:
    request = activity()
    method = get_method("wattproof/param")
    constants = method.constants(request)
    numbers = {operand.name: operand.number for operand in method.operands(request)}
    for record in (
        request,
        request.intensity,
        Intensity(1.0, 0.1, "test"),
        Telemetry(0.1, 0.1, 0.1, 3, 100.0),
        constants,
        rates(numbers, "narrow"),
        token_factors()[0],
        registered("ecologits/models.json", find_model("gpt-4o")),
    ):
        assert not hasattr(record, "__dict__"), record
        with pytest.raises(FrozenInstanceError):
            setattr(record, fields(record)[0].name, None)


def test_a_method_does_not_change_and_is_only_itself() -> None:
    for method in all_methods():
        with pytest.raises(FrozenInstanceError):
            setattr(method, "id", "other")  # noqa: B010
        assert len({method, get_method(method.id)}) == 1


@pytest.mark.parametrize("workload", Workload)
def test_work_that_no_method_covers_is_refused_with_the_reason(workload: Workload) -> None:
    if any(workload in method.workloads for method in all_methods()):
        require_some_method(workload)
    else:
        with pytest.raises(NotDefined, match=f"No method for the workload '{workload.value}': .*energy per"):
            require_some_method(workload)
