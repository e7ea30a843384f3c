"""What a scripted agent reads: the text of a result or its structured content, never both.

Each reader is written as one understands a sentence or a field; it knows nothing of how the server works.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["CannotRead", "Interval", "Mode", "Seen"]

Mode = Literal["text", "structured"]
"""Which half of a result the client forwards to its model. Errors are text in both."""

_NUMBER = r"(\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)"
_ENERGY = {"kWh": 1e3, "Wh": 1.0, "mWh": 1e-3, "µWh": 1e-6}
_MASS = {"t": 1e6, "kg": 1e3, "g": 1.0, "mg": 1e-3, "µg": 1e-6}


class CannotRead(Exception):
    """The result does not say what the task asks for, in the half that the agent sees."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure as it was read: Wh or g."""

    median: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer of a tool. `text` is what there is in text mode and in every error; `data` in structured mode."""

    text: str
    data: dict[str, Any] | None
    is_error: bool

    @property
    def shown(self) -> str:
        """All that the model sees, as text."""
        return self.text if self.data is None else json.dumps(self.data, ensure_ascii=False)

    def word(self, path: str, pattern: str) -> str:
        """A field by its dotted path, or the first group of a pattern in the text."""
        if self.data is not None:
            value = self.field(path)
            if value is None:
                raise CannotRead(f"{path} is null in {self.shown[:200]}")
            return str(value)
        found = re.search(pattern, self.text)
        if found is None:
            raise CannotRead(f"no {pattern!r} in {self.text[:300]}")
        return found[1]

    def number(self, path: str, pattern: str) -> float:
        """The same as a number."""
        return float(self.word(path, pattern).replace(",", ""))

    def says(self, *words: str) -> bool:
        """Whether all these words are in what the model sees."""
        return all(word.lower() in self.shown.lower() for word in words)

    def field(self, path: str) -> Any:
        """A field of the structured content by its dotted path; None where there is none."""
        value: dict[str, Any] | None = self.data
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def energy(self, path: str = "energy_wh", unit_wh: float = 1.0, after: str = "") -> Interval:
        """Energy with its interval [Wh]; in a text the first one `after` a word."""
        return self._interval(path, unit_wh, _ENERGY, after)

    def carbon(self, path: str = "carbon_gco2e", unit_g: float = 1.0, after: str = "") -> Interval:
        """Carbon with its interval [g]."""
        return self._interval(path, unit_g, _MASS, after)

    def _interval(self, path: str, factor: float, units: dict[str, float], after: str) -> Interval:
        if self.data is not None:
            found: dict[str, float | None] | None = self.field(path)
            if found is None:
                raise CannotRead(f"no figure at {path} in {self.shown[:200]}")
            median, low, high = (found[name] for name in ("median", "low", "high"))
            return Interval((median or 0.0) * factor, low and low * factor, high and high * factor)
        substance = r"(?: CO2e)?" if units is _MASS else ""
        pattern = rf"{_NUMBER} ({'|'.join(units)})\b(?!/){substance}(?: \({_NUMBER}–{_NUMBER}\))?"
        text = self.text[self.text.index(after) :] if after in self.text else ""
        match = re.search(pattern, text)
        if match is None:
            raise CannotRead(f"no figure after {after!r} in {self.text[:300]}")
        unit = units[match[2]]
        numbers = [None if group is None else _float(group) * unit for group in (match[1], match[3], match[4])]
        return Interval(numbers[0] or 0.0, numbers[1], numbers[2])

    @property
    def receipt_id(self) -> str:
        """The receipt that the result names."""
        return self.word("receipt_id", r"\b(r_[a-z2-7]{26})\b")

    @property
    def methodology(self) -> str:
        return self.word("provenance.methodology", r"methodology ([^;\s]+);")

    @property
    def scope(self) -> str:
        return self.word("provenance.region_scope", r"region_scope ([^;\s]+);")

    @property
    def provider(self) -> str:
        """Who ran it, or would."""
        return self.word("provider_id", r"\[([a-z0-9-]+), ")

    def verdict(self, name: str) -> str:
        """pass, fail or unknown."""
        pattern = rf"\b{name}\b(?:, \w+)*:? (pass|FAIL|unknown)"
        return self.word(f"verdicts.{name}.verdict", pattern).lower()

    def closest(self) -> list[str]:
        """The names that an error offers instead of the one that was given."""
        found = re.search(r"Closest: ([^.]*(?:\.\d[^.]*)*)\.(?:\s|$)", self.text)
        if found is None:
            raise CannotRead(f"no closest names in {self.text[:300]}")
        return [name.strip() for name in found[1].split(",")]

    def suggested(self, argument: str) -> str:
        """The value that an error says would admit something, such as max_carbon_intensity=20."""
        for value in re.findall(rf"\b{argument}=([^\s,;]+)", self.text):
            if value != "null":
                return str(value)
        raise CannotRead(f"no value for {argument} in {self.text[:300]}")


def _float(text: str) -> float:
    return float(text.replace(",", ""))
