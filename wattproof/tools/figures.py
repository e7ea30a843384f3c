"""How numbers are shown: three significant figures in brief data, two in text, units a person can read."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from wattproof.methodology.quantity import Quantity

__all__ = ["Figure", "energy_text", "figure", "mass_text", "rounded", "significant", "volume_text"]

# Unit, what one of the base unit is in it, and the smallest amount in the base unit that it is used for.
_ENERGY_UNITS = (("kWh", 1e-3, 1e3), ("Wh", 1.0, 1e-2), ("mWh", 1e3, 1e-5), ("µWh", 1e6, 0.0))
_VOLUME_UNITS = (("m³", 1e-6, 1e6), ("L", 1e-3, 1e3), ("mL", 1.0, 1e-1), ("µL", 1e3, 0.0))
_MASS_UNITS = (("kg", 1e-3, 1e3), ("g", 1.0, 1e-1), ("mg", 1e3, 1e-4), ("µg", 1e6, 0.0))


class Figure(BaseModel):
    """An estimated amount; the unit is in the name of the field that holds it. low and high are null together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    median: float
    low: float | None
    high: float | None

    def without_interval(self) -> Figure:
        """The median alone, for words where the interval stands elsewhere."""
        return Figure(median=self.median, low=None, high=None)


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
    text = f"{number:#.{digits}g}"
    if "e" not in text:
        return text.rstrip(".")
    scientific = f"{number:.{digits - 1}e}"
    decimals = max(0, digits - 1 - int(scientific.partition("e")[2]))
    return f"{float(scientific):,.{decimals}f}"


def energy_text(figure: Figure) -> str:
    """`0.89 Wh (0.26–3.1)`: median and interval of an amount in Wh, in one readable unit."""
    return _interval_text(figure, _ENERGY_UNITS, "")


def mass_text(figure: Figure, substance: str = "CO2e") -> str:
    """`2.2 mg CO2e (0.74–6.8)`: median and interval of an amount in grams, in one readable unit."""
    return _interval_text(figure, _MASS_UNITS, substance and f" {substance}")


def volume_text(figure: Figure) -> str:
    """`1.3 L (0.4–4.1)`: median and interval of an amount in mL, in one readable unit."""
    return _interval_text(figure, _VOLUME_UNITS, "")


def _interval_text(figure: Figure, units: Sequence[tuple[str, float, float]], substance: str) -> str:
    unit, by = _unit(figure.median, units)
    text = f"{significant(figure.median * by)} {unit}{substance}"
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return text
    return f"{text} ({significant(figure.low * by)}–{significant(figure.high * by)})"


def _unit(amount: float, units: Sequence[tuple[str, float, float]]) -> tuple[str, float]:
    for unit, by, smallest in units:
        # Nothing is 0 of the base unit, not 0 of the smallest.
        if abs(amount) >= smallest or (amount == 0 and by == 1.0):
            return unit, by
    return units[-1][:2]
