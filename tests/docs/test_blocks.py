"""No fenced block of the docs goes untested: it is run, it is a file that is used, or its reason is listed here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.docs.replay import PAGES, ROOT, Block, blocks
from wattproof.server.cli import build_app

RUN_ELSEWHERE = {
    "README.md: make demo": ".ci/run",
    "README.md: from pydantic_ai import Agent": "docs/examples/pydantic_ai_agent.py, by test_framework_example.py",
    "README.md: wattproof serve": "tests/cli/test_listen.py, with another port",
    "README.md: wattproof verify": "each command in tests/cli and tests/thirdparty; r_… stands for an id",
    "CONTRIBUTING.md: make test": ".ci/run",
    "docs/tours/platform-engineer.md: sh packaging/compose/make-secrets.sh": "tests/packaging; no Docker daemon",
}
"""Shell that is not replayed on its page: by page and first words, what runs it."""

THIRD_PARTY = ROOT / "docs" / "third-party.md"
SHOWN = {"text", "mermaid"}
"""What a program printed, or a drawing: pages with text blocks are generated, or have a test of their own."""


def name_of(page: Path, block: Block) -> str:
    return f"{page.relative_to(ROOT).as_posix()}: {block.text.strip()}"


def untested(page: Path) -> Iterator[str]:
    for block in blocks(page):
        run_here = block.language == "console" or block.language in SHOWN or bool(block.word)
        elsewhere = any(name_of(page, block).startswith(known) for known in RUN_ELSEWHERE)
        example = block.language == "python" and any(
            block.text.strip() in path.read_text("utf-8") for path in (ROOT / "docs" / "examples").glob("*.py")
        )
        if not (run_here or elsewhere or example or page == THIRD_PARTY or _is_json(block)):
            yield name_of(page, block)


def _is_json(block: Block) -> bool:
    if block.language != "json":
        return False
    json.loads(block.text)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_goes_untested(page: Path) -> None:
    assert list(untested(page)) == []


def test_no_reason_is_listed_for_a_block_that_is_gone() -> None:
    present = [name_of(page, block) for page in PAGES for block in blocks(page)]

    assert [known for known in RUN_ELSEWHERE if not any(name.startswith(known) for name in present)] == []


def test_a_file_that_a_page_gives_is_used_by_a_command_after_it() -> None:
    unused: list[str] = []
    for page in PAGES:
        found = blocks(page)
        for number, block in enumerate(found):
            later = "".join(after.text for after in found[number + 1 :])
            if block.word and page != THIRD_PARTY and block.word.partition(".")[0] not in later:
                unused.append(name_of(page, block))

    assert unused == []


def commands_in(page: Path) -> Iterator[str]:
    """What begins with `wattproof ` in shell blocks and in running text."""
    text = page.read_text("utf-8")
    for block in blocks(page):
        if block.language in ("sh", "console"):
            start = r"^\$ " if block.language == "console" else "^"
            yield from re.findall(rf"(?:{start}|[|;&(] ?)(wattproof [^|;&<>#)\n]*)", block.text, re.MULTILINE)
    yield from re.findall(r"`(wattproof [a-z][^`\n|<>…]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    root: Any = get_command(build_app())
    wrong = [command for command in commands_in(page) if not _exists(root, command)]

    assert wrong == []


def _exists(root: Any, command: str) -> bool:
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        words = command.split()[1:]
    here = root
    while words and words[0] in getattr(here, "commands", {}):
        here = here.commands[words.pop(0)]
    if here is root and words and words[0] not in ("--version", "--help", "-V", "-h"):
        return False
    known = {name for parameter in here.params for name in parameter.opts} | {"--help", "-h", "--version", "-V"}
    return all(word.partition("=")[0] in known for word in words if word.startswith("--"))
