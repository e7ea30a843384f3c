"""Disk full, read-only, locked, cut off, the clock set back: a clear error, nothing lost, nothing half-written."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import LedgerLocked, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.backup import back_up

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

Child = Callable[..., subprocess.Popen[str]]

DAY_S = 86_400
HERE = Path(__file__).parent


def _outcome(process: subprocess.Popen[str]) -> dict[str, list[str] | str | int]:
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    return json.loads(stdout)


def _require_nothing_lost(outcome: dict[str, list[str] | str | int]) -> None:
    acknowledged = outcome["acknowledged"]
    assert isinstance(acknowledged, list)
    assert len(acknowledged) > 5
    assert outcome["during"] == len(acknowledged) - 1
    assert outcome["kept"] == acknowledged
    assert outcome["findings"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_file_that_may_not_grow_costs_the_request_that_found_out_and_no_other(child: Child, home: Path) -> None:
    outcome = _outcome(child("child_full.py", home, 600_000))
    assert "ledger.sqlite3 cannot be used: disk I/O error. The disk reported an error" in str(outcome["error"])
    _require_nothing_lost(outcome)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a small file system of its own")
def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    run = f"{sys.executable} {HERE / 'child_full.py'} {tmp_path}/home 0 {tmp_path}/filler"
    script = f"{mount} && dd if=/dev/zero of={tmp_path}/filler bs=1k count=900 status=none && {run}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert "The disk is full; free some space." in outcome["error"]
    _require_nothing_lost(outcome)


async def test_no_room_for_a_copy_or_an_archive_leaves_all_as_it_was(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path, clock: Clock, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    async with open_home() as ledger:
        noise = random.Random(1).randbytes(20_000).hex()
        names = [(await drafts.settle(ledger, f"r{n}", decision_json=f'"{noise}"')).receipt_id for n in range(3)]
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, before[1]))
        try:
            with pytest.raises(LedgerUnusable, match=r"old\.gz cannot be used: File too large\. The disk is full"):
                await ledger.keeping.archive("2999-01-01T00:00:00Z", tmp_path / "old.gz")
            with pytest.raises(LedgerUnusable, match=r"copy\.tar\.gz"):
                await asyncio.to_thread(back_up, home, tmp_path / "copy.tar.gz", clock=clock)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert all([await ledger.get_jws(name) for name in names])
        report = await ledger.fsck()
    assert (report.findings, report.notes) == ((), ())
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


_AS_NOBODY = """
import asyncio, os, sys, time
from pathlib import Path
import wattproof.resources.ledger.opening, wattproof.resources.ledger.driver, nacl.signing, sqlite_utils
import concurrent.futures.thread, encodings.ascii
import wattproof.resources.ledger.rotation, wattproof.resources.ledger.keyring
from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger import AttemptDraft, open_ledger

async def main():
    draft = AttemptDraft("local", "r", b"x", "d", time.time() + 60)
    async with open_ledger(Path(sys.argv[1]), clock=time.time, random_bytes=os.urandom) as ledger:
        await ledger.open_attempt(draft)

if os.geteuid() == 0:
    os.setuid(65534)
try:
    asyncio.run(main())
