"""When and where to run something that can wait: zones and start times weighed together, from forecasts alone. Pure.

A slot's value is the time-weighted mean intensity over the run, all of it in one zone. Slots of different zones are
compared only where the same source states the same kind of figure for both. A zone without such a forecast gets its
annual average and the reason, never an invented curve.

Callers that all take the best slot meet in the same minute and in the same zone. So every start whose mean is within
the tolerance of the best counts as equally good, and one of them is drawn by the caller's seed, to the second: the same
seed gives the same start, different seeds spread evenly over all of them. Where starting now is among them there is
nothing to wait for, and the draw is between the zones in which now is as good.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Literal

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.grid import Observation, Reading
from wattproof.resources.routing.timeline import Kind, Stretch, stretches

__all__ = ["DEFAULT_TOLERANCE", "Slot", "StartRange", "Windows", "ZoneForecast", "ZoneWindow", "recommend"]

DEFAULT_TOLERANCE = 0.05
# Equal but for the order in which floats were added.
_SAME = 1e-9

Reason = Literal["no_forecast", "forecast_too_short", "another_kind"]


@dataclass(frozen=True, slots=True)
class ZoneForecast:
    """What is known of one zone: its forecast, perhaps empty or of several kinds, and its annual average."""

    zone: str
    forecast: tuple[Observation, ...]
    annual: Reading | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A run in one zone from `start_s` to `end_s` (Unix seconds) and its mean intensity [gCO2e/kWh]."""

    zone: str
    start_s: int
    end_s: int
    mean_gco2e_per_kwh: float
    renewable_ratio_bps: int | None


@dataclass(frozen=True, slots=True)
class StartRange:
    """Every start from `first_s` to `last_s` in `zone` is equally good."""

    zone: str
    first_s: int
    last_s: int


@dataclass(frozen=True, slots=True)
class ZoneWindow:
    """One zone by itself: now or later. Slots of two zones are comparable only where both are `compared`.

    `kind` says what the slots rest on; `reason` why the zone is not compared. `now` is None where the forecast does not
    cover a run that starts now. `forecast_until_s` is where the forecast ends.
    """

    zone: str
    compared: bool
    kind: Kind | None = None
    best: Slot | None = None
    now: Slot | None = None
    forecast_until_s: int | None = None
    reason: Reason | None = None
    annual: Reading | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """The answer: `chosen` is the slot to take, `best` the one of least intensity.

    Both are None where there is no forecast. `now` holds the compared zones' slots that start now, least first.
    `gain_ratio` is the least of them over `best`: how many times as much carbon each kWh carries for not waiting; None
    where it cannot be told. `equally_good` are the starts within `tolerance` of the best.
    """

    kind: Kind | None
    best: Slot | None
    chosen: Slot | None
    now: tuple[Slot, ...]
    gain_ratio: float | None
    equally_good: tuple[StartRange, ...]
    tolerance: float
    zones: tuple[ZoneWindow, ...]


@dataclass(frozen=True, slots=True)
class _Ask:
    now_s: int
    deadline_s: int
    duration_s: int


@dataclass(frozen=True, slots=True)
class _Curve:
    """One zone's forecast of one kind, and its best slot."""

    zone: str
    stretches: tuple[Stretch, ...]
    best: Slot


