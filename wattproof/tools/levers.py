"""What the caller could change, and the ratio that it would give."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from wattproof.tools.figures import rounded, significant

if TYPE_CHECKING:
    from wattproof.methodology.models import Model
    from wattproof.methodology.quantity import Quantity
    from wattproof.resources.footprints import Estimate

__all__ = ["Lever", "find_levers"]

_SMALLER = 0.6
"""A model is offered as a lever from this ratio of active parameters down: less is lost in the uncertainty."""


class Lever(BaseModel):
    """One argument to change, and the energy of the changed request as a share of this one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    set: dict[str, str | int]
    energy_ratio: float

    def words(self) -> str:
        """The lever as a sentence."""
        changed = " ".join(f"{value}" if name == "model" else f"{name} {value}" for name, value in self.set.items())
        return f"{changed} would need {significant(self.energy_ratio)}x."


def find_levers(estimate: Estimate) -> tuple[Lever, ...]:
    """At most two levers on energy: a smaller model of the same family, and half the output."""
    base = estimate.footprint.energy_wh
    if base is None or base.median == 0:
        return ()
    levers: list[Lever] = []
    activity, method, boundary = estimate.activity, estimate.method, estimate.footprint.boundary
    smaller = _smaller_sibling(activity.model)
    if smaller is not None:
        changed = method.energy_wh(replace(activity, model=smaller), boundary)
        levers += _lever(base.median, changed, {"model": smaller.id})
    usage = activity.usage
    half = max(usage.output_tokens // 2, usage.reasoning_tokens)
    if half < usage.output_tokens:
        changed = method.energy_wh(activity, boundary, output_tokens=half)
        levers += _lever(base.median, changed, {"output_tokens": half})
    return tuple(levers)


def _lever(base_wh: float, changed: Quantity | None, change: dict[str, str | int]) -> list[Lever]:
    if changed is None or changed.median >= base_wh:
        return []
    return [Lever(set=change, energy_ratio=rounded(changed.median / base_wh))]


@functools.cache
def _smaller_sibling(model: Model) -> Model | None:
    """The largest model of the same family with at most 0.6 of the active parameters."""
    from wattproof.methodology.models import all_model_ids, find_model

    limit = model.active_b.median * _SMALLER
    siblings = (find_model(name) for name in all_model_ids())
    smaller = [other for other in siblings if other.family == model.family and other.active_b.median <= limit]
    return max(smaller, key=lambda other: (other.active_b.median, other.id), default=None)
