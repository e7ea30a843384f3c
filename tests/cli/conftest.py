"""The real command, in a process and a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Finished = subprocess.CompletedProcess[str]
Wattproof = Callable[..., Finished]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing of this machine's: no keys, no zone, an empty home that does not exist yet."""
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "WATTPROOF_HOME": str(tmp_path / "home"),
        "WATTPROOF_OFFLINE": "1",
        "COLUMNS": "120",
    }


@pytest.fixture
def wattproof(environ: dict[str, str], tmp_path: Path) -> Wattproof:
    """Run `wattproof` with these arguments, from another folder than the repository; extra variables by keyword."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Finished:
        return subprocess.run(
            [sys.executable, "-m", "wattproof", *arguments],
            env={**environ, **variables},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
