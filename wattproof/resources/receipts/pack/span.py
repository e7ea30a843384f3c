"""Neighbouring entries of a log under its root: the hashes of what is to their left and right, and nothing between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.merkle import Frontier, Subtree, node_hash

__all__ = ["span_proof", "span_root"]


def span_proof(start: int, end: int, size: int, subtree: Subtree) -> list[bytes]:
    """The nodes beside the leaves start … end - 1 in the tree of `size` leaves, from left to right.

    Raises:
        InvalidInput: not 0 <= start < end <= size.
    """
    if not 0 <= start < end <= size:
        raise InvalidInput("start", f"is {start}, with {end} after it", f"give places from 0 to {size}, in order")
    return [subtree(low, high) for low, high, inside in _ranges(start, end, 0, size) if not inside]


def span_root(start: int, end: int, size: int, leaves: Iterable[bytes], proof: Sequence[bytes]) -> bytes:
    """The root that the leaves start … end - 1 and the nodes beside them lead to; takes `leaves` as they come.

    Raises:
        VerificationFailed: there are fewer or more leaves or nodes than the places need.
    """
    if not 0 <= start < end <= size:
        raise _failed(f"It is of the entries {start} to {end} in a log of {size}.")
    given, nodes = iter(leaves), iter(proof)
    root = _node(start, end, 0, size, given, nodes)
    if next(nodes, None) is not None or next(given, None) is not None:
        raise _failed("There are more entries or hashes than it needs.")
    return root


def _node(start: int, end: int, low: int, high: int, leaves: Iterator[bytes], nodes: Iterator[bytes]) -> bytes:
    if high <= start or low >= end:
        node = next(nodes, None)
        if node is None:
            raise _failed("It has too few hashes.")
        return node
    if start <= low and high <= end:
        frontier = Frontier().extend(islice(leaves, high - low))
        if frontier.size != high - low:
            raise _failed("There are fewer entries than it is of.")
        return frontier.root()
    middle = low + _split(high - low)
    left = _node(start, end, low, middle, leaves, nodes)
    return node_hash(left, _node(start, end, middle, high, leaves, nodes))


def _ranges(start: int, end: int, low: int, high: int) -> Iterator[tuple[int, int, bool]]:
    """The largest subtrees that are wholly inside or outside, from left to right."""
    if high <= start or low >= end:
        yield low, high, False
    elif start <= low and high <= end:
        yield low, high, True
    else:
        middle = low + _split(high - low)
        yield from _ranges(start, end, low, middle)
        yield from _ranges(start, end, middle, high)


def _split(leaves: int) -> int:
    """The largest power of two below `leaves` (>= 2)."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _failed(detail: str) -> VerificationFailed:
    return VerificationFailed("inclusion", "bad_proof", f"The proof of the sequence cannot be used. {detail}")
