"""Session logs of Claude Code: JSON Lines under ``~/.claude/projects/<project>/<session>.jsonl``.

An answer is logged once per content block and, while it streams, with growing counts, always under the same
``message.id``; a resumed or forked session may hold a copy of it. So an answer is known by its message id alone
(gateways leave out ``requestId``), its first line says when, and its largest count of output says how much.
``input_tokens`` leaves out what was read from or written to the cache; ours holds all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    count,
    digest,
    instant,
    mapping,
    name,
    named,
    optional_name,
    usage_of,
)

__all__ = ["read"]

_STILL_WRITTEN_S = 600
_SYNTHETIC = "<synthetic>"

# What the id of an answer begins with where Claude runs in another vendor's cloud.
_CLOUDS = (("msg_bdrk_", "bedrock"), ("msg_vrtx_", "vertex"))


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every answer in the logs, once. The last one of a log that is being written is left for the next import."""
    seen: set[str] = set()
    for path in files.paths:
        found, open_key = _of_file(files, path, notes)
        if open_key is not None and now_s - path.stat().st_mtime < _STILL_WRITTEN_S:
            del found[open_key]
            notes.skip("its answer is still being written", path.name)
        for key, record in found.items():
            if key in seen:
                notes.repeated += 1
            else:
                seen.add(key)
                yield record


def _of_file(files: Files, path: Path, notes: Notes) -> tuple[dict[str, UsageRecord], str | None]:
    """The answers of one log by id, and the id of the last one if it has not ended."""
    found: dict[str, UsageRecord] = {}
    last: str | None = None
    for where, line in files.json_lines(path, b'"usage"'):
        message = mapping(line.get("message"))
        if line.get("type") != "assistant" or not isinstance(message.get("usage"), dict):
            continue
        notes.recognised += 1
        if message.get("model") == _SYNTHETIC:
            continue  # a note of Claude Code itself; no model was asked
        try:
            record = _record(line, message)
        except Skip as reason:
            notes.skip(str(reason), where)
            continue
        key = record.external_id
        known = found.get(key)
        if known is None:
            found[key] = record
        else:
            notes.repeated += 1
            found[key] = _longer(known, record)
        last = None if message.get("stop_reason") else key
    return found, last


def _longer(known: UsageRecord, again: UsageRecord) -> UsageRecord:
    """The counts of whichever copy saw more of the answer, at the time of the first."""
    fuller = again if again.total_tokens >= known.total_tokens else known
    return fuller._replace(occurred_at=known.occurred_at, finish_reason=again.finish_reason or known.finish_reason)


def _record(line: Mapping[str, Any], message: Mapping[str, Any]) -> UsageRecord:
    usage = mapping(message["usage"])
    read_from_cache = count(usage.get("cache_read_input_tokens"))
    fresh = count(usage.get("input_tokens")) + count(usage.get("cache_creation_input_tokens"))
    occurred_at = instant(line.get("timestamp"))
    message_id = optional_name(message.get("id")) or optional_name(line.get("uuid"))
    model = name(message.get("model"))
    counts = usage_of(fresh + read_from_cache, read_from_cache, count(usage.get("output_tokens")), 0)
    return UsageRecord(
        message_id or digest(line.get("sessionId"), occurred_at, counts),
        occurred_at,
        _provider(message_id or "", model),
        model,
        *counts,
        "provider",
        operation_id=named("claude-code", line.get("sessionId")),
        project=_last_part(line.get("cwd")),
        provider_request_id=optional_name(line.get("requestId")),
        finish_reason=optional_name(message.get("stop_reason")),
    )


def _provider(message_id: str, model: str) -> str:
    for prefix, cloud in _CLOUDS:
        if message_id.startswith(prefix):
            return cloud
    return "anthropic" if model.lower().startswith("claude") else "unstated"


def _last_part(folder: object) -> str | None:
    """The name of the project's folder; the rest of the path is nobody's business."""
    if not isinstance(folder, str):
        return None
    windows = "\\" in folder and "/" not in folder
    return optional_name((PureWindowsPath if windows else PurePosixPath)(folder).name)
