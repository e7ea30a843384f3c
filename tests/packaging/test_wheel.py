"""What a user installs is the wheel, or the sdist that makes the same wheel, without the development tools.

With the locked dependencies from an index, by uvx and as a bundle: `.ci/packaging.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Dist, built

pytestmark = pytest.mark.xdist_group("packaging")

PACKAGE = ROOT / "wattproof"
OUR_FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in PACKAGE.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
)


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(dist: Dist) -> None:
    names = [name for name in contents(dist.wheel) if ".dist-info/" not in name]

    assert sorted(names) == OUR_FILES


def test_the_wheel_holds_the_data_editions_with_their_licences(dist: Dist) -> None:
    names = contents(dist.wheel).keys()

    assert any(n.endswith("py.typed") for n in names)
    assert any("data" in n and "electricitymaps" in n and n.endswith(".json") for n in names)
    assert any("electricitymaps" in n and "NOTICE" in n for n in names)
    assert any(n.endswith("catalogue.json") for n in names)
    assert any(n.endswith("licenses/NOTICE") for n in names)


def test_the_description_of_the_wheel_names_the_server_for_the_mcp_registry(dist: Dist) -> None:
    with zipfile.ZipFile(dist.wheel) as archive:
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))).decode()

    assert "<!-- mcp-name: io.github.wattproof/wattproof -->" in metadata


def test_a_wheel_from_the_working_tree_equals_the_one_from_the_sdist(dist: Dist, tmp_path: Path) -> None:
    built(ROOT, tmp_path, "--wheel")

    assert next(tmp_path.glob("*.whl")).read_bytes() == dist.wheel.read_bytes()


def test_an_sdist_of_the_sdist_has_the_same_bytes(dist: Dist, tmp_path: Path) -> None:
    with tarfile.open(dist.sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    built(next((tmp_path / "source").iterdir()), tmp_path / "again", "--sdist")

    assert (tmp_path / "again" / dist.sdist.name).read_bytes() == dist.sdist.read_bytes()


def installed(archive: Path, folder: Path) -> Path:
    """A new environment with `archive` in it, and the runtime of this one under it; the path of its `wattproof`.

    This environment's own wattproof is editable, through a .pth file, which a path in another .pth file does not read.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "-q"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-build-isolation", str(archive)], check=True)
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    (Path(purelib) / "runtime.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder / "bin" / "wattproof"


def test_the_installed_wheel_estimates_decides_and_judges_on_the_data_that_it_brings(
    dist: Dist, tmp_path: Path
) -> None:
    command = installed(dist.wheel, tmp_path / "venv")
    env = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "WATTPROOF_HOME": str(tmp_path / "home"),
        "WATTPROOF_OFFLINE": "1",
    }

    def answer(*arguments: str, status: int = 0) -> object:
        done = subprocess.run([command, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    where = subprocess.run(
        [command.with_name("python"), "-c", "import wattproof; print(wattproof.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tokens = ("--input-tokens", "1000", "--output-tokens", "400")
    estimate = answer("estimate", "--model", "gpt-oss-120b", *tokens, "--zone", "FR", "--json")
    dry_run = answer("run", "--dry-run", "--model", "gpt-oss-120b", "--prompt", "hello", "--json")
    block = ROOT / "docs" / "examples" / "melious_block.json"
    verdict = answer("verify", str(block), "--json", status=1)

    assert Path(where.strip()).is_relative_to(tmp_path)
    assert isinstance(estimate, dict)
    assert estimate["provenance"]["region_scope"] == "FR"
    assert isinstance(dry_run, dict)
    assert dry_run["decision"]["allowed"] >= 1
    assert isinstance(verdict, dict)
    assert verdict["verdicts"]["plausibility"]["verdict"] == "fail"
