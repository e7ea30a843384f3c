"""Tiles as rows and as files: what the specification says is where it says, and only what is new is written."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import LedgerForked, LedgerUnusable
from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.tiling import add_tiles, subtrees, tile_reader
from wattproof.resources.receipts import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from wattproof.resources.receipts.checkpoint import open_checkpoint
from wattproof.resources.receipts.tiles import Tile, subtree_from_tiles, tile_from_bytes, tiles_of

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

COUNT = 66_000
ENTRIES = [sha256(str(number).encode()).digest() for number in range(COUNT)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def bare(sizes: list[int]) -> sqlite3.Connection:
    """The two tables that tiling reads and writes, grown to each of `sizes` in turn."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE TABLE entry (log_id, seq, entry_hash, PRIMARY KEY (log_id, seq)) WITHOUT ROWID")
    connection.execute("CREATE TABLE tile (log_id, level, idx, root, hashes, PRIMARY KEY (log_id, level, idx))")
    for old, new in zip([0, *sizes], sizes, strict=False):
        rows = [("log", seq, ENTRIES[seq]) for seq in range(old, new)]
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
        add_tiles(connection, "log", old, new)
    return connection


@pytest.fixture(scope="module")
def large() -> sqlite3.Connection:
    return bare([COUNT])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_proofs_from_tiles_hold_at_any_size(large: sqlite3.Connection, data: st.DataObject) -> None:
    new = data.draw(st.one_of(st.integers(1, COUNT), st.sampled_from([256, 65_535, 65_536, 65_537, COUNT])))
    old = data.draw(st.integers(1, new))
    index = data.draw(st.integers(0, new - 1))
    roots = {size: Frontier().extend(LEAVES[:size]).root() for size in (old, new)}
    path = inclusion_proof(index, new, subtrees(large, "log"))
    verify_inclusion(LEAVES[index], index, new, path, roots[new])
    path = consistency_proof(old, new, subtrees(large, "log"))
    verify_consistency(old, new, roots[old], roots[new], path)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6, unique=True).map(sorted))
def test_tiles_do_not_depend_on_how_a_log_grew(sizes: list[int]) -> None:
    grown, at_once = bare(sizes), bare(sizes[-1:])
    everything = "SELECT * FROM tile ORDER BY level, idx"
    assert grown.execute(everything).fetchall() == at_once.execute(everything).fetchall()


