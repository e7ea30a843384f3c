"""The tasks: what somebody asks for, in which world, and what a right outcome is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Task", "all_tasks", "unmet"]


@dataclass(frozen=True, slots=True)
class Task:
    """One row of tasks.json. `checks` name an entry of the answer, or of what is counted beside it.

    Counted are: `sent` (requests that reached a provider), `entries` (requests in the ledger), `errors` (refusals met).
    `stdio` says that it also runs against the installed command, whose clock is the real one.
    """

    id: str
    persona: str
    words: str
    world: str
    checks: Mapping[str, Mapping[str, Any]]
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stdio: bool = False


@cache
def all_tasks() -> tuple[Task, ...]:
    """Every task. Source: `tasks.json`, beside this file."""
    rows = json.loads(Path(__file__).with_name("tasks.json").read_text("utf-8"))
    return tuple(Task(**row) for row in rows)


def unmet(task: Task, found: Mapping[str, Any]) -> list[str]:
    """What of a task's outcome is not as it should be, in words."""
    return [
        f"{name} is {found.get(name)!r}, not {dict(check)}"
        for name, check in task.checks.items()
        if name not in found or not all(_holds(kind, found[name], wanted) for kind, wanted in check.items())
    ]


def _holds(kind: str, value: Any, wanted: Any) -> bool:
    if kind == "is":
        return bool(value == wanted)
    if kind == "one_of":
        return value in wanted
    if kind == "contains":
        return isinstance(value, str) and wanted in value
    assert kind == "between", kind
    return isinstance(value, int | float) and wanted[0] <= value <= wanted[1]
