"""Another vendor's footprint block as it stands in an answer: which vendor's it is, and what stands beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.errors import InvalidInput

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Usage
    from wattproof.resources.providers.reported import ReportedFootprint

__all__ = ["VendorBlock", "comment_block", "find_block"]

# Header names that vendors use; a caller may paste them as they are, without `headers` around them.
_HEADER = re.compile(r"x-[a-z0-9-]{1,80}", re.IGNORECASE)
_COMMENT = re.compile(r"^: ?([a-z_]{1,30}) (\{.*\})$", re.MULTILINE)
_MOST_UNIX_S = 2**53


@dataclass(frozen=True, slots=True)
class VendorBlock:
    """A vendor's own statement of the footprint of one answer.

    `subject` names vendor and block, e.g. ``melious/environment_impact``. `raw` holds the blocks, header names in lower
    case. `usage`, `model` and `created_s` (Unix time) are what the answer says beside it; None where it does not.
    """

    subject: str
    reported: ReportedFootprint
    raw: Mapping[str, Any]
    usage: Usage | None = None
    model: str | None = None
    created_s: float | None = None


def find_block(answer: Mapping[str, Any]) -> VendorBlock | None:
    """The footprint block in an answer, or in a part of it; None where no vendor that is known here wrote one.

    What the answer holds besides (choices, price, ids) is passed over.

    Raises:
        InvalidInput: the usage or the time beside the block is malformed; names it.
    """
    from wattproof.resources.providers.reported import read_reported
    from wattproof.resources.providers.reported.vendors import VENDORS

    named = {path[0] for vendor in VENDORS for path in _paths(vendor)} - {"headers"}
    raw: dict[str, Any] = {name: answer[name] for name in sorted(named & answer.keys())}
    headers = dict(_headers(answer))
    if headers:
        raw["headers"] = headers
    reported = read_reported(raw) if raw else None
    if reported is None:
        return None
    vendor = next(vendor for vendor in VENDORS if vendor.name == reported.vendor)
    path = next(path for path in _paths(vendor) if path[0] in raw)
    model = answer.get("model")
    return VendorBlock(
        subject=f"{vendor.name}/{path[1] if path[0] == vendor.name else path[0]}",
        reported=reported,
        raw=raw,
        usage=_usage(answer.get("usage")),
        model=model[:200] if isinstance(model, str) and model else None,
        created_s=_created(answer.get("created", answer.get("created_at"))),
    )


def comment_block(text: str) -> dict[str, Any] | None:
    """The blocks in the tail of an event stream, where a vendor writes ``: energy {…}`` as a comment."""
    found: dict[str, Any] = {}
    for name, content in _COMMENT.findall(text):
        try:
            found[name] = json.loads(content)
        except (ValueError, RecursionError):
            continue  # a comment of another kind
    return found or None


def _paths(vendor: Any) -> Iterator[tuple[str, ...]]:
    """Where a vendor's rows look, amounts first."""
    for number in vendor.numbers:
        yield number.path
    for total in vendor.totals:
        yield from total.parts
    for words in vendor.words:
        yield words.path


def _headers(answer: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Headers, given as an object, as pairs, or among the other members."""
    given: object = answer.get("headers")
    pairs: Iterable[object] = ()
    if isinstance(given, Mapping):
        pairs = cast("Mapping[object, object]", given).items()
    elif isinstance(given, list):
        pairs = cast("list[object]", given)
    for pair in (*pairs, *answer.items()):
        if not isinstance(pair, tuple | list) or len(cast("list[object]", pair)) != 2:
            continue
        name, value = cast("tuple[object, object]", pair)
        if isinstance(name, str) and _HEADER.fullmatch(name):
            yield name.lower(), value


def _usage(block: object) -> Usage | None:
    from wattproof.resources.providers.usage import ANTHROPIC, OPENAI, normalise_usage

    if block is None:
        return None
    if not isinstance(block, dict):
        raise InvalidInput("receipt.usage", "is not an object", "give the usage block of the answer, or leave it out")
    counts = cast("dict[str, Any]", block)
    apart = any(name in counts for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    try:
        return normalise_usage(counts, answered=False, dialect=ANTHROPIC if apart else OPENAI)
    except InvalidInput as error:
        raise InvalidInput(f"receipt.usage.{error.field}", error.problem, error.fix) from error


def _created(value: object) -> float | None:
    from wattproof.resources.receipts.schema import instant

    if value is None:
        return None
    if isinstance(value, str):
        try:
            return instant(value)
        except ValueError:
            pass  # told below, with every other kind
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_UNIX_S:
        return float(value)
    raise InvalidInput("receipt.created", "is no time", "give Unix seconds or RFC 3339 in UTC, or leave it out")
