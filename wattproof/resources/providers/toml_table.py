"""Reading a table that a person wrote: every field typed and bounded, every error naming file, table and field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from wattproof.methodology.closest import closest
from wattproof.methodology.errors import InvalidInput

__all__ = ["Table", "shown"]

_MOST_TABLES = 500
# Longer than any decimal that a person writes; what is refused here could only be slow to compute with.
_MOST_DIGITS = 40
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table. `where` says which, such as `providers.toml, provider 2, model 1`."""

    content: Mapping[str, object]
    where: str

    def wrong(self, name: str, problem: str, fix: str) -> InvalidInput:
        """The error to raise for the field `name`."""
        return InvalidInput(f"{self.where}: {name}", problem, fix)

    def only(self, names: Iterable[str]) -> None:
        """Refuse every key but `names`."""
        allowed = sorted(names)
        for key in self.content:
            if key not in allowed:
                near = ", ".join(closest(key, allowed))
                raise self.wrong(shown(key, quote=False), "is not a key of this table", f"closest: {near}")

    def has(self, name: str) -> bool:
        """Whether the key is there at all."""
        return name in self.content

    def text(self, name: str, pattern: str | None = None, form: str = "printable text", most: int = 300) -> str | None:
        """A line of text, stripped; None where the key is absent. `form` says what `pattern` asks for."""
        value = self.content.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(name, f"is {_kind(value)}", f"give {form} in quotes")
        value = value.strip()
        if not value or len(value) > most or not value.isprintable():
            raise self.wrong(
                name, "is empty, too long or holds control characters", f"give {form}, at most {most} long"
            )
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise self.wrong(name, "has another form", f"give {form}")
        return value

    def needed(self, name: str, pattern: str | None = None, form: str = "printable text", most: int = 300) -> str:
        """Like `text`, for a key that must be there."""
        value = self.text(name, pattern, form, most)
        if value is None:
            raise self.wrong(name, "is missing", f"give {form}")
        return value

    def choice(self, name: str, options: Iterable[str], default: str) -> str:
        """One of a few words."""
        value, known = self.text(name), tuple(options)
        if value is None:
            return default
        if value not in known:
            near = closest(value, known, 1)[0]
            raise self.wrong(name, f"is {shown(value)}", f"give one of {', '.join(known)}; closest: {near}")
        return value

    def decimal(self, name: str, low: str, high: str) -> Decimal | None:
        """A number, or a decimal in quotes, within [low, high]; exact."""
        value = self.content.get(name)
        if value is None:
            return None
        fix = f"give a number from {low} to {high}"
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = Decimal(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise self.wrong(name, f"is {_kind(value)}", fix)
        exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        if not exact.is_finite() or len(exact.as_tuple().digits) > _MOST_DIGITS:
            raise self.wrong(name, "is not finite or has too many digits", fix)
        if not Decimal(low) <= exact <= Decimal(high):
            raise self.wrong(name, "is out of range", fix)
        return exact

    def number(self, name: str, low: str, high: str) -> float | None:
        """Like `decimal`, as a float."""
        value = self.decimal(name, low, high)
        return None if value is None else float(value)

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number within [low, high]; None where the key is absent."""
        value = self.content.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, "is no such whole number", f"give one from {low} to {high}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self.content.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, f"is {_kind(value)}", "give true or false")
        return value

    def table(self, name: str) -> Table | None:
        """A table inside this one; None where the key is absent."""
        value = self.content.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.wrong(name, f"is {_kind(value)}", f"write it as a table, {name} = {{ ... }}")
        return Table(_by_text(cast("Mapping[object, object]", value)), f"{self.where}, {name}")

    def tables(self, name: str, title: str) -> tuple[Table, ...]:
        """The tables of an array `[[name]]`, counted from 1 in their `where`."""
        value: object = self.content.get(name, [])
        rows = cast("list[object]", value) if isinstance(value, list) else None
        if rows is None or len(rows) > _MOST_TABLES or not all(isinstance(row, Mapping) for row in rows):
            problem = f"is no array of at most {_MOST_TABLES} tables"
            raise self.wrong(name, problem, f"start each table with [[{title}]]")
        return tuple(
            Table(_by_text(cast("Mapping[object, object]", row)), f"{self.where}, {name} {count}")
            for count, row in enumerate(rows, 1)
        )


def shown(value: str, *, quote: bool = True) -> str:
    """Text of a file as it may stand in an error: short, and without control characters."""
    cut = value if len(value) <= 60 else value[:57] + "..."
    return repr(cut) if quote or not cut.isprintable() or not cut else cut


def _by_text(content: Mapping[object, object]) -> dict[str, Any]:
    return {str(key): value for key, value in content.items()}


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a table or a date"
