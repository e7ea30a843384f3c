from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pymerkle  # pyright: ignore[reportMissingTypeStubs]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtree_from_leaves,
    verify_consistency,
    verify_inclusion,
)
from wattproof.resources.receipts.merkle import EMPTY_ROOT, node_hash

VECTORS = Path(__file__).parent / "vectors" / "merkle"
LEAVES = [leaf_hash(sha256(str(index).encode()).digest()) for index in range(300)]

# The reference leaves of Certificate Transparency (RFC 6962) and the roots of the first one to eight of them.
REFERENCE_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _range(start: int, end: int) -> Sequence[bytes]:
    return LEAVES[start:end]


def _root(leaves: Sequence[bytes]) -> bytes:
    """The definition of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_root(leaves[:split]), _root(leaves[split:]))


def _vectors(kind: str) -> list[Any]:
    paths = sorted((VECTORS / kind).rglob("*.json"))
    return [pytest.param(path, id=str(path.relative_to(VECTORS))) for path in paths]


def _proof(vector: dict[str, Any]) -> list[bytes]:
    nodes: list[str] = vector["proof"] or []
    return [base64.b64decode(node) for node in nodes]


def _check(want_error: bool, call: Callable[[], None]) -> None:
    if want_error:
        with pytest.raises(VerificationFailed):
            call()
    else:
        call()


@pytest.mark.parametrize("path", _vectors("inclusion"))
def test_inclusion_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    proof = _proof(vector)
    leaf, root = base64.b64decode(vector["leafHash"]), base64.b64decode(vector["root"])
    index, size = vector["leafIdx"], vector["treeSize"]
    _check(vector["wantErr"], lambda: verify_inclusion(leaf, index, size, proof, root))


@pytest.mark.parametrize("path", _vectors("consistency"))
def test_consistency_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    proof = _proof(vector)
    roots = base64.b64decode(vector["root1"]), base64.b64decode(vector["root2"])
    _check(vector["wantErr"], lambda: verify_consistency(vector["size1"], vector["size2"], *roots, proof))


def test_the_vectors_are_all_there() -> None:
    assert len(_vectors("inclusion")) + len(_vectors("consistency")) >= 70
    assert any(not json.loads(path.read_bytes())["wantErr"] for path in VECTORS.rglob("*.json"))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in REFERENCE_LEAVES[:size]]
    assert Frontier().extend(leaves).root().hex() == REFERENCE_ROOTS[size - 1]


def test_the_root_of_no_leaves_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


@given(st.integers(0, 300))
def test_the_frontier_gives_the_root_of_the_definition(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier = frontier.append(leaf)
    assert frontier.size == size
    assert frontier.root() == _root(LEAVES[:size])
    assert frontier == Frontier().extend(LEAVES[:size]) == Frontier.from_bytes(frontier.to_bytes())


def test_appending_leaves_the_earlier_frontier_as_it_was() -> None:
    before = Frontier().extend(LEAVES[:7])
    before.append(LEAVES[7])
    assert before == Frontier().extend(LEAVES[:7])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 100])
def test_roots_and_inclusion_proofs_are_those_of_pymerkle(size: int) -> None:
    oracle: Any = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [sha256(str(index).encode()).digest() for index in range(size)]
    for entry in entries:
        oracle.append_entry(entry)
    assert Frontier().extend(LEAVES[:size]).root() == oracle.get_root()
    for index in range(size):
        path = oracle.prove_inclusion(index + 1, size).serialize()["path"]
        assert [node.hex() for node in inclusion_proof(index, size, subtree_from_leaves(_range))] == path[1:]


@given(st.data())
def test_every_leaf_proves_its_place_and_no_other(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    root, proof = _root(LEAVES[:size]), inclusion_proof(index, size, subtree_from_leaves(_range))
    verify_inclusion(LEAVES[index], index, size, proof, root)
    if other != index:
        _check(True, lambda: verify_inclusion(LEAVES[index], other, size, proof, root))
        _check(True, lambda: verify_inclusion(LEAVES[other], index, size, proof, root))


@given(st.data())
def test_every_earlier_tree_proves_to_be_a_prefix_and_an_altered_one_does_not(data: st.DataObject) -> None:
    new_size = data.draw(st.integers(1, 300))
    old_size = data.draw(st.integers(1, new_size))
    altered = data.draw(st.integers(0, old_size - 1))
    old_root, new_root = _root(LEAVES[:old_size]), _root(LEAVES[:new_size])
    proof = consistency_proof(old_size, new_size, subtree_from_leaves(_range))
    verify_consistency(old_size, new_size, old_root, new_root, proof)

    rewritten = LEAVES[:old_size]
    rewritten[altered] = leaf_hash(b"rewritten")
    _check(True, lambda: verify_consistency(old_size, new_size, _root(rewritten), new_root, proof))


@given(st.data())
def test_a_proof_with_a_changed_bit_or_one_node_more_or_less_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    root, proof = _root(LEAVES[:size]), inclusion_proof(index, size, subtree_from_leaves(_range))
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    flipped = list(proof)
    flipped[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    for wrong in (flipped, proof[:-1], [*proof, proof[-1]], [*proof, b""], [*proof[::-1], root]):
        _check(True, lambda wrong=wrong: verify_inclusion(LEAVES[index], index, size, wrong, root))


def test_an_empty_old_tree_proves_nothing_and_is_refused() -> None:
    _check(True, lambda: verify_consistency(0, 5, EMPTY_ROOT, _root(LEAVES[:5]), []))
    with pytest.raises(InvalidInput):
        consistency_proof(0, 5, subtree_from_leaves(_range))


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(InvalidInput):
        inclusion_proof(index, size, subtree_from_leaves(_range))
    _check(True, lambda: verify_inclusion(LEAVES[0], index, size, [], LEAVES[0]))


def test_a_reader_that_gives_too_few_leaves_is_noticed() -> None:
    with pytest.raises(InvalidInput):
        inclusion_proof(0, 301, subtree_from_leaves(_range))


@pytest.mark.parametrize(
    "data",
    [b"", bytes(7), bytes(8) + bytes(32), (3).to_bytes(8, "big") + bytes(32), (1).to_bytes(8, "big") + bytes(31)],
)
def test_a_broken_frontier_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Frontier.from_bytes(data)


def test_a_frontier_of_hashes_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Frontier(1, (b"short",))


def test_a_hundred_thousand_leaves_have_a_root_and_short_proofs() -> None:
    leaf, size = leaf_hash(b"x"), 100_000
    frontier = Frontier().extend(leaf for _ in range(size))
    proof = inclusion_proof(77_777, size, subtree_from_leaves(lambda start, end: [leaf] * (end - start)))
    assert len(frontier.to_bytes()) == 8 + 32 * size.bit_count()
    assert len(proof) <= 17
    verify_inclusion(leaf, 77_777, size, proof, frontier.root())
