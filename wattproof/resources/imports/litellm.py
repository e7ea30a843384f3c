"""Spend logs of LiteLLM's proxy: the table ``LiteLLM_SpendLogs`` as JSON, JSON Lines or CSV.

``prompt_tokens`` includes what was read from the provider's cache. A row with ``cache_hit`` was answered by LiteLLM's
own cache: no model ran, and it is left out. LiteLLM counts tokens itself where a provider states none, and the row does
not say which; so its usage is never called the provider's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    count,
    digest,
    first_count,
    instant,
    mapping,
    micros,
    milliseconds,
    name,
    named,
    optional_name,
    provider_name,
    usage_of,
)

__all__ = ["read", "record_of_row"]

_WORKLOADS = {
    "embedding": "embedding",
    "rerank": "rerank",
    "image_generation": "image",
    "image_edit": "image",
    "speech": "speech",
    "transcription": "transcription",
    "video_generation": "video",
    "create_video": "video",
}
_FAILED = frozenset({"failure", "failed", "error"})


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every row that stands for work of a model."""
    del now_s
    for path in files.paths:
        for where, row in files.rows(path):
            if "request_id" not in row or "prompt_tokens" not in row:
                notes.skip("not a row of LiteLLM_SpendLogs", where)
                continue
            notes.recognised += 1
            try:
                record, stated = record_of_row(row), count(row.get("total_tokens"))
            except Skip as reason:
                notes.skip(str(reason), where)
                continue
            notes.state(stated or record.total_tokens)
            yield record


def record_of_row(row: Mapping[str, Any]) -> UsageRecord:
    if str(row.get("cache_hit") or "").lower() == "true":
        raise Skip("answered by LiteLLM's cache: no model ran")
    started_at = row.get("startTime")
    model = _model(row)
    detail = _usage_detail(row.get("metadata"))
    input_details = mapping(detail.get("prompt_tokens_details"))
    cached = first_count(input_details, ("cached_tokens",)) or first_count(detail, ("cache_read_input_tokens",)) or 0
    reasoning = first_count(mapping(detail.get("completion_tokens_details")), ("reasoning_tokens",)) or 0
    occurred_at = instant(started_at)
    whole = count(row["prompt_tokens"])
    counts = usage_of(whole, min(cached, whole), count(row.get("completion_tokens")), reasoning)
    return UsageRecord(
        optional_name(row["request_id"]) or digest(occurred_at, model, counts),
        occurred_at,
        provider_name(optional_name(row.get("custom_llm_provider")) or _prefix(model)),
        model,
        *counts,
        "caller",
        _workload(row.get("call_type")),
        "failed" if str(row.get("status")) in _FAILED else "completed",
        micros(row.get("spend")),
        "USD",
        _latency_ms(row, started_at),
        named("litellm", row.get("session_id")),
        optional_name(row.get("team_id")),
    )


def _model(row: Mapping[str, Any]) -> str:
    return name(row.get("model") or row.get("model_group"))


def _prefix(model: str) -> str | None:
    """The provider in ``azure/gpt-4o``."""
    prefix, slash, _ = model.partition("/")
    return prefix if slash else None


def _workload(call_type: object) -> str:
    plain = call_type.lower().removeprefix("a") if isinstance(call_type, str) else ""
    return _WORKLOADS.get(plain, "chat")


def _usage_detail(metadata: object) -> Mapping[str, Any]:
    """The provider's own usage object, where the row keeps it."""
    if not metadata:
        return {}
    if isinstance(metadata, str):
        # Most rows say nothing of caches or reasoning.
        if "cache" not in metadata and "reasoning" not in metadata:
            return {}
        import orjson

        try:
            metadata = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            return {}
    fields = mapping(metadata)
    return {**mapping(fields.get("additional_usage_values")), **mapping(fields.get("usage_object"))}


def _latency_ms(row: Mapping[str, Any], started_at: object) -> int | None:
    stated = row.get("request_duration_ms")
    if stated is not None and stated != "":
        return milliseconds(stated)
    ended_at = row.get("endTime")
    if not (isinstance(started_at, str) and isinstance(ended_at, str)):
        return None
    try:
        taken = datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)
    except (ValueError, TypeError):
        return None
    return milliseconds(taken.total_seconds() * 1000)
