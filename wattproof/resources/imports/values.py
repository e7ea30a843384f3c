"""Values from outside, made ours: token counts, times, money and names; whatever is malformed raises `Skip`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

from wattproof.methodology.quantity import MAX_TOKENS
from wattproof.resources.imports.records import Skip

__all__ = [
    "count",
    "digest",
    "first_count",
    "instant",
    "instant_of_seconds",
    "mapping",
    "micros",
    "milliseconds",
    "name",
    "named",
    "optional_name",
    "provider_name",
    "usage_of",
]

_LONGEST = 200
_YEAR_3000_S = 32_503_680_000
_NOT_PROVIDER = re.compile(r"[^a-z0-9._-]+")
_MOST_MICROS = 10**15


def count(value: object) -> int:
    """A token count: an integer, or text or a float that is one; None and "" are 0.

    Raises:
        Skip: anything else, a negative count, or more than 1e12.
    """
    if type(value) is int:
        found = value
    elif value is None or value == "":
        return 0
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    elif isinstance(value, str):
        found = _count_of_text(value)
    else:
        raise Skip("a token count is not an integer")
    if not 0 <= found <= MAX_TOKENS:
        raise Skip("a token count is out of range")
    return found


def _count_of_text(text: str) -> int:
    # Some exports write counts as 3.0 or 1,234.
    plain = text.strip().replace(",", "")
    whole, _, fraction = plain.partition(".")
    if len(whole) > 15 or not (whole.isascii() and whole.isdigit()) or fraction.strip("0"):
        raise Skip("a token count is not an integer")
    return int(whole)


def first_count(fields: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """The count under the first of `names` that holds one; None where none does."""
    for each in names:
        value = fields.get(each)
        if value is not None and value != "":
            return count(value)
    return None


def usage_of(input_tokens: int, cached: int, output: int, reasoning: int) -> tuple[int, int, int, int]:
    """The four counts in the order of `UsageRecord`, parts never larger than their whole.

    Where more is said to be cached than was sent, the source counts cached tokens beside the input, not within it.

    Raises:
        Skip: there is no token at all.
    """
    whole = input_tokens + cached if cached > input_tokens else input_tokens
    if whole + output == 0:
        raise Skip("no tokens")
    if whole > MAX_TOKENS:
        raise Skip("a token count is out of range")
    return whole, cached, output, min(reasoning, output)


def instant(value: object) -> str:
    """RFC 3339 UTC to the second. Times without a zone are UTC.

    Raises:
        Skip: this is no time between 1970 and 3000.
    """
    if not isinstance(value, str):
        raise Skip("a time is missing")
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise Skip("a time is not understood") from None
    if found.tzinfo is not None and found.tzinfo is not UTC:
        try:
            found = found.astimezone(UTC)
        except OverflowError:
            raise Skip("a time is out of range") from None
    if not 1970 <= found.year < 3000:
        raise Skip("a time is out of range")
    return found.isoformat()[:19] + "Z"


def instant_of_seconds(value: object) -> str:
    """RFC 3339 UTC of Unix seconds, given as a number or as text.

    Raises:
        Skip: this is no time between 1970 and 3000.
    """
    try:
        seconds = float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        raise Skip("a time is missing") from None
    if not 0 <= seconds < _YEAR_3000_S:
        raise Skip("a time is out of range")
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:19] + "Z"


def milliseconds(value: object) -> int | None:
    """A duration; None where there is none or it makes no sense."""
    try:
        found = float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        return None
    return round(found) if 0 <= found < 10**11 else None


def micros(value: object) -> int | None:
    """An amount of money in millionths; None where there is none, or a credit."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    if isinstance(value, float):
        # Half a millionth is nothing; text keeps every digit.
        return round(value * 1_000_000) if 0 <= value <= _MOST_MICROS / 1_000_000 else None
    try:
        found = Decimal(str(value)) * 1_000_000
        return round(found) if 0 <= found <= _MOST_MICROS else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def name(value: object, otherwise: str = "unstated") -> str:
    """A name as it may be stored: printable, at most 200 characters."""
    return (_clean(value) if isinstance(value, str) else None) or otherwise


def optional_name(value: object) -> str | None:
    """A name, or None where there is none."""
    return _clean(value) if isinstance(value, str) else None


def named(kind: str, value: object) -> str | None:
    """The name with its kind in front: ``trace:4bf9…``."""
    found = optional_name(value)
    return None if found is None else f"{kind}:{found}"[:_LONGEST]


def _clean(text: str) -> str | None:
    if text.isascii() and text.isprintable() and len(text) <= _LONGEST:
        return text.strip() or None
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    text = text[:_LONGEST].strip()
    if not text.isprintable():
        text = "".join(each if each.isprintable() else "?" for each in text)
    return text or None


@lru_cache(maxsize=4096)
def provider_name(value: str | None) -> str:
    """The id of a provider: ours where the name is another spelling of it, else the name in lower case."""
    plain = _NOT_PROVIDER.sub("-", (value or "").strip().lower())[:60].strip("-.")
    return _SPELLINGS.get(plain, plain) or "unstated"


# How gateways and instrumentations call providers -> the id in our catalogue.
_SPELLINGS = {
    "amazon-bedrock": "bedrock",
    "aws-bedrock": "bedrock",
    "aws.bedrock": "bedrock",
    "azure-openai": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock_converse": "bedrock",
    "fireworks_ai": "fireworks",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "together-ai": "together",
    "gcp.vertex_ai": "vertex",
    "google-vertex": "vertex",
    "vertex_ai": "vertex",
    "vertexai": "vertex",
}


def mapping(value: object) -> Mapping[str, Any]:
    """`value` where it is an object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def digest(*parts: object) -> str:
    """A short name made of what identifies a row that has none of its own."""
    return sha256("\x1f".join(str(part) for part in parts).encode(errors="replace")).hexdigest()[:40]
