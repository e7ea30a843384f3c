"""A ledger is copied while it is in use, and comes back whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, KeyUnusable, LedgerLocked, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.backup import BackedUp, back_up
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.ledger.restore import Restored, restore

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

Copy = Callable[..., BackedUp]
Bring = Callable[..., Restored]


@pytest.fixture
def copy(home: Path, clock: Clock, tmp_path: Path) -> Copy:
    """Copies `home` to ``copy.tar.gz``."""

    def made(**options: object) -> BackedUp:
        return back_up(home, tmp_path / "copy.tar.gz", clock=clock, **options)  # type: ignore[arg-type]

    return made


@pytest.fixture
def bring(clock: Clock, tmp_path: Path) -> Bring:
    """Restores ``copy.tar.gz`` into ``back``."""

    def brought(**options: object) -> Restored:
        path, into = tmp_path / "copy.tar.gz", tmp_path / "back"
        return restore(path, into, clock=clock, random_bytes=os.urandom, **options)  # type: ignore[arg-type]

    return brought


async def test_a_copy_with_keys_is_a_whole_home(
    open_home: Callable[..., Ledger], drafts: Drafts, copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    async with open_home() as ledger:
        settled = [await drafts.settle(ledger, f"r{number}", tags=("nightly",)) for number in range(3)]
        note = await ledger.log.checkpoint("local")
        head, totals = await ledger.head("local"), await ledger.summary(SummaryQuery("local"))
        made = copy(with_keys=True)
    assert [(each.log_id, each.size, each.root) for each in made.heads] == [("local", *head)]
    restored = bring(signatures=True)
    assert restored.heads == made.heads
    assert restored.private_keys == ("issuer.key", "log.key")
    async with open_home(home=tmp_path / "back") as back:
        assert await back.head("local") == head
        assert await back.summary(SummaryQuery("local")) == totals
        assert [await back.get("local", seq=number) for number in range(3)] == settled
        assert (await back.log.compare("local", note)).verdict == "consistent"
        report = await back.fsck()
        assert report.findings == ()
        assert (await drafts.settle(back, "next")).seq == 3


async def test_private_keys_stay_unless_they_are_asked_for(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path, copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
        await ledger.log.checkpoint("local")
    copy()
    with tarfile.open(tmp_path / "copy.tar.gz") as tar:
        assert sorted(tar.getnames()) == [
            *("backup.json", "keys/jwks.json", "keys/log.jwks.json", "keys/log.vkey", "ledger.sqlite3"),
        ]
    assert (tmp_path / "copy.tar.gz").stat().st_mode & 0o777 == 0o600
    seed = (home / "keys" / "issuer.key").read_bytes()
    assert seed not in gzip.decompress((tmp_path / "copy.tar.gz").read_bytes())
    assert bring().private_keys == ()
    with pytest.raises(KeyUnusable, match=r"issuer\.key"):
        open_home(home=tmp_path / "back")
    for name in ("issuer.key", "log.key"):
        shutil.copy2(home / "keys" / name, tmp_path / "back" / "keys" / name)
    async with open_home(home=tmp_path / "back") as back:
        assert (await back.fsck()).findings == ()


async def test_a_copy_is_of_one_moment_while_others_write(
    open_home: Callable[..., Ledger], drafts: Drafts, copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    async with open_home() as ledger:
        writing = asyncio.gather(*(drafts.settle(ledger, f"r{number}") for number in range(200)))
        made = await asyncio.to_thread(copy, with_keys=True)
        await writing
        assert (await ledger.head("local"))[0] == 200
    size = made.heads[0].size if made.heads else 0
    assert bring().heads == made.heads
    async with open_home(home=tmp_path / "back") as back:
        report = await back.fsck()
    assert (report.entry_count, report.findings) == (size, ())


async def test_an_older_copy_says_that_it_may_contradict_what_was_handed_out(
    open_home: Callable[..., Ledger], drafts: Drafts, copy: Copy, bring: Bring, clock: Clock, tmp_path: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger, "r0")
        copy(with_keys=True)
        await drafts.settle(ledger, "r1")
        later = await ledger.log.checkpoint("local")
    clock.now_s += 3600
    bring()
    async with open_home(home=tmp_path / "back") as back:
        (note,) = (await back.fsck()).notes
        assert note.where == "restored"
        assert note.message.startswith("at 2026-11-22T07:00:00Z from a copy of 2026-11-22T06:00:00Z with 1 entries")
        assert "may contradict it" in note.message
        assert (await back.log.compare("local", later)).verdict == "shorter"
        await drafts.settle(back, "another")
        assert (await back.log.compare("local", later)).verdict == "forked"


async def test_a_folder_names_its_copies_and_nothing_is_overwritten(
    open_home: Callable[..., Ledger], home: Path, clock: Clock, tmp_path: Path
) -> None:
    await open_home().aclose()
    (tmp_path / "copies").mkdir()
    made = back_up(home, tmp_path / "copies", clock=clock)
    assert made.file == str(tmp_path / "copies" / "wattproof-2026-11-22T060000Z.tar.gz")
    with pytest.raises(InvalidInput, match="exists; give another name"):
        back_up(home, tmp_path / "copies", clock=clock)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["wattproof-2026-11-22T060000Z.tar.gz"]


async def test_a_home_that_has_a_ledger_is_not_overwritten(
    open_home: Callable[..., Ledger], drafts: Drafts, copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    await open_home().aclose()
    copy()
    async with open_home(home=tmp_path / "back") as there:
        settled = await drafts.settle(there)
        with pytest.raises(InvalidInput, match="nothing is overwritten"):
            bring()
        assert await there.get("local", seq=0) == settled


async def test_a_home_with_other_keys_is_not_overwritten(
    open_home: Callable[..., Ledger], copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    await open_home().aclose()
    copy(with_keys=True)
    (tmp_path / "back" / "keys").mkdir(parents=True)
    (tmp_path / "back" / "keys" / "issuer.key").write_bytes(b"\x09" * 32)
    with pytest.raises(InvalidInput, match=r"issuer\.key is another one than in the backup"):
        bring()
    assert sorted(path.name for path in (tmp_path / "back").rglob("*")) == ["issuer.key", "keys", "ledger.lock"]


async def test_a_ledger_that_is_not_sound_is_not_restored(
    open_home: Callable[..., Ledger],
    drafts: Drafts,
    tamper: Callable[..., None],
    copy: Copy,
    bring: Bring,
    tmp_path: Path,
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    tamper("UPDATE entry SET project = 'x' WHERE seq = 0")
    copy()
    with pytest.raises(LedgerUnusable, match=r"is not sound: entry 0: .*Nothing was restored"):
        bring()
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["ledger.lock"]


async def test_a_copy_of_an_earlier_version_is_brought_to_this_one(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path, copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    connection = sqlite3.connect(home / "ledger.sqlite3")
    for statement in (
        "DROP TABLE erasure",
        "DROP TABLE archive",
        "DROP TABLE restoration",
        "ALTER TABLE entry DROP COLUMN row_check",
        "DELETE FROM _sqlite_migrations WHERE name >= '0006'",
        "PRAGMA user_version = 5",
    ):
        connection.execute(statement)
    connection.commit()
    connection.close()
    copy(with_keys=True)
    bring()
    async with open_home(home=tmp_path / "back") as back:
        assert (await back.fsck()).findings == ()
        assert (await drafts.settle(back, "next")).seq == 1


async def test_a_simulation_stays_one(
    open_home: Callable[..., Ledger], copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    await open_home(simulation=True).aclose()
    copy(with_keys=True)
    bring()
    with pytest.raises(LedgerUnusable, match="made for simulations"):
        open_home(home=tmp_path / "back")


async def test_what_a_process_that_died_left_behind_is_in_nobodys_way(
    open_home: Callable[..., Ledger], copy: Copy, bring: Bring, tmp_path: Path
) -> None:
    await open_home().aclose()
    for name in ("copy.tar.gz.new", "copy.tar.gz.database"):
        (tmp_path / name).write_text("half")
    (tmp_path / "back" / ".restore" / "keys").mkdir(parents=True)
    (tmp_path / "back" / ".restore" / "ledger.sqlite3").write_text("half")
    copy(with_keys=True)
    bring()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "copy.tar.gz", "home"]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["keys", "ledger.lock", "ledger.sqlite3"]


def test_a_home_without_a_ledger_has_nothing_to_copy(copy: Copy, home: Path) -> None:
    with pytest.raises(LedgerUnusable, match="holds no ledger"):
        copy()
    assert not home.exists()


async def test_a_copy_waits_for_the_lock_and_names_its_holder(
    open_home: Callable[..., Ledger], home: Path, clock: Clock, copy: Copy, tmp_path: Path
) -> None:
    await open_home().aclose()
    lock = FileLock(home / "ledger.lock", clock=clock, timeout_s=1)
    with lock.held(), pytest.raises(LedgerLocked, match=r"waited 0\.05 s"):
        copy(lock_timeout_s=0.05)
    lock.close()
    assert not (tmp_path / "copy.tar.gz").exists()


def _changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The same archive with other members."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}
    change(members)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return made.getvalue()


def _set(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: content})


def _named(name: str) -> Callable[[dict[str, bytes]], None]:
    """A further file that the manifest names too."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["backup.json"])
        manifest["files"][name] = hashlib.sha256(b"x").hexdigest()
        members["backup.json"] = json.dumps(manifest).encode()
        members[name] = b"x"

    return change


