"""Our own prose says what it can show: no banned words outside quotations and deny lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BANNED = re.compile(
    r"\b(carbon[- ]neutral|net[- ]zero|climate[- ]friendly|eco[- ]friendly|sustainable|"
    r"(co2e?|carbon|energy|emissions?) (saved|avoided)|(saves?|saved|avoids?|avoided) (co2e?|carbon|energy|emissions?)|"
    r"green (model|region|inference|request|choice)|clean (region|energy|power))\b",
    re.IGNORECASE,
)
PROSE = sorted(
    p
    for p in [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CLAIMS.md", *(ROOT / "docs").rglob("*.md")]
    if p.exists()
)
SOURCE = sorted((ROOT / "wattproof").rglob("*.py"))
QUOTED = re.compile(r'"[^"\n]*"|`[^`\n]*`|“[^”\n]*”')


@pytest.mark.parametrize("path", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_prose_makes_no_claim_that_we_cannot_show(path: Path) -> None:
    found = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if BANNED.search(QUOTED.sub("", line))
    ]

    assert not found


def test_texts_in_the_source_make_no_claim_that_we_cannot_show() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCE
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if BANNED.search(line)
    ]

    assert not found


def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    pattern = re.compile(r"index-url\s*=|/simple/?\s*$|(?<![\w.~-])/(?:work|root|farm)/")
    skip = {".git", ".venv", ".hypothesis", ".pytest_cache", ".ruff_cache", "__pycache__"}
    found: list[str] = []
    for path in ROOT.rglob("*"):
        if path.is_file() and not skip.intersection(path.relative_to(ROOT).parts) and path != Path(__file__):
            try:
                text = path.read_text("utf-8")
            except UnicodeDecodeError:
                continue
            found += [
                f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)
            ]

    assert not found
