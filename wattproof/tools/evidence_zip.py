"""A zip that is the same, byte for byte, whenever its files are: fixed times and modes, hashed as they are written."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from wattproof.methodology.errors import InvalidInput

__all__ = ["EvidenceZip"]

_NO_TIME = (1980, 1, 1, 0, 0, 0)
_ORDINARY = 0o100644 << 16
_MIB = 1 << 20


class EvidenceZip:
    """Writes `path`, which appears when it is whole. `files` lists what was written: name -> SHA-256 and length.

    Raises:
        InvalidInput: the file cannot be written, or would become larger than `most_mib`.
    """

    def __init__(self, path: Path, most_mib: int) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.size = 0
        self._path = path
        self._beside = path.with_name(f".{path.name}.part")
        self._most_mib = most_mib

    def __enter__(self) -> Self:
        with self._told():
            self._file: BinaryIO = self._beside.open("wb")
        self._zip = ZipFile(self._file, "w", ZIP_DEFLATED, allowZip64=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._told():
                    self._zip.close()
                    self.size = self._file.tell()
                    self._file.close()
                    self._beside.replace(self._path)
        finally:
            with suppress(OSError, ValueError):
                self._zip.close()
            self._file.close()
            self._beside.unlink(missing_ok=True)

    @contextmanager
    def stream(self, name: str) -> Generator[Callable[[str], None]]:
        """Takes the pieces of a text file in order."""
        digest, length = sha256(), 0
        info = ZipInfo(name, _NO_TIME)
        info.compress_type, info.external_attr, info.create_system = ZIP_DEFLATED, _ORDINARY, 3
        with self._zip.open(info, "w", force_zip64=True) as member:

            def write(piece: str) -> None:
                nonlocal length
                data = piece.encode()
                digest.update(data)
                length += len(data)
                with self._told():
                    member.write(data)
                if self._file.tell() > self._most_mib * _MIB:
                    fix = "take a shorter period, give --sample, or raise --max-mib"
                    raise InvalidInput("--output", f"would be larger than {self._most_mib:,} MiB", fix)

            yield write
        self.files[name] = {"sha256": digest.hexdigest(), "bytes": length}

    def add(self, name: str, text: str) -> None:
        """A whole text file."""
        with self.stream(name) as write:
            write(text)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            problem = f"{self._path} cannot be written ({error.strerror})"
            raise InvalidInput("--output", problem, "give another file") from error
