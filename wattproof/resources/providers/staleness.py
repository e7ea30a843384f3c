"""How old a row may be before it is flagged: prices and locations change, and a row says when somebody looked."""

from __future__ import annotations

from datetime import UTC, date, datetime

from wattproof.resources.providers.records import Deployment

__all__ = ["STALE_AFTER_DAYS", "age_days", "is_stale"]

STALE_AFTER_DAYS = 180


def is_stale(deployment: Deployment, now_s: float) -> str | None:
    """Why the row of `deployment` should be checked again, or None. `now_s` is Unix seconds.

    The location's date and the price's date count, each at most 180 days. A row of this machine (probed, embedded or
    free of charge) is never stale, nor is what a user's row leaves undated.
    """
    if deployment.local or deployment.origin == "probed":
        return None
    dated = [("location", deployment.checked_at)]
    if deployment.price is not None:
        dated.append(("price", deployment.price.checked_at))
    found = [reason for what, checked_at in dated if (reason := _reason(what, checked_at, deployment.origin, now_s))]
    return "; ".join(found) or None


def age_days(checked_at: str, now_s: float) -> int | None:
    """Days from `checked_at` (`2026-07-02`, or `2026-11` for its first day) to now; None where it is no date."""
    text = checked_at if len(checked_at) > len("2026-11") else f"{checked_at}-01"
    try:
        checked = date.fromisoformat(text)
    except ValueError:
        return None
    return (datetime.fromtimestamp(now_s, UTC).date() - checked).days


def _reason(what: str, checked_at: str, origin: str, now_s: float) -> str | None:
    if not checked_at and origin == "user":
        return None
    age = age_days(checked_at, now_s)
    if age is None:
        return f"{what} is not dated"
    return f"{what} checked {checked_at}, {age} days ago" if age > STALE_AFTER_DAYS else None
