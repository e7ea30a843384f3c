"""Reading a pack, a folder or the zip itself, a line at a time; whoever made it may have meant harm."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from zipfile import BadZipFile, ZipFile

from wattproof.methodology.errors import VerificationFailed

__all__ = ["PackFiles", "broken"]

_LONGEST_LINE = 512 * 1024
_LONGEST_TEXT = 64 << 20
_CHUNK = 1 << 20


class PackFiles:
    """The files of a pack by name. Close it with ``with``.

    Raises:
        OSError: there is no such file or folder.
        VerificationFailed: it is no zip.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._stack = ExitStack()
        self._zip: ZipFile | None = None
        if self._folder is None:
            try:
                self._zip = self._stack.enter_context(ZipFile(path))
            except BadZipFile as error:
                raise broken(path.name, "is no zip file") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, name: str) -> BinaryIO:
        """Raises: VerificationFailed: the pack has no such file."""
        if name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise broken(name, "is no name of a file in a pack")
        try:
            if self._zip is not None:
                return cast("BinaryIO", self._zip.open(name))
            assert self._folder is not None
            return (self._folder / name).open("rb")
        except (OSError, KeyError) as error:
            raise broken(name, "is missing") from error

    def has(self, name: str) -> bool:
        """Whether the pack has this file."""
        if self._zip is not None:
            return name in self._zip.namelist()
        return self._folder is not None and (self._folder / name).is_file()

    def sha256(self, name: str) -> tuple[str, int]:
        """Hash and length of a file.

        Raises:
            VerificationFailed: it is missing, or the zip is damaged there.
        """
        digest, length = sha256(), 0
        try:
            with self.open(name) as file:
                while piece := file.read(_CHUNK):
                    digest.update(piece)
                    length += len(piece)
        except (OSError, BadZipFile, EOFError, ValueError) as error:
            raise broken(name, "is damaged") from error
        return digest.hexdigest(), length

    def text(self, name: str) -> str:
        """A file as text.

        Raises:
            VerificationFailed: it is missing, is no UTF-8, or is longer than 64 MiB.
        """
        with self.open(name) as file:
            data = file.read(_LONGEST_TEXT + 1)
        if len(data) > _LONGEST_TEXT:
            raise broken(name, "is longer than 64 MiB")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise broken(name, "is no UTF-8") from error

    def json(self, name: str) -> dict[str, Any]:
        """A file that holds one JSON object.

        Raises:
            VerificationFailed: it does not.
        """
        return _object(name, self.text(name))

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The JSON objects of a file with one a line.

        Raises:
            VerificationFailed: a line is something else, or longer than 512 KiB.
        """
        with self.open(name) as file:
            while line := file.readline(_LONGEST_LINE + 1):
                if len(line) > _LONGEST_LINE:
                    raise broken(name, "has a line of more than 512 KiB")
                yield _object(name, line.decode("utf-8", "replace"))

    def rows(self, name: str) -> Iterator[dict[str, str]]:
        """The rows of a CSV file by the names in its first line.

        Raises:
            VerificationFailed: a row has more or fewer cells than the first.
        """
        with TextIOWrapper(self.open(name), "utf-8", errors="replace", newline="") as file:
            try:
                for row in csv.DictReader(file, strict=True):
                    if None in row or None in row.values():
                        raise broken(name, "has a row with more or fewer cells than its header")
                    yield row
            except csv.Error as error:
                raise broken(name, f"is no CSV ({error})") from error


def broken(name: str, problem: str) -> VerificationFailed:
    """That a file of the pack cannot be used."""
    return VerificationFailed("format", "bad_pack", f"{ascii(name)[1:-1][:100]} {problem}.")


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(name, "holds something that is not JSON") from error
    if not isinstance(value, dict):
        raise broken(name, "holds JSON that is no object")
    return cast("dict[str, Any]", value)
