"""What one request was and where it ran, as every method takes it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Usage, Workload

__all__ = ["Activity", "Intensity", "Telemetry"]


@dataclass(frozen=True, slots=True)
class Intensity:
    """Location-based carbon intensity of the electricity [gCO2e/kWh], the spread of its logarithm, and its source.

    Raises:
        InvalidInput: the value or its spread is negative or not finite.
    """

    gco2e_per_kwh: float
    sigma_ln: float
    source_id: str

    def __post_init__(self) -> None:
        _require("intensity_gco2e_per_kwh", self.gco2e_per_kwh, least=0)
        _require("sigma_ln_intensity", self.sigma_ln, least=0)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What meters recorded for one request: accelerator, host and the request's share of provisioned idle [Wh].

    `samples` readings lie `resolution_ms` apart. PUE is not in it.

    Raises:
        InvalidInput: an energy is negative or not finite, or there is no sample.
    """

    gpu_wh: float
    host_wh: float
    idle_wh: float
    samples: int
    resolution_ms: float

    def __post_init__(self) -> None:
        for name in ("gpu_wh", "host_wh", "idle_wh"):
            _require(f"samples.{name}", getattr(self, name), least=0)
        _require("samples.samples", self.samples, least=1)
        _require("samples.resolution_ms", self.resolution_ms, above=0)


@dataclass(frozen=True, slots=True)
class Activity:
    """One request. What is None nobody supplied: a method then assumes a value and says so, or leaves it out.

    `batch` is the number of requests that the server generates for at once; `batch_api` says that the request went
    through a provider's offline batch interface. `cpu_seconds` counts where `cpu_measured`. `hardware` names the
    accelerator, e.g. `H100` or `B200`, and `weight_bytes_per_param` the precision that the weights are served in.
    `latency_s` is the time from request to last token. On-site water is consumed for cooling per kWh of IT energy,
    off-site water for electricity per kWh at the wall. `market_gco2e_per_kwh` is what the contractual instrument
    `instrument_id` declares. `mix_adpe_kgsbeq_per_kwh` is the resource depletion of the electricity. `samples` and
    `opinion_ref` (an assurance opinion) are for the method that takes them. `profile` holds a provider's own
    coefficients, for the methods that are defined by them. `requested_on` is the day of the request (an ISO date), for
    methods whose factors are dated.

    Raises:
        InvalidInput: a number is not finite or outside its range (PUE or batch below 1, anything negative),
            `requested_on` is no ISO date, or there is an instrument without its intensity or the reverse.
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
    batch_api: bool = False
    weight_bytes_per_param: float | None = None
    latency_s: float | None = None
    wue_onsite_l_per_kwh: float | None = None
    wue_offsite_l_per_kwh: float | None = None
    wue_source: str | None = None
    market_gco2e_per_kwh: float | None = None
    instrument_id: str | None = None
    mix_adpe_kgsbeq_per_kwh: float | None = None
    samples: Telemetry | None = None
    opinion_ref: str | None = None
    requested_on: str | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST:
            number = getattr(self, name)
            if number is not None:
                _require(name, number, least=least)
        if self.weight_bytes_per_param is not None:
            _require("weight_bytes_per_param", self.weight_bytes_per_param, above=0)
        if self.cpu_measured and self.cpu_seconds is None:
            raise InvalidInput("cpu_seconds", "is missing", "give the CPU seconds that were measured")
        if (self.market_gco2e_per_kwh is None) != (self.instrument_id is None):
            fix = "give both, or neither: a market-based figure rests on a named instrument"
            raise InvalidInput("instrument_id", "and market_gco2e_per_kwh are not given together", fix)
        if self.requested_on is not None and not _ISO_DATE.fullmatch(self.requested_on):
            raise InvalidInput("requested_on", f"is {self.requested_on[:20]!r}", "give a date such as 2026-11-22")


_ISO_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


_LEAST = (
    ("pue", 1.0),
    ("batch", 1.0),
    ("cpu_seconds", 0.0),
    ("latency_s", 0.0),
    ("wue_onsite_l_per_kwh", 0.0),
    ("wue_offsite_l_per_kwh", 0.0),
    ("market_gco2e_per_kwh", 0.0),
    ("mix_adpe_kgsbeq_per_kwh", 0.0),
)


def _require(field: str, number: float, *, least: float = -math.inf, above: float = -math.inf) -> None:
    if not math.isfinite(number):
        raise InvalidInput(field, f"is {number!r}", "give a finite number")
    if number < least:
        raise InvalidInput(field, f"is {number!r}", f"give a number >= {least:g}")
    if number <= above:
        raise InvalidInput(field, f"is {number!r}", f"give a number > {above:g}")
