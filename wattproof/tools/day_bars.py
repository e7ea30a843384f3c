"""A period as bars, one for each hour, day or month: what is drawn, and the drawing in plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattproof.tools.figures import Figure, energy_text, mass_text
from wattproof.tools.summary_result import SummaryResult
from wattproof.tools.summary_text import amount_words, period_words

__all__ = ["BarPanel", "DayBar", "bar_panels", "bars_heading", "text_day_bars"]

_NEVER = "No entries, so nothing to draw."
_LEAST_AXIS = 16


@dataclass(frozen=True, slots=True)
class DayBar:
    """One hour, day or month: its figure, None where nothing was run or nothing is known, and its requests."""

    label: str
    figure: Figure | None
    request_count: int


@dataclass(frozen=True, slots=True)
class BarPanel:
    """Bars of one amount, in Wh or g. `energy` tells which."""

    title: str
    energy: bool
    bars: tuple[DayBar, ...]

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest end; both include 0, because a bar begins there."""
        ends = [end for bar in self.bars if bar.figure for end in _ends(bar.figure)]
        return min(0.0, *ends, 0.0), max(0.0, *ends, 0.0) or 1.0

    def words(self, figure: Figure) -> str:
        """A figure in a readable unit."""
        return energy_text(figure) if self.energy else mass_text(figure, "")


def bars_heading(result: SummaryResult) -> str:
    """What the picture shows, in two lines."""
    return f"{period_words(result)}\n{result.request_count:,} requests, {amount_words(result)}"


def bar_panels(result: SummaryResult) -> tuple[BarPanel, ...]:
    """Energy and location-based climate of each bar."""
    bars = result.bars or ()
    per = f"per {result.bar_unit}"
    return (
        BarPanel(f"energy at the wall {per} [Wh]", True, _bars(bars, "estimated_energy_kwh")),
        BarPanel(f"CO2e, location-based, {per} [g]", False, _bars(bars, "estimated_carbon_kg")),
    )


def text_day_bars(result: SummaryResult, width: int = 100) -> str:
    """The picture in plain text, `width` characters wide where that is enough for the labels."""
    lines = [bars_heading(result)]
    if not result.bars:
        return "\n".join([*lines, _NEVER])
    for panel in bar_panels(result):
        lines += ["", panel.title, *_panel_lines(panel, width)]
    lines += ["", "█ median, ├──┤ 90 % interval of each bar; unknowns that bars share do not cancel. Linear axes."]
    return "\n".join(lines)


def _bars(rows: tuple[dict[str, Any], ...], name: str) -> tuple[DayBar, ...]:
    return tuple(DayBar(row["start"], _thousandfold(row[name]), row["request_count"]) for row in rows)


def _thousandfold(fields: dict[str, float | None] | None) -> Figure | None:
    if fields is None:
        return None
    median, low, high = (None if fields[end] is None else (fields[end] or 0.0) * 1000 for end in _FIELDS)
    return Figure(median=median or 0.0, low=low, high=high)


_FIELDS = ("median", "low", "high")


def _ends(figure: Figure) -> list[float]:
    return [end for end in (figure.low, figure.median, figure.high) if end is not None]


def _panel_lines(panel: BarPanel, width: int) -> list[str]:
    labels = max(len(bar.label) for bar in panel.bars)
    words = [_words(panel, bar) for bar in panel.bars]
    axis = max(_LEAST_AXIS, width - labels - max(map(len, words)) - 4)
    return [
        f"{bar.label:<{labels}}  {_drawn(bar.figure, panel.span, axis)}  {said}".rstrip()
        for bar, said in zip(panel.bars, words, strict=True)
    ]


def _words(panel: BarPanel, bar: DayBar) -> str:
    if bar.figure is None:
        return "unknown" if bar.request_count else "-"
    return panel.words(bar.figure)


def _drawn(figure: Figure | None, span: tuple[float, float], axis: int) -> str:
    if figure is None:
        return " " * axis
    first, last = span

    def place(amount: float) -> int:
        return min(axis - 1, max(0, round((amount - first) / (last - first) * (axis - 1))))

    cells = [" "] * axis
    zero, tip = sorted((place(0.0), place(figure.median)))
    if figure.median:
        cells[zero : tip + 1] = ["█"] * (tip + 1 - zero)
    if figure.low is not None and figure.high is not None and figure.low != figure.high:
        left, right = place(figure.low), place(figure.high)
        cells[tip + 1 : right] = ["─"] * max(0, right - tip - 1)
        cells[left], cells[right] = "├", "┤"
    return "".join(cells)
