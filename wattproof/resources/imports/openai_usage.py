"""OpenAI's usage export: pages of ``/v1/organization/usage/*`` as JSON, or the dashboard's CSV of the same columns.

Every row is a bucket (a minute, an hour or a day) of one combination of what the export was grouped by; group by model,
or no row can be estimated. ``input_tokens`` includes ``input_cached_tokens``. One row becomes one entry that says for
how many requests it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wattproof.resources.imports.buckets import bucket_rows, require_closed
from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    count,
    digest,
    instant_of_seconds,
    name,
    optional_name,
    usage_of,
)

__all__ = ["read"]

_GROUPED_BY = ("model", "project_id", "user_id", "api_key_id", "batch", "service_tier", "api_source")
# The kind of result, or the beginning of the CSV's name -> our workload.
_WORKLOADS = {
    "completions": "chat",
    "embeddings": "embedding",
    "moderations": "chat",
    "images": "image",
    "audio_speeches": "speech",
    "audio_transcriptions": "transcription",
}


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every bucket with tokens that is over."""
    for path in files.paths:
        for where, row in files.rows(path):
            for bucket, result in _results(row, path.name):
                if "input_tokens" not in result:
                    notes.skip("a result without input_tokens", where)
                    continue
                notes.recognised += 1
                try:
                    record = _record(bucket, result, now_s)
                except Skip as reason:
                    notes.skip(str(reason), where)
                    continue
                notes.state(record.total_tokens)
                yield record


def _results(row: Mapping[str, Any], file: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """A page's results, or a row of the CSV, which is bucket and result at once."""
    if "data" in row or "results" in row:
        yield from bucket_rows(row)
    elif row.get("input_tokens"):
        kind = next((each for each in _WORKLOADS if file.startswith(each)), "completions")
        yield row, {"object": f"organization.usage.{kind}.result", **row}


def _record(bucket: Mapping[str, Any], result: Mapping[str, Any], now_s: float) -> UsageRecord:
    begins, until = instant_of_seconds(bucket.get("start_time")), instant_of_seconds(bucket.get("end_time"))
    require_closed(until, now_s)
    counts = usage_of(
        count(result["input_tokens"]),
        count(result.get("input_cached_tokens")),
        count(result.get("output_tokens")),
        count(result.get("output_reasoning_tokens")),
    )
    kind = str(result.get("object") or "").removeprefix("organization.usage.").removesuffix(".result")
    return UsageRecord(
        digest(kind, begins, until, *(result.get(each) or "" for each in _GROUPED_BY)),
        begins,
        "openai",
        name(result.get("model")),
        *counts,
        "provider",
        _WORKLOADS.get(kind, "chat"),
        project=optional_name(result.get("project_id")),
        requests=count(result.get("num_model_requests")) or None,
        until=until,
    )
