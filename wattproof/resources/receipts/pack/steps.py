"""Which receipts of a pack are the steps of which operation in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.receipts.jws import parse
from wattproof.resources.receipts.operation import step_places
from wattproof.resources.receipts.pack.cells import plain
from wattproof.resources.receipts.pack.files import PackFiles

__all__ = ["places_of_steps"]

_KINDS = frozenset({"inference", "recorded", "adjustment"})
_MOST = 100_000


def places_of_steps(pack: PackFiles) -> dict[int, tuple[int, ...]]:
    """The places of the steps of each operation, by the place of its receipt, in the order of the log.

    An operation of many steps does not list them; they are the entries that name it and stand before it. At most
    100,000 steps are looked for: beyond, an operation is said not to be added up.

    Raises:
        VerificationFailed: a file cannot be read.
    """
    found: dict[int, tuple[int, ...]] = {}
    unlisted: dict[str, int] = {}
    count = 0
    for line in pack.lines("receipts.jsonl"):
        if line.get("kind") != "operation" or not isinstance(line.get("jws"), str) or type(line.get("seq")) is not int:
            continue
        payload = _payload(line["jws"])
        block: object = payload.get("operation")
        if not isinstance(block, dict):
            continue
        steps = cast("Mapping[str, object]", block).get("count")
        count += steps if type(steps) is int else 0
        if count > _MOST:
            break
        places = step_places(payload)
        if places:
            found[line["seq"]] = places
        elif isinstance(payload.get("operation_id"), str):
            unlisted[payload["operation_id"]] = line["seq"]
    return found | _named(pack, unlisted) if unlisted else found


def _named(pack: PackFiles, unlisted: Mapping[str, int]) -> dict[int, tuple[int, ...]]:
    """The entries that name an operation as theirs."""
    found: dict[int, list[int]] = {}
    for cells in pack.rows("entries.csv"):
        at = unlisted.get(plain(cells.get("operation_id", "")))
        seq = cells.get("seq", "")
        if at is not None and cells.get("kind") in _KINDS and seq.isascii() and seq.isdigit() and int(seq) < at:
            found.setdefault(at, []).append(int(seq))
    return {at: tuple(places) for at, places in found.items()}


def _payload(jws: str) -> Mapping[str, Any]:
    try:
        return parse(jws).payload
    except VerificationFailed:
        return {}  # judged when it comes by
