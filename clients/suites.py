"""Suites that others wrote: the official conformance tests, and the Inspector's command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.environments import install_node, node

__all__ = ["BASELINES", "SUITES", "Suite", "conformance", "inspector"]

BASELINES = Path(__file__).parent / "conformance"
_INSPECTOR = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of the conformance tests.

    `baseline` lists what this server does not pass. `proven` are the scenarios that say something about a server
    without the suite's demo tools: each must have run and passed, so that a run that tested nothing is no success.
    """

    package: str
    version: str
    revision: str
    program: str
    options: tuple[str, ...]
    baseline: str
    proven: tuple[str, ...]


_LISTS = ("tools-list", "resources-list", "prompts-list", "dns-rebinding-protection")
_CONFORMANCE = "@modelcontextprotocol/conformance"

SUITES: tuple[Suite, ...] = (
    Suite(
        package=_CONFORMANCE,
        version="0.1.16",
        revision="2025-11-25",
        program=f"node_modules/{_CONFORMANCE}/dist/index.js",
        options=(),
        baseline="stable-2025-11-25.yml",
        proven=("server-initialize", "ping", *_LISTS),
    ),
    Suite(
        package=_CONFORMANCE,
        version="0.2.0-alpha.12",
        revision="2025-11-25",
        program="node_modules/conformance-alpha/dist/index.js",
        options=("--requirements", "2025-11-25"),
        baseline="alpha-2025-11-25.yml",
        proven=("server-initialize", "ping", *_LISTS),
    ),
    Suite(
        package=_CONFORMANCE,
        version="0.2.0-alpha.12",
        revision="2026-07-28",
        program="node_modules/conformance-alpha/dist/index.js",
        options=("--requirements", "2026-07-28"),
        baseline="alpha-2026-07-28.yml",
        proven=(
            *_LISTS,
            "caching",
            "http-header-validation",
            "input-required-result-ignore-extra-params",
            "input-required-result-unsupported-methods",
            "sep-2164-resource-not-found",
        ),
    ),
)


def conformance(suite: Suite, url: str, folder: Path) -> dict[str, Any]:
    """Run one suite against the server at `url`, which asks for no token: the suite cannot send one."""
    command = [node(), suite.program, "server", "--url", url, *suite.options]
    command += ["--expected-failures", str(BASELINES / suite.baseline), "--output-dir", str(folder)]
    done = subprocess.run(command, cwd=install_node(), capture_output=True, text=True, timeout=300, check=False)
    checks = _checks(folder)
    problems = [f"{name}: not proven" for name in suite.proven if not _passed(checks.get(name, []))]
    if done.returncode:
        problems.append(re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr)[-1500:])
    statuses = [status for found in checks.values() for status in found]
    return {
        "suite": f"{suite.package} {suite.version}",
        "revision": suite.revision,
        "checks_passed": statuses.count("SUCCESS"),
        "checks_in_baseline": _entries(BASELINES / suite.baseline),
        "proven": list(suite.proven),
        "problems": problems,
    }


def _checks(folder: Path) -> dict[str, list[str]]:
    """The statuses of each scenario's checks, from what the suite wrote."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("server-*/checks.json")):
        name = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", path.parent.name.removeprefix("server-"))
        found[name] = [str(check["status"]) for check in json.loads(path.read_bytes())]
    return found


def _passed(statuses: Sequence[str]) -> bool:
    return "SUCCESS" in statuses and not {"FAILURE", "WARNING"} & set(statuses)


def _entries(baseline: Path) -> int:
    return sum(line.startswith("  - ") for line in baseline.read_text("utf-8").splitlines())


def inspector(target: Mapping[str, Any], era: str) -> dict[str, Any]:
    """What the Inspector does through its command line over one transport in one era; lists what went wrong."""
    where, folder = _where(target), install_node()
    # Its own programs call `node`.
    environ = {**os.environ, "PATH": f"{Path(node()).parent}{os.pathsep}{os.environ['PATH']}"}
    problems: list[str] = []

    def ask(method: str, *options: str, exits: int = 0) -> str:
        command = [node(), _INSPECTOR, "--cli", *where, "--protocol-era", era, "--method", method, *options]
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != exits:
            problems.append(
                f"{method}: exit {done.returncode} instead of {exits}: {(done.stderr or done.stdout)[-300:]}"
            )
        return done.stdout + done.stderr

    lint = ask("tools/list", "--strict")
    call = ("--tool-name", "estimate_request", "--tool-arg", "model=gpt-oss-120b", "input_tokens=1000")
    if "energy_wh" not in ask("tools/call", *call, "output_tokens=400", "zone=FR"):
        problems.append("tools/call: no result")
    if "did you mean zone?" not in ask("tools/call", *call, "zoen=FR", exits=5):
        problems.append("tools/call: a misspelt parameter was not explained")
    if "gco2e_per_kwh" not in ask("resources/read", "--uri", "wattproof://zones/FR"):
        problems.append("resources/read: no result")
    ask("resources/templates/list")
    ask("prompts/list")
    counted = re.search(r"(\d+) errors?, (\d+) warnings?", lint)
    errors, warnings = (int(counted[1]), int(counted[2])) if counted else (0, 0)
    return {"era": era, "schema_errors": errors, "schema_warnings": warnings, "problems": problems}


def _where(target: Mapping[str, Any]) -> list[str]:
    if "url" in target:
        headers = [f"{name}: {value}" for name, value in target["headers"].items()]
        return [target["url"], "--transport", "http", "--header", *headers]
    # What begins with a dash would be an option of the Inspector's, so the command is the installed script alone.
    environ = [f"{name}={value}" for name, value in target["env"].items()]
    return [target["command"], *(part for pair in environ for part in ("-e", pair))]
