"""Grams, price and latency of a simulated day, policy by policy: as an image (extra `plot`), or in plain text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, Literal

from wattproof.methodology.errors import Unavailable
from wattproof.server.simulate.result import DayResult, PolicyResult

__all__ = ["ImageFormat", "picture", "text_bars"]

ImageFormat = Literal["svg", "png"]

_INK, _FAINT, _PAPER, _BAR = "#1f2933", "#616e7c", "#ffffff", "#2563a8"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A bar to `value`, and a line from `low` to `high` where there is one."""

    label: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    marks: tuple[_Mark, ...]

    @property
    def most(self) -> float:
        return max((m.value if m.high is None else m.high for m in self.marks), default=0.0) or 1.0


def picture(result: DayResult, image_format: ImageFormat) -> bytes:
    """The image. The same result gives the same bytes.

    Raises:
        Unavailable: matplotlib is not installed; says how to install it.
    """
    mpl, drawings = _matplotlib()
    shown = _panels(result)
    style = {"svg.hashsalt": "wattproof", "svg.fonttype": "path", "font.size": 9.0, "font.family": "DejaVu Sans"}
    with mpl.rc_context(style):
        height = 1.6 + 0.4 * len(result.policies)
        drawing = drawings.Figure(figsize=(11.0, height), facecolor=_PAPER, layout="constrained")
        axes = drawing.subplots(1, len(shown), squeeze=False)[0]
        for index, (panel, axis) in enumerate(zip(shown, axes, strict=True)):
            _draw(panel, axis, labelled=index == 0)
        drawing.suptitle(result.label, x=0.01, ha="left", color=_INK, fontsize=11, fontweight="bold")
        drawing.supxlabel(_caption(result), x=0.01, ha="left", fontsize=7.5, color=_FAINT)
        made = BytesIO()
        metadata = {"Date": None} if image_format == "svg" else {"Software": None}
        drawing.savefig(made, format=image_format, dpi=150, metadata=metadata)
    return made.getvalue()


def text_bars(result: DayResult, width: int = 100) -> str:
    """The same in plain text, `width` characters wide."""
    lines = [result.label]
    for panel in _panels(result):
        labels = max((len(mark.label) for mark in panel.marks), default=0)
        room = max(10, width - labels - 32)
        lines += ["", panel.title]
        for mark in panel.marks:
            bar = "█" * round(room * mark.value / panel.most)
            lines.append(f"{mark.label:<{labels}}  {bar:<{room}}  {_words(mark)}")
    return "\n".join([*lines, "", _caption(result)])


def _panels(result: DayResult) -> tuple[_Panel, ...]:
    kinds: tuple[tuple[str, Callable[[PolicyResult], _Mark | None]], ...] = (
        ("CO2e, location-based [g], 90 % interval", _carbon),
        ("price [USD]", lambda p: _Mark(p.policy, p.cost_usd, None, None)),
        ("latency [s], median to 95th percentile", _latency),
    )
    found = (
        _Panel(title, tuple(mark for p in result.policies if (mark := draw(p)) is not None)) for title, draw in kinds
    )
    return tuple(found)


def _carbon(policy: PolicyResult) -> _Mark | None:
    total = policy.carbon_gco2e
    return None if total is None else _Mark(policy.policy, total.median, total.low, total.high)


def _latency(policy: PolicyResult) -> _Mark | None:
    if policy.latency_p50_ms is None or policy.latency_p95_ms is None:
        return None
    median_s, p95_s = policy.latency_p50_ms / 1e3, policy.latency_p95_ms / 1e3
    return _Mark(policy.policy, median_s, median_s, p95_s)


def _words(mark: _Mark) -> str:
    text = f"{mark.value:.3g}"
    return text if mark.low is None or mark.high is None else f"{text} ({mark.low:.3g}–{mark.high:.3g})"


def _caption(result: DayResult) -> str:
    return f"Every figure is synthetic. {result.requests} requests in {result.hours:g} h, seed {result.seed}."


def _matplotlib() -> tuple[Any, Any]:
    """matplotlib and its figures, without pyplot: no window, no global state."""
    try:
        return import_module("matplotlib"), import_module("matplotlib.figure")
    except ImportError as error:
        raise Unavailable('Pictures need matplotlib; run: pip install "wattproof[plot]"') from error


def _draw(panel: _Panel, axis: Any, *, labelled: bool) -> None:
    rows = range(len(panel.marks))
    axis.set_xlim(0, panel.most * 1.3)
    axis.set_ylim(len(panel.marks) - 0.4, -0.6)
    axis.set_yticks(
        list(rows), [mark.label for mark in panel.marks] if labelled else [""] * len(panel.marks), color=_INK
    )
    axis.set_title(panel.title, loc="left", fontsize=9, color=_INK)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", colors=_INK, labelsize=8)
    axis.grid(axis="x", which="major", color="#e4e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_FAINT)
    for row, mark in enumerate(panel.marks):
        axis.barh(row, mark.value, height=0.5, color=_BAR, alpha=0.75)
        if mark.low is not None and mark.high is not None:
            axis.plot((mark.low, mark.high), (row, row), color=_INK, linewidth=1.2, marker="|", markersize=7)
        end = mark.value if mark.high is None else mark.high
        axis.annotate(
            f"{mark.value:.3g}", (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5
        )
