"""PUE and on-site water of operators that publish them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from wattproof.methodology.data import read_edition

__all__ = ["Facility", "all_facilities", "facility_of"]


@dataclass(frozen=True, slots=True)
class Facility:
    """What one operator publishes for one year over its sites.

    `water` says whether on-site water is withdrawn or consumed; the two must not be compared.
    """

    operator: str
    providers: tuple[str, ...]
    year: int
    pue: float | None
    pue_range: tuple[float, float] | None
    wue_onsite_l_per_kwh: float | None
    wue_range: tuple[float, float] | None
    water: Literal["withdrawal", "consumption", "unstated"]
    source: str
    source_id: str


def facility_of(provider: str) -> Facility | None:
    """The row of the operator that serves models as `provider`; None where none is sourced."""
    return _by_provider().get(provider)


@cache
def all_facilities() -> tuple[Facility, ...]:
    """Every row of the edition."""
    edition = read_edition("wattproof/facilities.json")
    return tuple(
        Facility(
            operator=row["operator"],
            providers=tuple(row["providers"]),
            year=row["year"],
            pue=row["pue"],
            pue_range=_range(row["pue_low"], row["pue_high"]),
            wue_onsite_l_per_kwh=row["wue_onsite_l_per_kwh"],
            wue_range=_range(row["wue_low"], row["wue_high"]),
            water=row["water"],
            source=row["source"],
            source_id=edition["source_id"],
        )
        for row in edition["facilities"]
    )


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


@cache
def _by_provider() -> Mapping[str, Facility]:
    return {provider: row for row in all_facilities() for provider in row.providers}
