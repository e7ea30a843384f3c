"""What `summarize_ledger` returns, made from the ledger's totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.foreign import as_name
from wattproof.tools.figures import Figure, rounded
from wattproof.tools.provenance import Provenance
from wattproof.tools.result import Result

if TYPE_CHECKING:
    from wattproof.resources.ledger.records import Summary, SummaryRow
    from wattproof.tools.periods import Edges, Period

__all__ = ["Page", "SummaryResult", "bars_of", "several", "summary_result", "thousandth"]

_SCOPES_NAMED = 10

Amount = tuple[float, float | None, float | None]
Page = tuple[str, int, int]
"""What is grouped by, and from which group to which."""


class SummaryResult(Result):
    """What `summarize_ledger` returns. Amounts are null where no entry knows them; shares are of requests.

    `adjusted` says what adjustments add to the totals; they count no requests. `bars` are hours, days or months
    (`bar_unit`) in the time zone of the period, each with its own interval.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset(
        {"methods", "water_ml", "adpe_kgsbeq", "counts", "adjusted", "bar_unit", "bars", "groups_more"}
    )
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {"edition", "synthetic", "cost_micros", "cached_input_tokens", "temporal_match_bps", "usage_source_bps"}
        | {"carbon_market_kg", "groups", "next_cursor", "period", "reasons", "unsettled_count", "zone_known_bps"}
        | {"market_known_bps", "tier_bps", "kind_counts", "adjustments_count"}
    )

    in_full_only: ClassVar[frozenset[str]] = frozenset({"edition", "adpe_kgsbeq", "market_known_bps"})
    usual: ClassVar[Mapping[str, object]] = {
        "synthetic": False,
        "adjustments_count": 0,
        "unsettled_count": 0,
        "cached_input_tokens": 0,
    }

    period: dict[str, str | bool | None]
    request_count: int
    token_count: int
    cached_input_tokens: int
    unsettled_count: int
    adjustments_count: int
    estimated_energy_kwh: Figure | None
    estimated_carbon_kg: Figure | None
    carbon_market_kg: Figure | None
    market_known_bps: int | None
    water_ml: Figure | None = None
    adpe_kgsbeq: float | None = None
    cost_micros: dict[str, int]
    zone_known_bps: int | None
    tier_bps: dict[str, int]
    temporal_match_bps: dict[str, int]
    usage_source_bps: dict[str, int]
    kind_counts: dict[str, int]
    adjusted: dict[str, int | float] | None = None
    groups: tuple[dict[str, Any], ...]
    groups_more: int | None = None
    next_cursor: str | None
    bar_unit: str | None = None
    bars: tuple[dict[str, Any], ...] | None = None
    methods: tuple[str, ...] | None = None
    counts: dict[str, dict[str, int]] | None = None
    edition: str
    synthetic: bool
    reasons: dict[str, str]
    provenance: Provenance

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        for name in ("temporal_match_bps", "tier_bps", "usage_source_bps"):
            fields[name] = {value: bps for value, bps in fields[name].items() if bps}
        for name, usual in _USUAL_MIX.items():
            if fields[name].keys() <= {usual}:
                del fields[name]
        if not fields["period"]["closed"]:
            del fields["period"]["closed"]
        if fields["next_cursor"] is None:
            del fields["next_cursor"]
        return fields


# What a brief summary does not say where it holds for every request.
_USUAL_MIX = {"usage_source_bps": "provider", "kind_counts": "inference", "temporal_match_bps": "fallback"}


def summary_result(summary: Summary, period: Period, page: Page, *, full: bool, edition: str) -> SummaryResult:
    """The result for the totals of a period; three significant figures unless `full`."""
    row, digits = summary.total, None if full else 3
    group_by, start, end = page
    methods = tuple(sorted(row.counts.get("method", {})))
    return SummaryResult(
        period={"since": period.since, "until": period.until, "tz": period.tz, "closed": _is_closed(summary, period)},
        request_count=row.request_count,
        token_count=row.input_tokens + row.output_tokens,
        cached_input_tokens=row.cached_input_tokens,
        unsettled_count=summary.unsettled_count,
        adjustments_count=summary.adjusted.count,
        estimated_energy_kwh=thousandth(row.energy_wh, digits),
        estimated_carbon_kg=thousandth(row.carbon_gco2e, digits),
        carbon_market_kg=thousandth(row.carbon_market_gco2e, digits),
        market_known_bps=_bps(row.market_known_count, row.request_count),
        water_ml=_figure(row.water_ml, digits),
        adpe_kgsbeq=None if row.adpe_kgsbeq is None else rounded(row.adpe_kgsbeq, digits),
        cost_micros=dict(row.cost_micros_by_currency),
        zone_known_bps=_zone_known_bps(row),
        tier_bps=_shares(row, "tier"),
        temporal_match_bps=_shares(row, "temporal_match", ("live", "fresh", "fallback")),
        usage_source_bps=_shares(row, "usage_source"),
        kind_counts=_kinds(row),
        adjusted=_adjusted(summary, digits),
        groups=tuple(_group(group, group_by, full=full) for group in summary.groups[start:end]),
        groups_more=max(0, len(summary.groups) - end) or None,
        next_cursor=str(end) if end < len(summary.groups) else None,
        methods=methods if len(methods) > 1 else None,
        counts={name: dict(held) for name, held in row.counts.items()} if full else None,
        edition=edition,
        synthetic=False,
        reasons=_reasons(summary, full=full),
        provenance=_provenance(row, methods),
    )


