from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import canonical

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = st.none() | TEXTS | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: _depth(value) <= canonical.MAX_DEPTH)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return 0


@given(VALUES)
def test_what_is_encoded_is_rfc_8785_byte_for_byte_and_reads_back(value: Any) -> None:
    encoded = canonical.dumps(value)
    assert encoded == rfc8785.dumps(value)
    assert canonical.loads(encoded) == value


@given(st.binary(max_size=60) | TEXTS.map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_reading_refuses_whatever_it_would_not_have_written(data: bytes) -> None:
    with contextlib.suppress(VerificationFailed):
        assert canonical.dumps(canonical.loads(data)) == data


ANY_LEAF = LEAVES | st.booleans() | st.floats() | st.integers(-(2**60), 2**60)
ANYTHING = st.recursive(ANY_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(ANYTHING, st.integers(0, 9), st.booleans())
def test_of_any_json_what_is_canonical_is_read_and_nothing_else(value: Any, wrapped: int, sort: bool) -> None:
    for _ in range(wrapped):
        value = [value]
    data = json.dumps(value, ensure_ascii=False, sort_keys=sort, separators=(",", ":")).encode()
    try:
        is_canonical = canonical.dumps(value) == data
    except InvalidInput:
        is_canonical = False
    if is_canonical:
        assert canonical.loads(data) == value
    else:
        with pytest.raises(VerificationFailed):
            canonical.loads(data)


@pytest.mark.parametrize("name", ["structures", "unicode"])
def test_rfc_8785_output_inside_the_subset_is_read_and_written_alike(vectors: Path, name: str) -> None:
    expected = (vectors / "jcs" / "output" / f"{name}.json").read_bytes()
    assert canonical.dumps(canonical.loads(expected)) == expected


@pytest.mark.parametrize("name", ["arrays", "french", "values", "weird"])
def test_rfc_8785_output_with_floats_booleans_or_other_keys_is_refused(vectors: Path, name: str) -> None:
    with pytest.raises(VerificationFailed):
        canonical.loads((vectors / "jcs" / "output" / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "values", "weird"])
def test_rfc_8785_input_outside_the_subset_is_not_written(vectors: Path, name: str) -> None:
    value = json.loads((vectors / "jcs" / "input" / f"{name}.json").read_bytes())
    with pytest.raises(InvalidInput):
        canonical.dumps(value)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": {"b": True}}, "a.b"),
        ({"a": [1, 0.5]}, "a[1]"),
        ({"a": 2**53}, "a"),
        ({"a": -(2**53)}, "a"),
        ({"é": 1}, "value"),
        ({1: 1}, "value"),
        ({"a": "\ud800"}, "a"),
        ({"a": b"x"}, "a"),
        (float("nan"), "value"),
    ],
)
def test_a_value_outside_the_subset_is_refused_by_its_place(value: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical.dumps(value)
    assert caught.value.field == field


def test_eight_levels_are_encoded_and_nine_are_not() -> None:
    nested: object = 0
    for _ in range(8):
        nested = [nested]
    assert canonical.loads(canonical.dumps(nested)) == nested
    with pytest.raises(InvalidInput):
        canonical.dumps([nested])


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidInput):
        canonical.dumps(loop)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1.0}', "not_integer"),
        (b'{"a":1e3}', "not_integer"),
        (b'{"a":NaN}', "not_integer"),
        (b'{"a":9007199254740992}', "not_canonical"),
        (b'{"a":' + b"9" * 5000 + b"}", "not_integer"),
        (b'{"a":-0}', "not_canonical"),
        (b'{"a":01}', "not_json"),
        (b'{"b":1,"a":1}', "not_canonical"),
        (b'{"a": 1}', "not_canonical"),
        (b'{"a":1}\n', "not_canonical"),
        (b'{"a":"\\u0041"}', "not_canonical"),
        (b'{"a":"\\/"}', "not_canonical"),
        (b'{"a":"\\ud800"}', "not_canonical"),
        (b'{"a":true}', "not_canonical"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"a":"\xff"}', "not_json"),
        (b"[" * 60_000, "not_json"),
        (b"[" * 9 + b"]" * 9, "not_canonical"),
        (b"", "not_json"),
        (b'"' + b"a" * 65_536 + b'"', "too_large"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        canonical.loads(data)
    assert caught.value.reason == reason
