"""COSE Receipts and the CBOR they are made of: what is written is read, and nothing else is."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import Issuer, cbor, inclusion_proof, leaf_hash, subtree_from_leaves
from wattproof.resources.receipts.cose import CoseReceipt, cose_receipt, verify_cose_receipt
from wattproof.resources.receipts.pem import public_pem

KEY, STRANGER = Issuer(bytes(32)), Issuer(bytes([1] * 32))
LEAVES = [leaf_hash(sha256(str(index).encode()).digest()) for index in range(300)]
SUBTREE = subtree_from_leaves(lambda start, end: LEAVES[start:end])

WORDS = st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300) | st.text(max_size=80) | st.none()
ITEMS = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, max_size=30).map(tuple)
        | st.dictionaries(st.integers(-300, 300) | st.text(max_size=5), inner, max_size=30)
        | st.builds(cbor.Tag, st.integers(0, 1 << 40), inner)
    ),
    max_leaves=8,
)


def receipt(index: int = 7, size: int = 300, signer: Issuer = KEY) -> bytes:
    return cose_receipt(index, size, inclusion_proof(index, size, SUBTREE), SUBTREE(0, size), signer)


def reason(data: bytes, leaf: bytes = LEAVES[7], public_key: bytes = KEY.public_key) -> str:
    with pytest.raises(VerificationFailed) as raised:
        verify_cose_receipt(data, leaf, public_key)
    return raised.value.reason


def rewritten(*, proof: cbor.Item = None, header: cbor.Item = None, vdp: cbor.Item = None, tag: int = 18) -> bytes:
    """A receipt with one part replaced by another, of whatever shape."""
    outer = cbor.loads(receipt())
    assert isinstance(outer, cbor.Tag)
    assert isinstance(outer.value, tuple)
    protected, unprotected, payload, signature = outer.value
    if header is not None:
        protected = cbor.dumps(header)
    if proof is not None:
        vdp = {396: {-1: (cbor.dumps(proof),)}}
    return cbor.dumps(cbor.Tag(tag, (protected, vdp or unprotected, payload, signature)))


@given(st.integers(2, 300).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_a_receipt_of_any_leaf_of_any_tree_verifies(place: tuple[int, int]) -> None:
    index, size = place
    found = verify_cose_receipt(receipt(index, size), LEAVES[index], KEY.public_key)
    assert (found.index, found.size) == (index, size)


def test_the_receipt_has_the_shape_of_the_standard() -> None:
    outer = cbor.loads(receipt(1, 2))
    proof = cbor.dumps((2, 1, (LEAVES[0],)))
    assert isinstance(outer, cbor.Tag)
    assert isinstance(outer.value, tuple)
    assert outer.number == 18
    assert outer.value[1:3] == ({396: {-1: (proof,)}}, None)
    protected = outer.value[0]
    assert isinstance(protected, bytes)
    assert cbor.loads(protected) == {1: -8, 4: CoseReceipt.parse(receipt(1, 2)).kid, 395: 1}


def test_another_leaf_or_another_key_is_refused() -> None:
    assert reason(receipt(), leaf=LEAVES[8]) == "bad_signature"
    assert reason(receipt(), public_key=STRANGER.public_key) == "bad_signature"
    assert reason(receipt(), public_key=b"short") == "bad_signature"
    assert reason(receipt(), leaf=b"short") == "bad_proof"


@given(st.integers(0, len(receipt()) - 1), st.integers(1, 255))
def test_no_byte_of_a_receipt_can_be_changed_but_the_size_which_is_not_signed(at: int, flip: int) -> None:
    data = bytearray(receipt())
    data[at] ^= flip
    genuine = CoseReceipt.parse(receipt())
    try:
        found = verify_cose_receipt(bytes(data), LEAVES[7], KEY.public_key)
    except VerificationFailed:
        return
    assert found.size != genuine.size
    assert replace(found, size=genuine.size) == genuine


@given(st.binary(max_size=600))
def test_bytes_from_anywhere_are_refused_without_another_error(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        verify_cose_receipt(data, LEAVES[7], KEY.public_key)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        rewritten(tag=17),
        rewritten(vdp={396: {}}),
        rewritten(vdp={396: {-2: (b"",)}}),
        rewritten(vdp={396: {-1: ()}}),
        rewritten(vdp={396: {-1: (cbor.dumps((2, 1, (LEAVES[0],))), b"")}}),
        rewritten(vdp={396: {-1: (cbor.dumps((2, 1, (LEAVES[0],))),)}, 4: b"key"}),
        rewritten(proof=(300, 300, (LEAVES[0],))),
        rewritten(proof=(300, -1, (LEAVES[0],))),
        rewritten(proof=(300, 7, ())),
        rewritten(proof=(300, 7, (b"short",))),
        rewritten(proof=(300, 7, tuple(LEAVES[:64]))),
        rewritten(proof=(1 << 63, 7, (LEAVES[0],))),
        rewritten(proof=(300, 7)),
        rewritten(header={1: -8, 395: 1}),
        rewritten(header={1: -7, 4: b"", 395: 1}),
        rewritten(header={1: -8, 4: b"", 395: 2}),
        rewritten(header={1: -8, 4: "text", 395: 1}),
        rewritten(header={1: -8, 2: (1,), 4: b"", 395: 1}),
        rewritten(header=()),
        cbor.dumps(cbor.Tag(18, (b"", {}, b"attached", b""))),
    ],
)
def test_a_receipt_of_another_shape_is_refused(data: bytes) -> None:
    assert reason(data) == "bad_cose_receipt"


def test_a_path_that_fits_no_tree_is_refused() -> None:
    assert reason(rewritten(proof=(300, 7, (LEAVES[0],)))) == "bad_proof"


def test_a_tree_of_one_leaf_has_no_receipt() -> None:
    with pytest.raises(InvalidInput, match="two entries"):
        cose_receipt(0, 1, [], LEAVES[0], KEY)


@pytest.mark.parametrize(
    ("index", "size", "hashes"), [(2, 2, [LEAVES[0]]), (0, 2, [b"short"]), (0, 2, [LEAVES[0]] * 64)]
)
def test_a_receipt_that_could_not_hold_is_not_written(index: int, size: int, hashes: list[bytes]) -> None:
    with pytest.raises(InvalidInput):
        cose_receipt(index, size, hashes, LEAVES[0], KEY)


@given(ITEMS)
def test_cbor_reads_as_it_was_written(item: cbor.Item) -> None:
    assert cbor.loads(cbor.dumps(item)) == item


@given(st.binary(max_size=40))
def test_one_value_has_one_encoding(data: bytes) -> None:
    with contextlib.suppress(VerificationFailed):
        assert cbor.dumps(cbor.loads(data)) == data


# The examples of RFC 8949 appendix A that are in the subset.
@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-18446744073709551616, "3bffffffffffffffff"),
        (-1, "20"),
        (-1000, "3903e7"),
        (None, "f6"),
        (cbor.Tag(1, 1363896240), "c11a514b67b0"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("IETF", "6449455446"),
        ("\u00fc", "62c3bc"),
        ((1, (2, 3), (4, 5)), "8301820203820405"),
        ({"a": 1, "b": (2, 3)}, "a26161016162820203"),
    ],
)
def test_the_examples_of_the_standard(item: cbor.Item, encoded: str) -> None:
    assert cbor.dumps(item).hex() == encoded
    assert cbor.loads(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "1817",
        "190017",
        "1a00000001",
        "1b0000000000000001",
        "1f",
        "18",
        "19ff",
        "5f4100ff",
        "42ff",
        "61ff",
        "9f00ff",
        "8200",
        "bf00ff",
        "a2010001",
        "a201000100",
        "a202000100",
        "a1f600",
        "f5",
        "f90000",
        "fb0000000000000000",
        "f7",
        "0000",
        "81" * 9 + "00",
    ],
)
def test_an_encoding_that_is_not_the_one_is_refused(encoded: str) -> None:
    with pytest.raises(VerificationFailed, match="CBOR"):
        cbor.loads(bytes.fromhex(encoded))


def test_more_than_64_kib_are_not_read() -> None:
    with pytest.raises(VerificationFailed, match="more than"):
        cbor.loads(cbor.dumps(bytes(1 << 16)))


@pytest.mark.parametrize("item", [True, 1 << 64, -(1 << 64) - 1])
def test_what_has_no_encoding_is_refused(item: int) -> None:
    with pytest.raises(InvalidInput):
        cbor.dumps(item)


def test_a_key_is_exported_for_openssl() -> None:
    # RFC 8410 section 10.1.
    key = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
    assert "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=" in public_pem(bytes.fromhex(key))


def test_what_is_no_key_is_not_exported() -> None:
    with pytest.raises(InvalidInput, match="31 bytes"):
        public_pem(bytes(31))
