"""A ledger on disk, a clock that tests set, and entries to put in it."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattproof.resources.ledger import AttemptDraft, EntryDraft, Ledger, PayloadBuilder, Settled, open_ledger

HERE = Path(__file__).parent
START_S = 1_795_327_200.0  # 2026-11-22T06:00:00Z


@dataclass
class Clock:
    """Unix seconds that stand still until a test moves them."""

    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class Drafts:
    """Makers of what goes into a ledger; see drafts.py."""

    draft: Callable[..., EntryDraft]
    payload: Callable[[EntryDraft], PayloadBuilder]
    attempt: Callable[..., AttemptDraft]

    async def settle(self, ledger: Ledger, request_id: str | None = "r1", **changed: Any) -> Settled:
        """Append one entry."""
        entry = self.draft(request_id, **changed)
        return await ledger.settle(entry, self.payload(entry))


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ledger_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def drafts() -> Drafts:
    module = _load("drafts")
    return Drafts(module.draft, module.payload, module.attempt)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def open_home(home: Path, clock: Clock) -> Callable[..., Ledger]:
    """Opens the ledger in `home`; close it with `async with`."""

    def opened(**options: Any) -> Ledger:
        return open_ledger(options.pop("home", home), clock=clock, random_bytes=os.urandom, **options)

    return opened


@pytest.fixture
async def ledger(open_home: Callable[..., Ledger]) -> AsyncIterator[Ledger]:
    async with open_home() as opened:
        yield opened


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script of this folder as a process; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def tamper(home: Path) -> Callable[..., None]:
    """Runs SQL on the closed database as someone would who wants to change it, guards removed."""

    def run(*statements: str) -> None:
        with _connection(home / "ledger.sqlite3") as connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, statement
            connection.commit()

    return run


@contextmanager
def _connection(path: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()
