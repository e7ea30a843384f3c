"""Put the views together from their parts: one HTML file each, with its style and its script inside.

The files that ship are the ones in the repository, so that what was tested is what hosts show; a test compares them
with `assemble`. Comments and indentation stay behind, because a host reads a view anew for every card.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PARTS", "assemble"]

PARTS = Path(__file__).with_name("parts")

_TITLES = {"receipt": "Receipt", "operation": "Workflow", "ledger": "Ledger"}
_COMMENT = re.compile(r"^\s*//.*\n", re.MULTILINE)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_EMPTY = re.compile(r"\n{2,}")


def assemble(name: str) -> str:
    """The file of one view."""
    page = _part("page.html")
    style = _part("style.css") + _part(f"{name}.css")
    script = "".join(map(_part, ("host.js", "draw.js", f"{name}.js")))
    for slot, text in (("title", _TITLES[name]), ("style", _packed(style)), ("script", _packed(script))):
        page = page.replace("{{" + slot + "}}", text)
    return page


def _packed(text: str) -> str:
    return _EMPTY.sub("\n", _INDENTATION.sub("", _COMMENT.sub("", text)))


def _part(name: str) -> str:
    return (PARTS / name).read_bytes().decode().replace("\r\n", "\n")
