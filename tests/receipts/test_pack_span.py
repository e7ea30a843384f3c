"""Neighbouring entries under the root of their log, without the entries beside them."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.merkle import Frontier, leaf_hash, subtree_from_leaves
from wattproof.resources.receipts.pack.span import span_proof, span_root


def tree(size: int) -> tuple[list[bytes], bytes]:
    leaves = [leaf_hash(sha256(str(number).encode()).digest()) for number in range(size)]
    return leaves, Frontier().extend(leaves).root()


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 70))
    start = draw(st.integers(0, size - 1))
    return start, draw(st.integers(start + 1, size)), size


@given(places())
def test_any_neighbours_lead_to_the_root_by_few_hashes(place: tuple[int, int, int]) -> None:
    start, end, size = place
    leaves, root = tree(size)
    proof = span_proof(start, end, size, subtree_from_leaves(lambda low, high: leaves[low:high]))
    assert span_root(start, end, size, leaves[start:end], proof) == root
    assert len(proof) <= 2 * size.bit_length()


@given(places(), st.data())
def test_one_entry_fewer_more_or_other_does_not(place: tuple[int, int, int], data: st.DataObject) -> None:
    start, end, size = place
    leaves, root = tree(size)
    proof = span_proof(start, end, size, subtree_from_leaves(lambda low, high: leaves[low:high]))
    given_leaves = leaves[start:end]
    at = data.draw(st.integers(0, len(given_leaves) - 1))
    with pytest.raises(VerificationFailed):
        span_root(start, end, size, given_leaves[:at] + given_leaves[at + 1 :], proof)
    with pytest.raises(VerificationFailed):
        span_root(start, end, size, [*given_leaves, leaves[0]], proof)
    other = [*given_leaves[:at], bytes(32), *given_leaves[at + 1 :]]
    assert span_root(start, end, size, other, proof) != root
    with pytest.raises(VerificationFailed):
        span_root(start, end, size, given_leaves, [*proof, bytes(32)])
    if proof:
        with pytest.raises(VerificationFailed):
            span_root(start, end, size, given_leaves, proof[:-1])


@pytest.mark.parametrize("place", [(0, 0, 3), (2, 1, 3), (-1, 2, 3), (1, 4, 3)])
def test_places_that_are_none_are_refused(place: tuple[int, int, int]) -> None:
    leaves, _ = tree(3)
    with pytest.raises(InvalidInput):
        span_proof(*place, subtree_from_leaves(lambda low, high: leaves[low:high]))
    with pytest.raises(VerificationFailed):
        span_root(*place, leaves, [])
