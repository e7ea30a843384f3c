"""README is part of the product: its commands run, its numbers recompute, its table of tools comes from the code.

`make contracts` writes the recomputed parts into README.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wattproof.server.app import build_server
from wattproof.tools.deps import Deps

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [page for page in (README, *sorted((ROOT / "docs").glob("*.md"))) if "```console" in page.read_text("utf-8")]
UPDATE = os.environ.get("WATTPROOF_UPDATE_CONTRACTS") == "1"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
TOOLS = re.compile(r"(<!-- tools: begin -->\n)(.*?)(<!-- tools: end -->)", re.DOTALL)


def wattproof(arguments: list[str], home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "wattproof", *arguments],
        env={
            "PATH": os.defpath,
            "HOME": str(home),
            "WATTPROOF_HOME": str(home / "home"),
            "WATTPROOF_OFFLINE": "1",
            "COLUMNS": "130",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    # 1: a verification that fails, which is what the page shows.
    assert done.returncode in ((0, 1) if arguments[0] == "verify" else (0,)), done.stderr
    return done.stdout


def console_steps(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def replay(block: str, home: Path) -> str:
    """The block as it reads when every command in it is run again."""
    return "".join(f"$ {step}\n{wattproof(shlex.split(step)[1:], home).rstrip()}\n" for step in console_steps(block))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_console_example_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    text = page.read_text("utf-8")
    blocks = CONSOLE.findall(text)
    assert blocks
    replayed = [replay(block, tmp_path) for block in blocks]
    if UPDATE:
        for old, new in zip(blocks, replayed, strict=True):
            text = text.replace(old, new)
        page.write_text(text, "utf-8")

    assert CONSOLE.findall(page.read_text("utf-8")) == replayed


async def tool_table() -> str:
    @asynccontextmanager
    async def closed() -> AsyncGenerator[Deps]:
        raise AssertionError("listing the tools opens nothing")
        yield

    server = build_server(closed, apps="off")
    rows = ["| tool | what it does | parameters |", "|---|---|---|"]
    for tool in await server.list_tools():
        parameters = ", ".join(
            f"**`{name}`**" if name in tool.input_schema.get("required", []) else f"`{name}`"
            for name in tool.input_schema["properties"]
        )
        summary = re.split(r"(?<=[.])\s", (tool.description or "").strip(), maxsplit=1)[0]
        rows.append(f"| `{tool.name}` | {summary} | {parameters} |")
    return "\n".join(rows) + "\n"


async def test_the_table_of_tools_in_the_readme_is_the_one_that_the_server_lists() -> None:
    table = await tool_table()
    if UPDATE:
        text = README.read_text("utf-8")
        README.write_text(TOOLS.sub(lambda m: m[1] + table + m[3], text), "utf-8")

    match = TOOLS.search(README.read_text("utf-8"))

    assert match is not None
    assert match[2] == table


@pytest.mark.parametrize(
    "path", sorted([README, *(ROOT / "docs").rglob("*.md")]), ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_relative_link_in_the_docs_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text("utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []
