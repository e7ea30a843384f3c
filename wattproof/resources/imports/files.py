"""Reading what was exported: folders of logs, lines of JSON, one JSON document, CSV. The rest of a bad file is read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.imports.records import Notes

__all__ = ["Files", "Row", "open_files"]

Row = tuple[str, dict[str, Any]]
"""Where it stands, e.g. ``usage.csv:12``, and its fields."""

_BOM = b"\xef\xbb\xbf"
_LARGEST_DOCUMENT = 512 << 20
_LONGEST_LINE = 64 << 20
_LONGEST_CELL = 16 << 20
_MOST_FILES = 200_000


@dataclass(slots=True)
class Files:
    """The files of one import, in order, and how far they have been read. `notes` gets what cannot be read."""

    paths: tuple[Path, ...]
    notes: Notes
    total_bytes: int = 0
    read_bytes: int = 0
    progress: Callable[[int, int], None] | None = field(default=None, repr=False)

    def lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """The lines of a file that are not empty, counted from 1."""
        with _opened(path) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                self._advance(len(line))
                if number == 1:
                    line = line.removeprefix(_BOM)
                if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                    raise InvalidInput(path.name, f"has a line of more than {_LONGEST_LINE >> 20} MiB", "cut it")
                if not line.isspace():
                    yield number, line

    def first_lines(self, path: Path, most: int) -> Iterator[bytes]:
        """The first lines of a file, looked at beforehand: they do not count as read."""
        with _opened(path) as file:
            for _, line in zip(range(most), file, strict=False):
                yield line.removeprefix(_BOM)

    def json_lines(self, path: Path, wanted: bytes = b"") -> Iterator[Row]:
        """The objects of a file with one JSON object per line; lines without `wanted` in them are passed over."""
        import orjson

        for number, line in self.lines(path):
            if wanted not in line:
                continue
            try:
                value: object = orjson.loads(line)
            except orjson.JSONDecodeError:
                self.notes.skip("not JSON", f"{path.name}:{number}")
                continue
            if isinstance(value, dict):
                yield f"{path.name}:{number}", cast("dict[str, Any]", value)
            else:
                self.notes.skip("not a JSON object", f"{path.name}:{number}")

    def documents(self, path: Path) -> Iterator[Row]:
        """The JSON objects of a file: one per line, or one, or a list of them.

        Raises:
            InvalidInput: the file is one document of more than 512 MiB, or no JSON.
        """
        import orjson

        if _is_json_lines(path):
            yield from self.json_lines(path)
            return
        if path.stat().st_size > _LARGEST_DOCUMENT:
            fix = "export it as JSON Lines or CSV, which are read line by line"
            raise InvalidInput(path.name, f"is one JSON document of more than {_LARGEST_DOCUMENT >> 20} MiB", fix)
        with _opened(path) as file:
            raw = file.read().removeprefix(_BOM)
        self._advance(len(raw))
        try:
            value: object = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(path.name, f"is no JSON ({str(error)[:60]})", "give the file as exported") from None
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        for place, each in enumerate(values):
            if isinstance(each, dict):
                yield f"{path.name}[{place}]", cast("dict[str, Any]", each)
            else:
                self.notes.skip("not a JSON object", f"{path.name}[{place}]")

    def csv_rows(self, path: Path) -> Iterator[Row]:
        """The rows of a CSV file with a header, cells as text.

        Raises:
            InvalidInput: it is no CSV in UTF-8.
        """
        csv.field_size_limit(_LONGEST_CELL)
        text = (line.decode("utf-8-sig" if number == 1 else "utf-8") for number, line in self._raw_lines(path))
        header = next(text, "")
        delimiter = max(",;\t", key=header.count)
        try:
            names = [each.strip() for each in next(csv.reader([header], delimiter=delimiter), list[str]())]
            for number, cells in enumerate(csv.reader(text, delimiter=delimiter), 2):
                if len(cells) == len(names):
                    yield f"{path.name}:{number}", dict(zip(names, cells, strict=True))
                elif cells:
                    self.notes.skip("a row has another number of cells than the header", f"{path.name}:{number}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(
                path.name, f"is no CSV in UTF-8 ({str(error)[:60]})", "give the file as exported"
            ) from None

    def rows(self, path: Path) -> Iterator[Row]:
        """The rows of a CSV or JSON file, whichever it is."""
        return self.documents(path) if _begins_like_json(path) else self.csv_rows(path)

    def _raw_lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                self._advance(len(line))
                yield number, line

    def _advance(self, size: int) -> None:
        self.read_bytes += size
        if self.progress is not None:
            self.progress(self.read_bytes, self.total_bytes)


def open_files(path: Path, patterns: Iterable[str], notes: Notes) -> Files:
    """The files of `path`: itself, or those in the folder that match one of `patterns`, sorted by name.

    Raises:
        InvalidInput: there is nothing at `path`, or nothing that matches.
    """
    try:
        if path.is_file():
            found = [path]
        elif path.is_dir():
            found = sorted({each for pattern in patterns for each in path.rglob(pattern) if each.is_file()})
        else:
            raise InvalidInput("PATH", f"{str(path)!r} does not exist", "give a file or a folder")
        if not found:
            raise InvalidInput("PATH", f"{str(path)!r} holds no {' or '.join(patterns)}", "give another folder")
        if len(found) > _MOST_FILES:
            raise InvalidInput("PATH", f"holds more than {_MOST_FILES} files", "import its folders one by one")
        return Files(tuple(found), notes, total_bytes=sum(each.stat().st_size for each in found))
    except OSError as error:
        raise _unreadable(path, error) from None


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput("PATH", f"{str(path)!r} cannot be read ({error.strerror})", "give a readable file or folder")


def _begins_like_json(path: Path) -> bool:
    with _opened(path) as file:
        return file.read(1024).removeprefix(_BOM).lstrip()[:1] in {b"{", b"["}


def _is_json_lines(path: Path) -> bool:
    """Whether the first line is a JSON object of its own."""
    import orjson

    with _opened(path) as file:
        line = file.readline(_LONGEST_LINE).removeprefix(_BOM)
    try:
        return isinstance(orjson.loads(line), dict) and len(line) < path.stat().st_size
    except orjson.JSONDecodeError:
        return False
