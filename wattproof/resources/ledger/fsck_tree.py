"""Check of tiles, checkpoints and head of one log against the leaves of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Finding
from wattproof.resources.receipts import Frontier, leaf_hash
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint
from wattproof.resources.receipts.note import SignedNote, VerifierKey
from wattproof.resources.receipts.tiles import TILE_WIDTH, tile_from_bytes, tree_root

__all__ = ["Tree"]

_TILE = "SELECT root, hashes FROM tile WHERE log_id = ? AND level = ? AND idx = ?"
_TILES = "SELECT level, idx FROM tile WHERE log_id = ? ORDER BY level, idx"
_CHECKPOINTS = "SELECT size, root, note FROM checkpoint WHERE log_id = ? ORDER BY size"


class _Signed(NamedTuple):
    """One stored checkpoint."""

    size: int
    root: bytes
    note: str


class Tree:
    """The tree of the entries, built while they are read in order, and what was stored of it.

    `keys` are those of the log's checkpoints; None: their signatures are not checked.
    """

    def __init__(
        self, connection: sqlite3.Connection, log_id: str, origin: str | None, keys: Sequence[VerifierKey] | None
    ) -> None:
        self._connection = connection
        self._log_id = log_id
        self._origin = origin
        self._keys = keys
        self._checkpoints: Iterator[_Signed] = iter(())
        self._next: _Signed | None = None
        self._held: int | None = None
        self._frontier = Frontier()
        self._block = 0
        self._seqs: list[int] = []
        self._leaves: list[bytes] = []
        self._roots: dict[int, bytes] = {}
        self._compared: set[int] = set()
        self._findings: list[Finding] = []
        self.count = 0

    def load_checkpoints(self) -> None:
        """Read what was signed; before the first entry is added."""
        rows = self._connection.execute(_CHECKPOINTS, (self._log_id,)).fetchall()
        self._checkpoints = iter([_Signed(*row) for row in rows])
        self._next = next(self._checkpoints, None)

    def add(self, seq: int, entry: bytes) -> None:
        """The next entry."""
        if seq // TILE_WIDTH != self._block:
            self._close_block()
            self._block = seq // TILE_WIDTH
        self._seqs.append(seq)
        self._leaves.append(leaf_hash(entry))
        self.count += 1

    def check(self) -> Iterator[Finding]:
        """What differs, once all entries were added."""
        if self._seqs:
            self._close_block()
        while self._next is not None:
            self._checkpoint(self._next)
        yield from self._findings
        yield from self._upper_tiles()
        yield from self._head()

    def _close_block(self) -> None:
        """Take the leaves of one tile into the tree, stopping where a checkpoint was made."""
        done, end = 0, (self._block + 1) * TILE_WIDTH
        while self._next is not None and self._next.size <= end:
            upto = sum(1 for seq in self._seqs if seq < self._next.size)
            self._frontier = self._frontier.extend(self._leaves[done:upto])
            done = upto
            self._checkpoint(self._next)
        self._frontier = self._frontier.extend(self._leaves[done:])
        self._findings.extend(self._tile())
        self._seqs, self._leaves = [], []

    def _tile(self) -> Iterator[Finding]:
        stored = self._connection.execute(_TILE, (self._log_id, 0, self._block)).fetchone()
        whole = len(self._leaves) == TILE_WIDTH
        if whole:
            self._roots[self._block] = tree_root(self._leaves)
        if stored is None:
            if whole:
                yield self._finding(f"tile 0/{self._block}", "missing, though its entries are there")
            return
        self._compared.add(self._block)
        root, hashes = stored[0], tile_from_bytes(stored[1])
        first = self._block * TILE_WIDTH
        wrong = [seq for seq, leaf in zip(self._seqs, self._leaves, strict=True) if hashes[seq - first] != leaf]
        if wrong:
            yield self._finding(f"tile 0/{self._block}", f"holds other leaves than {_ranges(wrong)} now have")
        if not whole:
            gone = set(range(first, first + TILE_WIDTH)) - set(self._seqs)
            yield self._finding(f"tile 0/{self._block}", f"holds the leaves of {_ranges(sorted(gone))}, which are gone")
        own = tree_root(hashes) if wrong or not whole else self._roots[self._block]
        if root != own:
            yield self._finding(f"tile 0/{self._block}", f"root is {root.hex()}; its leaves give {own.hex()}")

    def _upper_tiles(self) -> Iterator[Finding]:
        expected: set[tuple[int, int]] = {(0, index) for index in self._roots}
        roots, level = self._roots, 1
        while roots:
            above: dict[int, bytes] = {}
            for index in range(max(roots) // TILE_WIDTH + 1):
                hashes = [roots[at] for at in range(index * TILE_WIDTH, (index + 1) * TILE_WIDTH) if at in roots]
                if len(hashes) == TILE_WIDTH:
                    above[index] = tree_root(hashes)
                    expected.add((level, index))
                    yield from self._upper_tile(level, index, hashes, above[index])
            roots, level = above, level + 1
        for level, index in self._connection.execute(_TILES, (self._log_id,)):
            if (level, index) not in expected and (level or index not in self._compared):
                yield self._finding(f"tile {level}/{index}", "exists, though not all of its entries do")

    def _upper_tile(self, level: int, index: int, hashes: Sequence[bytes], root: bytes) -> Iterator[Finding]:
        stored = self._connection.execute(_TILE, (self._log_id, level, index)).fetchone()
        if stored is None:
            yield self._finding(f"tile {level}/{index}", "missing, though the tiles below it are there")
        elif (stored[0], stored[1]) != (root, b"".join(hashes)):
            yield self._finding(f"tile {level}/{index}", "differs from the tiles below it")

    def _checkpoint(self, signed: _Signed) -> None:
        self._next = next(self._checkpoints, None)
        where = f"checkpoint of {signed.size}"
        self._findings += [self._finding(where, message) for message in self._note(signed)]
        root = self._frontier.root()
        if self._frontier.size != signed.size:
            message = f"{self._frontier.size} of the {signed.size} entries that it covers are there"
            self._findings.append(self._finding(where, message))
        elif root != signed.root:
            since = "" if self._held is None else f" The one of {self._held} holds: look at what came after."
            message = f"its root is {signed.root.hex()}; the entries give {root.hex()}.{since}"
            self._findings.append(self._finding(where, message))
        else:
            self._held = signed.size

    def _note(self, signed: _Signed) -> Iterator[str]:
        """The note against the columns beside it."""
        try:
            text = SignedNote.parse(signed.note).text
            stated = Checkpoint.parse(text) if self._keys is None else open_checkpoint(signed.note, self._keys)
        except (VerificationFailed, InvalidInput) as error:
            yield f"its note fails: {error}"
            return
        if (stated.size, stated.root) != (signed.size, signed.root):
            yield f"its note states {stated.size} entries under {stated.root.hex()}"
        if self._origin is not None and stated.origin != self._origin:
            yield f"its note is of {stated.origin!r}, not of {self._origin!r}"

    def _head(self) -> Iterator[Finding]:
        """The stored head against the tree of the entries."""
        row = self._connection.execute("SELECT size, frontier FROM head WHERE log_id = ?", (self._log_id,)).fetchone()
        if row is None:
            if self.count:
                yield self._finding("head", f"missing, with {self.count} entries")
            return
        size, stored = row[0], Frontier.from_bytes(row[1])
        if not size == stored.size == self._frontier.size:
            sizes = f"size is {size}, of the frontier {stored.size}"
            yield self._finding("head", f"{sizes}; there are {self._frontier.size} entries")
        root, expected = stored.root().hex(), self._frontier.root().hex()
        if root != expected:
            yield self._finding("head", f"root is {root}; the entries give {expected}")

    def _finding(self, where: str, message: str) -> Finding:
        return Finding(self._log_id, where, message)


def _ranges(seqs: Iterable[int]) -> str:
    """Sorted places in words: ``entries 3, 7-9``."""
    runs: list[list[int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][1] + 1:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    plural = len(words) > 1 or "-" in words[0]
    return f"{'entries' if plural else 'entry'} {', '.join(words)}"
