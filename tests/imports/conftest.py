"""Files as programs and providers write them, read by the readers or imported into a ledger of their own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wattproof.resources.imports import FORMATS, ImportReport, ImportRequest, import_usage
from wattproof.resources.imports.files import open_files
from wattproof.resources.imports.records import Notes, UsageRecord
from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.providers import load_catalogue

NOW_S = 1_795_327_200.0  # 2026-11-22T06:00:00Z


@dataclass(frozen=True)
class Read:
    """What a reader made of some files."""

    records: list[UsageRecord]
    notes: Notes

    @property
    def only(self) -> UsageRecord:
        (record,) = self.records
        return record


Reader = Callable[..., Read]
Import = Callable[..., Any]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Writes files below a folder of the test and returns it; logs that nobody writes to any more."""

    def written(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "input"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            os.utime(path, (NOW_S - 86_400, NOW_S - 86_400))
        return folder

    return written


@pytest.fixture
def read(write: Callable[[Mapping[str, str | bytes]], Path]) -> Reader:
    """Reads files of one format."""

    def reading(source: str, now_s: float = NOW_S, **files: str | bytes) -> Read:
        chosen, notes = FORMATS[source], Notes()
        folder = write({name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()})
        found = open_files(folder, chosen.patterns, notes)
        return Read(list(chosen.reader(found, notes, now_s)), notes)

    return reading


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "home", clock=lambda: NOW_S, random_bytes=os.urandom) as opened:
        yield opened


@pytest.fixture
def bring_in(ledger: Ledger) -> Import:
    """Imports a file or folder into the ledger of the test."""

    async def importing(source: str, path: Path, **changed: Any) -> ImportReport:
        into = changed.pop("ledger", ledger)
        fields: dict[str, Any] = {
            "format": FORMATS[source],
            "paths": (path,),
            "log_id": "local",
            "deployments": load_catalogue(),
            "now_s": NOW_S,
            "random_bytes": os.urandom,
        }
        return await import_usage(ImportRequest(**{**fields, **changed}), into)

    return importing
