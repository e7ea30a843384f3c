"""Anthropic's usage export: pages of ``/v1/organizations/usage_report/messages`` as JSON, or the console's CSV.

Every row is a bucket of one combination of what the export was grouped by; group by model, or no row can be estimated.
The number of requests is not stated. Input is split into what was not cached, written to and read from the cache; ours
is the sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from wattproof.resources.imports.buckets import bucket_rows, require_closed
from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import count, digest, instant, mapping, name, optional_name, usage_of

__all__ = ["read"]

_GROUPED_BY = (
    "model",
    "workspace_id",
    "api_key_id",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
    "account_id",
    "service_account_id",
)
_CSV_GROUPED_BY = ("model_version", "workspace", "api_key", "usage_type", "context_window", "inference_geo", "speed")
_CSV_FRESH = (
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
)


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every bucket with tokens that is over."""
    for path in files.paths:
        for where, row in files.rows(path):
            for bucket, result in _results(row):
                if "uncached_input_tokens" not in result and "usage_input_tokens_no_cache" not in result:
                    notes.skip("a result without input tokens", where)
                    continue
                notes.recognised += 1
                try:
                    record = _of_csv(result, now_s) if bucket is result else _of_api(bucket, result, now_s)
                except Skip as reason:
                    notes.skip(str(reason), where)
                    continue
                notes.state(record.total_tokens)
                yield record


def _results(row: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    if "data" in row or "results" in row:
        yield from bucket_rows(row)
    else:
        yield row, row


def _of_api(bucket: Mapping[str, Any], result: Mapping[str, Any], now_s: float) -> UsageRecord:
    begins, until = instant(bucket.get("starting_at")), instant(bucket.get("ending_at"))
    require_closed(until, now_s)
    written = mapping(result.get("cache_creation"))
    fresh = count(result["uncached_input_tokens"]) + sum(count(each) for each in written.values())
    cached = count(result.get("cache_read_input_tokens"))
    return UsageRecord(
        digest(begins, until, *(result.get(each) or "" for each in _GROUPED_BY)),
        begins,
        "anthropic",
        name(result.get("model")),
        *usage_of(fresh + cached, cached, count(result.get("output_tokens")), 0),
        "provider",
        project=optional_name(result.get("workspace_id")),
        requests=None,
        until=until,
    )


def _of_csv(row: Mapping[str, Any], now_s: float) -> UsageRecord:
    stated = str(row.get("usage_date_utc") or "").strip()
    begins = instant(stated)
    width = timedelta(days=1) if len(stated) <= len("2026-11-22") else timedelta(hours=1)
    until = (datetime.fromisoformat(begins) + width).isoformat()[:19] + "Z"
    require_closed(until, now_s)
    cached = count(row.get("usage_input_tokens_cache_read"))
    fresh = sum(count(row.get(each)) for each in _CSV_FRESH)
    return UsageRecord(
        digest(begins, until, *(row.get(each) or "" for each in _CSV_GROUPED_BY)),
        begins,
        "anthropic",
        name(row.get("model_version")),
        *usage_of(fresh + cached, cached, count(row.get("usage_output_tokens")), 0),
        "provider",
        project=optional_name(row.get("workspace")),
        requests=None,
        until=until,
    )