def test_a_tile_one_level_up_holds_the_roots_of_the_tiles_below(large: sqlite3.Connection) -> None:
    read = tile_reader(large, "log")
    assert len(read(1, 0)) == 256
    assert read(1, 0)[3] == Frontier().extend(read(0, 3)).root()
    assert len(read(1, 1)) == COUNT // 256 - 256
    assert len(read(0, COUNT // 256)) == COUNT % 256


def test_a_proof_reads_a_few_tiles(large: sqlite3.Connection) -> None:
    asked: list[tuple[int, int]] = []
    read = tile_reader(large, "log")

    def counted(level: int, index: int) -> object:
        asked.append((level, index))
        return read(level, index)

    inclusion_proof(12_345, COUNT, subtree_from_tiles(counted))  # pyright: ignore[reportArgumentType]
    assert len(asked) <= 6


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def fill(ledger: Ledger, drafts: Drafts, count: int, first: int = 0) -> None:
    await asyncio.gather(*(drafts.settle(ledger, f"r{number}") for number in range(first, first + count)))


async def test_an_export_has_every_tile_bundle_and_the_checkpoint(
    ledger: Ledger, drafts: Drafts, tmp_path: Path
) -> None:
    await fill(ledger, drafts, 300)
    done = await ledger.log.tiles("local", tmp_path / "public")
    written = files(tmp_path / "public")
    assert (done.size, done.old_size, done.files) == (300, 0, 5)
    assert sorted(written) == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ]
    assert written["checkpoint"].decode() == await ledger.log.checkpoint("local")
    bundles = written["tile/entries/000"] + written["tile/entries/001.p/44"]
    assert len(bundles) == 300 * 34
    entries = [bundles[at + 2 : at + 34] for at in range(0, len(bundles), 34)]
    assert bundles[:2] == b"\x00\x20"
    leaves = tile_from_bytes(written["tile/0/000"]) + tile_from_bytes(written["tile/0/001.p/44"])
    assert tuple(leaf_hash(entry) for entry in entries) == leaves
    settled = await ledger.get("local", seq=299)
    assert settled is not None
    assert entries[299] == settled.entry_hash


async def test_a_reader_of_the_files_alone_finds_the_signed_root(
    ledger: Ledger, drafts: Drafts, tmp_path: Path
) -> None:
    await fill(ledger, drafts, 300)
    await ledger.log.tiles("local", tmp_path)
    checkpoint = open_checkpoint((tmp_path / "checkpoint").read_text(), ledger.log.vkeys("local"))

    def read(level: int, index: int) -> tuple[bytes, ...]:
        (tile,) = (t for t in tiles_of(checkpoint.size) if (t.level, t.index) == (level, index))
        return tile_from_bytes((tmp_path / tile.path).read_bytes())

    assert subtree_from_tiles(read)(0, checkpoint.size) == checkpoint.root


async def test_only_what_is_new_is_written(ledger: Ledger, drafts: Drafts, tmp_path: Path) -> None:
    await fill(ledger, drafts, 300)
    await ledger.log.tiles("local", tmp_path)
    kept = (tmp_path / "tile/0/000").stat().st_mtime_ns
    assert (await ledger.log.tiles("local", tmp_path)).files == 0
    await fill(ledger, drafts, 220, first=300)
    done = await ledger.log.tiles("local", tmp_path)
    assert (done.size, done.old_size) == (520, 300)
    assert (tmp_path / "tile/0/000").stat().st_mtime_ns == kept
    # A full tile takes the place of its partial ones.
    assert sorted(name for name in files(tmp_path) if "/0/" in name or "entries" in name) == [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/8",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/8",
    ]


async def test_a_folder_of_another_history_is_left_alone(
    open_home: Callable[..., Ledger], drafts: Drafts, tmp_path: Path, home: Path
) -> None:
    async with open_home() as ledger:
        await fill(ledger, drafts, 3)
        await ledger.log.tiles("local", tmp_path / "public")
    before = files(tmp_path / "public")
    # The same keys, and another history of the same log.
    (home / "ledger.sqlite3").unlink()
    (home / "keys").rename(tmp_path / "kept")
    async with open_home() as ledger:
        await drafts.settle(ledger, "x")
    for name in ("log.key", "log.jwks.json"):
        (home / "keys" / name).write_bytes((tmp_path / "kept" / name).read_bytes())
    async with open_home() as ledger:
        for count in (0, 4):
            await fill(ledger, drafts, count, first=100)
            with pytest.raises(LedgerForked, match=r"does not extend it\. Nothing was written"):
                await ledger.log.tiles("local", tmp_path / "public")
    assert files(tmp_path / "public") == before


async def test_a_folder_of_another_log_is_left_alone(ledger: Ledger, drafts: Drafts, tmp_path: Path) -> None:
    for log_id in ("one", "two"):
        await drafts.settle(ledger, log_id=log_id)
    await ledger.log.tiles("one", tmp_path / "public")
    before = files(tmp_path / "public")
    with pytest.raises(LedgerForked, match=r"is not a checkpoint of this log.*Give another folder"):
        await ledger.log.tiles("two", tmp_path / "public")
    assert files(tmp_path / "public") == before


async def test_a_folder_goes_on_after_its_key_was_revoked(ledger: Ledger, drafts: Drafts, tmp_path: Path) -> None:
    await drafts.settle(ledger)
    await ledger.log.tiles("local", tmp_path / "public")
    rotated = await ledger.log.rotate_log_key()
    await ledger.log.revoke(rotated.old_kid)
    assert (await ledger.log.tiles("local", tmp_path / "public")).old_size == 1


async def test_a_folder_that_cannot_be_written_is_named(ledger: Ledger, drafts: Drafts, tmp_path: Path) -> None:
    await drafts.settle(ledger)
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerUnusable, match="file/public"):
        await ledger.log.tiles("local", tmp_path / "file" / "public")


def test_the_examples_of_the_specification() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert base64.b64encode(Frontier().root()) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
