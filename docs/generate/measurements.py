"""Published energy figures of single requests, each with its source and with what had to be assumed to ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wattproof.methodology.methods import Activity, Intensity
from wattproof.methodology.models import Model, Spread, find_model
from wattproof.methodology.quantity import Boundary, Usage, Workload

__all__ = ["GROUPS", "Case", "Group", "Reference", "cases", "reference"]

FILE = Path(__file__).with_name("measurements.json")

Group = Literal["metered", "operator", "estimate", "fit", "fit-best"]

GROUPS: dict[Group, str] = {
    "metered": "Metered, outside the fit",
    "operator": "Stated by the operator",
    "estimate": "Other people's estimates",
    "fit": "The data of our own fit, batch given",
    "fit-best": "The data of our own fit, best batch, withheld",
}

_J_PER_WH = 3600.0
_NO_ELECTRICITY = Intensity(0.0, 0.0, "not compared")
"""Only energy is compared, so the intensity of the electricity plays no part."""


@dataclass(frozen=True, slots=True)
class Case:
    """One published figure.

    `boundary` is what it includes: `narrow` the accelerators, `comprehensive` the data centre. `assumed` lists what the
    publication leaves open. `unverified` marks figures that were not read at their source. `new` cases were looked at
    for the first time after every constant of `wattproof/param@1.0.0` had been chosen; its batch was chosen with the
    `seen_for_batch` cases in view.
    """

    id: str
    title: str
    group: Group
    published: float
    unit: Literal["J/output token", "Wh/request"]
    boundary: Boundary
    model: str
    input_tokens: int
    output_tokens: int
    assumed: tuple[str, ...]
    source: str
    url: str
    date: str
    note: str = ""
    unverified: bool = False
    new: bool = False
    seen_for_batch: bool = False
    long_reasoning: bool = False
    parameters_b: tuple[float, float] | None = None
    batch: float | None = None
    hardware: str | None = None
    weight_bytes_per_param: float | None = None

    @property
    def published_wh(self) -> float:
        """The published figure for the whole request [Wh]."""
        if self.unit == "Wh/request":
            return self.published
        return self.published * self.output_tokens / _J_PER_WH

    def activity(self) -> Activity:
        """The case as a method takes it: what the publication states, and nothing else."""
        return Activity(
            workload=Workload.CHAT,
            usage=Usage(self.input_tokens, self.output_tokens),
            model=self._model(),
            intensity=_NO_ELECTRICITY,
            batch=self.batch,
            hardware=self.hardware,
            weight_bytes_per_param=self.weight_bytes_per_param,
        )

    def _model(self) -> Model:
        """The edition's row; a model that the edition lacks has the parameters of its card, given with the case."""
        if self.parameters_b is None:
            model = find_model(self.model)
        else:
            active_b, total_b = self.parameters_b
            model = Model(
                id=self.model,
                family=self.model.partition(" ")[0].lower(),
                active_b=Spread(active_b),
                total_b=Spread(total_b),
                bytes_per_param=Spread(self.weight_bytes_per_param or 2.0),
                open_weights=True,
                reasoning=False,
                band="accurate" if active_b == total_b else "medium",
                evidence="parameters published",
                source="model card",
                source_id="measurements",
            )
        return replace(model, reasoning=model.reasoning or self.long_reasoning)


@dataclass(frozen=True, slots=True)
class Reference:
    """A published footprint that cannot be compared, because its scope is not disclosed."""

    title: str
    carbon_gco2e: float
    water_ml: float
    adpe_mgsbeq: float
    model: str
    zone: str
    input_tokens: int
    output_tokens: int
    source: str
    url: str
    note: str


@cache
def cases() -> tuple[Case, ...]:
    """Every case, by group and within a group in the order of the file.

    Raises:
        TypeError: a row has a field that `Case` lacks, or lacks one.
    """
    order = list(GROUPS)
    return tuple(sorted((_case(row) for row in _file()["cases"]), key=lambda case: order.index(case.group)))


def reference() -> Reference:
    """The figure that is shown and never compared."""
    return Reference(**_file()["reference"])


def _case(row: dict[str, Any]) -> Case:
    fields = dict(row)
    fields["assumed"] = tuple(row["assumed"])
    if "parameters_b" in row:
        fields["parameters_b"] = (row["parameters_b"]["active"], row["parameters_b"]["total"])
    return Case(**fields)


@cache
def _file() -> dict[str, Any]:
    return json.loads(FILE.read_text("utf-8"))
