"""Fields of a grid-signal answer, read as strictly as they must be: whatever is not the thing asked for is None."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, cast

__all__ = ["mapping", "number", "sequence", "unix_seconds"]


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """The value if it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number, also where it was sent as text; None for null, true, false, NaN and everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def unix_seconds(value: object) -> int | None:
    """Unix seconds of an ISO 8601 time (`2020-05-24T20:30Z`, `2022-10-31T11`); without an offset it is read as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) if seconds >= 0 else None