def recommend(
    zones: Iterable[ZoneForecast],
    *,
    now_s: int,
    deadline_s: int,
    duration_s: int,
    seed: bytes = b"",
    tolerance: float = DEFAULT_TOLERANCE,
) -> Windows:
    """Rank every start from `now_s` on whose run ends by `deadline_s`, in every zone. Times are Unix seconds.

    Where zones have forecasts of several kinds, the kind that covers most zones decides between zones; of equals the
    average before the marginal one, then the one whose zones have the lowest annual average.

    Raises:
        InvalidInput: no zone, a zone twice, a duration that does not fit before the deadline, or a tolerance outside
            0 to 1.
    """
    given, ask = tuple(zones), _Ask(now_s, deadline_s, duration_s)
    _check(given, ask, tolerance)
    curves = {zone.zone: _curves(zone, ask) for zone in given}
    kind = _kind_for_all(given, curves)
    joint = [curves[zone.zone][kind] for zone in given if kind is not None and kind in curves[zone.zone]]
    windows = tuple(_zone_window(zone, curves[zone.zone], kind, ask) for zone in given)
    if not joint:
        return Windows(None, None, None, (), None, (), tolerance, windows)
    best = min((curve.best for curve in joint), key=_rank)
    now = tuple(sorted((w.now for w in windows if w.compared and w.now is not None), key=_rank))
    ranges = tuple(_ranges(joint, ask, _limit(best.mean_gco2e_per_kwh, tolerance)))
    return Windows(
        kind=kind,
        best=best,
        chosen=_drawn(joint, ranges, ask, seed),
        now=now,
        gain_ratio=_ratio(now[0], best) if now else None,
        equally_good=ranges,
        tolerance=tolerance,
        zones=windows,
    )


def _check(zones: tuple[ZoneForecast, ...], ask: _Ask, tolerance: float) -> None:
    names = [zone.zone for zone in zones]
    if not names or len(set(names)) < len(names):
        raise InvalidInput("zones", f"are {', '.join(names)[:60] or 'empty'}", "give each zone once")
    if ask.duration_s <= 0:
        raise InvalidInput("duration_minutes", "is not positive", "give how long the run takes")
    if ask.now_s + ask.duration_s > ask.deadline_s:
        late_s = ask.now_s + ask.duration_s - ask.deadline_s
        raise InvalidInput(
            "deadline", f"is {late_s} s too early for the run", "give a later deadline, or a shorter duration_minutes"
        )
    if not 0.0 <= tolerance <= 1.0:
        raise InvalidInput("tolerance", f"is {tolerance!r}", "give a share from 0 to 1, such as 0.05")


def _rank(slot: Slot) -> tuple[float, int, str]:
    return (slot.mean_gco2e_per_kwh, slot.start_s, slot.zone)


def _limit(best: float, tolerance: float) -> float:
    return best * (1 + tolerance) * (1 + _SAME)


def _curves(zone: ZoneForecast, ask: _Ask) -> dict[Kind, _Curve]:
    """The zone's forecasts in which the run fits, by kind."""
    found: dict[Kind, _Curve] = {}
    for kind, pieces in stretches(zone.forecast).items():
        points = [(mean, start_s, piece) for piece in pieces for start_s, mean in _points(piece, ask)]
        if points:
            limit = _limit(min(mean for mean, _, _ in points), 0.0)
            start_s, piece = next((start_s, piece) for mean, start_s, piece in points if mean <= limit)
            found[kind] = _Curve(zone.zone, pieces, _slot(zone.zone, piece, start_s, ask))
    return found


def _points(piece: Stretch, ask: _Ask) -> list[tuple[int, float]]:
    """Start and mean wherever the mean can bend: it is least at one of them."""
    starts = piece.starts(ask.now_s, ask.deadline_s, ask.duration_s)
    return [(start_s, piece.mean(start_s, ask.duration_s)) for start_s in starts]


def _slot(zone: str, piece: Stretch, start_s: int, ask: _Ask) -> Slot:
    return Slot(
        zone=zone,
        start_s=start_s,
        end_s=start_s + ask.duration_s,
        mean_gco2e_per_kwh=piece.mean(start_s, ask.duration_s),
        renewable_ratio_bps=piece.renewable_ratio_bps(start_s, ask.duration_s),
    )


def _kind_for_all(zones: tuple[ZoneForecast, ...], curves: dict[str, dict[Kind, _Curve]]) -> Kind | None:
    kinds = {kind for by_kind in curves.values() for kind in by_kind}

    def worth(kind: Kind) -> tuple[int, bool, float, Kind]:
        covered = [zone for zone in zones if kind in curves[zone.zone]]
        annual = (math.inf if zone.annual is None else zone.annual.value_gco2e_per_kwh for zone in covered)
        return (-len(covered), kind.basis != "average", min(annual), kind)

    return min(kinds, key=worth, default=None)


