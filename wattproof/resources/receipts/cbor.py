"""The little CBOR that COSE receipts need: integers, byte and text strings, arrays, maps, tags and null.

Written deterministically (shortest integers, definite lengths, map keys in the order of their bytes), and read only
where it was written so: one value has one encoding.

Source: RFC 8949 section 4.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed

__all__ = ["MAX_BYTES", "Item", "Tag", "dumps", "loads"]

MAX_BYTES = 64 * 1024
_MAX_DEPTH = 8
_NULL = 0xF6
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
# How an argument is written: in the first byte below 24, else in 1, 2, 4 or 8 bytes after it.
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value; COSE_Sign1 has tag 18."""

    number: int
    value: Item


Item: TypeAlias = "int | bytes | str | Tag | tuple[Item, ...] | Mapping[int | str, Item] | None"


def dumps(item: Item) -> bytes:
    """The deterministic encoding.

    Raises:
        InvalidInput: an integer outside 64 bits, a boolean, or a value of another type.
    """
    if item is None:
        return bytes((_NULL,))
    if isinstance(item, bool):
        raise InvalidInput("item", f"is {item}", "give an integer, bytes, text, a tuple, a mapping, a Tag or None")
    if isinstance(item, int):
        return _head(_UINT, item) if item >= 0 else _head(_NEGATIVE, -1 - item)
    if isinstance(item, bytes):
        return _head(_BYTES, len(item)) + item
    if isinstance(item, str):
        text = item.encode()
        return _head(_TEXT, len(text)) + text
    if isinstance(item, Tag):
        return _head(_TAG, item.number) + dumps(item.value)
    if isinstance(item, tuple):
        return _head(_ARRAY, len(item)) + b"".join(dumps(member) for member in item)
    pairs = sorted((dumps(key), dumps(value)) for key, value in item.items())
    return _head(_MAP, len(pairs)) + b"".join(key + value for key, value in pairs)


def loads(data: bytes) -> Item:
    """Read one value that `dumps` could have written.

    Raises:
        VerificationFailed: check ``format``, reason ``bad_cbor``: it is anything else.
    """
    if len(data) > MAX_BYTES:
        raise _malformed(f"It has more than {MAX_BYTES} bytes.")
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise _malformed(f"{len(data) - end} bytes follow it.")
    return item


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for additional, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes((major << 5 | additional,)) + argument.to_bytes(width, "big")
    raise InvalidInput("item", f"holds the number {argument}", "give integers of at most 64 bits")


def _item(data: bytes, at: int, depth: int) -> tuple[Item, int]:
    """The value that starts at byte `at`, and where it ends."""
    if depth > _MAX_DEPTH:
        raise _malformed(f"It is nested more than {_MAX_DEPTH} deep.")
    if data[at : at + 1] == bytes((_NULL,)):
        return None, at + 1
    major, argument, at = _argument(data, at)
    if major in (_UINT, _NEGATIVE):
        return (argument if major == _UINT else -1 - argument), at
    if major in (_BYTES, _TEXT):
        return _string(data, at, argument, major)
    if major == _ARRAY:
        members: list[Item] = []
        for _ in range(argument):
            member, at = _item(data, at, depth + 1)
            members.append(member)
        return tuple(members), at
    if major == _MAP:
        return _map(data, at, argument, depth)
    if major == _TAG:
        value, at = _item(data, at, depth + 1)
        return Tag(argument, value), at
    raise _malformed("It holds a number with a fraction, a boolean or another simple value.")


def _argument(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument, and where the rest begins."""
    if at >= len(data):
        raise _malformed("It ends too early.")
    major, additional = data[at] >> 5, data[at] & 0x1F
    at += 1
    if additional < 24:
        return major, additional, at
    width = _WIDTHS.get(additional)
    if width is None or at + width > len(data):
        raise _malformed("It ends too early, or has an indefinite length.")
    argument = int.from_bytes(data[at : at + width], "big")
    if argument < (24 if width == 1 else 1 << 4 * width):
        raise _malformed("A number is not written in its shortest form.")
    return major, argument, at + width


def _string(data: bytes, at: int, length: int, major: int) -> tuple[bytes | str, int]:
    raw = data[at : at + length]
    if len(raw) != length:
        raise _malformed("A string ends too early.")
    if major == _BYTES:
        return raw, at + length
    try:
        return raw.decode(), at + length
    except UnicodeDecodeError as error:
        raise _malformed("A text is not UTF-8.") from error


def _map(data: bytes, at: int, pairs: int, depth: int) -> tuple[Item, int]:
    members: dict[int | str, Item] = {}
    before = b""
    for _ in range(pairs):
        key, end = _item(data, at, depth + 1)
        if not isinstance(key, int | str):
            raise _malformed("The key of a map is neither an integer nor a text.")
        if data[at:end] <= before:
            raise _malformed("The keys of a map repeat or are out of order.")
        before = data[at:end]
        members[key], at = _item(data, end, depth + 1)
    return cast("Item", members), at


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_cbor", f"This is not the CBOR of a receipt. {detail}")
