"""Cosignatures of witnesses on a checkpoint, and requests for timestamps of one."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from wattproof.methodology.errors import InvalidInput, LedgerUnusable, VerificationFailed
from wattproof.resources.receipts import Issuer
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from wattproof.resources.receipts.cosignature import (
    Cosignature,
    add_cosignatures,
    check_witnessed,
    cosign,
    open_cosignatures,
)
from wattproof.resources.receipts.note import COSIGNATURE, VerifierKey
from wattproof.resources.receipts.timestamp import MAX_TOKEN_BYTES, store_timestamp, timestamp_request

NOW = 1_795_327_200
LOG, W1, W2, STRANGER = (Issuer(bytes([number] * 32)) for number in range(4))
CHECKPOINT = Checkpoint("wattproof.local/1", 300, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, [LOG])
KEY1 = VerifierKey("witness.example.com/w1", W1.public_key, COSIGNATURE)
KEY2 = VerifierKey("witness.example.com/w2", W2.public_key, COSIGNATURE)
LINE1 = cosign(NOTE, KEY1.name, W1, NOW)
LINE2 = cosign(NOTE, KEY2.name, W2, NOW + 5)


def test_a_witness_and_its_time_are_read() -> None:
    note = add_cosignatures(NOTE, LINE1 + LINE2, [KEY1, KEY2])
    assert open_cosignatures(note, [KEY1, KEY2]) == (Cosignature(KEY1, NOW), Cosignature(KEY2, NOW + 5))
    assert check_witnessed(note, [KEY1, KEY2], 2, NOW) == open_cosignatures(note, [KEY1, KEY2])


def test_the_signed_message_is_that_of_the_specification() -> None:
    raw = b64decode(LINE1.rpartition(" ")[2])
    assert raw[:4] == KEY1.key_id
    assert int.from_bytes(raw[4:12], "big") == NOW
    message = f"cosignature/v1\ntime {NOW}\n{CHECKPOINT.text}"
    VerifyKey(W1.public_key).verify(message.encode(), raw[12:])


def test_a_witnesss_key_reads_as_it_was_written() -> None:
    assert VerifierKey.parse(str(KEY1)) == KEY1


def test_a_witnesss_key_has_another_id_than_the_same_key_for_notes() -> None:
    assert KEY1.key_id != VerifierKey(KEY1.name, W1.public_key).key_id


def test_a_checkpoint_opens_whoever_witnessed_it() -> None:
    note = add_cosignatures(NOTE, LINE1, [KEY1])
    assert open_checkpoint(note, [VerifierKey(CHECKPOINT.origin, LOG.public_key)]) == CHECKPOINT


def test_a_witness_cannot_sign_for_the_log() -> None:
    line = cosign(NOTE, CHECKPOINT.origin, W1, NOW)
    key = VerifierKey(CHECKPOINT.origin, W1.public_key, COSIGNATURE)
    note = CHECKPOINT.text + "\n" + line
    with pytest.raises(VerificationFailed, match="None of the signatures"):
        open_checkpoint(note, [key])


def test_a_checkpoint_that_nobody_witnessed_says_so() -> None:
    assert open_cosignatures(NOTE, [KEY1]) == ()


def test_a_strangers_line_is_left_out() -> None:
    note = add_cosignatures(NOTE, cosign(NOTE, "stranger", STRANGER, NOW) + LINE1, [KEY1])
    assert "stranger" not in note
    assert len(open_cosignatures(note, [KEY1])) == 1


def test_a_line_is_added_once() -> None:
    once = add_cosignatures(NOTE, LINE1, [KEY1])
    assert add_cosignatures(once, LINE1, [KEY1]) == once


def test_the_later_of_two_lines_of_one_witness_counts() -> None:
    lines = cosign(NOTE, KEY1.name, W1, NOW + 60) + LINE1
    assert open_cosignatures(add_cosignatures(NOTE, lines, [KEY1]), [KEY1]) == (Cosignature(KEY1, NOW + 60),)


def test_a_cosignature_of_another_checkpoint_is_refused() -> None:
    other = sign_checkpoint(Checkpoint(CHECKPOINT.origin, 301, bytes(32)), [LOG])
    with pytest.raises(VerificationFailed) as raised:
        add_cosignatures(other, LINE1, [KEY1])
    assert raised.value.reason == "bad_signature"


@given(st.integers(4, 75), st.integers(1, 255))
def test_no_byte_of_a_cosignature_can_be_changed(at: int, flip: int) -> None:
    head, _, encoded = LINE1.strip().rpartition(" ")
    raw = bytearray(b64decode(encoded))
    raw[at] ^= flip
    with pytest.raises(VerificationFailed):
        open_cosignatures(f"{NOTE}{head} {b64encode(raw).decode()}\n", [KEY1])


def test_an_answer_that_is_no_signature_line_is_refused() -> None:
    with pytest.raises(VerificationFailed) as raised:
        add_cosignatures(NOTE, "<html>\n", [KEY1])
    assert raised.value.check == "format"


@pytest.mark.parametrize("quorum", [0, 3])
def test_a_quorum_that_cannot_be_is_refused(quorum: int) -> None:
    with pytest.raises(InvalidInput, match="quorum"):
        check_witnessed(NOTE, [KEY1, KEY2], quorum, NOW)


def test_too_few_witnesses_are_refused() -> None:
    note = add_cosignatures(NOTE, LINE1, [KEY1])
    with pytest.raises(VerificationFailed, match="1 known witnesses"):
        check_witnessed(note, [KEY1, KEY2], 2, NOW)


def test_one_key_under_two_names_is_one_witness() -> None:
    twin = VerifierKey("witness.example.com/twin", W1.public_key, COSIGNATURE)
    with pytest.raises(InvalidInput, match="quorum"):
        check_witnessed(NOTE, [KEY1, twin], 2, NOW)
    note = add_cosignatures(NOTE, LINE1 + cosign(NOTE, twin.name, W1, NOW), [KEY1, twin])
    with pytest.raises(VerificationFailed, match="1 known witnesses"):
        check_witnessed(note, [KEY1, twin, KEY2], 2, NOW)


def test_a_cosignature_from_the_future_does_not_count() -> None:
    note = add_cosignatures(NOTE, LINE1, [KEY1])
    assert check_witnessed(note, [KEY1], 1, NOW - 300)
    with pytest.raises(VerificationFailed, match="0 known witnesses"):
        check_witnessed(note, [KEY1], 1, NOW - 301)


def test_a_key_for_notes_is_no_witness() -> None:
    with pytest.raises(InvalidInput, match="witnesses"):
        open_cosignatures(NOTE, [VerifierKey(KEY1.name, W1.public_key)])


def test_only_a_checkpoint_is_witnessed() -> None:
    with pytest.raises(VerificationFailed, match="not a checkpoint"):
        cosign("hello\n\n— a AAAAAAAA\n", "w", W1, NOW)


@pytest.mark.parametrize("time_s", [0, -1, 1 << 63])
def test_a_witness_needs_a_time(time_s: int) -> None:
    with pytest.raises(InvalidInput, match="time_s"):
        cosign(NOTE, "w", W1, time_s)


def test_a_signed_time_of_zero_is_refused() -> None:
    message = f"cosignature/v1\ntime 0\n{CHECKPOINT.text}".encode()
    line = f"— {KEY1.name} {b64encode(KEY1.key_id + bytes(8) + W1.sign(message)).decode()}\n"
    with pytest.raises(VerificationFailed) as raised:
        open_cosignatures(NOTE + line, [KEY1])
    assert raised.value.reason == "bad_time"


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="kind"):
        VerifierKey("w", W1.public_key, 6)


@pytest.mark.parametrize("nonce", [0, -1, 1 << 64])
def test_a_nonce_has_64_bits(nonce: int) -> None:
    with pytest.raises(InvalidInput, match="nonce"):
        timestamp_request(CHECKPOINT, nonce)


def test_a_timestamp_of_something_else_is_not_stored(tmp_path: Path) -> None:
    other = timestamp_request(Checkpoint(CHECKPOINT.origin, 299, bytes(32)), 1)
    for answer in (other, b"", b"\x30\x03\x02\x01\x02"):
        with pytest.raises(VerificationFailed) as raised:
            store_timestamp(tmp_path, CHECKPOINT, answer)
        assert raised.value.reason == "other_data"
    assert not list(tmp_path.iterdir())


def test_an_enormous_answer_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed) as raised:
        store_timestamp(tmp_path, CHECKPOINT, timestamp_request(CHECKPOINT, 1) + bytes(MAX_TOKEN_BYTES))
    assert raised.value.reason == "too_large"


def test_a_timestamp_is_never_replaced(tmp_path: Path) -> None:
    token = timestamp_request(CHECKPOINT, 1)
    path = store_timestamp(tmp_path, CHECKPOINT, token)
    assert path.name == "300.tsr"
    with pytest.raises(LedgerUnusable, match="never replaced"):
        store_timestamp(tmp_path, CHECKPOINT, timestamp_request(CHECKPOINT, 2))
    assert path.read_bytes() == token


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="Cannot write"):
        store_timestamp(tmp_path / "missing", CHECKPOINT, timestamp_request(CHECKPOINT, 1))
