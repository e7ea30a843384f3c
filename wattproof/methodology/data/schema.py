"""One strict schema for every file of an edition: unknown fields, missing fields and wrong types are refused.

Shapes are plain values: a type (or several) for a scalar, `Rows(shape)` for a list, `Span()` for a number or its
[min, max], `Table(shape)` for a mapping with free keys, a dict for a record; a field that ends in `?` may be absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput

__all__ = ["HEADER", "Rows", "Shape", "Span", "Table", "problems", "require_valid"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A list whose items all have one shape."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with free keys whose values all have one shape."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Span:
    """A number, or the [min, max] of one that is not disclosed."""


Shape = Span | type | tuple[type, ...] | dict[str, Any] | Rows | Table

HEADER: dict[str, Any] = {"source": str, "source_id": str, "licence": str}
"""What every file says of itself; beside it a `date` or a `year`."""


def require_valid(name: str, document: object, shape: Mapping[str, Any]) -> None:
    """Refuse a file that does not have the header and the shape of its kind.

    Raises:
        InvalidInput: names the file and the first fields that are wrong.
    """
    found = list(problems(document, {**HEADER, "date?": str, "year?": int, **shape}, name))
    if isinstance(document, dict) and not {"date", "year"} & cast("dict[str, Any]", document).keys():
        found.append(f"{name}: neither date nor year")
    if found:
        raise InvalidInput(name, "; ".join(found[:5]), "correct the file")


def problems(value: object, shape: Shape, path: str) -> Iterator[str]:
    """Everything that is wrong with `value`, each with the path to it."""
    if isinstance(shape, Rows):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for position, item in enumerate(cast("Sequence[object]", value)):
            yield from problems(item, shape.of, f"{path}[{position}]")
    elif isinstance(shape, Table):
        if not isinstance(value, dict):
            yield f"{path}: not a mapping"
            return
        for key, item in cast("Mapping[str, object]", value).items():
            yield from problems(item, shape.of, f"{path}.{key}")
    elif isinstance(shape, Span):
        yield from _span_problems(value, path)
    elif isinstance(shape, dict):
        yield from _record_problems(value, shape, path)
    else:
        yield from _scalar_problems(value, shape, path)


def _record_problems(value: object, shape: Mapping[str, Shape], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: not a record"
        return
    record = cast("Mapping[str, object]", value)
    fields = {name.removesuffix("?"): inner for name, inner in shape.items()}
    for name in record.keys() - fields.keys():
        yield f"{path}.{name}: unknown field"
    for name in shape.keys() - record.keys():
        if not name.endswith("?"):
            yield f"{path}.{name}: missing"
    for name in fields.keys() & record.keys():
        yield from problems(record[name], fields[name], f"{path}.{name}")


def _span_problems(value: object, path: str) -> Iterator[str]:
    bounds = cast("Sequence[object]", value) if isinstance(value, list) else (value,)
    for bound in bounds:
        yield from _scalar_problems(bound, (float,), path)
    if isinstance(value, list) and not (len(bounds) == 2 and bounds[0] <= bounds[1]):  # type: ignore[operator]
        yield f"{path}: not [min, max]"


def _scalar_problems(value: object, shape: type | tuple[type, ...], path: str) -> Iterator[str]:
    kinds = shape if isinstance(shape, tuple) else (shape,)
    # A whole number is a number; True is not.
    allowed = {*kinds, int} if float in kinds else set(kinds)
    if type(value) not in allowed:
        yield f"{path}: {type(value).__name__} instead of {' or '.join(kind.__name__ for kind in kinds)}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: not finite"
    elif isinstance(value, str) and not value.strip():
        yield f"{path}: empty"
