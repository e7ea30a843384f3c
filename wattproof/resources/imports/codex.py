"""Session logs of Codex: ``rollout-*.jsonl`` under ``~/.codex/sessions`` and ``archived_sessions``.

A ``token_count`` event states the running total of a session and the usage of the last request. It is written again
without a new request, for instance when limits change: the total has not moved then. A forked session begins with a
copy of its parent's events under new times, and goes on from the parent's total. So a request is known by the running
total after it, within the family of sessions that grew from one: a copy has the same total, and is counted once.
Counts follow OpenAI's words: cached input is a part of input, reasoning a part of output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    count,
    instant,
    mapping,
    name,
    named,
    optional_name,
    provider_name,
    usage_of,
)

__all__ = ["read"]

_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
_LINES_TO_META = 5

_Totals = tuple[int, ...]


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every request in the logs, once."""
    del now_s
    parents = dict(pair for path in files.paths if (pair := _parent(files, path)) is not None)
    seen: set[str] = set()
    for path in files.paths:
        session, taken = _Session(path, parents), 0
        for where, line in files.json_lines(path):
            try:
                record = session.take(line, notes)
            except Skip as reason:
                notes.skip(str(reason), where)
                continue
            if record is None:
                continue
            if record.external_id in seen:
                notes.repeated += 1
                continue
            seen.add(record.external_id)
            taken += record.total_tokens
            yield record
        notes.state(taken if session.forked else session.stated_tokens)


def _parent(files: Files, path: Path) -> tuple[str, str] | None:
    """The session of a log and the one that it was forked from, read from its first lines."""
    import orjson

    for line in files.first_lines(path, _LINES_TO_META):
        if b"session_meta" not in line:
            continue
        try:
            payload = mapping(mapping(orjson.loads(line)).get("payload"))
        except orjson.JSONDecodeError:
            continue
        own, parent = payload.get("id"), _forked_from(payload)
        return (own, parent) if isinstance(own, str) and parent is not None else None
    return None


def _forked_from(meta: Mapping[str, Any]) -> str | None:
    parent = meta.get("forked_from_id") or meta.get("parent_thread_id")
    return parent if isinstance(parent, str) else None


class _Session:
    """One log while it is read: whose it is, which model answers, and the running total."""

    def __init__(self, path: Path, parents: Mapping[str, str]) -> None:
        self.id = path.stem
        self._parents = dict(parents)
        self._known = False
        self._model = "unstated"
        self._provider = "openai"
        self._project: str | None = None
        self._total: _Totals | None = None

    @property
    def forked(self) -> bool:
        """Whether its running total began with somebody else's."""
        return self.id in self._parents

    @property
    def stated_tokens(self) -> int:
        """Input and output of the whole session by its own running total."""
        return 0 if self._total is None else self._total[0] + self._total[2]

    def take(self, line: Mapping[str, Any], notes: Notes) -> UsageRecord | None:
        """The request that this line tells of, if it does.

        Raises:
            Skip: the line tells of one and is malformed.
        """
        payload = mapping(line.get("payload"))
        kind, inner = line.get("type"), payload.get("type")
        if kind == "session_meta":
            notes.recognised += 1
            self._begin(payload)
        elif kind == "turn_context":
            self._model = name(payload.get("model"), self._model)
        elif inner == "thread_settings_applied":
            self._model = name(mapping(payload.get("thread_settings")).get("model"), self._model)
        elif kind == "event_msg" and inner == "token_count":
            notes.recognised += 1
            return self._counted(line, mapping(payload.get("info")))
        return None

    def _begin(self, meta: Mapping[str, Any]) -> None:
        own, parent = meta.get("id"), _forked_from(meta)
        if isinstance(own, str) and parent is not None:
            self._parents[own] = parent
        if self._known:
            return  # a copy of the parent's
        self._known = True
        self.id = name(own, self.id)
        self._provider = provider_name(meta.get("model_provider") or "openai")
        cwd = meta.get("cwd")
        self._project = optional_name(PurePath(cwd.replace("\\", "/")).name) if isinstance(cwd, str) else None

    def _counted(self, line: Mapping[str, Any], info: Mapping[str, Any]) -> UsageRecord | None:
        if not info:
            return None  # limits only
        total, last = _counts(info.get("total_token_usage")), _counts(info.get("last_token_usage"))
        if total is None or total == self._total:
            return None
        before, self._total = self._total, total
        used = last or _difference(total, before)
        if used is None:
            raise Skip("the usage of a request is not stated")
        counts = usage_of(*used)
        return UsageRecord(
            f"{self._root()}:{'.'.join(map(str, total))}"[-200:],
            instant(line.get("timestamp")),
            self._provider,
            self._model,
            *counts,
            "provider",
            operation_id=named("codex", self.id),
            project=self._project,
        )

    def _root(self) -> str:
        """The session that this one's family grew from."""
        found, seen = self.id, set[str]()
        while found in self._parents and found not in seen:
            seen.add(found)
            found = self._parents[found]
        return found


def _counts(value: object) -> tuple[int, int, int, int] | None:
    fields = mapping(value)
    if not fields:
        return None
    tokens = [count(fields.get(each)) for each in _COUNTS]
    return (tokens[0], tokens[1], tokens[2], tokens[3])


def _difference(total: tuple[int, int, int, int], before: _Totals | None) -> tuple[int, int, int, int] | None:
    if before is None:
        return total
    used = tuple(now - then for now, then in zip(total, before, strict=True))
    return None if min(used) < 0 else (used[0], used[1], used[2], used[3])
