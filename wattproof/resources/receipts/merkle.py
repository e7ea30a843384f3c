"""The SHA-256 Merkle tree of RFC 6962 and RFC 9162: frontier, roots, proofs.

``leaf_hash(entry) = SHA-256(0x00 || entry)``, ``node = SHA-256(0x01 || left || right)``; the tree of n leaves splits at
the largest power of two below n. Here an entry is the 32-byte SHA-256 of a receipt's ASCII JWS.

Source: RFC 9162 section 2.1.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from wattproof.methodology.errors import InvalidInput, VerificationFailed

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Frontier",
    "LeafRange",
    "Subtree",
    "consistency_proof",
    "inclusion_proof",
    "inclusion_root",
    "leaf_hash",
    "node_hash",
    "subtree_from_leaves",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_CHUNK_LEAVES = 4096

# (start, end) -> the leaf hashes start … end - 1, in order.
LeafRange = Callable[[int, int], Sequence[bytes]]

# (start, end) -> the root over the leaves start … end - 1.
Subtree = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that a log must remember to grow: the roots of its complete subtrees, largest first, one per set bit of size.

    Immutable: `append` gives the frontier of the larger tree, so a rolled-back transaction needs no undo.

    Raises:
        InvalidInput: the number of hashes does not fit the size, or a hash has not 32 bytes.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise InvalidInput("frontier", f"has {len(self.hashes)} hashes for size {self.size}", "one per set bit")
        if any(len(node) != HASH_BYTES for node in self.hashes):
            raise InvalidInput("frontier", "holds a hash that has not 32 bytes", "give SHA-256 digests")

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier with these leaf hashes added in order."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            node, merges = leaf, size
            while merges & 1:
                node = node_hash(hashes.pop(), node)
                merges >>= 1
            hashes.append(node)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """The root hash of the tree; of no leaves, SHA-256 of nothing."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node

    def to_bytes(self) -> bytes:
        """Size as 8 bytes, big-endian, then the hashes: at most 648 bytes below a million leaves."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """The inverse of `to_bytes`.

        Raises:
            InvalidInput: the length does not fit the size in the first 8 bytes.
        """
        if len(data) < 8 or (len(data) - 8) % HASH_BYTES:
            raise InvalidInput("frontier", f"has {len(data)} bytes", "give 8 bytes of size and whole hashes")
        hashes = tuple(data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES))
        return cls(int.from_bytes(data[:8], "big"), hashes)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The path that leads from leaf `index` to the root of the tree of `size` leaves, lowest first.

    Source: RFC 9162 section 2.1.3.1.

    Raises:
        InvalidInput: index is not below size.
    """
    if not 0 <= index < size:
        raise InvalidInput("index", f"is {index}", f"give a leaf from 0 to {size - 1}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(old_size: int, new_size: int, subtree: Subtree) -> list[bytes]:
    """The nodes which show that the tree of `old_size` leaves is a prefix of the tree of `new_size`.

    Source: RFC 9162 section 2.1.4.1.

    Raises:
        InvalidInput: not 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise InvalidInput("old_size", f"is {old_size}", f"give a size from 1 to {new_size}")
    path: list[bytes] = []
    start, end, old_is_whole = 0, new_size, True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, old_is_whole = middle, False
    if not old_is_whole:
        path.append(subtree(start, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is number `index` of the tree of `size` leaves with this root.

    Source: RFC 9162 section 2.1.3.2.

    Raises:
        VerificationFailed: check ``inclusion``; reason ``bad_index``, ``bad_proof`` or ``root_differs``.
    """
    _check_sizes("inclusion", (root,))
    if not hmac.compare_digest(inclusion_root(leaf, index, size, path), root):
        raise VerificationFailed("inclusion", "root_differs", "The proof leads to another root: the leaf is not there.")


def inclusion_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which `path` leads from the leaf hash `leaf`, number `index` of a tree of `size` leaves.

    Source: RFC 9162 section 2.1.3.2.

    Raises:
        VerificationFailed: check ``inclusion``; reason ``bad_index`` or ``bad_proof``.
    """
    if not 0 <= index < size:
        raise VerificationFailed("inclusion", "bad_index", f"Leaf {index} does not exist in a tree of {size}.")
    _check_sizes("inclusion", (leaf, *path))
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise VerificationFailed("inclusion", "bad_proof", "The proof has more nodes than the tree is high.")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationFailed("inclusion", "bad_proof", "The proof has fewer nodes than the tree is high.")
    return node


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the new tree only added leaves to the old one. An old size of 0 is refused: it proves nothing.

    Source: RFC 9162 section 2.1.4.2.

    Raises:
        VerificationFailed: check ``consistency``; reason ``bad_size``, ``bad_proof`` or ``root_differs``.
    """
    if not 0 < old_size <= new_size:
        message = f"A tree of {old_size} leaves is not an earlier, non-empty state of one of {new_size}."
        raise VerificationFailed("consistency", "bad_size", message)
    _check_sizes("consistency", (old_root, new_root, *path))
    if old_size == new_size:
        if path:
            raise VerificationFailed("consistency", "bad_proof", "Two trees of one size need an empty proof.")
        _same_root("old", old_root, new_root)
        return
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not nodes or not path:
        raise VerificationFailed("consistency", "bad_proof", "The proof is empty.")
    old, new = _walk_consistency(old_size, new_size, nodes)
    _same_root("old", old, old_root)
    _same_root("new", new, new_root)


def _walk_consistency(old_size: int, new_size: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise VerificationFailed("consistency", "bad_proof", "The proof has more nodes than the tree is high.")
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, node)
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationFailed("consistency", "bad_proof", "The proof has fewer nodes than the tree is high.")
    return old, new


def _same_root(which: str, computed: bytes, stated: bytes) -> None:
    if not hmac.compare_digest(computed, stated):
        raise VerificationFailed("consistency", "root_differs", f"The proof leads to another {which} root.")


def _check_sizes(check: str, hashes: Sequence[bytes]) -> None:
    if any(len(node) != HASH_BYTES for node in hashes):
        raise VerificationFailed(check, "bad_proof", "Every hash must have 32 bytes.")


def _split(leaves: int) -> int:
    """The largest power of two below `leaves` (>= 2)."""
    return 1 << ((leaves - 1).bit_length() - 1)


def subtree_from_leaves(get_leaf_range: LeafRange) -> Subtree:
    """Subtree roots from the leaves themselves, in chunks; hashing a million takes about a second."""

    def subtree(start: int, end: int) -> bytes:
        frontier = Frontier()
        for at in range(start, end, _CHUNK_LEAVES):
            frontier = frontier.extend(get_leaf_range(at, min(at + _CHUNK_LEAVES, end)))
        if frontier.size != end - start:
            raise InvalidInput("leaves", f"holds {frontier.size} of {end - start} asked for", "give the whole range")
        return frontier.root()

    return subtree
