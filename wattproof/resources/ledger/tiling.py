"""The Merkle tree of a log as rows: full tiles only, made in the transaction that completes them.

The hashes of a partial tile are not stored twice: at level 0 they follow from at most 255 entries, above from the roots
of the full tiles below, which stand in a column of their own, before the hashes, so that a scan of them is short.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.receipts import Frontier, leaf_hash
from wattproof.resources.receipts.merkle import Subtree, node_hash
from wattproof.resources.receipts.tiles import TILE_WIDTH, TileReader, subtree_from_tiles, tile_from_bytes, tree_root

__all__ = ["add_tiles", "entry_hashes", "subtrees", "tile_reader"]

_ENTRIES = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq >= ? AND seq < ? ORDER BY seq"
_ROOTS = "SELECT root FROM tile WHERE log_id = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx"
_TILE = "SELECT hashes FROM tile WHERE log_id = ? AND level = ? AND idx = ?"
_ADD = "INSERT INTO tile VALUES (?, ?, ?, ?, ?)"


def entry_hashes(connection: sqlite3.Connection, log_id: str, start: int, end: int) -> list[bytes]:
    """The entries start … end - 1 of a log, as many as there are: 32 bytes each."""
    return [entry for (entry,) in connection.execute(_ENTRIES, (log_id, start, end))]


def add_tiles(connection: sqlite3.Connection, log_id: str, old_size: int, new_size: int) -> None:
    """Store the tiles that are complete at `new_size` entries and were not at `old_size`; the entries are there.

    A tile that lacks an entry is left out: somebody removed it, and `fsck` says which.
    """
    level, old, new = 0, old_size // TILE_WIDTH, new_size // TILE_WIDTH
    while new > old:
        for index in range(old, new):
            hashes = _nodes(connection, log_id, level, index)
            if len(hashes) == TILE_WIDTH:
                connection.execute(_ADD, (log_id, level, index, tree_root(hashes), b"".join(hashes)))
        level, old, new = level + 1, old // TILE_WIDTH, new // TILE_WIDTH


def tile_reader(connection: sqlite3.Connection, log_id: str) -> TileReader:
    """Reads the tiles of a log, full ones from where they are stored."""

    def read(level: int, index: int) -> Sequence[bytes]:
        row = connection.execute(_TILE, (log_id, level, index)).fetchone()
        return _nodes(connection, log_id, level, index) if row is None else tile_from_bytes(row[0])

    return read


def subtrees(connection: sqlite3.Connection, log_id: str, head: Frontier | None = None) -> Subtree:
    """The root over any range of a log's leaves, from a few tiles; `head` spares those at the right edge."""
    from_tiles = subtree_from_tiles(tile_reader(connection, log_id))
    if head is None:
        return from_tiles
    starts, start = dict[int, int](), 0
    for place, bit in enumerate(bit for bit in range(head.size.bit_length(), -1, -1) if head.size >> bit & 1):
        starts[start] = place
        start += 1 << bit

    def subtree(start: int, end: int) -> bytes:
        place = starts.get(start) if end == head.size else None
        if place is None:
            return from_tiles(start, end)
        *left, node = head.hashes[place:]
        for hashed in reversed(left):
            node = node_hash(hashed, node)
        return node

    return subtree


def _nodes(connection: sqlite3.Connection, log_id: str, level: int, index: int) -> list[bytes]:
    start, end = index * TILE_WIDTH, (index + 1) * TILE_WIDTH
    if level == 0:
        return [leaf_hash(entry) for entry in entry_hashes(connection, log_id, start, end)]
    return [root for (root,) in connection.execute(_ROOTS, (log_id, level - 1, start, end))]
