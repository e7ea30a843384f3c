"""The Merkle tree as tiles of 256 hashes: what a log publishes as static files, and what makes proofs cheap.

A tile at level 0 holds leaf hashes, one at level l the roots of full tiles of level l - 1. A proof in a log of a
million entries reads half a dozen tiles instead of a million leaves.

Source: C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.receipts.merkle import EMPTY_ROOT, HASH_BYTES, node_hash

__all__ = ["TILE_WIDTH", "Tile", "TileReader", "subtree_from_tiles", "tile_from_bytes", "tiles_of", "tree_root"]

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class Tile:
    """The place of one tile. `width` is 256 unless it is the last, partial one of its level."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """`tile/<level>/<index in groups of three digits>`, with `.p/<width>` where it is partial."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"tile/{self.level}/{number}" + ("" if self.width == TILE_WIDTH else f".p/{self.width}")


TileReader = Callable[[int, int], Sequence[bytes]]
"""(level, index) -> the hashes of that tile, as many as there are."""


def tiles_of(size: int, old_size: int = 0) -> Iterator[Tile]:
    """Every tile of a tree of `size` entries that a tree of `old_size` did not have, level by level."""
    if not 0 <= old_size <= size:
        raise InvalidInput("old_size", f"is {old_size}", f"give a size from 0 to {size}")
    level = 0
    while size > 0:
        full, partial = divmod(size, TILE_WIDTH)
        for index in range(old_size // TILE_WIDTH, full):
            yield Tile(level, index)
        if partial and size != old_size:
            yield Tile(level, full, partial)
        size, old_size, level = full, old_size // TILE_WIDTH, level + 1


def tile_from_bytes(data: bytes) -> tuple[bytes, ...]:
    """The hashes in the bytes of a tile.

    Raises:
        InvalidInput: it does not hold 1 to 256 whole hashes.
    """
    if not data or len(data) % HASH_BYTES or len(data) > TILE_WIDTH * HASH_BYTES:
        raise InvalidInput("tile", f"has {len(data)} bytes", "give 1 to 256 hashes of 32 bytes")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over these nodes of one level; of none, SHA-256 of nothing."""
    nodes = hashes
    while len(nodes) > 1:
        # Without `node_hash`: this is where a proof spends its time. A node without a neighbour moves up as it is.
        above = [sha256(b"\x01" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=False)]
        nodes = above if len(nodes) % 2 == 0 else [*above, nodes[-1]]
    return nodes[0] if nodes else EMPTY_ROOT


def subtree_from_tiles(read: TileReader) -> Callable[[int, int], bytes]:
    """The root hash over the leaves start … end - 1, by reading tiles; each tile is read once.

    Raises:
        InvalidInput: a tile holds fewer hashes than the range needs.
    """
    tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def aligned(start: int, height: int) -> bytes:
        level, inside = divmod(height, TILE_HEIGHT)
        first = start >> (level * TILE_HEIGHT)
        index, offset = divmod(first, TILE_WIDTH)
        if (level, index) not in tiles:
            tiles[level, index] = read(level, index)
        hashes = tiles[level, index][offset : offset + (1 << inside)]
        if len(hashes) != 1 << inside:
            raise InvalidInput(
                "tile", f"{level}/{index} holds {len(tiles[level, index])} hashes", "give the whole tile"
            )
        return tree_root(hashes)

    def subtree(start: int, end: int) -> bytes:
        leaves = end - start
        if leaves & (leaves - 1) == 0 and start % leaves == 0:
            return aligned(start, leaves.bit_length() - 1)
        middle = start + (1 << ((leaves - 1).bit_length() - 1))
        return node_hash(subtree(start, middle), subtree(middle, end))

    return subtree
