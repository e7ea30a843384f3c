"""Every task of the evaluation comes out right, whichever half of a result the client forwards to its model."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from evaluation import policies
from evaluation.policies import POLICIES
from evaluation.run import Outcome, run_task
from evaluation.seen import CannotRead, Mode, Seen
from evaluation.tasks import Task, all_tasks, unmet
from wattproof.server.settings import PROFILES
from wattproof.server.tool_table import tools_of

MODES: tuple[Mode, ...] = ("text", "structured")
BY_COMMAND = ("framework-retry-once",)
"""The rest of those that can run against the command do so in `make evaluate`."""


def named(task_id: str) -> Task:
    return next(task for task in all_tasks() if task.id == task_id)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.id)
async def test_a_task_comes_out_right(task: Task, mode: Mode) -> None:
    outcome = await run_task(task, mode)

    assert outcome.unmet == ()
    assert len(outcome.calls) <= 16


@pytest.mark.parametrize("task_id", BY_COMMAND)
async def test_a_task_comes_out_right_against_the_command(task_id: str) -> None:
    outcome = await run_task(named(task_id), "text", "stdio")

    assert outcome.unmet == ()


def test_there_are_forty_tasks_of_all_four_kinds_of_user_with_a_policy_each() -> None:
    ids = [task.id for task in all_tasks()]

    assert len(ids) >= 40
    assert len(set(ids)) == len(ids)
    assert set(ids) == POLICIES.keys()
    assert set(Counter(task.persona for task in all_tasks())) == {"host", "framework", "reviewer", "platform"}
    assert all(task.id.startswith(f"{task.persona}-") and task.checks and task.words for task in all_tasks())


def test_the_policies_call_every_tool() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(policies.__file__).parent.glob("*.py"))

    assert set(re.findall(r"agent\.call\(\s*\"(\w+)\"", sources)) == {spec.name for spec in tools_of(PROFILES)}


async def test_a_wrong_outcome_is_told() -> None:
    task = named("host-two-places")
    wrong = Task(task.id, task.persona, task.words, task.world, {"ratio": {"between": [0, 1]}, "other": {"is": 1}})
    outcome: Outcome = await run_task(wrong, "structured")

    assert not outcome.right
    assert [problem.split()[0] for problem in outcome.unmet] == ["ratio", "other"]


async def test_a_task_whose_world_lacks_what_it_needs_is_wrong_and_no_crash() -> None:
    task = named("reviewer-project-by-model")
    elsewhere = Task(task.id, task.persona, task.words, "bare", task.checks)

    assert not (await run_task(elsewhere, "text")).right


@pytest.mark.parametrize(
    ("check", "value", "holds"),
    [
        ({"is": 3}, 3, True),
        ({"is": None}, None, True),
        ({"is": True}, False, False),
        ({"one_of": [1, None]}, None, True),
        ({"contains": "b"}, "abc", True),
        ({"contains": "b"}, None, False),
        ({"between": [1, 2]}, 1.5, True),
        ({"between": [1, 2]}, "1.5", False),
    ],
)
def test_a_check_holds_for_what_it_says(check: dict[str, object], value: object, holds: bool) -> None:
    task = Task("x", "host", "", "bare", {"answer": check})

    assert (unmet(task, {"answer": value}) == []) is holds


def test_a_reader_sees_one_half_only() -> None:
    text = Seen("0.075 Wh (0.029–0.20). 2.3 mg CO2e (0.82–6.6) at 31 gCO2e/kWh", None, is_error=False)
    data = Seen("0.075 Wh", {"energy_wh": {"median": 1.0, "low": None, "high": None}}, is_error=False)

    assert (text.energy().median, text.energy().high) == (0.075, 0.2)
    assert text.carbon().low == pytest.approx(0.00082)
    assert data.energy().median == 1.0
    assert data.shown == '{"energy_wh": {"median": 1.0, "low": null, "high": null}}'
    with pytest.raises(CannotRead):
        data.carbon()
    with pytest.raises(CannotRead):
        text.verdict("signature")
    with pytest.raises(CannotRead):
        text.closest()
