"""The report of an evaluation: per task, and in sum."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from evaluation.agent import ENCODING
from evaluation.run import Outcome
from evaluation.tasks import all_tasks

__all__ = ["document", "rows_of"]


def rows_of(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line per mode and transport."""
    for mode, transport in dict.fromkeys((each.mode, each.transport) for each in outcomes):
        chosen = [each for each in outcomes if (each.mode, each.transport) == (mode, transport)]
        told = _sums(chosen)
        yield (
            f"{mode:<10} {transport:<6} {told['right']} of {told['tasks']} right; {told['calls_mean']} calls and "
            f"{told['tokens_median']} tokens a task; {told['errors_met']} errors met, "
            f"{told['recovered']} tasks recovered"
        )


def document(outcomes: Sequence[Outcome], core_tokens: int, all_tokens: int, now: datetime) -> str:
    """The report as JSON, with the commit, the date and what the definitions take in tokens."""
    groups = dict.fromkeys((each.mode, each.transport) for each in outcomes)
    return (
        json.dumps(
            {
                "commit": _commit(),
                "date": now.date().isoformat(),
                "encoding": ENCODING,
                "definition_tokens": {"core": core_tokens, "all profiles": all_tokens},
                "sums": {
                    f"{mode} {transport}": _sums(
                        [each for each in outcomes if (each.mode, each.transport) == (mode, transport)]
                    )
                    for mode, transport in groups
                },
                "tasks": {task.id: _task(task.id, task.words, outcomes) for task in all_tasks()},
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def _sums(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "tasks": len(outcomes),
        "right": sum(each.right for each in outcomes),
        "calls_mean": round(mean(len(each.calls) for each in outcomes), 2),
        "calls_most": max(len(each.calls) for each in outcomes),
        "tokens_median": round(median(each.argument_tokens + each.result_tokens for each in outcomes)),
        "tokens_most": max(each.argument_tokens + each.result_tokens for each in outcomes),
        "errors_met": sum(each.met for each in outcomes),
        "recovered": sum(each.recovered for each in outcomes),
    }


def _task(task_id: str, words: str, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    return {
        "words": words,
        "runs": [
            {
                "mode": each.mode,
                "transport": each.transport,
                "right": each.right,
                "calls": list(each.calls),
                "errors_met": each.met,
                "argument_tokens": each.argument_tokens,
                "result_tokens": each.result_tokens,
            }
            for each in outcomes
            if each.task == task_id
        ],
    }


def _commit() -> str | None:
    root = Path(__file__).parents[1]
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
