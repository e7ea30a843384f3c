"""Whoever changes the history is found: by fsck, which says where, and by anyone who kept an older checkpoint."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.ledger import Ledger
from wattproof.resources.receipts import Frontier, Issuer, leaf_hash
from wattproof.resources.receipts.checkpoint import Checkpoint, sign_checkpoint

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

Opened = Callable[..., Ledger]
Edit = Callable[[list[int], int], list[int]]
Tamper = Callable[..., None]
COUNT = 9
NEW = -1


def drop(order: list[int], at: int) -> list[int]:
    return order[:at] + order[at + 1 :]


def insert(order: list[int], at: int) -> list[int]:
    return [*order[:at], NEW, *order[at:]]


def swap_with_the_next(order: list[int], at: int) -> list[int]:
    return [*order[:at], order[at + 1], order[at], *order[at + 2 :]]


def replace(order: list[int], at: int) -> list[int]:
    return [*order[:at], NEW, *order[at + 1 :]]


EDITS: tuple[Edit, ...] = (drop, insert, swap_with_the_next, replace)


@contextmanager
def database(home: Path) -> Generator[sqlite3.Connection]:
    """The closed ledger's database with its guards removed."""
    connection = sqlite3.connect(home / "ledger.sqlite3")
    try:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()
    finally:
        connection.close()


def rewrite(home: Path, edit: Edit, at: int) -> None:
    """Change the history as someone would who knows the tables: entries, receipts and head agree afterwards."""
    with database(home) as connection:
        old = [seq for (seq,) in connection.execute("SELECT seq FROM entry ORDER BY seq")]
        columns = [row[1] for row in connection.execute("PRAGMA table_info(entry)")]
        rows = {seq: list(connection.execute("SELECT * FROM entry WHERE seq = ?", (seq,)).fetchone()) for seq in old}
        receipts = dict(connection.execute("SELECT seq, jws FROM receipt"))
        rows[NEW] = list(rows[old[0]])
        for name, value in (("request_id", "new"), ("receipt_id", "r_new"), ("entry_hash", sha256(b"new").digest())):
            rows[NEW][columns.index(name)] = value
        receipts[NEW] = "new"
        connection.execute("DELETE FROM entry")
        connection.execute("DELETE FROM receipt")
        frontier = Frontier()
        for seq, name in enumerate(edit(old, at)):
            row = rows[name]
            row[columns.index("seq")] = seq
            connection.execute(f"INSERT INTO entry VALUES ({', '.join('?' * len(row))})", row)
            connection.execute("INSERT INTO receipt VALUES ('local', ?, ?)", (seq, receipts[name]))
            frontier = frontier.append(leaf_hash(row[columns.index("entry_hash")]))
        connection.execute("UPDATE head SET size = ?, frontier = ?", (frontier.size, frontier.to_bytes()))


@pytest.fixture
async def kept(open_home: Opened, drafts: Drafts) -> str:
    """The checkpoint of a log of nine entries that an auditor kept; two more entries came since."""
    async with open_home() as ledger:
        for number in range(COUNT):
            await drafts.settle(ledger, f"r{number}")
        note = await ledger.log.checkpoint("local")
        for number in range(COUNT, COUNT + 2):
            await drafts.settle(ledger, f"r{number}")
        return note


async def test_a_log_that_only_grew_extends_the_older_checkpoint(open_home: Opened, kept: str) -> None:
    async with open_home() as ledger:
        found = await ledger.log.compare("local", kept)
        assert (found.verdict, found.old.size, found.entry_count) == ("consistent", COUNT, COUNT + 2)
        assert found.root == (await ledger.head("local"))[1]


@pytest.mark.parametrize("edit", EDITS)
async def test_any_row_that_was_changed_contradicts_the_older_checkpoint(
    open_home: Opened, kept: str, home: Path, tmp_path: Path, edit: Edit
) -> None:
    for at in range(COUNT):
        copy = Path(shutil.copytree(home, tmp_path / f"{at}"))
        rewrite(copy, edit, at)
        async with open_home(home=copy) as ledger:
            assert (await ledger.log.compare("local", kept)).verdict == "forked", at
            found = [finding.where for finding in (await ledger.fsck(signatures=False)).findings]
            assert f"checkpoint of {COUNT}" in found, at


async def test_entries_cut_off_make_the_log_shorter_than_the_older_checkpoint(
    open_home: Opened, kept: str, home: Path
) -> None:
    for _ in range(3):
        rewrite(home, drop, COUNT - 1)
    async with open_home() as ledger:
        found = await ledger.log.compare("local", kept)
        assert (found.verdict, found.entry_count) == ("shorter", COUNT - 1)
        messages = {f.where: f.message for f in (await ledger.fsck(signatures=False)).findings}
        assert messages[f"checkpoint of {COUNT}"] == "8 of the 9 entries that it covers are there"


async def test_a_log_that_forgot_its_checkpoints_too_is_still_found_by_the_auditor(
    open_home: Opened, kept: str, home: Path
) -> None:
    rewrite(home, swap_with_the_next, 4)
    with database(home) as connection:
        connection.execute("DELETE FROM checkpoint")
    async with open_home() as ledger:
        await ledger.log.checkpoint("local")
        assert (await ledger.log.compare("local", kept)).verdict == "forked"


async def test_fsck_says_between_which_checkpoints_the_history_was_changed(
    open_home: Opened, drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        for number in range(6):
            await drafts.settle(ledger, f"r{number}")
            if number % 2:
                await ledger.log.checkpoint("local")
    rewrite(home, replace, 4)
    async with open_home() as ledger:
        (found,) = (f for f in (await ledger.fsck(signatures=False)).findings if f.where.startswith("checkpoint"))
    assert found.where == "checkpoint of 6"
    assert found.message.endswith("The one of 4 holds: look at what came after.")


async def test_a_checkpoint_of_another_log_is_no_evidence(open_home: Opened, drafts: Drafts, kept: str) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger, log_id="other")
        with pytest.raises(InvalidInput, match=r"checkpoint is of the log 'wattproof\.local/local'"):
            await ledger.log.compare("other", kept)


