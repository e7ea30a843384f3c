"""The block that every result carries: what place, what electricity and what method a number rests on.

`named_fields` is the one renderer of the four named fields and the receipt id: the structured content, the text and
`_meta` are all made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from wattproof.tools.figures import rounded
from wattproof.tools.result import Result

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.grid.reading import Reading

__all__ = [
    "META_KEY",
    "SALT_KEY",
    "Grounded",
    "Provenance",
    "StatedProvenance",
    "grounds",
    "named_fields",
    "reading_fields",
    "sentence",
]

META_KEY = "io.github.wattproof/provenance"
SALT_KEY = "io.github.wattproof/request_salt"

_BESIDE = (
    "tier",
    "accuracy",
    "boundary",
    "edition",
    "methodology_sha256",
    "location_evidence",
    "ghg_scope",
    "synthetic",
)


class Provenance(BaseModel):
    """The four named fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region_scope: str
    energy_source: str
    methodology: str
    renewable_ratio_bps: int | None


class StatedProvenance(Provenance):
    """The same as a receipt states them: its words, not ours."""

    as_stated: bool = True


class Grounded(Result):
    """A result that rests on one estimate: the four named fields, and beside them what they rest on."""

    told_last: ClassVar[tuple[str, ...]] = (*_BESIDE, "grid", "provenance")
    unlisted: ClassVar[frozenset[str]] = frozenset(_BESIDE)
    in_full_only: ClassVar[frozenset[str]] = frozenset({"methodology_sha256", "edition"})
    usual: ClassVar[Mapping[str, object]] = {
        "boundary": "comprehensive",
        "ghg_scope": "scope3.cat1",
        "synthetic": False,
    }

    tier: str
    accuracy: str
    boundary: str
    edition: str
    methodology_sha256: str
    location_evidence: str
    ghg_scope: str
    synthetic: bool
    grid: dict[str, Any]
    provenance: Provenance


def named_fields(provenance: Provenance, receipt_id: str | None = None) -> dict[str, str | int | None]:
    """The four named fields, and the receipt id where there is one, in the order of every rendering."""
    fields: dict[str, str | int | None] = {
        "region_scope": provenance.region_scope,
        "energy_source": provenance.energy_source,
        "methodology": provenance.methodology,
        "renewable_ratio_bps": provenance.renewable_ratio_bps,
    }
    if receipt_id is not None:
        fields["receipt_id"] = receipt_id
    return fields


def sentence(provenance: Provenance) -> str:
    """The four named fields as the last words of a text."""
    parts = (f"{name} {'null' if value is None else value}" for name, value in named_fields(provenance).items())
    return "; ".join(parts) + "."


def grounds(estimate: Estimate, *, full: bool, synthetic: bool = False) -> dict[str, Any]:
    """The fields of `Grounded` for one estimated request."""
    return {
        "tier": estimate.footprint.tier,
        "accuracy": estimate.accuracy,
        "boundary": estimate.footprint.boundary,
        "edition": estimate.edition,
        "methodology_sha256": estimate.method.sha256,
        "location_evidence": estimate.location_evidence,
        "ghg_scope": estimate.ghg_scope,
        "synthetic": synthetic,
        "grid": reading_fields(estimate.reading, full=full),
        "provenance": Provenance(
            region_scope=estimate.region_scope,
            energy_source=estimate.energy_source,
            methodology=estimate.method.id,
            renewable_ratio_bps=estimate.renewable_ratio_bps,
        ),
    }


def reading_fields(reading: Reading, *, full: bool) -> dict[str, Any]:
    """A grid reading: its four telling fields (and the bounds of a mixture), or the whole record."""
    if full:
        fields = reading.as_dict()
        return {"intensity_gco2e_per_kwh": fields.pop("value_gco2e_per_kwh"), **fields}
    fields: dict[str, Any] = {
        "intensity_gco2e_per_kwh": rounded(reading.value_gco2e_per_kwh),
        "zone": reading.zone,
        "temporal_match": reading.temporal_match,
        "evidence": reading.evidence,
    }
    if reading.low_gco2e_per_kwh is not None and reading.high_gco2e_per_kwh is not None:
        fields["low_gco2e_per_kwh"] = rounded(reading.low_gco2e_per_kwh)
        fields["high_gco2e_per_kwh"] = rounded(reading.high_gco2e_per_kwh)
    return fields
