"""A file that appears under its name only once it is complete and on disk, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.driver import unusable

__all__ = ["NEW_FILE", "NewFile", "sync_folder"]

NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""How `os.open` makes a file that must not exist, and on Windows leaves its bytes alone."""


class NewFile:
    """``with NewFile(path) as file: file.write(…); file.keep()``. Without `keep` nothing is left of it.

    Raises:
        InvalidInput: `path` exists.
        LedgerUnusable: it cannot be written, for instance because the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + ".new")
        self._file: BinaryIO | None = None
        self._kept = False

    def __enter__(self) -> Self:
        if self._path.exists():
            raise InvalidInput("file", f"{self._path} exists", "give another name; nothing is overwritten")
        try:
            # Left behind by a process that died; a living one would hold it for this moment only.
            self._unfinished.unlink(missing_ok=True)
            self._file = os.fdopen(os.open(self._unfinished, NEW_FILE, 0o600), "w+b")
        except OSError as error:
            raise unusable(self._path, error) from error
        return self

    def write(self, data: bytes) -> int:
        """Append `data`."""
        return self._open.write(data)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._open.flush()

    def keep(self) -> None:
        """Force it to disk and give it its name."""
        self._open.flush()
        os.fsync(self._open.fileno())
        self._kept = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._open.close()
            if self._kept and error is None:
                self._unfinished.replace(self._path)
                sync_folder(self._path.parent)
        except OSError as failed:
            self._unfinished.unlink(missing_ok=True)
            raise unusable(self._path, failed) from failed
        if not self._kept or error is not None:
            self._unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unusable(self._path, error) from error

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file was not opened")
        return self._file


def sync_folder(folder: Path) -> None:
    """Make sure that a file made in `folder` is still there after a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
