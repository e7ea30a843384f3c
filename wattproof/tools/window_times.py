"""Deadlines as people write them, and moments as results show them."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime

from wattproof.methodology.errors import InvalidInput

__all__ = ["MOST_HOURS", "deadline_s", "moment_text"]

MOST_HOURS = 168
"""A week: no forecast of a grid reaches further."""

_DEFAULT_HOURS = 24.0
_HOURS = re.compile(r"(\d{1,4}(?:\.\d{1,4})?) ?h?", re.ASCII)
_FIX = f"give hours from now (6, or 6h; at most {MOST_HOURS}) or a time with its offset (2026-11-05T18:00:00Z)"


def deadline_s(given: str | float | None, now_s: int) -> int:
    """The deadline in Unix seconds: hours from `now_s`, or an RFC 3339 time; 24 h where none is given.

    Raises:
        InvalidInput: it is not understood, over, or more than a week away.
    """
    until_s = now_s + _hours(_DEFAULT_HOURS if given is None else given, now_s) * 3600
    if not now_s < until_s <= now_s + MOST_HOURS * 3600:
        raise InvalidInput("deadline", f"is {given!r}, over or more than {MOST_HOURS} h away", _FIX)
    return math.floor(until_s)


def moment_text(moment_s: int) -> str:
    """`2026-11-05T18:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment_s))


def _hours(given: str | float, now_s: int) -> float:
    if not isinstance(given, str):
        return given if math.isfinite(given) else math.inf
    in_hours = _HOURS.fullmatch(given.strip())
    if in_hours is not None:
        return float(in_hours[1])
    try:
        moment = datetime.fromisoformat(given.strip())
        # A time without an offset is another moment for everyone who reads it.
        until_s = moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError) as error:
        raise InvalidInput("deadline", f"is {given!r}", _FIX) from error
    if until_s is None:
        raise InvalidInput("deadline", f"is {given!r}, without an offset from UTC", _FIX)
    return (until_s - now_s) / 3600