def _zone_window(zone: ZoneForecast, curves: dict[Kind, _Curve], joint: Kind | None, ask: _Ask) -> ZoneWindow:
    if not curves:
        reason: Reason = "forecast_too_short" if zone.forecast else "no_forecast"
        return ZoneWindow(zone.zone, compared=False, reason=reason, annual=zone.annual)
    compared = joint in curves
    kind = joint if joint in curves else min(curves, key=lambda kind: (kind.basis != "average", kind))
    curve = curves[kind]
    return ZoneWindow(
        zone=zone.zone,
        compared=compared,
        kind=kind,
        best=curve.best,
        now=_starting(curve, ask.now_s, ask),
        forecast_until_s=curve.stretches[-1].bounds[-1],
        reason=None if compared else "another_kind",
        annual=zone.annual,
    )


def _starting(curve: _Curve, start_s: int, ask: _Ask) -> Slot | None:
    for piece in curve.stretches:
        if piece.bounds[0] <= start_s and start_s + ask.duration_s <= piece.bounds[-1]:
            return _slot(curve.zone, piece, start_s, ask)
    return None


def _ratio(now: Slot, best: Slot) -> float | None:
    if best.mean_gco2e_per_kwh == 0:
        return 1.0 if now.mean_gco2e_per_kwh == 0 else None
    return max(1.0, now.mean_gco2e_per_kwh / best.mean_gco2e_per_kwh)


def _ranges(curves: Iterable[_Curve], ask: _Ask, limit: float) -> list[StartRange]:
    """The starts whose mean is at most `limit`, as ranges in order of their first start."""
    found: list[StartRange] = []
    for curve in curves:
        for piece in curve.stretches:
            points = _points(piece, ask)
            parts = [_below(*left, *right, limit) for left, right in pairwise([*points[:1], *points])]
            found += _joined(curve.zone, [part for part in parts if part is not None])
    return sorted(found, key=lambda each: (each.first_s, each.zone))


def _below(start_s: int, value: float, end_s: int, end_value: float, limit: float) -> tuple[int, int] | None:
    """The part of one straight piece that is at most `limit`, in whole seconds."""
    if value <= limit and end_value <= limit:
        return (start_s, end_s)
    if value > limit and end_value > limit:
        return None
    crossing_s = start_s + (limit - value) / (end_value - value) * (end_s - start_s)
    return (start_s, math.floor(crossing_s)) if value <= limit else (math.ceil(crossing_s), end_s)


def _joined(zone: str, parts: list[tuple[int, int]]) -> list[StartRange]:
    joined: list[StartRange] = []
    for first_s, last_s in parts:
        if joined and first_s <= joined[-1].last_s + 1:
            joined[-1] = StartRange(zone, joined[-1].first_s, last_s)
        else:
            joined.append(StartRange(zone, first_s, last_s))
    return joined


def _drawn(curves: list[_Curve], ranges: tuple[StartRange, ...], ask: _Ask, seed: bytes) -> Slot | None:
    """One of the equally good starts: now where now is one, else any of them, evenly by the second."""
    at_once = [StartRange(each.zone, ask.now_s, ask.now_s) for each in ranges if each.first_s == ask.now_s]
    open_to_all = at_once or list(ranges)
    ends = list(accumulate(each.last_s - each.first_s + 1 for each in open_to_all))
    drawn = int.from_bytes(sha256(seed).digest()[:8]) * ends[-1] >> 64
    place = bisect_right(ends, drawn)
    start_s = open_to_all[place].last_s + 1 - (ends[place] - drawn)
    curve = next(curve for curve in curves if curve.zone == open_to_all[place].zone)
    return _starting(curve, start_s, ask)
