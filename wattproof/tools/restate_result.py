"""What restating a period returns, from what the ledger keeps of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import Figure, rounded
from wattproof.tools.provenance import Provenance
from wattproof.tools.result import Result
from wattproof.tools.summary_result import several

if TYPE_CHECKING:
    from wattproof.resources.ledger.restatements import Restatement

__all__ = ["WHY_LEFT_OUT", "RestateResult", "result_of", "span_of"]

_PERIOD = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?")


class RestateResult(Result):
    """A restated period. `original` is what the period sums up to as recorded, `restated` what it does now.

    `sums` explain the difference: for energy and carbon the sum of the entries' medians, what each part adds to it, and
    the restated sum, which is their total to the unit. Intervals are of the totals, with shared unknowns kept.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"carbon_market_kg", "water_ml", "adpe_kgsbeq"})
    told_last: ClassVar[tuple[str, ...]] = ("provenance",)

    restatement_id: str
    period: dict[str, str]
    grid: str
    request_count: int
    restated_count: int
    adjustments_count: int
    left_out: dict[str, int]
    original: dict[str, Figure | None]
    restated: dict[str, Figure | None]
    interval: str
    carbon_market_kg: Figure | None = None
    water_ml: Figure | None = None
    adpe_kgsbeq: Figure | None = None
    sums: dict[str, dict[str, int]]
    tier_counts: dict[str, int]
    results_sha256: str
    methodology_sha256: str
    edition: str
    tree_size: int
    root_hex: str
    created_at: str
    reasons: dict[str, str]
    provenance: Provenance


def result_of(kept: Restatement) -> RestateResult:
    """The result of a kept restatement."""
    draft, document = kept.draft, kept.draft.document
    since, until = span_of(draft.period)
    counts = document["counts"]
    original = document["original"]
    return RestateResult(
        restatement_id=kept.id,
        period={"name": draft.period, "since": since, "until": until},
        grid=draft.grid,
        request_count=document["requests"],
        restated_count=document["restated_requests"],
        adjustments_count=document["adjustments"],
        left_out=document["left_out"],
        original=_figures(original["energy_wh"], original["carbon_gco2e"]),
        restated=_figures(document["energy_wh"], document["carbon_gco2e"]),
        interval=document["interval"],
        carbon_market_kg=_figure(document["carbon_market_gco2e"], 1e-3),
        water_ml=_figure(document["water_ml"], 1.0),
        adpe_kgsbeq=_figure(document["adpe_kgsbeq"], 1.0),
        sums=document["sums"],
        tier_counts=counts["tier"],
        results_sha256=draft.results_sha256,
        methodology_sha256=draft.method_sha256,
        edition=draft.edition,
        tree_size=draft.size,
        root_hex=draft.root.hex(),
        created_at=kept.created_at,
        reasons=_reasons(document),
        provenance=Provenance(
            region_scope=several(counts["zone"]),
            energy_source=several(counts["energy_source"]),
            methodology=draft.method_id,
            renewable_ratio_bps=document["renewable_ratio_bps"],
        ),
    )


def _figures(energy_wh: Any, carbon_gco2e: Any) -> dict[str, Figure | None]:
    return {"estimated_energy_kwh": _figure(energy_wh, 1e-3), "estimated_carbon_kg": _figure(carbon_gco2e, 1e-3)}


def _figure(amount: Sequence[float | None] | None, factor: float) -> Figure | None:
    if amount is None:
        return None
    median, low, high = (None if end is None else rounded(end * factor, 6) for end in amount)
    return Figure(median=median or 0.0, low=low, high=high)


def _reasons(document: Mapping[str, Any]) -> dict[str, str]:
    reasons = {f"left_out.{reason}": WHY_LEFT_OUT[reason] for reason in document["left_out"]}
    known, whole = document["known_requests"], document["restated_requests"]
    names = {"carbon_market_ng": "carbon_market_kg", "water_nl": "water_ml", "adpe_pgsbeq": "adpe_kgsbeq"}
    for name, field in names.items():
        if known[name] < whole:
            reasons[field] = f"known for {known[name]} of {whole} requests"
    if document["renewable_ratio_bps"] is None:
        reasons["renewable_ratio_bps"] = "unknown for a part" if whole else "nothing was restated"
    return reasons


WHY_LEFT_OUT = {
    "receipt_not_here": "the receipt was erased or archived, and with it the operands",
    "no_figures": "no energy or no carbon is known, in the original or by the method",
    "model_unknown": "this edition does not list the model",
    "original_method_unknown": "this version does not have the definition of the original method",
    "not_defined": "the method does not cover this kind of request",
    "input_missing": "the method takes an input that nobody recorded",
    "requests_unknown": "an aggregated export does not say how many requests it stands for",
}


def span_of(period: str) -> tuple[str, str]:
    """The instants from which and up to which a year, a month or a day lasts, in UTC.

    Raises:
        InvalidInput: it is none of these.
    """
    from datetime import UTC, datetime, timedelta

    matched = _PERIOD.fullmatch(period)
    try:
        if matched is None:
            raise ValueError(period)
        year, month, day = (None if part is None else int(part) for part in matched.groups())
        start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        after = start + timedelta(days=1 if day else 32 if month else 366)
        end = after if day else after.replace(day=1) if month else after.replace(year=start.year + 1, month=1, day=1)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("period", f"is {period[:20]!r}", "give a year, month or day such as 2026-10") from error
    first, last = (f"{instant:%Y-%m-%dT%H:%M:%S}Z".zfill(20) for instant in (start, end))
    return first, last
