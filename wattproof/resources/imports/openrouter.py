"""OpenRouter's activity export: CSV with one row for each generation.

``tokens_prompt`` includes ``tokens_cached``, ``tokens_completion`` includes ``tokens_reasoning``; costs are in US
dollars. The provider is whoever ran the model for OpenRouter. The export by day or model, which lacks
``generation_id``, does not say how many tokens were input, and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    count,
    instant,
    micros,
    milliseconds,
    name,
    optional_name,
    provider_name,
    usage_of,
)

__all__ = ["read"]

_NEEDED = ("generation_id", "created_at", "tokens_prompt", "tokens_completion", "model_permaslug")


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every generation."""
    del now_s
    for path in files.paths:
        for where, row in files.rows(path):
            if any(each not in row for each in _NEEDED):
                notes.skip("not a row of the activity export by generation", where)
                continue
            notes.recognised += 1
            try:
                yield _record(row)
            except Skip as reason:
                notes.skip(str(reason), where)


def _record(row: Mapping[str, str]) -> UsageRecord:
    generation = optional_name(row["generation_id"])
    if generation is None:
        raise Skip("no generation_id")
    counts = usage_of(
        count(row["tokens_prompt"]),
        count(row.get("tokens_cached")),
        count(row["tokens_completion"]),
        count(row.get("tokens_reasoning")),
    )
    return UsageRecord(
        generation,
        instant(row["created_at"]),
        provider_name(optional_name(row.get("provider_name")) or "openrouter"),
        name(row["model_permaslug"]),
        *counts,
        "provider",
        "chat",
        "cancelled" if row.get("cancelled", "").lower() == "true" else "completed",
        micros(row.get("cost_total")),
        "USD",
        milliseconds(row.get("generation_time_ms") or None),
        project=optional_name(row.get("app_name")),
        finish_reason=optional_name(row.get("finish_reason_normalized")),
    )
