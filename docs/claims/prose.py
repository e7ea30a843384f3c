"""What people and models read of ours: pages, strings and comments of the code, cards, descriptions for registries."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

__all__ = ["PAGES", "ROOT", "SOURCES", "Prose", "prose_of"]

ROOT = Path(__file__).parents[2]

_ATTRIBUTES = frozenset({"alt", "aria-label", "content", "placeholder", "title"})
_JS_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|`(?:[^`\\]|\\.)*`')
_DATA_OF_OTHERS = frozenset({"methodology/data"})


@dataclass(frozen=True, slots=True)
class Prose:
    """A run of text that starts on a line (1-based) of a file. `page` says that it is Markdown."""

    path: Path
    line: int
    text: str
    page: bool = False

    def line_at(self, offset: int) -> int:
        """The line of the file on which a character of the text stands."""
        return self.line + self.text.count("\n", 0, offset)


def _files(*patterns: str) -> tuple[Path, ...]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return tuple(sorted(path for path in found if not any(part in path.as_posix() for part in _DATA_OF_OTHERS)))


PAGES = _files("*.md", "llms.txt", "docs/**/*.md", "packaging/**/*.md", "evaluation/**/*.md")
"""Markdown, and what reads like it."""

SOURCES = _files(
    "wattproof/**/*.py",
    "wattproof/**/*.html",
    "wattproof/**/*.js",
    "packaging/**/*.json",
    "*.json",
)
"""Where our words are among code."""


def prose_of(path: Path) -> Iterator[Prose]:
    """Every run of text in a file that somebody may read."""
    text = path.read_text("utf-8")
    if path.suffix in (".md", ".txt"):
        yield Prose(path, 1, text, page=True)
    elif path.suffix == ".py":
        yield from _strings(path, text)
        yield from _comments(path, text)
    elif path.suffix == ".html":
        page = _Page(path)
        page.feed(text)
        yield from page.found
    elif path.suffix == ".js":
        yield from _js_strings(path, 1, text)
    else:
        yield from _values(path, text)


def _strings(path: Path, text: str) -> Iterator[Prose]:
    tree = ast.parse(text)
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            value = node.value
        elif isinstance(node, ast.JoinedStr):
            value = "".join(_told(part) for part in node.values)
        else:
            continue
        if _is_prose(value):
            yield Prose(path, node.lineno, value)


def _told(part: ast.expr) -> str:
    """A constant part of an f-string; a name where a value comes in."""
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "X"


def _comments(path: Path, text: str) -> Iterator[Prose]:
    """Comments, those on lines that follow one another as one text."""
    first, last, told = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 and told:
            yield Prose(path, first, "\n".join(told))
            told = []
        first = token.start[0] if not told else first
        last = token.start[0]
        told.append(token.string.lstrip("#! "))
    if told:
        yield Prose(path, first, "\n".join(told))


def _is_prose(text: str) -> bool:
    return " " in text.strip() and not re.search(r"\(\?[:!=<i-]|\\[bsdw]", text)


class _Page(HTMLParser):
    """The words of a card: text, attributes that are read out, strings of its script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[Prose] = []
        self._path = path
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("style", "script") else ""
        for name, value in attrs:
            if name in _ATTRIBUTES and value:
                self.found.append(Prose(self._path, self.getpos()[0], value))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        line = self.getpos()[0]
        if self._inside == "script":
            self.found += _js_strings(self._path, line, data)
        elif not self._inside and data.strip():
            self.found.append(Prose(self._path, line, data))


def _js_strings(path: Path, line: int, script: str) -> Iterator[Prose]:
    for found in _JS_STRING.finditer(script):
        if _is_prose(found[0]):
            yield Prose(path, line + script.count("\n", 0, found.start()), found[0][1:-1])


def _values(path: Path, text: str) -> Iterator[Prose]:
    def walk(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for inner in cast("dict[str, Any]", value).values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in cast("list[Any]", value):
                yield from walk(inner)

    for value in walk(json.loads(text)):
        if _is_prose(value):
            at = text.find(json.dumps(value, ensure_ascii=False)[1:-1])
            yield Prose(path, text.count("\n", 0, max(at, 0)) + 1, value)
