"""The first line of every generated page, and how a cell of a table is written."""

from __future__ import annotations

__all__ = ["NOTICE", "cell", "code", "fenced"]

NOTICE = "<!-- Written by `make docs` (python -m docs.generate). Do not edit: a test compares it with the code. -->\n"


def cell(text: str) -> str:
    """Text for one cell of a table: one line, and no bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    return f"`{text}`"


def fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"
