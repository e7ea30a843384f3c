"""A period as an image: bars from 0 with whiskers, one for each hour, day or month."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from wattproof import __version__
from wattproof.tools.day_bars import BarPanel, bar_panels, bars_heading
from wattproof.tools.figures import Figure
from wattproof.tools.summary_result import SummaryResult

__all__ = ["day_picture"]

_INK, _FAINT, _PAPER, _GRID = "#1f2933", "#616e7c", "#ffffff", "#e4e7eb"
_COLOURS = {True: "#2563a8", False: "#4f772d"}
_LABELS_SHOWN = 16


def day_picture(result: SummaryResult, image_format: str, mpl: Any, drawings: Any) -> bytes:
    """The image, drawn by matplotlib (`mpl`) with its figures (`drawings`). The same result gives the same bytes."""
    shown = bar_panels(result)
    style = {"svg.hashsalt": "wattproof", "svg.fonttype": "path", "font.size": 9.0, "font.family": "DejaVu Sans"}
    with mpl.rc_context(style):
        drawing = drawings.Figure(figsize=(10.0, 6.0), facecolor=_PAPER, layout="constrained")
        axes = drawing.subplots(len(shown), 1, squeeze=False)[:, 0]
        for panel, axis in zip(shown, axes, strict=True):
            _draw(panel, axis)
        drawing.suptitle(bars_heading(result), x=0.01, ha="left", color=_INK, fontsize=10, fontweight="bold")
        drawing.supxlabel(
            "Estimates: bars are medians, whiskers 90 % intervals of each bar; unknowns that bars share do not cancel. "
            f"Days of {result.period['tz']}.\nregion_scope {result.provenance.region_scope}; "
            f"methodology {result.provenance.methodology}; edition {result.edition}; wattproof {__version__}",
            x=0.01,
            ha="left",
            fontsize=7.5,
            color=_FAINT,
        )
        made = BytesIO()
        # No date: the same result gives the same bytes.
        metadata = {"Date": None} if image_format == "svg" else {"Software": None}
        drawing.savefig(made, format=image_format, dpi=150, metadata=metadata)
    return made.getvalue()


def _draw(panel: BarPanel, axis: Any) -> None:
    axis.set_title(panel.title, loc="left", fontsize=9, color=_INK)
    axis.set_axisbelow(True)
    axis.grid(axis="y", which="major", color=_GRID, linewidth=0.8)
    axis.tick_params(axis="both", colors=_INK, labelsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_FAINT)
    axis.set_xlim(-0.6, max(0.6, len(panel.bars) - 0.4))
    low, high = panel.span
    axis.set_ylim(low * 1.05, high * 1.05)
    every = -(-len(panel.bars) // _LABELS_SHOWN) or 1
    places = range(0, len(panel.bars), every)
    axis.set_xticks(list(places), [panel.bars[place].label for place in places], rotation=30, ha="right")
    for place, bar in enumerate(panel.bars):
        if bar.figure is not None:
            _draw_bar(bar.figure, place, _COLOURS[panel.energy], axis)
        elif bar.request_count:
            axis.annotate("?", (place, 0.0), ha="center", va="bottom", color=_FAINT, fontsize=9)


def _draw_bar(figure: Figure, place: int, colour: str, axis: Any) -> None:
    axis.bar(place, figure.median, width=0.72, color=colour, alpha=0.75)
    if figure.low is None or figure.high is None:
        return
    axis.plot((place, place), (figure.low, figure.high), color=_INK, linewidth=1.1, marker="_", markersize=6)
