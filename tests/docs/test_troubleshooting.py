"""The messages of docs/troubleshooting.md that no command provokes at will, provoked here; the others are replayed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.docs.replay import ROOT, as_expected
from wattproof.methodology.errors import LedgerLocked
from wattproof.resources.ledger import driver
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.providers import embedded_parts

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.*)\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE))
MESSAGE = re.compile(r"^```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
WITHOUT = {
    "The first start by uvx takes long",
    "A figure is null",
    "Every run is recorded slowly",
    "fsck says that something differs",
    "None of these",
}
"""Symptoms that have no message of ours."""


def locked(folder: Path, _: pytest.MonkeyPatch) -> str:
    path = folder / "ledger.lock"
    with (
        FileLock(path, clock=time.time, timeout_s=1).held(),
        pytest.raises(LedgerLocked) as refused,
        FileLock(path, clock=time.time, timeout_s=0.05).held(),
    ):
        pass
    return str(refused.value)


def old_sqlite(_: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(driver.sqlite3, "sqlite_version_info", (3, 40, 1))
    return driver.sqlite_note() or ""


def embedded(_: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Without its library, on Debian; then without its wheel."""
    installed = {"xllamacpp": object()}

    def found(name: str) -> object:
        return installed.get(name)

    def located(_: Mapping[str, str]) -> Path:
        return Path("model.gguf")

    def debian() -> Mapping[str, str]:
        return {"ID": "debian"}

    monkeypatch.setattr(embedded_parts, "find_spec", found)
    monkeypatch.setattr(embedded_parts, "_locate", located)
    monkeypatch.setattr(embedded_parts, "_libgomp_loads", bool)
    monkeypatch.setattr(embedded_parts, "_os_release", debian)
    monkeypatch.setattr(embedded_parts.sys, "platform", "linux")
    statuses = [embedded_parts.embedded_status({})]
    installed.clear()
    statuses.append(embedded_parts.embedded_status({}))
    return "\n".join(f"{status.reason}; {status.fix}" for status in statuses)


PROVOKED: Mapping[str, Callable[[Path, pytest.MonkeyPatch], str]] = {
    "The ledger is locked": locked,
    "doctor warns of SQLite": old_sqlite,
    "The embedded model does not start": embedded,
}


@pytest.mark.parametrize("symptom", PROVOKED)
def test_the_message_of_a_symptom_is_the_one_that_is_shown(
    symptom: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = PROVOKED[symptom](tmp_path, monkeypatch)

    assert as_expected(said, MESSAGE.findall(SECTIONS[symptom])[0]), said


@pytest.mark.parametrize("symptom", SECTIONS)
def test_every_symptom_has_a_message_that_is_provoked(symptom: str) -> None:
    shown = "```console" in SECTIONS[symptom] or symptom in PROVOKED

    assert shown != (symptom in WITHOUT)
