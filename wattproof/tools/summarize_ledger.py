"""What was run: totals of a period, an operation or a tag, with intervals that keep shared uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import Figure, energy_text, mass_text, rounded
from wattproof.tools.periods import Period, period_of
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Arguments, Detail, Result

if TYPE_CHECKING:
    from wattproof.resources.ledger.records import Summary, SummaryRow
    from wattproof.tools.deps import Deps

__all__ = ["GROUPS_PER_PAGE", "SummaryArgs", "SummaryResult", "brief", "summarize_ledger"]

GROUPS_PER_PAGE = 20
_GROUPS_IN_TEXT = 5
_SCOPES_NAMED = 10

GroupBy = Literal["provider", "model", "zone", "method", "tier", "status", "workload"]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class SummaryArgs(Arguments):
    """Arguments of `summarize_ledger`."""

    since: Annotated[str | None, Field(max_length=40, description="Date or time, included")] = None
    until: Annotated[str | None, Field(max_length=40, description="Excluded")] = None
    tz: Annotated[str | None, Field(max_length=60, description="IANA zone; default UTC")] = None
    group_by: Annotated[GroupBy | None, Field(description="One row per value")] = None
    operation_id: Annotated[_Name | None, Field(description="Only this workflow")] = None
    tag: Annotated[_Name | None, Field(description="Only entries with it")] = None
    method: Annotated[_Name | None, Field(description="Only this method id")] = None
    cursor: Annotated[str | None, Field(max_length=20, description="next_cursor")] = None
    detail: Annotated[Detail | None, Field(description="full: all shares")] = None


class SummaryResult(Result):
    """What `summarize_ledger` returns. Amounts are null where no entry knows them; shares are of requests."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"methods", "water_ml", "adpe_kgsbeq", "counts"})
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {"edition", "synthetic", "cost_micros", "cached_input_tokens", "temporal_match_bps", "usage_source_bps"}
        | {"carbon_market_kg", "groups", "next_cursor", "period", "reasons", "unsettled_count", "zone_known_bps"}
    )

    period: dict[str, str | None]
    request_count: int
    token_count: int
    cached_input_tokens: int
    unsettled_count: int
    estimated_energy_kwh: Figure | None
    estimated_carbon_kg: Figure | None
    carbon_market_kg: float | None
    water_ml: float | None = None
    adpe_kgsbeq: float | None = None
    cost_micros: dict[str, int]
    zone_known_bps: int | None
    temporal_match_bps: dict[str, int]
    usage_source_bps: dict[str, int]
    groups: tuple[dict[str, Any], ...]
    next_cursor: str | None
    methods: tuple[str, ...] | None = None
    counts: dict[str, dict[str, int]] | None = None
    edition: str
    synthetic: bool
    reasons: dict[str, str]
    provenance: Provenance


