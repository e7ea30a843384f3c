"""What aggregated exports share: a row stands for a bucket of time, and for many requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from wattproof.resources.imports.records import Skip
from wattproof.resources.imports.values import mapping

__all__ = ["bucket_rows", "require_closed"]


def bucket_rows(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(bucket, result) for every result of a page ``{"data": [{…, "results": [{…}]}]}``, or of one bucket."""
    data: object = document.get("data")
    buckets = cast("list[object]", data) if isinstance(data, list) else [document]
    for bucket in map(mapping, buckets):
        results: object = bucket.get("results")
        for result in cast("list[object]", results) if isinstance(results, list) else ():
            yield bucket, mapping(result)


def require_closed(until: str, now_s: float) -> None:
    """A bucket that is not over yet would be imported too small, and then never again.

    Raises:
        Skip: it ends after `now_s`.
    """
    if until > datetime.fromtimestamp(now_s, UTC).isoformat()[:19] + "Z":
        raise Skip("its bucket of time is not over yet")
