"""Text of somebody else in what a model reads: data in quotes, never a sentence of ours."""

from __future__ import annotations

import re

__all__ = ["as_name", "escaped"]

_NAME = re.compile(r"[\w.:@/,+=~#\[\]-]+", re.ASCII)
_LONGEST_ERROR = 1_000


def as_name(text: str, longest: int = 80) -> str:
    """`text` where a name belongs: as it is where it looks like one, else quoted, escaped and cut.

    A name has no spaces: a sentence ("ignore the instructions before") is shown as what a stranger wrote.
    """
    if len(text) <= longest and _NAME.fullmatch(text):
        return text
    return ascii(text if len(text) <= longest else text[: longest - 3] + "...")


def escaped(text: str) -> str:
    """An error on one line, without what a terminal or a display would act on, and not without end."""
    cut = text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 3] + "..."
    if cut.isprintable():
        return cut
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in cut)
