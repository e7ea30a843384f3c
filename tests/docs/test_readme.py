"""README is part of the product: its commands run, its numbers recompute, its table of tools comes from the code.

`make contracts` writes the recomputed parts into README.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.docs.replay import PAGES, ROOT, replayed
from wattproof.server.app import build_server
from wattproof.tools.deps import Deps

README = ROOT / "README.md"
CONSOLE_PAGES = [page for page in PAGES if page.exists() and "```console" in page.read_text("utf-8")]
UPDATE = os.environ.get("WATTPROOF_UPDATE_CONTRACTS") == "1"
TOOLS = re.compile(r"(<!-- tools: begin -->\n)(.*?)(<!-- tools: end -->)", re.DOTALL)


@pytest.mark.parametrize("page", CONSOLE_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_console_example_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    if "curl " in page.read_text("utf-8") and shutil.which("curl") is None:
        pytest.skip("no curl here")
    runs = replayed(page, tmp_path)
    if UPDATE:
        text = page.read_text("utf-8")
        for old, new in runs.items():
            text = text.replace(old, new)
        page.write_text(text, "utf-8")
        return

    assert "".join(runs.values()).splitlines() == "".join(runs).splitlines()


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


@pytest.mark.parametrize("path", [page for page in PAGES if page.exists()], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_in_the_docs_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text("utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []
