"""How far the default method has been held against published energy, by model family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from wattproof.methodology.data import read_edition
from wattproof.methodology.models import Model

__all__ = ["Calibration", "CalibrationStatus", "calibration_of"]

CalibrationStatus = Literal["calibrated", "provisional", "none"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`calibrated`: metered energy of the family is in the fit. `provisional`: only estimates or one figure without its
    inputs are published. `none`: nothing is. None of them says that a provider's own servers were metered.
    """

    status: CalibrationStatus
    family: str | None
    why: str


def calibration_of(model: Model, method_id: str) -> Calibration:
    """The calibration of one method for one model; other methods than the default one have none of ours."""
    method = read_edition("wattproof/calibration.json")["method"]
    if method_id != method:
        return Calibration("none", None, f"{method_id} is computed as published, not calibrated here")
    return _by_model().get(model.id.lower(), Calibration("none", None, "no energy of this model family is published"))


@cache
def _by_model() -> Mapping[str, Calibration]:
    return {
        model_id.lower(): Calibration(row["status"], row["family"], row["why"])
        for row in read_edition("wattproof/calibration.json")["families"]
        for model_id in row["models"]
    }
