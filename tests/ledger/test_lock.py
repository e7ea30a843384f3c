"""One process writes at a time, and whoever waits in vain is told who holds the lock."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import LedgerLocked
from wattproof.resources.ledger import Ledger

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

Child = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(child: Child, home: Path) -> Callable[[], subprocess.Popen[str]]:
    """A process that holds the lock of `home` until its stdin is closed."""

    def start() -> subprocess.Popen[str]:
        home.mkdir(exist_ok=True)
        process = child("child_hold.py", home / "ledger.lock")
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    return start


async def test_a_held_lock_names_its_holder(
    hold: Callable[[], subprocess.Popen[str]], open_home: Callable[..., Ledger]
) -> None:
    process = hold()
    with pytest.raises(
        LedgerLocked, match=rf"ledger\.lock is held by process {process.pid} on .* since 20.*waited 0.2 s"
    ):
        open_home(lock_timeout_s=0.2)


async def test_a_write_under_a_held_lock_writes_nothing_and_works_afterwards(
    hold: Callable[[], subprocess.Popen[str]], open_home: Callable[..., Ledger], drafts: Drafts
) -> None:
    async with open_home(lock_timeout_s=0.2) as ledger:
        process = hold()
        with pytest.raises(LedgerLocked, match=f"process {process.pid}"):
            await drafts.settle(ledger, "r1")
        assert (await ledger.head("local"))[0] == 0
        process.communicate(timeout=20)
        assert (await drafts.settle(ledger, "r1")).seq == 0


async def test_reading_does_not_wait_for_the_lock(
    hold: Callable[[], subprocess.Popen[str]], ledger: Ledger, drafts: Drafts
) -> None:
    settled = await drafts.settle(ledger)
    process = hold()
    assert await ledger.get("local", seq=0) == settled
    process.communicate(timeout=20)


async def test_closing_under_a_held_lock_gives_up_and_loses_nothing(
    hold: Callable[[], subprocess.Popen[str]], open_home: Callable[..., Ledger], drafts: Drafts
) -> None:
    ledger = open_home(lock_timeout_s=0.2)
    settled = await drafts.settle(ledger)
    process = hold()
    await ledger.aclose()
    process.communicate(timeout=20)
    async with open_home() as again:
        assert await again.get("local", seq=0) == settled


async def test_the_lock_of_a_killed_process_is_free(
    hold: Callable[[], subprocess.Popen[str]], open_home: Callable[..., Ledger]
) -> None:
    hold().kill()
    await open_home().aclose()