except LedgerUnusable as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs file modes")
async def test_a_database_that_may_not_be_written_is_named_and_left_alone(
    open_home: Callable[..., Ledger], drafts: Drafts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Root may write everywhere, so another user opens it; every folder above must let that user pass.
    home = Path(f"/tmp/wattproof-readonly-file-{tmp_path_factory.getbasetemp().name}-{os.getpid()}")
    try:
        async with open_home(home=home) as ledger:
            await drafts.settle(ledger)
        for path in (home, *home.rglob("*")) if os.geteuid() == 0 else ():
            os.chown(path, 65534, 65534)
        (home / "ledger.sqlite3").chmod(0o444)
        before = (home / "ledger.sqlite3").read_bytes()
        command = [sys.executable, "-c", _AS_NOBODY, str(home)]
        done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
        assert "ledger.sqlite3 cannot be used: attempt to write a readonly database. " in done.stdout, done.stderr
        assert "set WATTPROOF_HOME" in done.stdout
        assert (home / "ledger.sqlite3").read_bytes() == before
    finally:
        shutil.rmtree(home)


async def test_another_program_that_keeps_the_database_is_waited_for_and_then_named(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home(lock_timeout_s=0.1) as ledger:
        await drafts.settle(ledger, "before")
        foreign = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnusable, match=r"database is locked\. Another program has the database open"):
            await drafts.settle(ledger, "during")
        assert (await ledger.head("local"))[0] == 1
        foreign.execute("ROLLBACK")
        foreign.close()
        assert (await drafts.settle(ledger, "during")).seq == 1
        assert (await ledger.fsck()).findings == ()


async def test_a_process_that_keeps_the_lock_stops_copies_and_archives_too(
    child: Child, open_home: Callable[..., Ledger], drafts: Drafts, home: Path, clock: Clock, tmp_path: Path
) -> None:
    async with open_home(lock_timeout_s=0.1) as ledger:
        name = (await drafts.settle(ledger)).receipt_id
        holder = child("child_hold.py", home / "ledger.lock")
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerLocked, match=f"process {holder.pid}"):
            await ledger.keeping.archive("2999-01-01T00:00:00Z", tmp_path / "old.gz")
        with pytest.raises(LedgerLocked, match=f"process {holder.pid}"):
            await ledger.keeping.erase(name, "test")
        with pytest.raises(LedgerLocked, match=f"process {holder.pid}"):
            await asyncio.to_thread(back_up, home, tmp_path / "copy", clock=clock, lock_timeout_s=0.1)
        holder.communicate(timeout=20)
        assert await ledger.get_jws(name) is not None
        assert (await ledger.fsck()).findings == ()


@pytest.mark.parametrize("seed", range(8))
async def test_a_write_ahead_log_that_was_cut_or_damaged_gives_a_whole_earlier_ledger(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path, tmp_path: Path, seed: int
) -> None:
    """What a disk does that lied about its writes, after a power cut: entries may be gone, none is torn."""
    dice, count = random.Random(seed), 12
    async with open_home() as ledger:
        for number in range(count):
            await drafts.settle(ledger, f"r{number}", tags=("nightly",))
        shutil.copytree(home, tmp_path / "cut")
    log = tmp_path / "cut" / "ledger.sqlite3-wal"
    content = bytearray(log.read_bytes())
    assert len(content) > 100_000
    place = dice.randrange(len(content) // 2, len(content))
    if seed % 2:
        content[place : place + 4096] = dice.randbytes(min(4096, len(content) - place))
        log.write_bytes(content)
    else:
        log.write_bytes(content[:place])
    (tmp_path / "cut" / "ledger.sqlite3-shm").unlink()
    async with open_home(home=tmp_path / "cut") as after:
        report = await after.fsck()
        assert report.findings == ()
        assert 0 < report.entry_count <= count
        assert (await drafts.settle(after, "next")).seq == report.entry_count
        assert (await after.fsck()).findings == ()


async def test_a_damaged_page_is_named_and_nothing_is_written_over_it(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        for number in range(20):
            await drafts.settle(ledger, f"r{number}")
    path = home / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'head'").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    damaged = path.read_bytes()
    async with open_home() as ledger:
        with pytest.raises(LedgerUnusable, match=r"malformed\. Restore it from a backup"):
            await drafts.settle(ledger, "next")
        report = await ledger.fsck()
    assert any("malformed" in finding.message for finding in report.findings)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("away_s", [-DAY_S, -60, 400 * DAY_S])
async def test_a_clock_that_jumps_and_comes_back_loses_nothing(
    open_home: Callable[..., Ledger], drafts: Drafts, clock: Clock, away_s: float
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger, "before", tags=("nightly",), operation_id="op")
        clock.now_s += away_s
        await ledger.open_attempt(drafts.attempt("away", lease_expires_at=clock() + 60))
        await drafts.settle(ledger, "during", tags=("nightly",), operation_id="op")
        clock.now_s -= away_s
        await drafts.settle(ledger, "after", tags=("nightly",), operation_id="op")
        report = await ledger.fsck()
        summary = await ledger.summary(SummaryQuery("local"))
    assert (report.entry_count, report.findings) == (3, ())
    assert summary.total.request_count == 3
    back = "entry 1" if away_s < 0 else "entry 2"
    assert [note.where for note in report.notes if "the clock went back" in note.message] == [back]
