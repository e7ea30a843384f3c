"""A consistency proof as text: the path between two states of a log, one base64 hash a line.

    old <tree size>
    <base64 hash>
    …

    <checkpoint>

This is what a log sends to a witness; the first line and everything from the blank line on may be left out.

Source: C2SP tlog-witness v1.0.0, add-checkpoint.
"""

from __future__ import annotations

import base64
import binascii

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.receipts.merkle import HASH_BYTES

__all__ = ["read_consistency"]

_MAX_HASHES = 64


def read_consistency(text: str) -> tuple[bytes, ...]:
    """The hashes of a consistency proof, in order.

    Raises:
        InvalidInput: a line is no SHA-256 hash in base64, or there are more than 64.
    """
    lines = text.lstrip().partition("\n\n")[0].split("\n")
    if lines[0].startswith("old "):
        lines = lines[1:]
    hashes = [line.strip() for line in lines if line.strip()]
    if len(hashes) > _MAX_HASHES:
        raise InvalidInput("consistency", f"has {len(hashes)} hashes", f"at most {_MAX_HASHES} are possible")
    return tuple(_hash(line) for line in hashes)


def _hash(line: str) -> bytes:
    try:
        node = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        node = b""
    if len(node) != HASH_BYTES or base64.b64encode(node).decode("ascii") != line:
        raise InvalidInput("consistency", f"holds the line {line[:60]!r}", "give one SHA-256 hash in base64 a line")
    return node