async def test_a_checkpoint_that_a_stranger_signed_is_no_evidence(open_home: Opened, kept: str) -> None:
    forged = sign_checkpoint(Checkpoint("wattproof.local/local", 3, bytes(32)), [Issuer(b"\x09" * 32)])
    async with open_home() as ledger:
        for note in (forged, kept.replace("\n9\n", "\n8\n"), "nothing"):
            with pytest.raises(VerificationFailed):
                await ledger.log.compare("local", note)


@pytest.fixture
async def tiled(open_home: Opened, drafts: Drafts) -> None:
    """A closed home with a log of 600 entries."""
    async with open_home() as ledger:
        await asyncio.gather(*(drafts.settle(ledger, f"r{number}") for number in range(600)))
        await ledger.log.checkpoint("local")


async def findings(open_home: Opened) -> dict[str, str]:
    async with open_home() as ledger:
        return {finding.where: finding.message for finding in (await ledger.fsck(signatures=False)).findings}


@pytest.mark.usefixtures("tiled")
async def test_a_log_of_many_tiles_is_sound(open_home: Opened) -> None:
    assert await findings(open_home) == {}


@pytest.mark.usefixtures("tiled")
async def test_fsck_names_the_leaves_that_were_changed(open_home: Opened, tamper: Tamper) -> None:
    tamper("UPDATE entry SET entry_hash = zeroblob(32) WHERE seq IN (3, 300, 301)")
    found = await findings(open_home)
    assert found["tile 0/0"] == "holds other leaves than entry 3 now have"
    assert found["tile 0/1"] == "holds other leaves than entries 300-301 now have"
    assert set(found) >= {"entry 3", "entry 300", "entry 301", "checkpoint of 600", "head"}


@pytest.mark.usefixtures("tiled")
async def test_fsck_names_the_leaves_that_are_gone(open_home: Opened, tamper: Tamper) -> None:
    tamper("DELETE FROM entry WHERE seq IN (7, 9)")
    found = await findings(open_home)
    assert found["tile 0/0"] == "holds the leaves of entries 7, 9, which are gone"
    assert found["checkpoint of 600"] == "598 of the 600 entries that it covers are there"


@pytest.mark.usefixtures("tiled")
async def test_fsck_finds_a_tile_that_is_gone(open_home: Opened, tamper: Tamper) -> None:
    tamper("DELETE FROM tile WHERE idx = 1")
    assert await findings(open_home) == {"tile 0/1": "missing, though its entries are there"}


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("place", [(0, 2), (0, 77), (1, 0)])
async def test_fsck_finds_a_tile_that_nothing_fills(open_home: Opened, tamper: Tamper, place: tuple[int, int]) -> None:
    level, index = place
    tamper(f"INSERT INTO tile SELECT log_id, {level}, {index}, root, hashes FROM tile WHERE idx = 0")
    found = await findings(open_home)
    assert list(found) == [f"tile {level}/{index}"]


@pytest.mark.usefixtures("tiled")
async def test_fsck_finds_a_wrong_root_of_a_tile(open_home: Opened, tamper: Tamper) -> None:
    tamper("UPDATE tile SET root = zeroblob(32) WHERE idx = 0")
    found = await findings(open_home)
    assert found["tile 0/0"].startswith(f"root is {'00' * 32}; its leaves give ")


@pytest.mark.usefixtures("tiled")
async def test_fsck_finds_a_whole_tile_of_entries_that_is_gone(open_home: Opened, tamper: Tamper) -> None:
    tamper("DELETE FROM entry WHERE seq BETWEEN 256 AND 511")
    found = await findings(open_home)
    assert found["entries 256-511"] == "missing"
    assert found["tile 0/1"] == "exists, though not all of its entries do"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("note = replace(note, 'local/local', 'local/other')", "its note fails"),
        ("note = 'no note'", "its note fails: This is not a signed note"),
        ("root = zeroblob(32)", "its note states 9 entries under "),
        ("root = zeroblob(32)", "its root is 0000"),
    ],
)
async def test_fsck_finds_a_checkpoint_that_was_changed(
    open_home: Opened, kept: str, tamper: Tamper, change: str, message: str
) -> None:
    assert kept
    tamper(f"UPDATE checkpoint SET {change}")
    async with open_home() as ledger:
        found = (await ledger.fsck()).findings
    assert {finding.where for finding in found} == {"checkpoint of 9"}
    assert any(finding.message.startswith(message) for finding in found)


async def test_fsck_finds_a_checkpoint_of_a_size_that_never_was(open_home: Opened, kept: str, tamper: Tamper) -> None:
    assert kept
    tamper("UPDATE checkpoint SET size = 500")
    async with open_home() as ledger:
        found = [finding.message for finding in (await ledger.fsck()).findings]
    assert found[0].startswith("its note states 9 entries under ")
    assert found[1:] == ["11 of the 500 entries that it covers are there"]


async def test_what_only_a_signature_shows_is_found_with_signatures(
    open_home: Opened, kept: str, tamper: Tamper
) -> None:
    assert kept
    tamper("UPDATE entry SET latency_ms = latency_ms, zone = 'NO' WHERE seq = 0", "UPDATE dimension SET zone = 'NO'")
    async with open_home() as ledger:
        assert any(f.where == "entry 0" and f.message.startswith("zone is") for f in (await ledger.fsck()).findings)