def _without(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        del members[name]

    return change


def _head(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["backup.json"])
    manifest["logs"][0]["size"] += 1
    members["backup.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("ledger.sqlite3", b"x"), "ledger.sqlite3 is not what it was"),
        (_set("keys/jwks.json", b"{}"), "keys/jwks.json is not what it was"),
        (_set("keys/../../evil", b"x"), "it holds 'keys/../../evil'"),
        (_named("keys/../../evil"), "it holds 'keys/../../evil'"),
        (_named("/etc/evil"), "it holds '/etc/evil'"),
        (_without("keys/jwks.json"), "keys/jwks.json is missing"),
        (_without("backup.json"), "does not begin with backup.json"),
        (_set("backup.json", b"{}"), "its backup.json is malformed"),
        (_set("backup.json", b'{"schema":"x","files":{},"made_at":"","logs":[]}'), "does not say wattproof-backup/1"),
        (_head, "names other heads than its ledger has"),
    ],
)
async def test_a_backup_that_was_changed_is_refused(
    open_home: Callable[..., Ledger],
    drafts: Drafts,
    copy: Copy,
    bring: Bring,
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    said: str,
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    copy()
    path = tmp_path / "copy.tar.gz"
    path.write_bytes(_changed(path.read_bytes(), change))
    with pytest.raises(InvalidInput, match=said):
        bring()
    assert sorted(path.name for path in tmp_path.rglob("*evil*")) == []
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["ledger.lock"]


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
async def test_a_backup_that_was_cut_short_is_refused(
    open_home: Callable[..., Ledger], drafts: Drafts, copy: Copy, bring: Bring, tmp_path: Path, keep: float
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    copy()
    path = tmp_path / "copy.tar.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(InvalidInput, match="is no backup"):
        bring()
    assert [each.name for each in (tmp_path / "back").iterdir()] == ["ledger.lock"]


def test_a_link_in_a_backup_is_refused(bring: Bring, tmp_path: Path) -> None:
    manifest = b'{"schema":"wattproof-backup/1","made_at":"","logs":[],"kind":"real","files":{"ledger.sqlite3":""}}'
    with tarfile.open(tmp_path / "copy.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("backup.json")
        info.size = len(manifest)
        tar.addfile(info, io.BytesIO(manifest))
        link = tarfile.TarInfo("ledger.sqlite3")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InvalidInput, match=r"it holds 'ledger\.sqlite3'"):
        bring()


def test_a_backup_that_is_not_there_is_named(bring: Bring) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        bring()
