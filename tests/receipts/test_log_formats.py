"""Notes, checkpoints, tiles and tlog-proofs: the examples of their specifications, and every way to spoil one."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import Issuer, consistency_proof, inclusion_proof, leaf_hash, subtree_from_leaves
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from wattproof.resources.receipts.merkle import Frontier, Subtree
from wattproof.resources.receipts.note import SignedNote, VerifierKey, open_note, sign_note
from wattproof.resources.receipts.tiles import Tile, subtree_from_tiles, tile_from_bytes, tiles_of, tree_root
from wattproof.resources.receipts.tlog_proof import TlogProof, verify_tlog_proof

# The example of C2SP signed-note v1.0.0.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
ORIGIN = "ledger.example.com/t/1"
OLD, NEW, STRANGER = Issuer(bytes(32)), Issuer(bytes([1] * 32)), Issuer(bytes([2] * 32))
KEY = VerifierKey(ORIGIN, NEW.public_key)
ENTRIES = [sha256(str(index).encode()).digest() for index in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def from_leaves() -> Subtree:
    return subtree_from_leaves(lambda start, end: LEAVES[start:end])


def root(size: int) -> bytes:
    return Frontier().extend(LEAVES[:size]).root()


def stored_tiles(size: int) -> dict[tuple[int, int], tuple[bytes, ...]]:
    """Every tile of the tree, each made from the level below it as the specification says."""
    tiles: dict[tuple[int, int], tuple[bytes, ...]] = {}
    nodes: Sequence[bytes] = LEAVES[:size]
    level = 0
    while nodes:
        parts = [tuple(nodes[at : at + 256]) for at in range(0, len(nodes), 256)]
        tiles |= {(level, index): part for index, part in enumerate(parts)}
        nodes = [tree_root(part) for part in parts if len(part) == 256]
        level += 1
    return tiles


def test_the_note_of_the_specification_opens_with_its_key() -> None:
    text, signers = open_note(SPEC_NOTE, [VerifierKey.parse(SPEC_KEY)])
    assert text == "This is an example message.\n"
    assert [str(key) for key in signers] == [SPEC_KEY]


def test_a_verifier_key_reads_as_it_was_written() -> None:
    assert VerifierKey.parse(str(KEY)) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        SPEC_KEY.replace("530d903a", "530d903b"),
        SPEC_KEY.replace("+AekyeR", "+BekyeR"),
        SPEC_KEY[:-4],
    ],
)
def test_a_verifier_key_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="vkey"):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\nline", "with\u2003space"])
def test_a_key_name_without_meaning_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        VerifierKey(name, NEW.public_key)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    note = sign_note("hello\n", [("other", STRANGER), (ORIGIN, NEW)])
    assert open_note(note, [KEY])[1] == (KEY,)


def test_a_note_signed_by_strangers_only_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="None of the signatures"):
        open_note(sign_note("hello\n", [(ORIGIN, STRANGER)]), [KEY])


def test_a_wrong_signature_under_a_known_key_spoils_the_note_whoever_else_signed() -> None:
    note = SignedNote.parse(sign_note("hello\n", [(ORIGIN, NEW), ("second", OLD)]))
    forged = SignedNote("hallo\n", note.signatures)
    with pytest.raises(VerificationFailed) as raised:
        open_note(str(forged), [KEY, VerifierKey("second", OLD.public_key)])
    assert raised.value.reason == "bad_signature"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text only\n",
        "text\n\n",
        "text\n\n— name notbase64!\n",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAAB==\n",
        "te\x07xt\n\n— name AAAAAAAA\n",
        "text\n\n— name AAAAAAAA",
        "text\n\n" + "— name AAAAAAAA\n" * 65,
        "x" * 70_000 + "\n\n— name AAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(VerificationFailed) as raised:
        SignedNote.parse(note)
    assert raised.value.reason == "bad_note"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(VerificationFailed):
        assert str(SignedNote.parse(text)) == text


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_reads_as_it_was_written(size: int, digest: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, digest)
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert open_checkpoint(sign_checkpoint(checkpoint, [NEW]), [KEY]) == checkpoint


def test_during_a_rotation_either_key_opens_a_checkpoint() -> None:
    checkpoint = Checkpoint(ORIGIN, 5, root(5))
    note = sign_checkpoint(checkpoint, [OLD, NEW])
    for issuer in (OLD, NEW):
        assert open_checkpoint(note, [VerifierKey(ORIGIN, issuer.public_key)]) == checkpoint


def test_a_key_of_another_log_does_not_open_a_checkpoint() -> None:
    note = sign_note(Checkpoint(ORIGIN, 5, root(5)).text, [("other.example.com", NEW)])
    with pytest.raises(VerificationFailed, match="None of the signatures"):
        open_checkpoint(note, [VerifierKey("other.example.com", NEW.public_key)])


GOOD_ROOT = base64.b64encode(root(5)).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n5\n",
        f"{ORIGIN}\n05\n{GOOD_ROOT}\n",
        f"{ORIGIN}\n-5\n{GOOD_ROOT}\n",
        f"{ORIGIN}\n٥\n{GOOD_ROOT}\n",
        f"{ORIGIN}\n{10**19}\n{GOOD_ROOT}\n",
        f"{ORIGIN}\n5\n{GOOD_ROOT[:-4]}\n",
        f"{ORIGIN}\n5\n{GOOD_ROOT[:-2]}==\n",
        f"{ORIGIN}\n5\n!{GOOD_ROOT}\n",
        f"\n5\n{GOOD_ROOT}\n",
        f"{ORIGIN}\n5\n{GOOD_ROOT}\n\n",
        f"{ORIGIN}\n5\n{GOOD_ROOT}",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(VerificationFailed) as raised:
        Checkpoint.parse(text)
    assert raised.value.reason == "bad_checkpoint"


def test_tile_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(1, 5, 17).path == "tile/1/005.p/17"


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    tiles = list(tiles_of(70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert [tile for tile in tiles if tile.width < 256 or tile.level] == [
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above_it() -> None:
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_growing_adds_exactly_the_tiles_that_were_not_there(one: int, other: int) -> None:
    old, new = sorted((one, other))
    assert {*tiles_of(new, old)} == {*tiles_of(new)} - {*tiles_of(old)}


@given(st.data())
def test_proofs_from_tiles_are_those_from_leaves(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([1, 2, 255, 256, 257, 511, 1000, 70_000]))
    tiles = stored_tiles(size)
    read = 0

    def reader(level: int, index: int) -> tuple[bytes, ...]:
        nonlocal read
        read += 1
        return tiles[level, index]

    index = data.draw(st.integers(0, size - 1))
    assert inclusion_proof(index, size, subtree_from_tiles(reader)) == inclusion_proof(index, size, from_leaves())
    assert read <= 8
    old = data.draw(st.integers(1, size))
    assert consistency_proof(old, size, subtree_from_tiles(reader)) == consistency_proof(old, size, from_leaves())


def test_a_tile_that_is_too_short_is_an_error_and_no_wrong_proof() -> None:
    tiles = stored_tiles(1000)
    with pytest.raises(InvalidInput, match="tile"):
        inclusion_proof(0, 1000, subtree_from_tiles(lambda level, index: tiles[level, index][:100]))


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(257 * 32)])
def test_bytes_that_are_no_tile_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="tile"):
        tile_from_bytes(data)


def proof_of(index: int, size: int) -> TlogProof:
    note = sign_checkpoint(Checkpoint(ORIGIN, size, root(size)), [NEW])
    return TlogProof(index, tuple(inclusion_proof(index, size, from_leaves())), note)


def test_a_tlog_proof_reads_as_it_was_written_and_holds() -> None:
    proof = proof_of(3, 1000)
    read = TlogProof.parse(str(proof))
    assert read == proof
    assert verify_tlog_proof(read, ENTRIES[3], [KEY]).size == 1000


def test_the_only_entry_of_a_log_has_an_empty_path() -> None:
    assert verify_tlog_proof(TlogProof.parse(str(proof_of(0, 1))), ENTRIES[0], [KEY]).size == 1


def test_an_extra_line_is_passed_over() -> None:
    text = str(proof_of(3, 10)).replace("\nindex", "\nextra AAAA\nindex", 1)
    assert TlogProof.parse(text) == proof_of(3, 10)


def test_another_entry_is_not_in_the_proof() -> None:
    with pytest.raises(VerificationFailed) as raised:
        verify_tlog_proof(proof_of(3, 10), ENTRIES[4], [KEY])
    assert raised.value.check == "inclusion"


def test_no_changed_character_of_a_tlog_proof_goes_unnoticed() -> None:
    text = str(proof_of(3, 10))
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(VerificationFailed):
            verify_tlog_proof(TlogProof.parse(changed), ENTRIES[3], [KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 01\n\nx",
        "c2sp.org/tlog-proof@v1\nindex x\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 1\n???\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{GOOD_ROOT}\n" * 64 + "\nx",
        "c2sp.org/tlog-proof@v1\nindex 1\n\n" + "x" * 140_000,
    ],
)
def test_what_is_no_tlog_proof_is_refused(text: str) -> None:
    with pytest.raises(VerificationFailed) as raised:
        TlogProof.parse(text)
    assert raised.value.reason == "bad_tlog_proof"
