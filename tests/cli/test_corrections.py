"""Corrections from the command line; what they do is tested in tests/runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

Wattproof = Callable[..., subprocess.CompletedProcess[str]]


def test_without_live_data_nothing_is_corrected(wattproof: Wattproof) -> None:
    done = wattproof("ledger", "corrections")
    assert (done.returncode, done.stdout) == (0, "0 adjustment(s) appended.\n")
    assert json.loads(wattproof("ledger", "corrections", "--json").stdout) == []


def test_how_far_back_is_bounded(wattproof: Wattproof) -> None:
    done = wattproof("ledger", "corrections", "--hours", "0")
    assert done.returncode == 2
    assert "--hours" in done.stderr
