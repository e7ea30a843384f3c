"""From dates and times as people write them to a span of instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

from wattproof.methodology.errors import InvalidInput

__all__ = ["BarUnit", "Edges", "Period", "edges_of", "period_of"]

BarUnit = Literal["hour", "day", "month"]

# A local day may have 25 hours.
_HOURS_UP_TO = timedelta(days=2, hours=1)
_DAYS_UP_TO = timedelta(days=93)
_LONGEST = timedelta(days=20 * 366)


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until) as RFC 3339 UTC instants, None where open; `tz` is the zone that bare dates were read in."""

    since: str | None
    until: str | None
    tz: str


def period_of(since: str | None, until: str | None, tz: str | None) -> Period:
    """The span between two dates or times. A bare date is its midnight in `tz` (default UTC).

    Raises:
        InvalidInput: a time or the zone is not understood, or the span ends before it begins.
    """
    name = tz or "UTC"
    zone = _zone(name)
    first, end = _instant("since", since, zone), _instant("until", until, zone)
    if first is not None and end is not None and end < first:
        raise InvalidInput("until", f"is {until!r}, before since ({since!r})", "give a later date")
    return Period(first, end, name)


@dataclass(frozen=True, slots=True)
class Edges:
    """The hours, days or months of a time zone that a period is made of.

    `instants` (RFC 3339 UTC) bound them, one more than `labels`, which name their beginnings in local time. The first
    and the last may be cut by the period.
    """

    unit: BarUnit
    instants: tuple[str, ...]
    labels: tuple[str, ...]


def edges_of(period: Period, first: str, last: str) -> Edges:
    """The hours of a period up to two days, the days of one up to three months, else the months, in its time zone.

    An open end is where the first or the last entry occurred (`first`, `last`, RFC 3339 UTC), and whole units then;
    so is an end of more than twenty years. The period is not empty.
    """
    zone = _zone(period.tz)
    since = datetime.fromisoformat(period.since or first)
    until = (
        datetime.fromisoformat(period.until) if period.until else datetime.fromisoformat(last) + timedelta(seconds=1)
    )
    if until - since > _LONGEST:
        since, until = _clamped(since, until, first, last)
    span = until - since
    unit: BarUnit = "hour" if span <= _HOURS_UP_TO else "day" if span <= _DAYS_UP_TO else "month"
    start = _start_of(unit, since, zone)
    bounds = [start]
    while bounds[-1] < until:
        bounds.append(_next_start(unit, bounds[-1], zone))
    labels = tuple(_label(unit, bound.astimezone(zone)) for bound in bounds[:-1])
    if period.since is not None:
        bounds[0] = max(bounds[0], since)
    if period.until is not None:
        bounds[-1] = min(bounds[-1], until)
    return Edges(unit, tuple(_rfc3339(bound) for bound in bounds), labels)


def _clamped(since: datetime, until: datetime, first: str, last: str) -> tuple[datetime, datetime]:
    begun, ended = datetime.fromisoformat(first), _behind(last)
    return max(since, min(begun, until)), min(until, max(ended, since))


def _behind(instant: str) -> datetime:
    return datetime.fromisoformat(instant) + timedelta(seconds=1)


def _start_of(unit: BarUnit, instant: datetime, zone: tzinfo) -> datetime:
    local = instant.astimezone(zone)
    if unit == "hour":
        # Counted back, because a wall clock shows an hour twice when summer time ends.
        return instant - timedelta(minutes=local.minute, seconds=local.second)
    return _midnight(local.date().replace(day=1) if unit == "month" else local.date(), zone)


def _next_start(unit: BarUnit, start: datetime, zone: tzinfo) -> datetime:
    if unit == "hour":
        return start + timedelta(hours=1)
    day = start.astimezone(zone).date()
    return _midnight((day.replace(day=1) + timedelta(days=32)).replace(day=1) if unit == "month" else _after(day), zone)


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """When a local day begins: at the first of two midnights, or after one that a clock skips."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _label(unit: BarUnit, local: datetime) -> str:
    return local.strftime({"hour": "%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}[unit])


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput("tz", f"is {name!r}", "give an IANA zone such as Europe/Paris, or UTC") from error


def _instant(field: str, text: str | None, zone: tzinfo) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            field, f"is {text!r}", "give a date (2026-11-01) or a time (2026-11-01T08:00:00Z)"
        ) from error
    return moment.replace(tzinfo=None, microsecond=0).isoformat() + "Z"
