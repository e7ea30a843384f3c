"""An adjustment states a difference: what its method gives from the operands as they are now, less what it gave before.

Its receipt holds every operand as it is now and, beside each one that changed, the former one as ``<name>_before``; so
anyone can compute both and subtract. `parent_id` names the receipt that it adjusts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Method
from wattproof.methodology.quantity import Boundary, Operand

__all__ = ["change", "former", "split"]

_BEFORE = "_before"

Output = Mapping[str, Any] | None


def former(operand: Operand) -> Operand:
    """The operand under the name of a former one."""
    return replace(operand, name=operand.name + _BEFORE)


def split(operands: Iterable[Operand]) -> tuple[list[Operand], dict[str, float]]:
    """The operands as they are now, and the numbers that the changed ones had before."""
    now: list[Operand] = []
    before: dict[str, float] = {}
    for operand in operands:
        if operand.name.endswith(_BEFORE):
            before[operand.name.removesuffix(_BEFORE)] = operand.number
        else:
            now.append(operand)
    return now, before


def change(
    method: Method, numbers: Mapping[str, float], before: Mapping[str, float], boundary: Boundary
) -> dict[str, dict[str, Any] | None]:
    """By how much each output changed when the operands `before` became those in `numbers`; None where undefined.

    The bounds are differences of the bounds, in order: both follow from the same unknowns.

    Raises:
        InvalidInput: operands are missing or unknown, or outside the method's domain.
    """
    new = outputs(method.compute(numbers, boundary))
    old = outputs(method.compute({**numbers, **before}, boundary))
    return {name: _difference(new[name], old[name]) for name in new}


def _difference(new: Output, old: Output) -> dict[str, Any] | None:
    if new is None or old is None:
        return None
    if new["low"] is None or old["low"] is None:
        return {"median": new["median"] - old["median"], "low": None, "high": None, "interval": "none"}
    low, median, high = sorted(new[bound] - old[bound] for bound in ("low", "median", "high"))
    return {"median": median, "low": low, "high": high, "interval": new["interval"]}
