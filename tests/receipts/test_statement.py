"""A payload that was made ready beforehand is signed as if it had been encoded at the time of issue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Method, all_methods
from wattproof.resources.receipts import Issuer, canonical, parse, sign
from wattproof.resources.receipts.jws import sign_encoded
from wattproof.resources.receipts.statement import Statement

AT = "2026-11-22T06:00:00Z"
PLAIN = st.recursive(
    st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=4)
    ),
    max_leaves=12,
)


def fast(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)
def test_it_encodes_as_the_payload_issued_then(make_payload: Callable[..., dict[str, Any]], method: Method) -> None:
    payload = make_payload(method)
    for statement in (Statement(payload), Statement(payload, fast)):
        assert (
            statement.encoded(AT)
            == canonical.dumps({**payload, "issued_at": AT})
            == canonical.dumps(statement.issued(AT))
        )


@given(st.dictionaries(st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1), PLAIN, max_size=6))
def test_so_does_anything_canonical(members: dict[str, Any]) -> None:
    expected = canonical.dumps({**members, "issued_at": AT})
    assert Statement(members).encoded(AT) == expected
    assert Statement(members, fast).encoded(AT) == expected


def test_it_is_signed_alike(make_payload: Callable[..., dict[str, Any]], issuer: Issuer) -> None:
    payload = make_payload()
    jws = sign_encoded(Statement(payload).encoded(AT), issuer)
    assert jws == sign({**payload, "issued_at": AT}, issuer)
    assert parse(jws).payload["issued_at"] == AT


@pytest.mark.parametrize("value", [1.5, True, 2**53, "\ud800"])
def test_what_is_not_canonical_is_refused_when_it_is_made(value: object) -> None:
    with pytest.raises(InvalidInput):
        Statement({"member": value})


def test_a_receipt_that_nobody_could_read_is_refused(issuer: Issuer) -> None:
    with pytest.raises(InvalidInput, match="gives a JWS"):
        sign_encoded(b'{"a":"' + b"x" * 60_000 + b'"}', issuer)
