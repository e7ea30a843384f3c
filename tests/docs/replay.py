"""Pages are run: each fenced block is a file, or commands with what they print.

A page's ```console blocks are one session of bash in an empty folder with a home of its own, offline. A line after
`$ ` is a command, `> ` goes on with it, everything else is what it prints, errors too. `…` stands for anything within a
line, and for any lines where it stands alone. A block such as ```json steps.json is written to the file that it names.
8321 becomes a free port, so that pages can serve and be run side by side. What is left in the background is ended.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^```([\w-]*)(?: ([^\n`]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = "8321"
_DRAWN = re.compile(r"\b(r_|rs_|t_)[a-z2-7]{26}\b")
_END = "--- end of step"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the word after it, what is in it."""

    language: str
    word: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text("utf-8"))]


def steps(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what the page says it prints."""
    found: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [("\n".join(command), "\n".join(output).rstrip("\n")) for command, output in found]


def shown(command: str, output: str) -> str:
    """A command and its output as a page shows them."""
    return "$ " + command.replace("\n", "\n> ") + "\n" + (output + "\n" if output else "")


def as_expected(output: str, expected: str) -> bool:
    """Whether `output` is what a page shows; see the module for `…`."""
    if output == expected:
        return True
    lines = [re.escape(line).replace("…", ".*") for line in expected.split("\n")]
    pattern = "\n".join(lines).replace("\n.*\n", "\n(?:.*\n)*")
    return re.fullmatch(pattern, output) is not None


def replayed(page: Path, folder: Path) -> dict[str, str]:
    """Every console block of the page, and how it reads when it is run; the same text where it is as expected."""
    script: list[str] = ["set -u"]
    consoles: list[Block] = []
    for number, block in enumerate(blocks(page)):
        if block.language == "console":
            consoles.append(block)
            for command, _ in steps(block.text):
                script += [command, f"printf '\\n{_END} %s\\n' $?"]
        elif block.word and "/" not in block.word:
            source = folder / f".block{number}"
            source.write_text(block.text, "utf-8")
            script.append(f"mv {source} {block.word}")
    port = _free_port()
    script.append("kill $(jobs -p) 2>/dev/null; wait")
    printed = _bash("\n".join(script).replace(_PORT, port) + "\n", folder)
    # What differs from run to run: a page that is written anew must not hold it.
    printed = _DRAWN.sub(r"\1…", printed.replace(str(folder), "…").replace(port, _PORT))
    outputs = iter(re.findall(rf"(.*?)\n{_END} (\d+)\n", printed, re.DOTALL))
    result: dict[str, str] = {}
    for block in consoles:
        read = ""
        for command, expected in steps(block.text):
            output, status = next(outputs)
            output = output.rstrip("\n")
            assert status == "0" or _may_fail(command, expected), f"{page.name}: {command}: {status}\n{output}"
            read += shown(command, expected if as_expected(output, expected) else output)
        result[block.text] = read
    return result


def _may_fail(command: str, expected: str) -> bool:
    """A page shows a refusal, or a check that fails."""
    checks = re.search(r"wattproof (verify|check-claim|ledger consistency) ", command) is not None
    return expected.startswith("wattproof: ") or checks


def _bash(script: str, folder: Path) -> str:
    (folder / "docs").symlink_to(ROOT / "docs")
    (folder / "packaging").symlink_to(ROOT / "packaging")
    tools = folder / ".bin"
    tools.mkdir()
    for name, words in {"python": "", "wattproof": " -m wattproof"}.items():
        shim = tools / name
        shim.write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n', "utf-8")
        shim.chmod(0o755)
    env = {
        "PATH": f"{tools}{os.pathsep}{os.defpath}",
        "HOME": str(folder),
        "WATTPROOF_HOME": str(folder / "home"),
        "WATTPROOF_OFFLINE": "1",
        "COLUMNS": "130",
        "PYTHONUNBUFFERED": "1",
        # A page that runs pytest means its own tests; the plugins of this environment take longer than they do.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "LC_ALL": "C.UTF-8",
    }
    with subprocess.Popen(
        ["bash", "--norc", "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=folder,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            return shell.communicate(script, timeout=100)[0]
        finally:
            # A server that a page leaves in the background ends with the page.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])
