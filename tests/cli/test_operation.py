"""`wattproof operation` and `wattproof budget` as a person types them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Wattproof

STEP = {"step_id": "s1", "model": "gpt-5.1", "usage": {"input_tokens": 3000, "output_tokens": 800}}


def test_a_workflow_from_begin_to_a_receipt_that_verifies(wattproof: Wattproof, tmp_path: Path) -> None:
    begun = wattproof("operation", "begin", "op_1", "--budget", "5 Wh")
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout.startswith("op_1, open, 0 steps. Budget left 5 of 5 Wh (high bound counts).")
    recorded = wattproof("operation", "record", "op_1", "--steps", json.dumps(STEP))
    assert recorded.stdout.startswith("op_1, open, 1 step: ")
    file = tmp_path / "steps.json"
    file.write_text(json.dumps([STEP, {**STEP, "step_id": "s2"}]), encoding="utf-8")
    again = json.loads(wattproof("operation", "record", "op_1", "--file", str(file), "--json").stdout)
    assert again["recorded"] == {"new": 1, "known": 1}
    status = json.loads(wattproof("operation", "status", "op_1", "--full", "--json").stdout)
    assert [step["step_id"] for step in status["steps"]] == ["s1", "s2"]
    ended = json.loads(wattproof("operation", "end", "op_1", "--json").stdout)
    verified = wattproof("verify", ended["receipt_id"])
    assert verified.returncode == 0, verified.stdout
    assert wattproof("ledger", "fsck").returncode == 0


def test_steps_come_from_stdin_too(wattproof: Wattproof) -> None:
    done = wattproof("operation", "record", "op_1", "--steps", "-", stdin=json.dumps([STEP]))
    assert done.returncode == 0, done.stderr
    assert "op_1, open, 1 step" in done.stdout


def test_what_is_no_step_is_refused_in_one_line(wattproof: Wattproof) -> None:
    for arguments, told in (
        (("record", "op_1"), "--steps is missing; give one"),
        (("record", "op_1", "--steps", "{"), "--steps cannot be read as JSON"),
        (("record", "op_1", "--steps", "7"), "--steps is 7"),
        (("record", "op_1", "--file", "nowhere.json"), "--file cannot be read as JSON"),
        (("status", "op_1"), "'op_1' has no steps and was never begun"),
        (("begin", "op_1", "--budget", "much"), "--limit is 'much'; give an amount such as '5 Wh'"),
    ):
        done = wattproof("operation", *arguments)
        assert done.returncode == 2, done.stdout
        assert told in done.stderr
        assert done.stderr.count("\n") == 1


def test_budgets_are_set_raised_overridden_and_removed_by_their_owner(wattproof: Wattproof) -> None:
    assert wattproof("budget").stdout.startswith("No budgets. Set one: wattproof budget set")
    day = ("--tenant", "--per", "day")
    assert "0 Wh of 50 Wh counted, 50 Wh left." in wattproof("budget", "set", *day, "--limit", "50 Wh").stdout
    assert "60 Wh left." in wattproof("budget", "raise", *day, "--limit", "60 Wh", "--reason", "busy day").stdout
    assert "1,060 Wh left." in wattproof("budget", "override", *day, "--more", "1 kWh").stdout
    shown = json.loads(wattproof("budget", "show", "--history", "3", "--json").stdout)
    assert [decision["decision"] for decision in shown["decisions"]] == ["override", "raise", "set"]
    assert all(decision["by"].endswith("command line)") for decision in shown["decisions"])
    listed = wattproof("budget", "--history", "3").stdout
    assert "raise    this ledger per day, 60 Wh, by " in listed
    assert ": busy day" in listed
    assert wattproof("budget", "remove", *day, "--unit", "energy_wh").stdout == "Removed.\n"


def test_a_budget_needs_one_scope_and_a_known_period(wattproof: Wattproof) -> None:
    for arguments, told in (
        (("--limit", "5 Wh"), "are given 0 times; give exactly one of them"),
        (("--tenant", "--tag", "t", "--limit", "5 Wh"), "are given 2 times"),
        (("--tenant", "--per", "week", "--limit", "5 Wh"), "--per is 'week'; give total, day or month"),
        (("--tenant", "--limit", "5"), "--limit is '5'; give an amount"),
    ):
        done = wattproof("budget", "set", *arguments)
        assert done.returncode == 2
        assert told in done.stderr


def test_the_command_that_a_refusal_names_works_as_it_stands(wattproof: Wattproof) -> None:
    operation = "it's an op"
    wattproof("operation", "begin", operation, "--budget", "1 tokens")
    asked = ("--model", "smollm2-135m-instruct", "--prompt", "hello", "--max-output-tokens", "8")
    refused = wattproof("run", *asked, "--operation-id", operation)
    if "has 1 token of 1 token left" not in refused.stderr:
        pytest.skip(f"the embedded model does not run here: {refused.stderr}")
    found = re.search(r"wattproof budget (.+ --limit [0-9.]+)", refused.stderr)
    assert found is not None, refused.stderr
    done = wattproof("budget", *shlex.split(found[1]))
    assert done.returncode == 0, done.stderr
    assert 'operation "it\'s an op": 0 tokens of ' in done.stdout
