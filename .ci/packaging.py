"""Install what is published the way its users do, from the configured index: wheel, sdist, uvx, bundle, image.

Each installation answers an MCP `initialize` and makes an estimate, outside the working tree. There is no Docker daemon
here: the commands of the Dockerfile's first stage are run in a folder instead, and what they install is started by the
image's entry point. The second stage (user, labels, health check) is only looked at, by tests/packaging.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOCKED = ROOT / "requirements" / "runtime.txt"
ESTIMATE = ["estimate", "--model", "gpt-oss-120b", "--input-tokens", "1000", "--output-tokens", "400", "--zone", "FR"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "packaging", "version": "0"},
    },
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="packaging-") as name:
        folder = Path(name)
        with told("wheel and sdist"):
            run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)], folder)
        wheel, sdist = (next((folder / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
        with told(f"pip install {wheel.name}"):
            check(installed_by_pip(wheel, folder / "by-pip"), folder)
        with told(f"uv pip install {sdist.name}"):
            check(installed_by_uv(sdist, folder / "by-uv"), folder)
        with told("uvx"):
            check(
                [str(BIN / "uvx"), "--quiet", "--constraints", str(LOCKED), "--from", str(wheel), "wattproof"], folder
            )
        with told("bundle"):
            check_bundle(wheel, folder)
        with told("image"):
            check_image(folder)
    return 0


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"ok  {what}  ({time.monotonic() - began:.1f} s)", flush=True)


def installed_by_pip(wheel: Path, folder: Path) -> list[str]:
    """The wheel in an environment of its own, with the locked dependencies."""
    run([sys.executable, "-m", "venv", str(folder)], folder.parent)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(LOCKED)], folder)
    run([*pip, "--no-deps", str(wheel)], folder)
    return [str(folder / "bin" / "wattproof")]


def installed_by_uv(sdist: Path, folder: Path) -> list[str]:
    """The sdist in an environment of its own, built and installed by uv at the locked versions."""
    uv = str(BIN / "uv")
    run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], folder.parent)
    run([uv, "pip", "install", "--quiet", "--constraints", str(LOCKED), str(sdist)], folder, VIRTUAL_ENV=str(folder))
    return [str(folder / "bin" / "wattproof")]


def check(command: list[str], folder: Path, *, subcommands: bool = True, **variables: str) -> None:
    """The installation says its version, estimates from its own data, and answers a client."""
    answer = json.loads(run(command, folder, json.dumps(INITIALIZE) + "\n", **variables).splitlines()[0])
    assert answer["result"]["serverInfo"]["name"] == "wattproof", answer
    if subcommands:
        assert run([*command, "--version"], folder, **variables).startswith("wattproof "), command
        assert "in FR at" in run([*command, *ESTIMATE], folder, **variables), command


def check_bundle(wheel: Path, folder: Path) -> None:
    """Pack with the official packer, unpack, and run the very command that the manifest tells a host to run."""
    run([sys.executable, str(ROOT / "packaging/mcpb/bundle.py"), str(folder), "--wheel", str(wheel)], folder)
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(folder / "wattproof.mcpb") as archive:
        archive.extractall(unpacked)
    manifest = json.loads((unpacked / "manifest.json").read_text("utf-8"))
    server = manifest["server"]["mcp_config"]
    command = [server["command"], *(word.replace("${__dirname}", str(unpacked)) for word in server["args"])]
    # Some hosts pass a field that nobody filled in as its placeholder.
    for variables in ({}, server["env"]):
        check(command, folder, subcommands=False, **variables)


def check_image(folder: Path) -> None:
    """The commands of the first stage, with its two folders moved here, and the entry point of the second."""
    source, target = folder / "src", folder / "opt"
    for name in ("wattproof", "requirements", "packaging/docker"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    stage = (ROOT / "Dockerfile").read_text("utf-8").split("\nFROM ")[1]
    # pip outside the new environment is the base image's own; here it is one of its own as well.
    run([sys.executable, "-m", "venv", str(folder / "base")], folder)
    path = f"{folder / 'base' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for text in re.findall(r"^RUN ((?:.*\\\n)*.*)$", stage, re.MULTILINE):
        run(["sh", "-euc", text.replace("/opt/wattproof", str(target))], source, PATH=path)
    for name in ("entrypoint.sh", "healthcheck.py"):
        shutil.copy(source / "packaging" / "docker" / name, target)
    assert list((target / "lib").rglob("wattproof/server/__pycache__/cli.*.pyc")), "the bytecode is not there"
    path = f"{target / 'bin'}{os.pathsep}{os.environ['PATH']}"
    check(["/bin/sh", str(target / "entrypoint.sh")], folder, PATH=path, SECRETS_FOLDER=str(folder / "no-secrets"))
    check_compose(target, folder, path)


def check_compose(target: Path, folder: Path, path: str) -> None:
    """The command of compose.yaml with its secrets, but with the ledger in a file; then what the health check says."""
    shutil.copy(ROOT / "packaging" / "compose" / "make-secrets.sh", folder)
    run(["sh", str(folder / "make-secrets.sh")], folder)
    words = re.findall(r"command: \[(.*)\]", (ROOT / "packaging/compose/compose.yaml").read_text("utf-8"))[0]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    command = ["/bin/sh", str(target / "entrypoint.sh"), *words.replace('"', "").split(", "), "--port", port]
    variables = {"PATH": path, "SECRETS_FOLDER": str(folder / "secrets"), "WATTPROOF_HOME": str(folder / "data")}
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            first = server.stderr.readline()
            assert first.startswith("wattproof: MCP over streamable HTTP at "), first
            run([sys.executable, str(target / "healthcheck.py"), str(server.pid)], folder)
        finally:
            server.terminate()
            server.stderr.read()
    assert server.returncode == 0, server.returncode


def run(command: list[str], folder: Path, stdin: str = "", **variables: str) -> str:
    """What `command` prints, run where the working tree cannot lend it anything."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "WATTPROOF"))
    }
    environment |= {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "WATTPROOF_HOME": str(folder / "home"),
        "WATTPROOF_OFFLINE": "1",
        # uv asks the index that pip is configured for.
        **configured_index(),
        **variables,
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=240
    )
    if done.returncode:
        raise SystemExit(f"{command} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def configured_index() -> dict[str, str]:
    if "UV_DEFAULT_INDEX" in os.environ:
        return {}
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"UV_DEFAULT_INDEX": found} if found else {}


if __name__ == "__main__":
    sys.exit(main())
