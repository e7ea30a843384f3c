"""From a provider's raw blocks to `ReportedFootprint`. Nothing a provider sends can raise an error here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

from wattproof.methodology.zones import all_zones
from wattproof.resources.providers.reported.record import Flag, ReportedFootprint
from wattproof.resources.providers.reported.vendors import UNITS, VENDORS, Number, Path, Total, Vendor, Words

__all__ = ["is_zone", "read_reported"]

_SAME_WITHIN = 0.01
# Vetted's own definition of a live grid value.
_LIVE_WITHIN_MINUTES = 15.0
_MAX_TEXT = 100
_MAX_ZONE = 40
_NUMERIC = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,3})?", re.ASCII)

# The least and the most that one answer can be; the most still fits a receipt's integers in billionths. A zero lies
# below the least wherever a request must cost something.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "energy_wh": (1e-9, 9e6),
    "carbon_gco2e": (1e-9, 9e6),
    "water_ml": (0.0, 9e6),
    "renewable_ratio_bps": (0.0, 10_000.0),
    "pue": (1e-3, 100.0),
    "average_power_w": (1e-9, 1e9),
    "duration_s": (1e-9, 1e7),
    "grid_age_minutes": (0.0, 1e8),
}


def read_reported(raw: Mapping[str, Any]) -> ReportedFootprint | None:
    """What the raw blocks (`ChatEnd.reported`) say, in Wh, gCO2e, mL and seconds; None where no vendor's rows match.

    Any JSON may come in. Numbers may be text where they are purely numeric; everything else that is not a plausible
    number is left out, with a flag that says why. Units are as each vendor documents them (`vendors.py`).
    """
    blocks = _blocks(raw)
    found = [read for vendor in VENDORS if (read := _Read(vendor, blocks)).has_something]
    if not found:
        return None
    first, *others = found
    if others:
        names = ", ".join(other.vendor.name for other in others)
        first.flag("several_vendors", "vendor", f"{first.vendor.name} is read; {names} is there too")
    return ReportedFootprint(
        vendor=first.vendor.name,
        **first.values,
        flags=tuple(first.flags),
        raw_blocks=tuple(sorted(blocks)),
    )


def is_zone(text: str | None) -> bool:
    """Whether a stated location is a zone of the edition, such as FR or SE-SE3."""
    return text is not None and text.upper() in _zones()


@cache
def _zones() -> frozenset[str]:
    return frozenset(all_zones())


class _Read:
    """One vendor's rows applied to the blocks."""

    def __init__(self, vendor: Vendor, blocks: Mapping[str, Any]) -> None:
        self.vendor = vendor
        self.flags: list[Flag] = []
        self.values: dict[str, Any] = {}
        self._blocks = blocks
        for field, amounts in self._amounts().items():
            self._settle(field, amounts)
        for row in vendor.words:
            self._word(row)
        self._judge_words()

    @property
    def has_something(self) -> bool:
        return bool(self.flags or self.values)

    def flag(self, code: str, field: str, detail: str) -> None:
        self.flags.append(Flag(code, field, detail))

    def _amounts(self) -> dict[str, list[float]]:
        """Every usable statement of each field, in our unit."""
        stated: dict[str, list[float]] = {}
        for row in self.vendor.numbers:
            amount = self._number(row)
            if amount is not None:
                stated.setdefault(row.field, []).append(amount)
        for total in self.vendor.totals:
            amount = self._total(total)
            if amount is not None:
                stated.setdefault(total.field, []).append(amount)
        return stated

    def _number(self, row: Number) -> float | None:
        value = _at(self._blocks, row.path)
        if value is None:
            return None
        factor = row.factor if row.unit_path is None else self._factor(row.field, row.unit_path)
        number = None if factor is None else self._plain(row.field, value)
        if number is None or factor is None:
            return None
        amount = self._bounded(row.field, number * factor)
        if amount is not None and row.read_as is not None:
            self.flag("ambiguous_unit", row.field, row.read_as)
        return amount

    def _factor(self, field: str, unit_path: Path) -> float | None:
        unit = _at(self._blocks, unit_path)
        factor = UNITS[field].get(unit) if isinstance(unit, str) else None
        if factor is None:
            self.flag("unknown_unit", field, f"the unit is {_shown(unit)}; known are {', '.join(UNITS[field])}")
        return factor

    def _total(self, row: Total) -> float | None:
        values = [_at(self._blocks, path) for path in (*row.parts, row.times)]
        if all(value is None for value in values[:-1]):
            return None
        numbers = [None if value is None else self._plain(row.field, value) for value in values]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            self.flag("incomplete", row.field, "a part of the sum, or what multiplies it, is missing")
            return None
        return self._bounded(row.field, sum(known[:-1]) * known[-1])

    def _plain(self, field: str, value: object) -> float | None:
        number = _as_number(value)
        if number is None:
            self.flag("not_a_number", field, f"it is {_shown(value)}")
        return number

    def _bounded(self, field: str, amount: float) -> float | None:
        least, most = _BOUNDS[field]
        if least <= amount <= most:
            return amount
        if amount == 0:
            self.flag("zero", field, "it is 0, which no request is: taken as unknown")
        else:
            self.flag("out_of_range", field, f"it is {amount:.3g}, outside {least:g} to {most:g}")
        return None

    def _settle(self, field: str, amounts: list[float]) -> None:
        low, high = min(amounts), max(amounts)
        if high - low > _SAME_WITHIN * high:
            told = " and ".join(f"{amount:.4g}" for amount in amounts)
            self.flag("self_contradiction", field, f"it is stated as {told} in one unit")
        else:
            self.values[field] = round(amounts[0]) if field == "renewable_ratio_bps" else amounts[0]

    def _word(self, row: Words) -> None:
        text = _at(self._blocks, row.path)
        if not isinstance(text, str) or row.field in self.values:
            return
        printable = "".join(letter for letter in text[: 4 * _MAX_TEXT] if letter.isprintable()).strip()
        cut = printable.upper()[:_MAX_ZONE] if row.field == "zone" else printable[:_MAX_TEXT]
        if cut:
            self.values[row.field] = cut

    def _judge_words(self) -> None:
        zone = self.values.get("zone")
        if zone is not None and not is_zone(zone):
            self.flag("not_a_zone", "zone", f"{_shown(zone)} is no grid zone")
        age = self.values.get("grid_age_minutes")
        called = " ".join(str(self.values.get(name, "")) for name in ("evidence", "accuracy"))
        if age is not None and age > _LIVE_WITHIN_MINUTES and "live" in called.lower():
            self.flag("live_overstated", "grid_age_minutes", f"called live, {age:,.0f} minutes old")


def _blocks(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks by name; header names in lower case, as HTTP reads them."""
    blocks = {str(name): block for name, block in _items(raw)}
    if "headers" in blocks:
        blocks["headers"] = {str(name).lower(): value for name, value in _items(blocks["headers"])}
    return blocks


def _items(value: object) -> Iterable[tuple[object, object]]:
    return cast("Mapping[object, object]", value).items() if isinstance(value, Mapping) else ()


def _at(blocks: Mapping[str, Any], path: Path) -> object:
    value: object = blocks
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, object]", value).get(name)
    return value


def _as_number(value: object) -> float | None:
    """A JSON number, or text that is nothing but one; None for all else. Too large is infinite."""
    if isinstance(value, str):
        text = value.strip()
        return float(text) if len(text) <= 60 and _NUMERIC.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    return None if math.isnan(number) else number


def _shown(value: object) -> str:
    """Text cut and escaped; of anything else only what it is."""
    return ascii(value[:40]) if isinstance(value, str) else type(value).__name__
