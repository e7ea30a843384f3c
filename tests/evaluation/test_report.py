"""The committed report is of these tasks, and every one of them came out right."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from evaluation.report import document, rows_of
from evaluation.run import run_task
from evaluation.tasks import all_tasks

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "evaluation.json"


def test_the_committed_report_is_of_these_tasks_and_all_came_out_right() -> None:
    report = json.loads(REPORT.read_text("utf-8"))

    assert report["tasks"].keys() == {task.id for task in all_tasks()}
    assert all(told["right"] == told["tasks"] for told in report["sums"].values())
    assert report["sums"].keys() == {"text memory", "structured memory", "text stdio", "structured stdio"}
    assert report["commit"]
    assert report["date"]


async def test_a_report_counts_calls_tokens_and_errors() -> None:
    task = next(task for task in all_tasks() if task.id == "host-half-a-name")
    outcome = await run_task(task, "text")
    report = json.loads(document([outcome], 2480, 4100, datetime(2026, 11, 22, tzinfo=UTC)))

    assert report["date"] == "2026-11-22"
    assert report["definition_tokens"] == {"core": 2480, "all profiles": 4100}
    assert report["sums"]["text memory"]["errors_met"] == 1
    assert report["sums"]["text memory"]["recovered"] == 1
    (run,) = report["tasks"][task.id]["runs"]
    assert run["calls"] == ["estimate_request", "estimate_request"]
    assert run["result_tokens"] > run["argument_tokens"] > 0
    assert "1 of 1 right" in next(rows_of([outcome]))
