"""Releases of other people's packages, each installed into a folder of its own and run as a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / ".venv-oracle"
EVALUATE = Path(__file__).with_name("evaluate_ecologits.py")

Oracle = Callable[..., dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def ecologits() -> Oracle:
    """Evaluate cases by a release of EcoLogits; see evaluate_ecologits.py."""

    def evaluate(release: str, *, compute: list[Any] | None = None, named: list[Any] | None = None) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(EVALUATE), release],
            input=json.dumps({"compute": compute or [], "named": named or []}),
            env={**os.environ, "PYTHONPATH": str(installed("ecologits", release))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


def installed(package: str, release: str) -> Path:
    """The folder of one release; installed by pip when it is missing, by one process at a time."""
    FOLDER.mkdir(exist_ok=True)
    target = FOLDER / f"{package}-{release}"
    with (FOLDER / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / f"{package}-{release}.dist-info" / "RECORD").exists():
            shutil.rmtree(target, ignore_errors=True)
            partial = FOLDER / f"{target.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--target", str(partial), f"{package}=={release}"], check=True)
            partial.rename(target)
    return target
