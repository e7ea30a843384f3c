"""A log as static files that any web server can serve and any tlog client can read.

    checkpoint                       the newest signed checkpoint
    tile/<level>/<index>             256 hashes; with .p/<width> while there are fewer
    tile/entries/<index>             the same entries, each as two bytes of length and 32 of SHA-256

Only what is new is written, each file in one step, and the checkpoint last: whatever it covers is there.

Source: C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wattproof.methodology.errors import InvalidInput, LedgerForked, VerificationFailed
from wattproof.resources.ledger.driver import sqlite3, unusable
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.tiling import entry_hashes, subtrees, tile_reader
from wattproof.resources.receipts import consistency_proof, verify_consistency
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint
from wattproof.resources.receipts.note import SignedNote, VerifierKey
from wattproof.resources.receipts.tiles import TILE_WIDTH, Tile, tiles_of

__all__ = ["TileExport", "export"]

_ENTRY_LENGTH = (32).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class TileExport:
    """What was written: `size` entries are covered now, `old_size` were before; `files` counts tiles and bundles."""

    size: int
    old_size: int
    files: int


def export(readers: Readers, log_id: str, note: str, keys: Sequence[VerifierKey], folder: Path) -> TileExport:
    """Bring `folder` to the checkpoint `note`. Blocks: call it in a thread.

    Raises:
        LedgerForked: it holds the checkpoint of another history, or of another log.
        LedgerUnusable: it cannot be written.
    """
    checkpoint = Checkpoint.parse(SignedNote.parse(note).text)
    path = folder / "checkpoint"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old_size = _old_size(readers, log_id, checkpoint, path, keys)
        files = 0
        for tile in tiles_of(checkpoint.size, old_size):
            _write(
                folder / tile.path,
                readers.read(lambda connection, tile=tile: _hashes(connection, log_id, tile), log_id),
            )
            files += 1
            if tile.level == 0:
                bundle = folder / tile.path.replace("tile/0/", "tile/entries/", 1)
                _write(bundle, readers.read(lambda connection, tile=tile: _bundle(connection, log_id, tile), log_id))
                files += 1
        _write(path, note.encode())
    except OSError as error:
        raise unusable(folder, error) from error
    return TileExport(checkpoint.size, old_size, files)


def _old_size(readers: Readers, log_id: str, new: Checkpoint, path: Path, keys: Sequence[VerifierKey]) -> int:
    """The size that the folder was brought to before; 0 for a new one."""
    try:
        note = path.read_text("utf-8")
    except FileNotFoundError:
        return 0
    try:
        old = open_checkpoint(note, keys)
    except VerificationFailed as error:
        raise LedgerForked(f"{path} is not a checkpoint of this log: {error} Give another folder.") from error
    if 0 < old.size <= new.size:
        hashes = readers.read(
            lambda connection: consistency_proof(old.size, new.size, subtrees(connection, log_id)), log_id
        )
        with suppress(VerificationFailed):
            verify_consistency(old.size, new.size, old.root, new.root, hashes)
            return old.size
    if old.size == 0:
        return 0
    raise LedgerForked(
        f"{path} is of {old.size} entries, and this log of {new.size} entries does not extend it. Nothing was written. "
        "`wattproof ledger fsck` says what was changed; to publish this history all the same, give another folder."
    )


def _hashes(connection: sqlite3.Connection, log_id: str, tile: Tile) -> bytes:
    hashes = tile_reader(connection, log_id)(tile.level, tile.index)[: tile.width]
    return b"".join(_whole(hashes, tile))


def _bundle(connection: sqlite3.Connection, log_id: str, tile: Tile) -> bytes:
    start = tile.index * TILE_WIDTH
    entries = _whole(entry_hashes(connection, log_id, start, start + tile.width), tile)
    return b"".join(_ENTRY_LENGTH + entry for entry in entries)


def _whole(hashes: Sequence[bytes], tile: Tile) -> Iterable[bytes]:
    if len(hashes) != tile.width:
        raise InvalidInput("log", f"lacks entries of {tile.path}", "run `wattproof ledger fsck` to see which")
    return hashes


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step, and wait until it is on disk. A full tile makes its partial ones superfluous."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)