async def summarize_ledger(args: SummaryArgs, deps: Deps) -> SummaryResult:
    """Add up the entries of this ledger.

    Raises:
        InvalidInput: a time, a time zone, the grouping or the cursor is not understood.
        UnknownMethod: no such method.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.methodology.data import EDITION
    from wattproof.methodology.methods import get_method
    from wattproof.resources.ledger.records import SummaryQuery

    period = period_of(args.since, args.until, args.tz)
    start = _page_start(args.cursor)
    query = SummaryQuery(
        log_id=deps.log_id,
        since=period.since,
        until=period.until,
        group_by=args.group_by,
        operation_id=args.operation_id,
        tag=args.tag,
        method=None if args.method is None else get_method(args.method).id,
    )
    ledger = await deps.ledger()
    return _result(await ledger.summary(query), period, args, start, EDITION)


def brief(result: SummaryResult) -> str:
    """The totals in a few sentences, the largest groups, the four named fields last."""
    plural = "" if result.request_count == 1 else "s"
    words = [f"{_period_words(result)}: {result.request_count:,} request{plural}, {result.token_count:,} tokens"]
    words[0] += f" ({result.cached_input_tokens:,} cached), {_amount_words(result)}"
    if result.zone_known_bps is not None:
        words[0] += f"; zone known for {result.zone_known_bps / 100:.0f} %"
    words[0] += "."
    if result.carbon_market_kg is None and result.request_count:
        words.append(f"Market-based null ({_market_reason(result)}).")
    if result.unsettled_count:
        words.append(f"{result.unsettled_count:,} unsettled.")
    if result.temporal_match_bps.get("fallback") == 10_000:
        words.append(_grid_words(result.zone_known_bps))
    if result.groups:
        words.append(_groups_words(result))
    return " ".join([*words, sentence(result.provenance)])


def _result(summary: Summary, period: Period, args: SummaryArgs, start: int, edition: str) -> SummaryResult:
    row, full = summary.total, args.detail == "full"
    digits = None if full else 3
    end = start + GROUPS_PER_PAGE
    methods = tuple(sorted(row.counts.get("method", {})))
    market = row.carbon_market_gco2e
    return SummaryResult(
        period={"since": period.since, "until": period.until, "tz": period.tz},
        request_count=row.request_count,
        token_count=row.input_tokens + row.output_tokens,
        cached_input_tokens=row.cached_input_tokens,
        unsettled_count=summary.unsettled_count,
        estimated_energy_kwh=_thousandth(row.energy_wh, digits),
        estimated_carbon_kg=_thousandth(row.carbon_gco2e, digits),
        carbon_market_kg=None if market is None else rounded(market / 1000, digits),
        water_ml=row.water_ml,
        adpe_kgsbeq=row.adpe_kgsbeq,
        cost_micros=dict(row.cost_micros_by_currency),
        zone_known_bps=_zone_known_bps(row),
        temporal_match_bps=_shares(row, "temporal_match", ("live", "fresh", "fallback")),
        usage_source_bps=_shares(row, "usage_source"),
        groups=tuple(_group(group, args.group_by or "key", digits) for group in summary.groups[start:end]),
        next_cursor=str(end) if end < len(summary.groups) else None,
        methods=methods if len(methods) > 1 else None,
        counts={name: dict(held) for name, held in row.counts.items()} if full else None,
        edition=edition,
        synthetic=False,
        reasons=_reasons(summary),
        provenance=_provenance(row, methods),
    )


def _thousandth(amount: tuple[float, float | None, float | None] | None, digits: int | None) -> Figure | None:
    if amount is None:
        return None
    median, low, high = (None if part is None else rounded(part / 1000, digits) for part in amount)
    return Figure(median=median or 0.0, low=low, high=high)


def _group(row: SummaryRow, group_by: str, digits: int | None) -> dict[str, Any]:
    energy, carbon = _thousandth(row.energy_wh, digits), _thousandth(row.carbon_gco2e, digits)
    return {
        {"provider": "provider_id"}.get(group_by, group_by): row.key,
        "request_count": row.request_count,
        "token_count": row.input_tokens + row.output_tokens,
        "estimated_energy_kwh": None if energy is None else energy.model_dump(),
        "estimated_carbon_kg": None if carbon is None else carbon.model_dump(),
    }


def _provenance(row: SummaryRow, methods: tuple[str, ...]) -> Provenance:
    return Provenance(
        region_scope=_several(row.counts.get("zone", {})),
        energy_source=_several(row.counts.get("energy_source", {})),
        methodology="none" if not methods else methods[0] if len(methods) == 1 else "multi",
        renewable_ratio_bps=row.renewable_ratio_bps,
    )


def _several(counts: Mapping[str, int]) -> str:
    """One value as it is, several as `multi:A,B`; beyond ten, the first ten and how many more."""
    names = sorted(counts)
    if len(names) <= 1:
        return names[0] if names else "none"
    hidden = len(names) - _SCOPES_NAMED
    return "multi:" + ",".join(names[:_SCOPES_NAMED]) + (f",+{hidden}" if hidden > 0 else "")


def _zone_known_bps(row: SummaryRow) -> int | None:
    if not row.request_count:
        return None
    known = sum(count for zone, count in row.counts.get("zone", {}).items() if not zone.startswith("unknown:"))
    return _bps(known, row.request_count)


def _shares(row: SummaryRow, name: str, always: tuple[str, ...] = ()) -> dict[str, int]:
    if not row.request_count:
        return {}
    held = dict.fromkeys(always, 0) | dict(row.counts.get(name, {}))
    return {value: _bps(count, row.request_count) for value, count in held.items()}


def _bps(part: int, whole: int) -> int:
    return round(10_000 * part / whole)


def _reasons(summary: Summary) -> dict[str, str]:
    names = {
        "energy_wh": "estimated_energy_kwh",
        "carbon_gco2e": "estimated_carbon_kg",
        "carbon_market_gco2e": "carbon_market_kg",
    }
    hidden = {"water_ml", "adpe_kgsbeq"}
    reasons = {names.get(name, name): why for name, why in summary.reasons.items() if name not in hidden}
    if summary.total.renewable_ratio_bps is None:
        reasons.setdefault(
            "renewable_ratio_bps", "unknown for a part" if summary.total.request_count else "no requests"
        )
    return reasons


def _page_start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise InvalidInput("cursor", f"is {cursor[:20]!r}", "give next_cursor of the page before")
    return int(cursor)


def _period_words(result: SummaryResult) -> str:
    since, until, tz = result.period["since"], result.period["until"], result.period["tz"]
    if since is None and until is None:
        return "All time"
    shown = " to ".join(part for part in (since or "the beginning", until or "now"))
    return f"{shown} (dates in {tz})"


def _amount_words(result: SummaryResult) -> str:
    energy, carbon = result.estimated_energy_kwh, result.estimated_carbon_kg
    parts = [
        "energy unknown" if energy is None else energy_text(_thousandfold(energy)),
        "CO2e unknown" if carbon is None else f"{mass_text(_thousandfold(carbon))} location-based",
    ]
    return ", ".join(parts)


def _thousandfold(figure: Figure) -> Figure:
    low, high = (None if part is None else part * 1000 for part in (figure.low, figure.high))
    return Figure(median=figure.median * 1000, low=low, high=high)


def _market_reason(result: SummaryResult) -> str:
    """No entry with a market-based figure means that nobody named an instrument."""
    reason = result.reasons.get("carbon_market_kg", "unknown")
    return "no instrument" if reason.startswith("known for 0 of ") else reason


def _grid_words(zone_known_bps: int | None) -> str:
    if zone_known_bps == 10_000:
        return "Grid: all annual averages."
    if zone_known_bps == 0:
        return "Grid: the mixture of all zones, because none is known."
    return "Grid: annual averages where the zone is known, else the mixture of all zones."


def _groups_words(result: SummaryResult) -> str:
    shown: list[str] = []
    for group in result.groups[:_GROUPS_IN_TEXT]:
        energy, carbon = group["estimated_energy_kwh"], group["estimated_carbon_kg"]
        parts = [
            energy_text(Figure(median=energy["median"] * 1000, low=None, high=None)) if energy else "energy unknown",
            mass_text(Figure(median=carbon["median"] * 1000, low=None, high=None), "") if carbon else "CO2e unknown",
        ]
        shown.append(f"{next(iter(group.values()))} {', '.join(parts)}")
    hidden = len(result.groups) - _GROUPS_IN_TEXT
    return "; ".join(shown) + (f"; and {hidden} more" if hidden > 0 or result.next_cursor else "") + "."
