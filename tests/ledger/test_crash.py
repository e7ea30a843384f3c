"""kill -9 in the middle of runs: what was acknowledged is there, and every open try is explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wattproof.resources.ledger import SummaryQuery, open_ledger


async def test_kill_9_loses_no_acknowledged_entry_and_leaves_no_try_unexplained(
    child: Callable[..., subprocess.Popen[str]], home: Path
) -> None:
    acknowledged: set[str] = set()
    for name, lines in (("a", 1), ("b", 14), ("c", 37), ("d", 60), ("e", 95)):
        process = child("child_append.py", home, name, 50)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.communicate()[0].splitlines()
        acknowledged |= {line.split()[1] for line in said if line.startswith("settled ")}
    async with open_ledger(home, clock=lambda: time.time() + 120, random_bytes=os.urandom) as ledger:
        report = await ledger.fsck()
        summary = await ledger.summary(SummaryQuery("local"))
        kept = {entry.draft.request_id for entry in (await ledger.entries("local", limit=500)).entries}
    assert report.findings == ()
    assert len(acknowledged) >= 80
    assert acknowledged <= kept
    assert len(report.notes) == summary.unsettled_count <= 5
    assert all("never settled: its process ended" in note.message for note in report.notes)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the rounds fork their processes")
@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_rounds_of_kill_9_among_up_to_sixteen_processes_lose_nothing_and_double_nothing(rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--rounds", str(rounds), "--seed", "7"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["rounds"], report["lost"], report["doubled"]) == (rounds, 0, 0)
    assert (report["fsck_findings"], report["errors"]) == (0, 0)
    assert report["kills"] > 5 * rounds
    assert report["acknowledged"] > 25 * rounds
    crowd = report["crowd"]
    assert (crowd["processes"], crowd["appends"], crowd["busy_or_locked"]) == (16, 960, 0)
