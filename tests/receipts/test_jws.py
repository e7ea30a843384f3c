from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import Issuer, base64url, jws, parse, sign

PAYLOAD = {"a": 1, "b": "é"}


def _segment(document: object) -> str:
    return base64url.encode(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def _signed(issuer: Issuer, header: object, payload: str | None = None) -> str:
    """A JWS with this header, truly signed by the issuer."""
    head = f"{_segment(header)}.{_segment(PAYLOAD) if payload is None else payload}"
    return f"{head}.{base64url.encode(issuer.sign(head.encode()))}"


def _reason(call: Callable[[], Any]) -> str:
    with pytest.raises(VerificationFailed) as caught:
        call()
    return caught.value.reason


@pytest.mark.parametrize("index", range(5))
def test_signatures_are_those_of_rfc_8032(vectors: Path, index: int) -> None:
    vector = json.loads((vectors / "rfc8032" / "ed25519.json").read_bytes())[index]
    signer = Issuer(bytes.fromhex(vector["secret"]))
    message, signature = bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
    assert signer.public_key.hex() == vector["public"]
    assert signer.sign(message) == signature
    parsed = jws.Parsed({"alg": "EdDSA", "kid": signer.kid, "typ": "x"}, {}, message, signature)
    jws.verify(parsed, {signer.kid: signer.public_key})
    broken = jws.Parsed(parsed.header, {}, message + b"x", signature)
    assert _reason(lambda: jws.verify(broken, {signer.kid: signer.public_key})) == "bad_signature"


def test_the_rfc_8037_example_is_signed_alike() -> None:
    """RFC 8037 appendix A.4: its own header and payload, our base64url and key."""
    signer = Issuer(base64url.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    signing_input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert base64url.encode(signer.sign(signing_input)) == expected


def test_a_signed_payload_parses_back_and_its_signature_passes(issuer: Issuer) -> None:
    parsed = parse(sign(PAYLOAD, issuer))
    assert parsed.payload == PAYLOAD
    assert parsed.header == {"alg": "EdDSA", "kid": issuer.kid, "typ": "wattproof-receipt+jws"}
    jws.verify(parsed, {issuer.kid: issuer.public_key})


def test_the_fully_specified_algorithm_name_is_accepted(issuer: Issuer) -> None:
    parsed = parse(_signed(issuer, {"alg": "Ed25519", "kid": issuer.kid, "typ": jws.RECEIPT_TYP}))
    jws.verify(parsed, {issuer.kid: issuer.public_key})


def test_a_key_that_nobody_gave_is_unknown(issuer: Issuer) -> None:
    parsed = parse(sign(PAYLOAD, issuer))
    assert _reason(lambda: jws.verify(parsed, {})) == "unknown_key"


def test_a_second_spelling_of_a_signature_is_refused(issuer: Issuer) -> None:
    """S + L is the same scalar: a lax verifier would accept another receipt id for the same statement."""
    order = 2**252 + 27742317777372353535851937790883648493
    parsed = parse(sign(PAYLOAD, issuer))
    scalar = (int.from_bytes(parsed.signature[32:], "little") + order).to_bytes(32, "little")
    twin = replace(parsed, signature=parsed.signature[:32] + scalar)
    assert _reason(lambda: jws.verify(twin, {issuer.kid: issuer.public_key})) == "bad_signature"


def test_a_key_of_small_order_is_refused(issuer: Issuer) -> None:
    """Under the neutral element as a key, one signature would fit every message."""
    neutral = (1).to_bytes(32, "little")
    universal = replace(parse(sign(PAYLOAD, issuer)), signature=neutral + bytes(32))
    assert _reason(lambda: jws.verify(universal, {issuer.kid: neutral})) == "bad_signature"


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit"])
def test_a_header_that_brings_its_own_key_is_refused(issuer: Issuer, name: str) -> None:
    header = {"alg": "EdDSA", "kid": issuer.kid, "typ": jws.RECEIPT_TYP, name: "x"}
    assert _reason(lambda: parse(_signed(issuer, header))) == "header_carries_key"


@pytest.mark.parametrize("alg", ["none", "HS256", "eddsa", "ES256", ""])
def test_another_algorithm_is_refused(issuer: Issuer, alg: str) -> None:
    header = {"alg": alg, "kid": issuer.kid, "typ": jws.RECEIPT_TYP}
    assert _reason(lambda: parse(_signed(issuer, header))) == "bad_alg"


@pytest.mark.parametrize(
    "header",
    [
        [],
        "EdDSA",
        {"alg": "EdDSA", "kid": "k"},
        {"alg": "EdDSA", "kid": "k", "typ": "t", "b64": "no"},
        {"alg": "EdDSA", "kid": 1, "typ": "t"},
        {"alg": ["EdDSA"], "kid": "k", "typ": "t"},
    ],
)
def test_a_header_must_be_exactly_alg_kid_and_typ(issuer: Issuer, header: object) -> None:
    assert _reason(lambda: parse(_signed(issuer, header))) == "bad_header"


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "é.b.c", "..", "eyJ9.e30.AA", "\x00.\x00.\x00"],
)
def test_what_is_not_three_base64url_parts_is_refused(text: str) -> None:
    with pytest.raises(VerificationFailed):
        parse(text)


def test_a_payload_that_is_not_an_object_is_refused(issuer: Issuer) -> None:
    header = {"alg": "EdDSA", "kid": issuer.kid, "typ": jws.RECEIPT_TYP}
    assert _reason(lambda: parse(_signed(issuer, header, base64url.encode(b"[]")))) == "not_jws"


def test_a_payload_in_another_encoding_is_refused_though_its_signature_is_good(issuer: Issuer) -> None:
    header = {"alg": "EdDSA", "kid": issuer.kid, "typ": jws.RECEIPT_TYP}
    assert _reason(lambda: parse(_signed(issuer, header, base64url.encode(b'{"b":1, "a":1}')))) == "not_canonical"


def test_a_signature_of_another_size_is_refused(issuer: Issuer) -> None:
    text = sign(PAYLOAD, issuer)
    head = text.rpartition(".")[0]
    assert _reason(lambda: parse(f"{head}.{base64url.encode(bytes(63))}")) == "bad_signature_size"


def test_more_than_64_kib_is_neither_read_nor_written(issuer: Issuer) -> None:
    assert _reason(lambda: parse("a" * 65_537)) == "too_large"
    with pytest.raises(InvalidInput):
        sign({"a": "x" * 60_000}, issuer)


@given(st.binary(max_size=40))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert base64url.decode(text) == data


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "Q+", "Q/", "QQ\n", " QQ", "é"])
def test_another_spelling_of_base64url_is_refused(text: str) -> None:
    assert _reason(lambda: base64url.decode(text)) == "bad_base64url"


@given(st.binary(max_size=40))
def test_bytes_have_one_spelling_in_base64url(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    for other in (f"{text}=", f"{text}==", f"{text} ", f"{text}\n", f"={text}", text + "é"):
        with pytest.raises(VerificationFailed):
            base64url.decode(other)


@given(st.text("ABQgwx09-_+/=\n é", max_size=12))
def test_text_is_the_spelling_of_its_bytes_or_refused(text: str) -> None:
    with contextlib.suppress(VerificationFailed):
        assert base64url.encode(base64url.decode(text)) == text
