"""The rows of EcoLogits' model registries, as each release has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wattproof.methodology.data import read_edition
from wattproof.methodology.models import Model

__all__ = ["Ends", "Registered", "registered", "registry_caveats"]

Ends = tuple[float, float]
"""The lower and upper end of a range; equal where a single value is published."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One row of a release's registry: parameters [1e9], and speed where it is listed.

    `known_error` says what is wrong with the row; the release computes with it all the same, and so do we.
    """

    provider: str
    active_b: Ends
    total_b: Ends
    source_id: str
    listed: bool = True
    tokens_per_s: float | None = None
    first_token_s: float | None = None
    known_error: str | None = None


def registered(registry: str, model: Model) -> Registered:
    """The row of `model` in the edition's file `registry`, by its id or an alias.

    A model that the release does not list has the parameters that this edition knows, and no speed.
    """
    rows = _rows(registry)
    for name in (model.id, *model.aliases):
        row = rows.get(name.lower())
        if row is not None:
            return row
    return Registered(model.family, model.active_b.ends, model.total_b.ends, model.source_id, listed=False)


@cache
def _rows(registry: str) -> Mapping[str, Registered]:
    edition = read_edition(registry)
    rows = {row["id"].lower(): _registered(row, edition["source_id"]) for row in edition["models"]}
    return rows | {alias["alias"].lower(): rows[alias["of"].lower()] for alias in edition["aliases"]}


def _registered(row: Mapping[str, Any], source_id: str) -> Registered:
    return Registered(
        provider=row["provider"],
        active_b=_ends(row["active_params_b"]),
        total_b=_ends(row["total_params_b"]),
        source_id=source_id,
        tokens_per_s=row.get("tokens_per_s"),
        first_token_s=row.get("first_token_s"),
        known_error=row.get("known_error"),
    )


def _ends(value: float | list[float]) -> Ends:
    low, high = value if isinstance(value, list) else (value, value)
    return float(low), float(high)


def registry_caveats(row: Registered, model: Model) -> tuple[str, ...]:
    """What a reader of a figure must know of the parameters that it rests on."""
    found = {
        f"not in this release's registry: parameters as this edition knows them ({row.source_id})": not row.listed,
        f"the registry's row is wrong and used as published: it {row.known_error}": row.known_error is not None,
        "parameters are an estimate by EcoLogits; the vendor discloses none": not model.open_weights,
    }
    return tuple(text for text, holds in found.items() if holds)
