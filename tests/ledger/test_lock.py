"""One process writes at a time, and whoever waits in vain is told who holds the lock."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import LedgerLocked, LedgerUnusable
from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.lock import LOCKED_BYTE, FileLock, WindowsLocks

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


class Runtime:
    """Windows' C runtime as Microsoft documents `_locking`: mandatory locks on ranges of bytes, by open file."""

    LK_UNLCK = 0
    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: dict[int, int] = {}

    def locking(self, fd: int, mode: int, nbytes: int, /) -> None:
        assert nbytes == 1
        place = os.lseek(fd, 0, os.SEEK_CUR)
        holder = next((other for other, byte in self.held.items() if byte == place), None)
        if mode == self.LK_UNLCK:
            if holder != fd:
                raise PermissionError(errno.EACCES, "Permission denied")
            del self.held[fd]
        else:
            assert mode == self.LK_NBLCK
            if holder is not None:
                raise PermissionError(errno.EACCES, "Permission denied")
            self.held[fd] = place


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Callable[[], FileLock]]:
    """Opens the lock of one file as Windows would, in as many processes as it is called."""
    runtime, opened = Runtime(), list[FileLock]()

    def open_one() -> FileLock:
        locks = WindowsLocks(runtime)
        opened.append(FileLock(tmp_path / "ledger.lock", clock=lambda: 0.0, timeout_s=0.02, locks=locks))
        return opened[-1]

    yield open_one
    assert runtime.held == {}
    for lock in opened:
        lock.close()


def test_on_windows_one_holds_the_lock_and_the_other_is_told_who(windows: Callable[[], FileLock]) -> None:
    mine, theirs = windows(), windows()
    told = pytest.raises(LedgerLocked, match=rf"held by process {os.getpid()} on .* since 1970-01-01")
    with mine.held(), told, theirs.held():
        pytest.fail("both hold it")
    with theirs.held():
        pass


def test_on_windows_the_holders_name_is_not_in_the_locked_range(
    windows: Callable[[], FileLock], tmp_path: Path
) -> None:
    with windows().held():
        assert 0 < (tmp_path / "ledger.lock").stat().st_size <= LOCKED_BYTE


def test_a_file_system_without_locks_is_named(tmp_path: Path) -> None:
    class NoLocks(Runtime):
        def locking(self, fd: int, mode: int, nbytes: int, /) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

    lock = FileLock(tmp_path / "lock", clock=lambda: 0.0, timeout_s=0.02, locks=WindowsLocks(NoLocks()))
    with pytest.raises(LedgerUnusable, match="lock cannot be used: No locks available"), lock.held():
        pytest.fail("there is no lock to hold")
    lock.close()


def test_the_locks_of_this_system_exclude_another_open_file(tmp_path: Path) -> None:
    one, other = (FileLock(tmp_path / "lock", clock=lambda: 0.0, timeout_s=0.02) for _ in range(2))
    with one.held(), pytest.raises(LedgerLocked), other.held():
        pytest.fail("both hold it")
    with other.held():
        pass
    one.close()
    other.close()


class Kernel:
    """Locks of one open file. Another process holds them until `freed`; who queues gets them when `woken`."""

    def __init__(self) -> None:
        self.freed, self.woken = threading.Event(), threading.Event()
        self.inside, self.let_go = threading.Event(), threading.Event()
        self.stolen = False

    def acquire(self, descriptor: int) -> None:
        if not self.freed.is_set():
            raise BlockingIOError

    def wait(self, descriptor: int) -> None:
        self.woken.wait()

    def release(self, descriptor: int) -> None:
        self.stolen = self.stolen or (self.inside.is_set() and threading.current_thread().name != "holder")
        self.let_go.set()


def test_a_wait_that_was_given_up_does_not_let_go_of_the_lock_of_the_next(tmp_path: Path) -> None:
    kernel = Kernel()
    lock = FileLock(tmp_path / "lock", clock=lambda: 0.0, timeout_s=0.02, locks=kernel)
    with pytest.raises(LedgerLocked), lock.held():
        pytest.fail("another process holds it")
    kernel.freed.set()
    leave = threading.Event()

    def hold() -> None:
        with suppress(LedgerLocked), lock.held():
            kernel.inside.set()
            leave.wait(5)
            kernel.inside.clear()

    holder = threading.Thread(target=hold, name="holder")
    holder.start()
    kernel.inside.wait(0.2)  # who overtakes the wait is inside now; who joins it is not
    kernel.woken.set()
    kernel.let_go.wait(0.2)
    leave.set()
    holder.join()
    lock.close()
    assert not kernel.stolen


def test_waiting_takes_its_turn_behind_those_who_asked_before(child: Child, tmp_path: Path) -> None:
    holder = child("child_hold.py", tmp_path / "lock")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = FileLock(tmp_path / "lock", clock=lambda: 0.0, timeout_s=20)
    ending = threading.Timer(0.05, holder.kill)
    ending.start()
    with lock.held():
        ending.join()
        assert holder.wait(timeout=20) != 0
    lock.close()
