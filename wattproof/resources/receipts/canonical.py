"""Canonical JSON: the subset of RFC 8785 (JCS) that every language encodes alike.

Objects with ASCII keys, lists, strings, null and integers with |n| < 2**53. No floats and no booleans, so that two
verifiers can never disagree about how a number is written. On this subset the output is byte for byte what RFC 8785
gives. Reading is strict: what does not encode back to the same bytes is refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_INTEGER", "dumps", "loads"]

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_INTEGER = 2**53 - 1

# The depth check makes a cycle impossible before the encoder runs.
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def dumps(value: object) -> bytes:
    """Encode `value` (dict, list, str, int, None) as canonical UTF-8 JSON.

    Raises:
        InvalidInput: a float, a boolean, an integer of 2**53 or more, a key that is not ASCII, a lone surrogate,
            nesting above 8, or another type. The error names the place, e.g. ``usage.input_tokens``.
    """
    if not _is_plain(value):
        _check(value, "", 0)
    return _ENCODER.encode(value).encode()


def loads(data: bytes) -> Any:
    """Decode canonical JSON; refuse everything that `dumps` would not have written.

    Raises:
        VerificationFailed: check ``format``; reason ``too_large``, ``not_json``, ``duplicate_key``, ``not_integer`` or
            ``not_canonical``.
    """
    if len(data) > MAX_BYTES:
        raise _failed("too_large", f"The JSON has {len(data)} bytes; at most {MAX_BYTES} are read.")
    plain = _plain(data)
    return _judged(data) if plain is None else plain


def _plain(data: bytes) -> dict[str, Any] | list[Any] | None:
    """The value, where a quick look shows that nothing is wrong; None where it does not, and `_judged` must say.

    The decoder keeps the order of keys and the encoder writes it back: what comes out as it went in has no spaces, no
    key twice and no needless escapes. The rest is looked at part by part: sorted keys, kinds, size of numbers, depth.
    """
    if not data.isascii():
        return None
    text = data.decode("ascii")
    try:
        value: Any = _DECODER.decode(text)
    except (VerificationFailed, ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list) or _ECHO.encode(value) != text:
        return None
    found = cast("dict[str, Any] | list[Any]", value)
    return found if _is_ordinary(found) else None


def _is_ordinary(value: dict[str, Any] | list[Any]) -> bool:
    sorted_keys: set[tuple[str, ...]] = set()
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for whole in level:
            parts = whole
            if whole.__class__ is dict:
                keys = tuple(whole)
                if keys not in sorted_keys:
                    if keys != tuple(sorted(keys)):
                        return False
                    sorted_keys.add(keys)
                parts = whole.values()
            for part in parts:
                kind = part.__class__
                if kind is dict or kind is list:
                    deeper.append(part)
                elif kind is bool or (kind is int and not _is_safe(part)):
                    return False
        if not deeper:
            return True
        level = deeper
    return False


def _judged(data: bytes) -> Any:
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_not_integer,
            parse_int=_integer,
            parse_constant=_not_integer,
        )
        encoded = dumps(value)
    except InvalidInput as error:
        raise _failed("not_canonical", f"The JSON is outside the canonical subset: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _failed("not_json", "The bytes are not UTF-8 JSON of ordinary depth.") from error
    if encoded != data:
        raise _failed("not_canonical", "The JSON differs from its canonical encoding (key order, spaces or escapes).")
    return value


def _is_plain(value: object) -> bool:
    """Whether every part is of a usual kind, so that nobody has to look for what is wrong and where. Level by level."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for part in level:
            kind = part.__class__
            if kind is dict:
                if not all(type(key) is str and key.isascii() for key in part):
                    return False
                deeper += part.values()
            elif kind is list:
                deeper += part
            elif not (part is None or (part.isascii() if kind is str else kind is int and _is_safe(part))):
                return False
        level = deeper
    return not level


def _is_safe(number: int) -> bool:
    return -MAX_INTEGER <= number <= MAX_INTEGER


def _check(value: object, path: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, bool | float):
        raise InvalidInput(path or "value", f"is {value!r}", "canonical JSON holds integers, strings and null")
    elif isinstance(value, int):
        if not _is_safe(value):
            raise InvalidInput(path or "value", "is an integer of 2**53 or more", "use a larger unit")
    elif isinstance(value, dict | list):
        _check_members(cast("dict[object, object] | list[object]", value), path, depth + 1)
    elif value is not None:
        raise InvalidInput(path or "value", f"is a {type(value).__name__}", "use dict, list, str, int or None")


def _check_members(value: dict[object, object] | list[object], path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(path or "value", f"is nested deeper than {MAX_DEPTH}", "flatten it")
    if isinstance(value, list):
        for index, member in enumerate(value):
            _check(member, f"{path}[{index}]", depth)
        return
    for key, member in value.items():
        if not isinstance(key, str) or not key.isascii():
            raise InvalidInput(path or "value", f"has the key {key!r}", "use ASCII strings as keys")
        _check(member, f"{path}.{key}" if path else key, depth)


def _check_text(value: str, path: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(path or "value", "holds a lone surrogate", "use valid Unicode text") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _failed("duplicate_key", "A JSON object names the same key twice.")
    return made


def _integer(text: str) -> int:
    # A long digit string is refused before int() spends time on it.
    return int(text) if len(text) <= 17 else _not_integer(text)


def _not_integer(text: str) -> NoReturn:
    raise _failed("not_integer", f"{text[:40]} is not an integer below 2**53; numbers must be.")


def _failed(reason: str, message: str) -> VerificationFailed:
    return VerificationFailed("format", reason, message)


_DECODER = json.JSONDecoder(parse_float=_not_integer, parse_constant=_not_integer)
_ECHO = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
