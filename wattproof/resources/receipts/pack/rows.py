"""A row of entries.csv, read strictly, and held against the receipt of its entry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from wattproof.methodology.integers import AMOUNTS
from wattproof.resources.receipts.pack.cells import plain
from wattproof.resources.receipts.pack.files import broken
from wattproof.resources.receipts.schema import USAGE_COUNTS

__all__ = ["Row", "differences", "read_row"]

_STATED = (
    "kind",
    "status",
    "request_id",
    "occurred_at",
    "workload",
    "provider",
    "model",
    "deployment",
    "zone",
    "location_evidence",
    "energy_source",
    "method_id",
    "edition",
    "tier",
    "boundary",
    "operation_id",
    "parent_id",
    "step_kind",
    "resolved_model",
    "method_sha256",
    "edition_sha256",
    "instrument_id",
)
_STATED_COUNTS = ("renewable_ratio_bps", "latency_ms")
# Of these, the receipt of a batch says nothing about one record.
_NOT_OF_RECORDS = {"request_id", "instrument_id"}
_POWERS = {field: len(str(int(units))) - 1 for field, units in AMOUNTS.values()}

Ends = tuple[int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its cells as text, what is counted as integers, amounts as (median, low, high) in integer units."""

    cells: Mapping[str, str]
    seq: int
    requests: int
    usage: Mapping[str, int]
    amounts: Mapping[str, Ends | None]
    cost_micros: int | None

    @property
    def adjusts(self) -> bool:
        """Whether it changes other entries and counts no request of its own."""
        return self.cells["kind"] == "adjustment"


def read_row(cells: Mapping[str, str]) -> Row:
    """The row with these cells.

    Raises:
        VerificationFailed: a column is missing, or a number is none.
    """
    try:
        bucket = cells["step_kind"] == "bucket"
        counts = int(cells["attempts"]) if bucket else 1
        return Row(
            cells=cells,
            seq=int(cells["seq"]),
            requests=0 if cells["kind"] == "adjustment" else counts,
            usage={name: int(cells[name]) for name in USAGE_COUNTS},
            amounts={name: _ends(cells, field) for name, (field, _) in AMOUNTS.items()},
            cost_micros=_count(cells["cost_micros"]),
        )
    except (KeyError, ValueError, InvalidOperation, OverflowError) as error:
        raise broken("entries.csv", f"has a row that cannot be read ({str(error)[:60]})") from error


def differences(row: Row, payload: Mapping[str, Any], *, record: bool) -> list[str]:
    """The columns in which a row says something else than the valid payload of its receipt."""
    return list(_differing(row, payload, record=record))


def _differing(row: Row, payload: Mapping[str, Any], *, record: bool) -> Iterator[str]:
    cells = row.cells
    for name in _STATED:
        if name in payload and not (record and name in _NOT_OF_RECORDS) and not _same(cells[name], payload[name]):
            yield name
    for name in _STATED_COUNTS:
        if name in payload and _count(cells[name]) != payload[name]:
            yield name
    yield from _differing_amounts(row, payload)
    if not _same(cells["tags"], " ".join(payload["tags"])):
        yield "tags"
    if not record and cells["reasons"] and json.loads(cells["reasons"]) != payload["reasons"]:
        yield "reasons"


def _differing_amounts(row: Row, payload: Mapping[str, Any]) -> Iterator[str]:
    cells = row.cells
    yield from (name for name in USAGE_COUNTS if row.usage[name] != payload["usage"][name])
    if not _same(cells["usage_source"], payload["usage"]["usage_source"]):
        yield "usage_source"
    for name in AMOUNTS:
        stated = payload["outputs"][name]
        if row.amounts[name] != (stated and (stated["median"], stated["low"], stated["high"])):
            yield AMOUNTS[name][0]
    cost = cast("Mapping[str, Any] | None", payload["cost"])
    if row.cost_micros != (cost and cost["micros"]) or (cost and not _same(cells["currency"], cost["currency"])):
        yield "cost"


def _same(cell: str, stated: object) -> bool:
    """Whether a cell says what a receipt states."""
    return plain(cell) == ("" if stated is None else stated)


def _count(cell: str) -> int | None:
    return int(cell) if cell else None


def _ends(cells: Mapping[str, str], field: str) -> Ends | None:
    median, low, high = (_units(cells[f"{field}{end}"], field) for end in ("", "_low", "_high"))
    return None if median is None else (median, low, high)


def _units(cell: str, field: str) -> int | None:
    if not cell:
        return None
    units = Decimal(cell).scaleb(_POWERS[field])
    if units != units.to_integral_value():
        raise ValueError(f"{field} is {cell}")
    return int(units)
