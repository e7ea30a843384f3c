"""What one request was and where it ran, as every method takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Usage, Workload

__all__ = ["Activity", "Intensity"]


@dataclass(frozen=True, slots=True)
class Intensity:
    """Location-based carbon intensity of the electricity [gCO2e/kWh], the spread of its logarithm, and its source.

    Raises:
        InvalidInput: the value or its spread is negative.
    """

    gco2e_per_kwh: float
    sigma_ln: float
    source_id: str

    def __post_init__(self) -> None:
        if not self.gco2e_per_kwh >= 0:
            raise InvalidInput("intensity_gco2e_per_kwh", f"is {self.gco2e_per_kwh!r}", "give a number >= 0")
        if not self.sigma_ln >= 0:
            raise InvalidInput("sigma_ln_intensity", f"is {self.sigma_ln!r}", "give a number >= 0")


@dataclass(frozen=True, slots=True)
class Activity:
    """One request. What is None nobody supplied: a method then assumes a value and says so.

    `batch` is the number of requests that the server generates for at once. `cpu_seconds` counts where `cpu_measured`.
    `hardware` names the accelerator, e.g. `H100` or `B200`. `profile` holds a provider's own coefficients, for the
    methods that are defined by them.

    Raises:
        InvalidInput: PUE below 1, batch below 1, or negative CPU seconds.
    """

    workload: Workload
    usage: Usage
    model: Model
    intensity: Intensity
    pue: float | None = None
    pue_source: str | None = None
    batch: float | None = None
    cpu_seconds: float | None = None
    cpu_measured: bool = False
    profile: Mapping[str, float] | None = None
    hardware: str | None = None

    def __post_init__(self) -> None:
        if self.pue is not None and not self.pue >= 1:
            raise InvalidInput("pue", f"is {self.pue!r}", "give a number >= 1")
        if self.batch is not None and not self.batch >= 1:
            raise InvalidInput("batch", f"is {self.batch!r}", "give a number >= 1")
        if self.cpu_seconds is not None and not self.cpu_seconds >= 0:
            raise InvalidInput("cpu_seconds", f"is {self.cpu_seconds!r}", "give a number >= 0")
        if self.cpu_measured and self.cpu_seconds is None:
            raise InvalidInput("cpu_seconds", "is missing", "give the CPU seconds that were measured")
