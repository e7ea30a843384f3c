"""The generated reference leaves nothing out; that it is up to date is tested in test_generated.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.reference.calls import calls
from docs.generate.reference.errors import EXIT_CODES
from docs.generate.variables import OWN
from wattproof.methodology import errors
from wattproof.server.cli import run_command
from wattproof.server.serving.limits import Limits, parse_limits
from wattproof.server.settings import PROFILES
from wattproof.server.tool_table import tools_of

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("tool", [spec.name for spec in tools_of(PROFILES)])
def test_every_tool_has_a_call_that_works_and_one_that_is_refused(tool: str) -> None:
    worked, refused = calls()[tool]

    assert worked is not None
    assert refused is not None
    assert worked.text in page("tools")
    assert f"## `{tool}`" in page("tools")


def test_every_error_that_a_user_is_meant_to_read_is_in_the_tree() -> None:
    named = {name for name in errors.__all__ if issubclass(getattr(errors, name), errors.WattproofError)}

    assert {name for name in named if f"`{name}`" not in page("errors")} == set()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("methods",), 0),
        (("verify", str(REFERENCE.parent / "examples" / "melious_block.json")), 1),
        (("estimate", "--model", "gpt-oss-12b", "--input-tokens", "1"), 2),
        (("estimate", "--no-such-option"), 2),
        (("ledger", "fsck"), 3),
    ],
    ids=["done", "failed", "input", "usage", "not established"],
)
def test_the_exit_codes_are_those_of_the_page(
    words: tuple[str, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_HOME", str(tmp_path))

    assert run_command(words) == status
    assert status in EXIT_CODES


def test_the_limits_that_the_page_gives_are_the_defaults() -> None:
    stated = next(variable.meaning for variable in OWN if variable.name == "WATTPROOF_LIMITS")
    example = stated.partition(": ")[2].rpartition(", any")[0]

    assert parse_limits("WATTPROOF_LIMITS", example) == Limits()
