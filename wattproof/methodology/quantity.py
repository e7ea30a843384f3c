"""Records that carry units: usage, operands, terms, quantities, footprints.

Everything is frozen and checked once, when it is made. Unknown is None with a reason, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from wattproof.methodology.errors import InvalidInput

__all__ = [
    "MAX_TOKENS",
    "Boundary",
    "Footprint",
    "IntervalKind",
    "Operand",
    "Quantity",
    "Term",
    "Tier",
    "Usage",
    "UsageChange",
    "UsageSource",
    "Workload",
]

MAX_TOKENS = 10**12

Boundary = Literal["narrow", "comprehensive"]
IntervalKind = Literal["credible90", "range", "none"]
Tier = Literal["proxy", "parametric", "modelled", "telemetry", "audited"]
UsageSource = Literal["provider", "local_count", "caller"]


class Workload(StrEnum):
    """What kind of work a request asks for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one request.

    `cached_input_tokens` is a part of `input_tokens`; `reasoning_tokens` is a part of `output_tokens`. Vendors
    disagree about both, so each provider adapter normalises to this.

    Raises:
        InvalidInput: a count is negative, above 1e12, or a part exceeds its whole.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
            count: object = getattr(self, name)
            if type(count) is not int:
                raise InvalidInput(name, f"is {count!r}", "give an integer")
            if not 0 <= count <= MAX_TOKENS:
                raise InvalidInput(name, f"is {count}", "give an integer from 0 to 1e12")
        if self.cached_input_tokens > self.input_tokens:
            raise InvalidInput(
                "cached_input_tokens",
                f"is {self.cached_input_tokens}, more than input_tokens ({self.input_tokens})",
                "it counts the part of the input that was cached",
            )
        if self.reasoning_tokens > self.output_tokens:
            raise InvalidInput(
                "reasoning_tokens",
                f"is {self.reasoning_tokens}, more than output_tokens ({self.output_tokens})",
                "it counts the part of the output that was reasoning",
            )

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class UsageChange(Usage):
    """By how much the token counts of a request changed: later less earlier, so each may be negative.

    Raises:
        InvalidInput: a count is no integer from -1e12 to 1e12.
    """

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
            count: object = getattr(self, name)
            if type(count) is not int or abs(count) > MAX_TOKENS:
                raise InvalidInput(name, f"is {count!r}", "give an integer from -1e12 to 1e12")

    @classmethod
    def between(cls, earlier: Usage, later: Usage) -> UsageChange:
        """What has to be added to `earlier` to give `later`."""
        return cls(
            later.input_tokens - earlier.input_tokens,
            later.output_tokens - earlier.output_tokens,
            later.cached_input_tokens - earlier.cached_input_tokens,
            later.reasoning_tokens - earlier.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Quantity:
    """One estimated amount; its unit is in the name of the field that holds it.

    `low` and `high` are None together where the method publishes no interval.
    """

    median: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def range(cls, low: float, high: float) -> Quantity:
        """A published range: its ends, and their arithmetic mean as the point value."""
        return cls((low + high) / 2, low, high)

    def scaled(self, factor: float) -> Quantity:
        """The same quantity in another unit."""
        return Quantity(
            self.median * factor,
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
        )


@dataclass(frozen=True, slots=True)
class Operand:
    """One numeric input of a method: `value * 10**exp10` in `unit`, and where it comes from.

    Integers, so that a receipt holds exactly what the arithmetic used.
    """

    name: str
    value: int
    exp10: int
    unit: str
    source_id: str

    @property
    def number(self) -> float:
        """The operand as a float: divided by a power of ten where exp10 < 0, so 12e-1 is exactly 1.2.

        Raises:
            InvalidInput: exp10 is not between -60 and 20.
        """
        if not -60 <= self.exp10 <= 20:
            raise InvalidInput(self.name, f"has exp10 {self.exp10}", "give an exponent from -60 to 20")
        return self.value / 10**-self.exp10 if self.exp10 < 0 else float(self.value * 10**self.exp10)

    @classmethod
    def of(cls, name: str, number: float, unit: str, source_id: str, digits: int = 9) -> Operand:
        """Quantise `number` to `digits` significant decimal digits.

        Raises:
            InvalidInput: the number is NaN, infinite, or absurd (above 1e15 or, unless 0, below 1e-30 in size).
        """
        if not math.isfinite(number):
            raise InvalidInput(name, f"is {number!r}", "give a finite number")
        if number == 0:
            return cls(name, 0, 0, unit, source_id)
        if not 1e-30 <= abs(number) <= 1e15:
            raise InvalidInput(name, f"is {number!r}", "give a number between 1e-30 and 1e15")
        mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
        value = int(mantissa.replace(".", ""))
        exp10 = int(exponent) - (digits - 1)
        while value % 10 == 0:
            value //= 10
            exp10 += 1
        if exp10 > 0:
            value, exp10 = value * 10**exp10, 0
        return cls(name, value, exp10, unit, source_id)


@dataclass(frozen=True, slots=True)
class Term:
    """An additive part of a total: log-normal with this median, spread by named factors.

    `loadings` holds `(factor, sigma of ln)` sorted by factor; terms that name the same factor move together.
    """

    name: str
    median: float
    loadings: tuple[tuple[str, float], ...] = ()


def _no_reasons() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one request (or several) costs, by one method.

    Energy at the wall for the chosen boundary [Wh]; climate [gCO2e], location-based and market-based; water [mL], the
    sum of on-site and off-site where both are known; resource depletion ADPe [kg Sb eq]. `carbon_embodied_gco2e` is the
    share of manufacturing the hardware: beside `carbon_gco2e`, unless the method's `embodied_included` says that it is
    a part of it. An indicator that the method does not define is None, with its reason under the same name in
    `reasons`.
    """

    method_id: str
    interval: IntervalKind
    tier: Tier
    boundary: Boundary
    energy_wh: Quantity | None
    carbon_gco2e: Quantity | None
    carbon_market_gco2e: Quantity | None = None
    water_ml: Quantity | None = None
    adpe_kgsbeq: Quantity | None = None
    reasons: Mapping[str, str] = field(default_factory=_no_reasons)
    energy_terms: tuple[Term, ...] = ()
    carbon_terms: tuple[Term, ...] = ()
    carbon_embodied_gco2e: Quantity | None = None
    water_onsite_ml: Quantity | None = None
    water_offsite_ml: Quantity | None = None
