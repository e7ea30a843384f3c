"""The wheel and the sdist, built once from the working tree."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1700000000"


@dataclass(frozen=True, slots=True)
class Dist:
    """One build: the sdist, and the wheel that was made from it."""

    sdist: Path
    wheel: Path


def built(source: Path, target: Path, *only: str) -> None:
    """`python -m build` of `source`, with the build backend of this environment: no network."""
    subprocess.run(
        [sys.executable, "-m", "build", *only, "--no-isolation", "--outdir", str(target), str(source)],
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        stdout=subprocess.DEVNULL,
        check=True,
    )


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    target = tmp_path_factory.mktemp("dist")
    built(ROOT, target)
    return Dist(next(target.glob("*.tar.gz")), next(target.glob("*.whl")))
