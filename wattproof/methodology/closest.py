"""The ids nearest to a name that nobody lists, for error messages."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["closest"]


def closest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The `count` known ids that look most like `name`, best first, case ignored."""
    from difflib import get_close_matches

    by_folded = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name[:100].lower(), by_folded, n=count, cutoff=0.0)
    return tuple(by_folded[match] for match in matches)
