"""What a user installs is the wheel, in an environment of its own, without the development tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(target), str(ROOT)],
        check=True,
    )
    return next(target.glob("wattproof-*.whl"))


def test_the_wheel_holds_the_data_editions_with_their_licences_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert any(n.endswith("py.typed") for n in names)
    assert any("data" in n and "electricitymaps" in n and n.endswith(".json") for n in names)
    assert any("electricitymaps" in n and "NOTICE" in n for n in names)
    assert any(n.endswith("catalogue.json") for n in names)
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/", "tools/", "server/", "resources/"))]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_wheel_works_in_a_clean_environment_with_the_locked_dependencies(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.txt")], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    env = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "WATTPROOF_HOME": str(tmp_path / "home"),
        "WATTPROOF_OFFLINE": "1",
    }

    command = str(tmp_path / "venv" / "bin" / "wattproof")
    estimate = subprocess.run(
        [
            *(command, "estimate", "--model", "gpt-oss-120b", "--input-tokens", "1000", "--output-tokens", "400"),
            *("--zone", "FR", "--json"),
        ],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    dry_run = subprocess.run(
        [
            *(command, "run", "--dry-run", "--model", "gpt-oss-120b", "--prompt", "hello"),
            *("--max-carbon-intensity", "100", "--json"),
        ],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(estimate.stdout)["provenance"]["region_scope"] == "FR"
    assert json.loads(dry_run.stdout)["decision"]["allowed"] >= 1
