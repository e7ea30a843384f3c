"""Instants as the ledger writes them, and the buckets that a period is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from wattproof.methodology.errors import InvalidInput

__all__ = ["Level", "Span", "bucket", "check_instant", "rfc3339", "spans"]

Level = Literal["month", "day", "hour", "entry"]
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_BUCKET_FORMATS: dict[Level, str] = {"month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H", "entry": _FORMAT}


class Span(NamedTuple):
    """The buckets of one level from `first` up to, not including, `end`, or for level ``entry`` the instants."""

    level: Level
    first: datetime
    end: datetime


def rfc3339(unix_s: float) -> str:
    """Unix seconds as RFC 3339 UTC, to the second."""
    return datetime.fromtimestamp(unix_s, UTC).strftime(_FORMAT)


def check_instant(field: str, text: str) -> datetime:
    """The instant that `text` names, which must be spelled the way the ledger sorts by.

    Raises:
        InvalidInput: not ``YYYY-MM-DDTHH:MM:SSZ``.
    """
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        instant = None
    # isoformat() of UTC ends in +00:00; any other spelling of the instant would not sort.
    if instant is None or f"{instant.isoformat()[:-6]}Z" != text:
        raise InvalidInput(field, f"is {text!r}", "give RFC 3339 UTC to the second, as 2026-11-22T06:00:00Z")
    return instant


def bucket(level: Level, instant: datetime) -> str:
    """The name of the bucket of `level` that holds `instant`; names sort as time does."""
    # strftime does not pad the year on every platform.
    return instant.strftime(_BUCKET_FORMATS[level].replace("%Y", f"{instant.year:04d}"))


def spans(start: datetime, end: datetime, levels: Sequence[Level] = ("month", "day", "hour")) -> Iterator[Span]:
    """Cut [start, end) into whole months, days and hours, the coarsest that fit, and the instants at the edges."""
    if start >= end:
        return
    if not levels:
        yield Span("entry", start, end)
        return
    level, *finer = levels
    first, last = _floor(level, start), _floor(level, end)
    if first < start:
        first = _next(level, first)
    if first >= last:
        yield from spans(start, end, finer)
        return
    yield from spans(start, first, finer)
    yield Span(level, first, last)
    yield from spans(last, end, finer)


def _floor(level: Level, instant: datetime) -> datetime:
    whole = instant.replace(minute=0, second=0, microsecond=0)
    if level == "hour":
        return whole
    return whole.replace(hour=0) if level == "day" else whole.replace(hour=0, day=1)


def _next(level: Level, start: datetime) -> datetime:
    try:
        if level == "month":
            return (start + timedelta(days=32)).replace(day=1)
        return start + (timedelta(days=1) if level == "day" else timedelta(hours=1))
    except OverflowError:
        return datetime.max.replace(tzinfo=start.tzinfo)  # after the last of the calendar there is no whole one
