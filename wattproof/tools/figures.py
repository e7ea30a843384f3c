"""How numbers are shown: three significant figures in brief data, two in text, units a person can read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from wattproof.methodology.quantity import Quantity

__all__ = ["Figure", "energy_text", "figure", "mass_text", "rounded", "significant"]

_ENERGY_UNITS = ((1e3, "kWh"), (1e-2, "Wh"), (1e-5, "mWh"), (0.0, "µWh"))
_ENERGY_SCALE = {"kWh": 1e-3, "Wh": 1.0, "mWh": 1e3, "µWh": 1e6}
_MASS_UNITS = ((1e3, "kg"), (1e-1, "g"), (1e-4, "mg"), (0.0, "µg"))
_MASS_SCALE = {"kg": 1e-3, "g": 1.0, "mg": 1e3, "µg": 1e6}


class Figure(BaseModel):
    """An estimated amount; the unit is in the name of the field that holds it. low and high are null together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    median: float
    low: float | None
    high: float | None


def rounded(number: float, digits: int | None = 3) -> float:
    """`number` to `digits` significant figures; unchanged where `digits` is None."""
    return number if digits is None or number == 0 else float(f"{number:.{digits - 1}e}")


def figure(quantity: Quantity | None, digits: int | None = 3) -> Figure | None:
    """A quantity for a result, in the same unit."""
    if quantity is None:
        return None
    low, high = quantity.low, quantity.high
    return Figure(
        median=rounded(quantity.median, digits),
        low=None if low is None else rounded(low, digits),
        high=None if high is None else rounded(high, digits),
    )


def significant(number: float, digits: int = 2) -> str:
    """`number` in words: `digits` significant figures, thousands separated, never an exponent."""
    if number == 0:
        return "0"
    number = float(f"{number:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{decimals}f}"


def energy_text(figure: Figure) -> str:
    """`0.89 Wh (0.26–3.1)`: median and interval of an amount in Wh, in one readable unit."""
    return _interval_text(figure, _ENERGY_UNITS, _ENERGY_SCALE, " ")


def mass_text(figure: Figure, substance: str = "CO2e") -> str:
    """`2.2 mg CO2e (0.74–6.8)`: median and interval of an amount in grams, in one readable unit."""
    return _interval_text(figure, _MASS_UNITS, _MASS_SCALE, f" {substance} " if substance else " ")


def _interval_text(figure: Figure, units: Sequence[tuple[float, str]], scale: dict[str, float], joint: str) -> str:
    unit = next(name for floor, name in units if abs(figure.median) >= floor)
    if figure.median == 0:
        unit = next(name for name, factor in scale.items() if factor == 1.0)
    by = scale[unit]
    text = f"{significant(figure.median * by)} {unit}{joint}".rstrip()
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return text
    return f"{text} ({significant(figure.low * by)}–{significant(figure.high * by)})"
