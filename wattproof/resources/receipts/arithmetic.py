"""Compute a receipt's outputs again from its own operands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Method, get_method
from wattproof.methodology.quantity import Operand
from wattproof.resources.receipts.adjustment import change, split
from wattproof.resources.receipts.schema import OUTPUTS, USAGE_COUNTS
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

__all__ = ["judge_arithmetic"]

# A figure passes within one unit or one millionth: exponentials differ by an ulp between C libraries.
_ABSOLUTE_UNITS = 1
_RELATIVE = 1e-6


def judge_arithmetic(payload: Mapping[str, Any], checks: list[Check], *, requests: int = 1) -> Verdict:
    """Put the operands of a valid payload into its method and compare; adds every comparison to `checks`.

    An adjustment states differences: of its outputs, and of its usage. Where the usage is that of several `requests`,
    the outputs are those of the average one, as often.
    """
    method = _method(payload)
    if isinstance(method, Verdict):
        return method
    if not payload["operands"] and all(payload["outputs"][name] is None for name in OUTPUTS):
        return unknown("no_estimate", f"It states no figures: {payload['reasons']['energy_nwh']}.")
    operands = [Operand(**operand) for operand in payload["operands"]]
    before: dict[str, float] | None = None
    if payload["kind"] == "adjustment":
        operands, before = split(operands)
    problem = _usage_problem(operands, before, payload["usage"], checks) or _unit_problem(operands, method)
    if problem is not None:
        return problem
    numbers = {operand.name: operand.number for operand in operands}
    for name in USAGE_COUNTS if requests > 1 else ():
        if name in numbers:
            numbers[name] /= requests
    try:
        if before is None:
            computed = outputs(method.compute(numbers, payload["boundary"]), requests)
        else:
            computed = change(method, numbers, before, payload["boundary"])
    except (InvalidInput, OverflowError) as error:
        return failed("not_computable", f"{method.id} cannot be computed: {error}")
    differing = [
        name for name in OUTPUTS if _differs(name, payload["outputs"][name], computed[name], method.id, checks)
    ]
    if differing:
        return failed("outputs_differ", f"{method.id} gives other figures from these operands: {', '.join(differing)}.")
    return passed(f"{method.id} gives the same figures from the {len(operands)} operands.")


def _method(payload: Mapping[str, Any]) -> Method | Verdict:
    method_id: str = payload["method_id"]
    try:
        method = get_method(method_id)
    except UnknownMethod as error:
        return unknown("unknown_method", str(error))
    if method.id != method_id:
        return unknown("unknown_method", f"{method_id} is an alias of {method.id}; a receipt must name the version.")
    if method.sha256 != payload["method_sha256"]:
        return unknown(
            "method_differs", f"The receipt was made with another definition of {method_id} than is known here."
        )
    return method


def _usage_problem(
    operands: list[Operand], before: Mapping[str, float] | None, usage: Mapping[str, Any], checks: list[Check]
) -> Verdict | None:
    for operand in operands:
        if operand.name not in USAGE_COUNTS:
            continue
        count = operand.number if before is None else operand.number - before.get(operand.name, operand.number)
        if count != usage[operand.name]:
            checks.append(Check(f"usage.{operand.name}", usage[operand.name], count, "operands"))
            return failed("usage_differs", f"The operand {operand.name} is not the {operand.name} of the usage.")
    return None


def _unit_problem(operands: list[Operand], method: Method) -> Verdict | None:
    for operand in operands:
        unit = method.operand_units.get(operand.name, operand.unit)
        if operand.unit != unit:
            return failed(
                "unit_differs", f"The operand {operand.name} is in {operand.unit!r}; {method.id} takes {unit!r}."
            )
    return None


def _differs(
    name: str,
    stated: Mapping[str, Any] | None,
    computed: Mapping[str, Any] | None,
    method_id: str,
    checks: list[Check],
) -> bool:
    if stated is None or computed is None:
        return stated is not computed
    if stated["interval"] != computed["interval"]:
        return True
    differs = False
    for bound in ("median", "low", "high"):
        found, expected = stated[bound], computed[bound]
        checks.append(Check(f"outputs.{name}.{bound}", found, expected, method_id))
        differs |= not _agree(found, expected)
    return differs


def _agree(stated: int | None, computed: int | None) -> bool:
    if stated is None or computed is None:
        return stated is computed
    return abs(stated - computed) <= max(_ABSOLUTE_UNITS, _RELATIVE * abs(computed))