def bars_of(edges: Edges, rows: Sequence[SummaryRow]) -> tuple[dict[str, Any], ...]:
    """One bar for each hour, day or month."""
    return tuple(
        {
            "start": label,
            "request_count": row.request_count,
            "estimated_energy_kwh": _dumped(thousandth(row.energy_wh, 3)),
            "estimated_carbon_kg": _dumped(thousandth(row.carbon_gco2e, 3)),
        }
        for label, row in zip(edges.labels, rows, strict=True)
    )


def thousandth(amount: Amount | None, digits: int | None) -> Figure | None:
    """An amount in Wh or g as kWh or kg."""
    return None if amount is None else _scaled(amount, 1e-3, digits)


def several(counts: Mapping[str, int]) -> str:
    """One value as it is, several as `multi:A,B`; beyond ten, the first ten and how many more."""
    names = sorted(counts)
    if len(names) <= 1:
        return names[0] if names else "none"
    hidden = len(names) - _SCOPES_NAMED
    return "multi:" + ",".join(names[:_SCOPES_NAMED]) + (f",+{hidden}" if hidden > 0 else "")


def _figure(amount: Amount | None, digits: int | None) -> Figure | None:
    return None if amount is None else _scaled(amount, 1.0, digits)


def _scaled(amount: Amount, factor: float, digits: int | None) -> Figure:
    median, low, high = (None if part is None else rounded(part * factor, digits) for part in amount)
    return Figure(median=median or 0.0, low=low, high=high)


def _dumped(figure: Figure | None) -> dict[str, float | None] | None:
    return None if figure is None else figure.model_dump()


def _group(row: SummaryRow, group_by: str, *, full: bool) -> dict[str, Any]:
    digits = None if full else 3
    return {
        # Models of imported records are named by whoever wrote those.
        {"provider": "provider_id"}.get(group_by, group_by): None if row.key is None else as_name(row.key, 200),
        "request_count": row.request_count,
        **({"token_count": row.input_tokens + row.output_tokens} if full else {}),
        "estimated_energy_kwh": _dumped(thousandth(row.energy_wh, digits)),
        "estimated_carbon_kg": _dumped(thousandth(row.carbon_gco2e, digits)),
    }


def _provenance(row: SummaryRow, methods: tuple[str, ...]) -> Provenance:
    return Provenance(
        region_scope=several(row.counts.get("zone", {})),
        energy_source=several(row.counts.get("energy_source", {})),
        methodology="none" if not methods else methods[0] if len(methods) == 1 else "multi",
        renewable_ratio_bps=row.renewable_ratio_bps,
    )


def _is_closed(summary: Summary, period: Period) -> bool:
    """Whether nothing can be added to the period any more."""
    from wattproof.resources.ledger.periods import month_after

    last = summary.closed_through
    return last is not None and period.until is not None and period.until <= f"{month_after(last)}-01T00:00:00Z"


def _zone_known_bps(row: SummaryRow) -> int | None:
    known = sum(count for zone, count in row.counts.get("zone", {}).items() if not zone.startswith("unknown:"))
    return _bps(known, row.request_count)


def _shares(row: SummaryRow, name: str, always: tuple[str, ...] = ()) -> dict[str, int]:
    if not row.request_count:
        return {}
    held = dict.fromkeys(always, 0) | dict(row.counts.get(name, {}))
    return {value: round(10_000 * count / row.request_count) for value, count in held.items()}


def _bps(part: int, whole: int) -> int | None:
    return round(10_000 * part / whole) if whole else None


def _kinds(row: SummaryRow) -> dict[str, int]:
    """How many requests were run here, were recorded as steps made elsewhere, or were imported; those there are."""
    run_here = row.request_count - row.recorded_count - row.imported_count
    kinds = {"inference": run_here, "recorded": row.recorded_count, "imported": row.imported_count}
    return {kind: count for kind, count in kinds.items() if count}


def _adjusted(summary: Summary, digits: int | None) -> dict[str, int | float] | None:
    found = summary.adjusted
    if not found.count:
        return None
    return {
        "token_count": found.tokens,
        "estimated_energy_kwh": rounded(found.energy_nwh * 1e-12, digits),
        "estimated_carbon_kg": rounded(found.carbon_location_ng * 1e-12, digits),
    }


def _reasons(summary: Summary, *, full: bool) -> dict[str, str]:
    names = {
        "energy_wh": "estimated_energy_kwh",
        "carbon_gco2e": "estimated_carbon_kg",
        "carbon_market_gco2e": "carbon_market_kg",
    }
    row = summary.total
    hidden: set[str] = set()
    if not full:
        # What is left out because nobody knows it is explained where everything is told; a share tells the rest.
        hidden |= {"adpe_kgsbeq"}
        hidden |= {"water_ml"} if row.water_ml is None else set()
        hidden |= {"carbon_market_gco2e"} if row.carbon_market_gco2e is not None else set()
    reasons = {names.get(name, name): why for name, why in summary.reasons.items() if name not in hidden}
    if row.renewable_ratio_bps is None:
        reasons.setdefault("renewable_ratio_bps", "unknown for a part" if row.request_count else "no requests")
    return reasons
