"""What `estimate_request` returns for several models, deployments or methods: one row each, and their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.calibration import calibration_of
from wattproof.methodology.quantity import Boundary
from wattproof.tools.compared import Compared, Spread, spread
from wattproof.tools.estimate_result import BESIDE, full_fields, prior_words, why_null
from wattproof.tools.figures import Figure, energy_text, figure, mass_text
from wattproof.tools.provenance import Provenance, reading_fields, sentence
from wattproof.tools.result import Result, first_of

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.tools.estimate_cases import Asked, Case

__all__ = ["EstimateRows", "Row", "brief_of_rows", "result_of_rows"]

_ROWS_IN_TEXT = 10
_ROWS_IN_BRIEF = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One case and its estimate, or the reason why there is none."""

    case: Case
    method_id: str
    found: Estimate | None
    reason: str | None
    baseline: Compared | None = None

    @property
    def label(self) -> str:
        """What tells the rows apart; see `_labels`."""
        place = f"{self.case.provider}/" if self.case.provider else ""
        return f"{place}{self.case.model.id}"


class EstimateRows(Result):
    """One request, several estimates. A row holds its figures, or null and the reason."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"output_tokens_prior"})
    told_last: ClassVar[tuple[str, ...]] = ("boundary", "edition", "synthetic", "provenance")

    usage: dict[str, int]
    output_tokens_prior: dict[str, Any] | None = None
    rows: tuple[dict[str, Any], ...]
    spread: tuple[Spread, ...]
    methods: tuple[str, ...]
    reasons: dict[str, str]
    boundary: Boundary
    edition: str
    synthetic: bool
    provenance: Provenance

    in_full_only: ClassVar[frozenset[str]] = frozenset({"edition"})
    usual: ClassVar[Mapping[str, object]] = {"boundary": "comprehensive", "synthetic": False}

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        first_of(fields, "rows", _ROWS_IN_BRIEF)
        left_out = _IN_FULL_ROWS | (set[str]() if len(self.methods) > 1 else {"methodology"})
        fields["rows"] = [
            {
                name: value
                for name, value in row.items()
                if name not in left_out and (name != "model" or value != row["label"])
            }
            for row in fields["rows"]
        ]
        return fields


# What a row of a brief answer leaves out: what follows from its label, and what is told once for all rows.
_IN_FULL_ROWS = {"sources", "calibration", "assumed", "reasons", "provider_id"}


def result_of_rows(rows: Sequence[Row], asked: Asked, *, full: bool) -> EstimateRows:
    """The result for several estimates, in the order of the cases."""
    from wattproof.methodology.data import EDITION

    usage, prior = asked.usage, asked.prior
    labels = _labels(rows)
    found = [(label, row.found) for label, row in zip(labels, rows, strict=True) if row.found is not None]
    provenance = _provenance(rows)
    methods = tuple(dict.fromkeys(row.method_id for row in rows))
    reasons = {"spread": "fewer than two rows have figures"} if len(found) < 2 else {}
    if provenance.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "location unknown or different by row"
    return EstimateRows(
        usage={"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        output_tokens_prior=None if prior is None else {"low": prior.low_tokens, "high": prior.high_tokens},
        rows=tuple(
            _row_fields(label, row, asked, full=full, told_sources=len(methods) > 1)
            for label, row in zip(labels, rows, strict=True)
        ),
        spread=spread(found),
        methods=methods,
        reasons=reasons,
        boundary=asked.boundary,
        edition=EDITION,
        synthetic=False,
        provenance=provenance,
    )


def brief_of_rows(result: EstimateRows) -> str:
    """A clause per row, the widest spread, and the four named fields last."""
    tokens = f"{result.usage['input_tokens']:,} in / {result.usage['output_tokens']:,} out"
    told = [row for row in result.rows if row["energy_wh"] or row["carbon_gco2e"]]
    untold = [row["label"] for row in result.rows if row not in told]
    words = [f"{tokens}: {'; '.join(_row_words(row) for row in told[:_ROWS_IN_TEXT]) or 'no figure'}"]
    hidden = len(told) - _ROWS_IN_TEXT
    words[0] += f"; and {hidden} more." if hidden > 0 else "."
    if untold:
        more = len(untold) - _ROWS_IN_TEXT
        named = ", ".join(untold[:_ROWS_IN_TEXT]) + (f" and {more} more" if more > 0 else "")
        words.append(f"No figure, reasons in the data: {named}.")
    if result.output_tokens_prior:
        words.append(prior_words(result.output_tokens_prior))
    words += [max(result.spread, key=lambda part: part.ratio).words()] if result.spread else []
    return " ".join([*words, sentence(result.provenance)])


def _labels(rows: Sequence[Row]) -> list[str]:
    """By method, by model, by deployment: whatever differs."""
    several_places = len({row.label for row in rows}) > 1
    several_methods = len({row.method_id for row in rows}) > 1
    return [
        " by ".join(part for part, told in ((row.label, several_places), (row.method_id, several_methods)) if told)
        or row.label
        for row in rows
    ]


def _row_fields(label: str, row: Row, asked: Asked, *, full: bool, told_sources: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"label": label, "model": row.case.model.id}
    if row.case.provider:
        fields["provider_id"] = row.case.provider
    fields["methodology"] = row.method_id
    if row.found is None:
        return fields | {"energy_wh": None, "carbon_gco2e": None, "reason": row.reason}
    found, footprint, digits = row.found, row.found.footprint, None if full else 3
    shown = BESIDE if full else ("carbon_market_gco2e",) if found.activity.instrument_id else ()
    figures = {name: figure(getattr(footprint, name), digits) for name in ("energy_wh", "carbon_gco2e", *shown)}
    fields |= {"interval": footprint.interval, "tier": footprint.tier, "accuracy": found.accuracy}
    fields |= {name: None if held is None else held.model_dump() for name, held in figures.items()}
    if row.baseline is not None:
        fields["baseline"] = row.baseline.model_dump()
    fields |= {"region_scope": found.region_scope, "assumed": list(found.assumed)}
    if full or told_sources:
        fields["sources"] = list(found.method.sources)
    fields["calibration"] = calibration_of(row.case.model, row.method_id).status
    caveats = found.method.caveats(found.activity)
    if caveats:
        fields["caveats"] = list(caveats)
    reasons = why_null(found, shown=shown, prior=asked.prior is not None)
    if reasons:
        fields["reasons"] = reasons
    if full:
        fields["methodology_sha256"] = found.method.sha256
        fields["location_evidence"] = found.location_evidence
        fields["ghg_scope"] = found.ghg_scope
        fields["grid"] = reading_fields(found.reading, full=True)
        fields["full"] = full_fields(found)
    return fields


def _row_words(row: dict[str, Any]) -> str:
    energy, carbon = row["energy_wh"], row["carbon_gco2e"]
    told = "energy unknown" if energy is None else energy_text(Figure(**energy))
    climate = "" if carbon is None else f", {mass_text(Figure(**carbon).without_interval())}"
    baseline = f", {Compared(**row['baseline']).words().rstrip('.')}" if row.get("baseline") else ""
    return f"{row['label']} {told}{climate}{baseline}"


def _provenance(rows: Sequence[Row]) -> Provenance:
    """What all rows share as it is; what differs as `multi`, the ratio as null."""
    found = [row.found for row in rows if row.found is not None]
    ratios = {each.renewable_ratio_bps for each in found}
    methods = {row.method_id for row in rows}
    return Provenance(
        region_scope=_shared({each.region_scope for each in found}),
        energy_source=_shared({each.energy_source for each in found}),
        methodology=next(iter(methods)) if len(methods) == 1 else "multi",
        renewable_ratio_bps=next(iter(ratios)) if len(ratios) == 1 else None,
    )


def _shared(values: set[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "multi:" + ",".join(sorted(values)) if values else "none"
