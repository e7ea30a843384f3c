"""Amounts of energy, carbon and intensity in a text: value, unit, and the interval stated with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Amount", "QuantityName", "amounts_in"]

QuantityName = Literal["energy_wh", "carbon_gco2e", "intensity_gco2e_per_kwh", "percent"]

_ENERGY_WH = {
    "nwh": 1e-9,
    "µwh": 1e-6,
    "μwh": 1e-6,
    "uwh": 1e-6,
    "mwh": 1e-3,
    "wh": 1.0,
    "kwh": 1e3,
    "j": 1 / 3600,
    "kj": 1 / 3.6,
    "mj": 1e6 / 3600,
}
_MASS_G = {
    "µg": 1e-6,
    "μg": 1e-6,
    "ug": 1e-6,
    "mg": 1e-3,
    "g": 1.0,
    "gram": 1.0,
    "grams": 1.0,
    "kg": 1e3,
    "kilo": 1e3,
    "kilos": 1e3,
    "kilogram": 1e3,
    "kilograms": 1e3,
    "t": 1e6,
    "ton": 1e6,
    "tons": 1e6,
    "tonne": 1e6,
    "tonnes": 1e6,
}
# In SI these are a megawatt-hour, a gigawatt-hour and a tonne; case tells them from milli.
_BY_CASE = {
    "MWh": ("energy_wh", 1e6),
    "GWh": ("energy_wh", 1e9),
    "Mg": ("carbon_gco2e", 1e6),
    "MJ": ("energy_wh", 1e6 / 3600),
}

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)"
_TO = r"\s*(?:–|—|-|−|to|and|…|\.\.)\s*"
_MASS = r"(?:[kmµμu]?g|[Mm]g|grams?|kilos?|kilograms?|t|tons?|tonnes?)"
_SUBSTANCE = r"(?:\s*(?:of\s+)?(?:CO[2₂](?:e|eq|-eq)?|carbon(?: dioxide)?))?"
_UNIT = rf"(?:(?:[nmMkGµμu]?[Ww]h|[kM]?J)\b|{_MASS}{_SUBSTANCE}(?:\s*(?:/|per)\s*kWh)?(?!\w)|%)"
_AMOUNT = re.compile(
    rf"(?<![\w.,/@-])(?:[~≈<>≤≥]\s*)?(?P<first>{_NUMBER})"
    rf"(?:{_TO}(?P<second>{_NUMBER}))?"
    rf"\s*(?P<unit>{_UNIT})"
    rf"(?:\s*(?:±|\+/-)\s*(?P<spread>{_NUMBER})"
    rf"|\s*[,;]?\s*[(\[][^()\[\]]{{0,40}}?(?P<low>{_NUMBER}){_TO}(?P<high>{_NUMBER})(?:\s*{_UNIT})?[^()\[\]]{{0,40}}[)\]])?",
)


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as a text states it: in the base unit that its quantity names, or in percent.

    `value` is None where only a range is stated; `low` and `high` are None where no interval is.
    """

    quantity: QuantityName
    value: float | None
    low: float | None
    high: float | None
    text: str
    start: int
    digits: int


def amounts_in(text: str) -> Iterator[Amount]:
    """Every amount in a text, in its order. A mass counts as carbon: nothing else is weighed in a footprint."""
    for found in _AMOUNT.finditer(text):
        quantity, factor = _unit(found["unit"])
        first = _number(found["first"]) * factor
        second = found["second"]
        low, high = found["low"], found["high"]
        bounds: tuple[float | None, float | None] = (None, None)
        if second is not None:
            bounds = (first, _number(second) * factor)
        elif low is not None and high is not None:
            bounds = (_number(low) * factor, _number(high) * factor)
        elif found["spread"] is not None:
            spread = _number(found["spread"]) * factor
            bounds = (first - spread, first + spread)
        yield Amount(
            quantity=quantity,
            value=None if second is not None else first,
            low=bounds[0],
            high=bounds[1],
            text=found[0].strip(),
            start=found.start(),
            digits=_significant(found["first"]),
        )


def _unit(text: str) -> tuple[QuantityName, float]:
    """The quantity that a unit is of, and what one of it is in the quantity's base unit."""
    if text == "%":
        return "percent", 1.0
    head = re.match(r"[A-Za-zµμ]+", text)
    symbol = head[0] if head else ""
    # `gCO2e` and `kgCO2e` run into their substance.
    symbol = re.sub(r"(?i)(?<=g)co$", "", symbol)
    if symbol in _BY_CASE:
        name, factor = _BY_CASE[symbol]
        return ("energy_wh" if name == "energy_wh" else "carbon_gco2e"), factor
    if symbol.lower() in _ENERGY_WH:
        return "energy_wh", _ENERGY_WH[symbol.lower()]
    factor = _MASS_G[symbol.lower()]
    return ("intensity_gco2e_per_kwh" if re.search(r"kWh$", text) else "carbon_gco2e"), factor


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _significant(text: str) -> int:
    """How many significant figures a number is written with; trailing zeros of an integer do not count."""
    mantissa = re.split(r"[eE]", text.replace(",", ""))[0]
    digits = mantissa.replace(".", "").lstrip("0")
    return len(digits if "." in mantissa else digits.rstrip("0")) or 1
