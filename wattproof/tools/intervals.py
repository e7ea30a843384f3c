"""Intervals side by side on a logarithmic axis: what is drawn, and the drawing in plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wattproof.tools.estimate_result import EstimateResult
from wattproof.tools.estimate_rows import EstimateRows
from wattproof.tools.figures import Figure, energy_text, mass_text
from wattproof.tools.summary_result import SummaryResult

__all__ = ["Bar", "Panel", "heading", "panels", "text_bars"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure with its label; `interval` says what the ends are."""

    label: str
    figure: Figure
    interval: str

    @property
    def drawable(self) -> bool:
        """Whether it has a place on a logarithmic axis."""
        return self.figure.median > 0


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit. `energy` tells Wh from grams."""

    title: str
    energy: bool
    bars: tuple[Bar, ...]

    def words(self, bar: Bar) -> str:
        """The figure of a bar in a readable unit."""
        return energy_text(bar.figure) if self.energy else mass_text(bar.figure, "")

    @property
    def span(self) -> tuple[float, float]:
        """The decades that the axis shows: whole ones, at least one."""
        ends = [
            end
            for bar in self.bars
            if bar.drawable
            for end in (bar.figure.median, bar.figure.low, bar.figure.high)
            if end
        ]
        if not ends:
            return 0.1, 1.0
        first, last = math.floor(math.log10(min(ends))), math.ceil(math.log10(max(ends)))
        return 10.0**first, 10.0 ** max(last, first + 1)


def heading(result: EstimateResult | EstimateRows) -> str:
    """`gpt-4o, 1,000 in / 400 out, US`: what the picture shows."""
    tokens = f"{result.usage['input_tokens']:,} in / {result.usage['output_tokens']:,} out"
    names = [result.model] if isinstance(result, EstimateResult) else [str(row["model"]) for row in result.rows]
    models = list(dict.fromkeys(names))
    shown = models[0] if len(models) == 1 else f"{len(models)} models"
    return f"{shown}, {tokens}, {result.provenance.region_scope}"


def panels(result: EstimateResult | EstimateRows) -> tuple[Panel, ...]:
    """Energy and location-based climate; rows without a figure are left out."""
    bars = _bars_of_one(result) if isinstance(result, EstimateResult) else _bars_of_rows(result)
    energy, climate = (tuple(bar for bar in each if bar.figure.median >= 0) for each in bars)
    shown = (Panel("energy at the wall [Wh]", True, energy), Panel("CO2e, location-based [g]", False, climate))
    return tuple(panel for panel in shown if panel.bars)


def text_bars(result: EstimateResult | EstimateRows | SummaryResult, width: int = 100) -> str:
    """The picture in plain text, `width` characters wide."""
    if isinstance(result, SummaryResult):
        from wattproof.tools.day_bars import text_day_bars

        return text_day_bars(result, width)
    lines = [heading(result)]
    for panel in panels(result):
        lines += ["", panel.title, *_panel_lines(panel, width)]
    kinds = dict.fromkeys(bar.interval for panel in panels(result) for bar in panel.bars)
    lines += ["", "; ".join(_KINDS[kind] for kind in kinds) + ". Logarithmic axis."]
    return "\n".join(lines)


_KINDS = {
    "credible90": "├──●──┤ 90 % interval",
    "range": "[══●══] published min–max",
    "none": "● no interval published",
}
_ENDS = {"credible90": "├─┤", "range": "[═]", "none": "   "}


def _bars_of_one(result: EstimateResult) -> tuple[Iterable[Bar], Iterable[Bar]]:
    energy = [Bar(result.model, result.energy_wh, result.interval)] if result.energy_wh else []
    climate = [Bar(result.model, result.carbon_gco2e, result.interval)] if result.carbon_gco2e else []
    for zone, figure in (result.carbon_gco2e_if or {}).items():
        climate += [Bar(f"if in {zone}", figure, result.interval)] if figure else []
    if result.baseline is not None:
        of_baseline = Bar(f"{result.baseline.model} (baseline)", result.baseline.baseline, result.interval)
        (climate if result.baseline.indicator == "carbon_gco2e" else energy).append(of_baseline)
    return energy, climate


def _bars_of_rows(result: EstimateRows) -> tuple[Iterable[Bar], Iterable[Bar]]:
    energy, climate = (
        [_row_bar(row, name) for row in result.rows if row.get(name)] for name in ("energy_wh", "carbon_gco2e")
    )
    return energy, climate


def _row_bar(row: dict[str, Any], name: str) -> Bar:
    return Bar(row["label"], Figure(**row[name]), row["interval"])


def _panel_lines(panel: Panel, width: int) -> list[str]:
    labels = max(len(bar.label) for bar in panel.bars)
    figures = max(len(panel.words(bar)) for bar in panel.bars)
    axis = max(16, width - labels - figures - 4)
    first, last = panel.span
    lines = [
        f"{bar.label:<{labels}}  {_drawn(bar, first, last, axis)}  {panel.words(bar)}".rstrip() for bar in panel.bars
    ]
    low, high = (f"{end:g}" for end in (first, last))
    return [*lines, f"{'':<{labels}}  {low}{'':·<{axis - len(low) - len(high)}}{high}"]


def _drawn(bar: Bar, first: float, last: float, axis: int) -> str:
    if not bar.drawable:
        return f"{'0':<{axis}}"
    places = [_place(end, first, last, axis) for end in (bar.figure.low, bar.figure.high) if end]
    cells = [" "] * axis
    if len(places) == 2:
        left, line, right = _ENDS[bar.interval]
        cells[places[0] : places[1] + 1] = [line] * (places[1] - places[0] + 1)
        cells[places[0]], cells[places[1]] = left, right
    cells[_place(bar.figure.median, first, last, axis)] = "●"
    return "".join(cells)


def _place(amount: float, first: float, last: float, axis: int) -> int:
    share = math.log(amount / first) / math.log(last / first)
    return min(axis - 1, max(0, round(share * (axis - 1))))
