"""The totals of a ledger in a few sentences."""

from __future__ import annotations

from typing import Any

from wattproof.tools.figures import Figure, energy_text, mass_text, volume_text
from wattproof.tools.provenance import sentence
from wattproof.tools.summary_result import SummaryResult

__all__ = ["amount_words", "brief", "period_words"]

_WHOLE = 10_000


def brief(result: SummaryResult) -> str:
    """The totals in a few sentences, the largest groups, the four named fields last."""
    plural = "" if result.request_count == 1 else "s"
    first = (
        f"{period_words(result)}: {result.request_count:,} request{plural}, {result.token_count:,} tokens "
        f"({result.cached_input_tokens:,} cached), {amount_words(result)}"
    )
    if result.zone_known_bps is not None:
        first += f"; zone known for {_percent(result.zone_known_bps)}"
    words = [f"{first}.", *_beside(result)]
    if result.groups:
        words.append(_groups_words(result))
    return " ".join([*words, sentence(result.provenance)])


def period_words(result: SummaryResult) -> str:
    """`2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z (dates in UTC)`, or all time; and whether it is closed."""
    since, until, tz = result.period["since"], result.period["until"], result.period["tz"]
    if since is None and until is None:
        return "All time"
    shown = " to ".join(str(part) for part in (since or "the beginning", until or "now"))
    return f"{shown} (dates in {tz}{', closed' if result.period['closed'] else ''})"


def amount_words(result: SummaryResult) -> str:
    """Energy and location-based carbon."""
    energy, carbon = result.estimated_energy_kwh, result.estimated_carbon_kg
    parts = [
        "energy unknown" if energy is None else energy_text(_thousandfold(energy)),
        "CO2e unknown" if carbon is None else f"{mass_text(_thousandfold(carbon))} location-based",
    ]
    return ", ".join(parts)


def _beside(result: SummaryResult) -> list[str]:
    words: list[str] = []
    if result.request_count:
        words.append(_market_words(result))
    if result.water_ml is not None:
        words.append(f"Water {volume_text(result.water_ml)}.")
    if result.adjusted is not None:
        words.append(_adjustment_words(result))
    if result.unsettled_count:
        words.append(f"{result.unsettled_count:,} unsettled.")
    if result.kind_counts.keys() - {"inference"}:
        words.append(f"{', '.join(f'{count:,} {_KINDS[kind]}' for kind, count in result.kind_counts.items())}.")
    if len(result.tier_bps) > 1:
        words.append(f"Tiers: {_mix_words(result.tier_bps)}.")
    if result.request_count:
        words.append(_grid_words(result))
    return words


_KINDS = {"inference": "run here", "recorded": "recorded from elsewhere", "imported": "imported"}


def _market_words(result: SummaryResult) -> str:
    """No entry with a market-based figure means that nobody named an instrument."""
    if result.carbon_market_kg is None:
        return "Market-based null (no instrument)."
    figure = mass_text(_thousandfold(result.carbon_market_kg))
    known = result.market_known_bps
    of = "" if known is None or known == _WHOLE else f" for {_percent(known)} of requests"
    return f"Market-based {figure}{of}."


def _adjustment_words(result: SummaryResult) -> str:
    count, added = result.adjustments_count, result.adjusted or {}
    grams = added["estimated_carbon_kg"] * 1000
    sign = "+" if grams > 0 else ""
    amount = mass_text(Figure(median=grams, low=None, high=None), "")
    return f"{count:,} adjustment{'' if count == 1 else 's'} within ({added['token_count']:+,} tokens, {sign}{amount})."


def _grid_words(result: SummaryResult) -> str:
    shares = result.temporal_match_bps
    if shares.get("fallback") != _WHOLE:
        return f"Grid: {_mix_words(shares)}."
    if result.zone_known_bps == _WHOLE:
        return "Grid: all annual averages."
    if result.zone_known_bps == 0:
        return "Grid: the mixture of all zones, because none is known."
    return "Grid: annual averages where the zone is known, else the mixture of all zones."


def _mix_words(shares: dict[str, int]) -> str:
    return ", ".join(f"{_percent(bps)} {name}" for name, bps in shares.items() if bps)


def _percent(bps: int) -> str:
    """Whole per cents, but neither all nor nothing unless it is."""
    if 0 < bps < 100 or _WHOLE - 100 < bps < _WHOLE:
        return f"{bps / 100:.1f} %"
    return f"{bps / 100:.0f} %"


def _thousandfold(figure: Figure) -> Figure:
    low, high = (None if part is None else part * 1000 for part in (figure.low, figure.high))
    return Figure(median=figure.median * 1000, low=low, high=high)


def _groups_words(result: SummaryResult) -> str:
    shown = [_group_words(group) for group in result.groups[:_GROUPS_IN_TEXT]]
    hidden = len(result.groups) - len(shown) + (result.groups_more or 0)
    next_page = "" if result.next_cursor is None else f" (cursor {result.next_cursor})"
    return "; ".join(shown) + (f"; and {hidden:,} more{next_page}" if hidden else "") + "."


_GROUPS_IN_TEXT = 5


def _group_words(group: dict[str, Any]) -> str:
    energy, carbon = group["estimated_energy_kwh"], group["estimated_carbon_kg"]
    parts = [
        energy_text(Figure(median=energy["median"] * 1000, low=None, high=None)) if energy else "energy unknown",
        mass_text(Figure(median=carbon["median"] * 1000, low=None, high=None), "") if carbon else "CO2e unknown",
    ]
    return f"{next(iter(group.values()))} {', '.join(parts)}"
