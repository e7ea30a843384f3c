"""A provider's own footprint block, made fit for canonical JSON without changing what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, cast

from wattproof.resources.receipts import canonical

__all__ = ["MAX_STATED_BYTES", "stated"]

MAX_STATED_BYTES = 8 * 1024
_MAX_DEPTH = 5


def stated(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block with floats as decimal text (shortest that reads back), true and false as text, keys as ASCII.

    What is nested too deep becomes text that says so; a block that is too big becomes
    ``{"omitted": "too_large", "sha256": …}``. So a provider can never make a receipt impossible.
    """
    fitted = {_ascii(str(key)): _fit(member, 1) for key, member in block.items()}
    encoded = canonical.dumps(fitted)
    if len(encoded) > MAX_STATED_BYTES:
        return {"omitted": "too_large", "sha256": sha256(encoded).hexdigest()}
    return fitted


def _fit(value: object, depth: int) -> object:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int() if -canonical.MAX_INTEGER <= value <= canonical.MAX_INTEGER:
            return value
        case str():
            return value.encode(errors="replace").decode()
        case Mapping() | list() | tuple() if depth >= _MAX_DEPTH:
            return "omitted: too deep"
        case Mapping():
            members = cast("Mapping[object, object]", value)
            return {_ascii(str(key)): _fit(member, depth + 1) for key, member in members.items()}
        case list() | tuple():
            return [_fit(member, depth + 1) for member in cast("Sequence[object]", value)]
        case _:
            return str(value)[:100]


def _ascii(key: str) -> str:
    return json.dumps(key)[1:-1]
