"""A result as an SVG or PNG image, drawn by matplotlib (extra `plot`): intervals side by side, or a period's bars."""

from __future__ import annotations

import math
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from wattproof import __version__
from wattproof.methodology.errors import Unavailable
from wattproof.tools.intervals import Bar, Panel, heading, panels
from wattproof.tools.summary_result import SummaryResult

if TYPE_CHECKING:
    from wattproof.tools.estimate_result import EstimateResult
    from wattproof.tools.estimate_rows import EstimateRows

__all__ = ["ImageFormat", "picture"]

ImageFormat = Literal["svg", "png"]

_INK, _FAINT, _PAPER = "#1f2933", "#616e7c", "#ffffff"
_COLOURS = {"credible90": "#2563a8", "range": "#b45f06", "none": "#52606d"}
_KINDS = {"credible90": "90 % interval", "range": "published min–max", "none": "no interval published"}


def picture(result: EstimateResult | EstimateRows | SummaryResult, image_format: ImageFormat) -> bytes:
    """The image: intervals side by side of estimates, bars with whiskers of a period. Equal results give equal bytes.

    Raises:
        Unavailable: matplotlib is not installed; says how to install it.
    """
    mpl, drawings = _matplotlib()
    if isinstance(result, SummaryResult):
        from wattproof.tools.day_picture import day_picture

        return day_picture(result, image_format, mpl, drawings)
    shown = panels(result)
    rows = max((len(panel.bars) for panel in shown), default=1)
    style = {"svg.hashsalt": "wattproof", "svg.fonttype": "path", "font.size": 9.0, "font.family": "DejaVu Sans"}
    with mpl.rc_context(style):
        drawing = drawings.Figure(figsize=(10.0, 1.75 + 0.36 * rows), facecolor=_PAPER, layout="constrained")
        axes = drawing.subplots(1, max(1, len(shown)), squeeze=False)[0]
        for index, (panel, axis) in enumerate(zip(shown, axes, strict=False)):
            _draw(panel, axis, rows=rows, labelled=index == 0 or _labels(panel) != _labels(shown[0]))
        drawing.suptitle(heading(result), x=0.01, ha="left", color=_INK, fontsize=11, fontweight="bold")
        _legend(drawing, shown)
        method = result.provenance.methodology
        drawing.supxlabel(
            f"Estimates, logarithmic axes. methodology {method}; edition {result.edition}; wattproof {__version__}",
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


def _matplotlib() -> tuple[Any, Any]:
    """matplotlib and its figures, without pyplot: no window, no global state."""
    try:
        return import_module("matplotlib"), import_module("matplotlib.figure")
    except ImportError as error:
        raise Unavailable('Pictures need matplotlib; run: pip install "wattproof[plot]"') from error


def _labels(panel: Panel) -> list[str]:
    return [bar.label for bar in panel.bars]


def _draw(panel: Panel, axis: Any, *, rows: int, labelled: bool) -> None:
    bars = panel.bars
    first, last = panel.span
    axis.set_xscale("log")
    axis.set_xlim(first, last)
    axis.set_ylim(rows - 0.4, -0.75)
    axis.set_yticks(range(len(bars)), [bar.label for bar in bars] if labelled else [""] * len(bars), color=_INK)
    axis.set_title(panel.title, loc="left", fontsize=9, color=_INK)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", colors=_INK, labelsize=8)
    axis.grid(axis="x", which="major", color="#e4e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_FAINT)
    for row, bar in enumerate(bars):
        _draw_bar(panel, bar, row, axis)


def _draw_bar(panel: Panel, bar: Bar, row: int, axis: Any) -> None:
    colour = _COLOURS[bar.interval]
    figure = bar.figure
    if not bar.drawable:
        axis.annotate("0", (panel.span[0], row), color=_INK, fontsize=8)
        return
    if figure.low and figure.high:
        thick = bar.interval == "range"
        axis.plot(
            (figure.low, figure.high),
            (row, row),
            color=colour,
            linewidth=6 if thick else 2,
            alpha=0.45 if thick else 0.9,
            solid_capstyle="butt",
            marker=None if thick else "|",
            markersize=8,
        )
    axis.plot(figure.median, row, "o", color=colour, markersize=6, markeredgecolor=_PAPER, markeredgewidth=0.8)
    axis.annotate(
        panel.words(bar),
        (figure.median, row),
        xytext=(0, 6),
        textcoords="offset points",
        ha=_alignment(panel, bar),
        va="bottom",
        fontsize=7.5,
        color=_INK,
        annotation_clip=False,
    )


def _alignment(panel: Panel, bar: Bar) -> str:
    """Words near an end of the axis stay inside it."""
    first, last = panel.span
    share = math.log(bar.figure.median / first) / math.log(last / first)
    return "left" if share < 0.12 else "right" if share > 0.88 else "center"


def _legend(drawing: Any, shown: tuple[Panel, ...]) -> None:
    line: Any = import_module("matplotlib.lines").Line2D
    kinds = dict.fromkeys(bar.interval for panel in shown for bar in panel.bars)
    handles = [
        line(
            [],
            [],
            color=_COLOURS[kind],
            marker="o",
            linewidth={"credible90": 2, "range": 6, "none": 0}[kind],
            alpha={"credible90": 0.9, "range": 0.6, "none": 1.0}[kind],
            label=_KINDS[kind],
        )
        for kind in kinds
    ]
    drawing.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=8)
