"""From dates and times as people write them to a span of instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from wattproof.methodology.errors import InvalidInput

__all__ = ["Period", "period_of"]


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
        raise InvalidInput("until", f"is {until}, before since ({since})", "give a later date")
    return Period(first, end, name)


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
