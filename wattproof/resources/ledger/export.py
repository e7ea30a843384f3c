"""Entries, receipts and samples of them for people and programs elsewhere, streamed: memory does not grow with the log.

A sample is drawn so that anyone can draw it again: the entries whose ``SHA-256(seed || entry)`` is smallest, where
`entry` is the 32 bytes that the log commits to. A seed that is picked after the checkpoint was published is fair.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.integers import AMOUNTS
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.queries import find, head, inclusion
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.record_proofs import record_proof
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.receipts.pack import COUNTED_KINDS
from wattproof.resources.receipts.pack.cells import line as line_of
from wattproof.resources.receipts.pack.cells import neutral

if TYPE_CHECKING:
    from wattproof.resources.ledger.pack_rows import PackRows

__all__ = ["COLUMNS", "EntryFilter", "Exports", "TableFormat", "Write", "neutral"]

TableFormat = Literal["csv", "jsonl"]
Write = Callable[[str], object]
"""Takes the next piece of text."""

MAX_SAMPLE = 1000

_TEXT_OF_AMOUNT = {field: -len(str(int(units))) + 1 for field, units in AMOUNTS.values()}
_PLAIN = (
    "seq",
    "receipt_id",
    "kind",
    "status",
    "occurred_at",
    "recorded_at",
    "request_id",
    "operation_id",
    "parent_id",
    "step_kind",
    "retry_of",
    "adjusts",
    "source",
    "external_id",
    "provider_request_id",
    "project",
    "tags",
    "workload",
    "provider",
    "model",
    "resolved_model",
    "deployment",
    "zone",
    "location_evidence",
    "energy_source",
    "renewable_ratio_bps",
    "temporal_match",
    "grid_source",
    "usage_source",
    "input_tokens",
    "uncached_input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "attempts",
    "latency_ms",
    "finish_reason",
    "method_id",
    "method_sha256",
    "edition",
    "edition_sha256",
    "tier",
    "boundary",
)
_LAST = ("reasons", "cost_micros", "currency", "instrument_id", "synthetic", "entry_hash")
COLUMNS = (
    *_PLAIN,
    *(f"{field}{end}" for field, _ in AMOUNTS.values() for end in ("", "_low", "_high")),
    *_LAST,
)
"""The columns of an export, in order. Amounts are in the unit of their name; cached tokens are apart everywhere."""

_SELECT = f"SELECT {', '.join(f'e.{name}' for name in ENTRY_COLUMNS)} FROM entry e"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries: [since, until) as RFC 3339 UTC instants, and equal to whatever else is given.

    Without `kinds` those that totals count: an export adds up to the summary. `before`: of the first so many
    entries of the log.
    """

    since: str | None = None
    until: str | None = None
    provider: str | None = None
    model: str | None = None
    zone: str | None = None
    method_id: str | None = None
    source: str | None = None
    project: str | None = None
    operation_id: str | None = None
    status: str | None = None
    tag: str | None = None
    kinds: tuple[str, ...] = COUNTED_KINDS
    before: int | None = None


_EQUAL = ("provider", "model", "zone", "method_id", "source", "project", "operation_id", "status")


class Exports:
    """What of a ledger can be carried away. `write` is called in a thread, with pieces of text in order."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    @cached_property
    def pack(self) -> PackRows:
        """What an evidence pack takes from the ledger."""
        from wattproof.resources.ledger.pack_rows import PackRows

        return PackRows(self._readers)

    async def entries(self, log_id: str, wanted: EntryFilter, form: TableFormat, write: Write) -> int:
        """Write entries in the order of the log, as CSV with a header or as JSON Lines; returns how many.

        Text in a CSV cell that a spreadsheet would take for a formula has an apostrophe in front.
        """
        return await self._read(log_id, lambda connection: _write_entries(connection, log_id, wanted, form, write))

    async def receipts(self, log_id: str, wanted: EntryFilter, write: Write) -> tuple[int, int]:
        """Write receipts in the order of the log, a line each: a JWS, or the record of one that its batch signs for.

        Returns how many were written, and how many entries have none because it was erased or archived.
        """
        return await self._read(log_id, lambda connection: _write_receipts(connection, log_id, wanted, write))

    async def sample(self, log_id: str, wanted: EntryFilter, size: int, seed: str) -> dict[str, Any]:
        """`size` receipts with their proofs, drawn by `seed`, for somebody who does a check by sample.

        Raises:
            InvalidInput: `size` is not 1 to 1000.
        """
        if not 1 <= size <= MAX_SAMPLE:
            raise InvalidInput("size", f"is {size}", f"give 1 to {MAX_SAMPLE}")
        return await self._read(log_id, lambda connection: _sample(connection, log_id, wanted, size, seed))

    async def _read(self, log_id: str, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await asyncio.to_thread(self._readers.read, work, log_id)


def _write_entries(
    connection: sqlite3.Connection, log_id: str, wanted: EntryFilter, form: TableFormat, write: Write
) -> int:
    count = 0
    line = _csv_line if form == "csv" else _json_line
    if form == "csv":
        write(line_of(COLUMNS))
    for fields in _entries(connection, log_id, wanted):
        write(line(fields))
        count += 1
    return count


def _entries(connection: sqlite3.Connection, log_id: str, wanted: EntryFilter) -> Iterator[dict[str, Any]]:
    """The entries as rows of the database."""
    where, values = _where(log_id, wanted)
    for row in connection.execute(f"{_SELECT} WHERE {where} ORDER BY e.seq", values):
        yield dict(zip(ENTRY_COLUMNS, row, strict=True))


def _where(log_id: str, wanted: EntryFilter) -> tuple[str, list[str | int]]:
    conditions = ["e.log_id = ?", f"e.kind IN ({', '.join('?' * len(wanted.kinds))})"]
    values: list[str | int] = [log_id, *wanted.kinds]
    for condition, value in (
        ("e.seq < ?", wanted.before),
        ("e.occurred_at >= ?", wanted.since),
        ("e.occurred_at < ?", wanted.until),
        *((f"e.{name} = ?", getattr(wanted, name)) for name in _EQUAL),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if wanted.tag is not None:
        conditions.append("e.seq IN (SELECT t.seq FROM entry_tag t WHERE t.log_id = ? AND t.tag = ?)")
        values += [log_id, wanted.tag]
    return " AND ".join(conditions), values


def _plain_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns before and after the amounts."""
    row = {**row, "uncached_input_tokens": row["input_tokens"] - row["cached_input_tokens"]}
    fields = {name: row[name] for name in (*_PLAIN, *_LAST)}
    fields["tags"], fields["reasons"] = json.loads(row["tags"]), json.loads(row["reasons"])
    fields["synthetic"], fields["entry_hash"] = bool(row["synthetic"]), row["entry_hash"].hex()
    return fields


def _json_line(row: Mapping[str, Any]) -> str:
    fields = _plain_fields(row)
    for name, (field, units) in AMOUNTS.items():
        for end in ("", "_low", "_high"):
            amount = row[f"{name}{end}"]
            fields[f"{field}{end}"] = None if amount is None else amount / units
    ordered = {name: fields[name] for name in COLUMNS}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv_line(row: Mapping[str, Any]) -> str:
    fields = _plain_fields(row)
    fields["tags"], fields["reasons"] = " ".join(fields["tags"]), json.dumps(fields["reasons"], sort_keys=True)
    for name, (field, _) in AMOUNTS.items():
        for end in ("", "_low", "_high"):
            amount = row[f"{name}{end}"]
            exact = None if amount is None else Decimal(amount).scaleb(_TEXT_OF_AMOUNT[field])
            fields[f"{field}{end}"] = exact if exact is None else f"{exact:f}"
    # Numbers may begin with a minus: an adjustment is a difference.
    return line_of([neutral(fields[name]) if name in _TEXTS else fields[name] for name in COLUMNS])


_TEXTS = (
    frozenset(COLUMNS)
    - {
        name
        for name in COLUMNS
        if name.endswith(("_tokens", "_bps", "_micros", "_ms")) or name in {"seq", "attempts", "adjusts", "synthetic"}
    }
    - {f"{field}{end}" for field, _ in AMOUNTS.values() for end in ("", "_low", "_high")}
)


def _write_receipts(connection: sqlite3.Connection, log_id: str, wanted: EntryFilter, write: Write) -> tuple[int, int]:
    where, values = _where(log_id, wanted)
    sql = (
        "SELECT r.jws FROM entry e LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "  # noqa: S608
        f"WHERE {where} ORDER BY e.seq"
    )
    written = missing = 0
    for (jws,) in connection.execute(sql, values):
        if jws is None:
            missing += 1
        else:
            write(jws + "\n")
            written += 1
    return written, missing


def _sample(connection: sqlite3.Connection, log_id: str, wanted: EntryFilter, size: int, seed: str) -> dict[str, Any]:
    where, values = _where(log_id, wanted)
    prefix = seed.encode()
    population = 0

    def ranked() -> Iterator[tuple[bytes, int]]:
        nonlocal population
        sql = f"SELECT e.seq, e.entry_hash FROM entry e WHERE {where}"  # noqa: S608
        for seq, entry in connection.execute(sql, values):
            population += 1
            yield sha256(prefix + entry).digest(), seq

    chosen = sorted(seq for _, seq in heapq.nsmallest(size, ranked()))
    tree_size, root = head(connection, log_id)
    return {
        "log_id": log_id,
        "seed": seed,
        "rule": "the entries with the smallest SHA-256(seed || entry_hash)",
        "population": population,
        "tree_size": tree_size,
        "root_hex": root.hex(),
        "sample": [_sampled(connection, log_id, seq, tree_size) for seq in chosen],
    }


def _sampled(connection: sqlite3.Connection, log_id: str, seq: int, tree_size: int) -> dict[str, Any]:
    settled = find(connection, log_id, "seq", seq)
    if settled is None:
        raise InvalidInput("seq", f"is {seq}", "the entry disappeared; run: wattproof ledger fsck")
    proof = record_proof(connection, settled)
    receipt: dict[str, Any] = {"jws": settled.jws} if proof is None else proof.as_dict()
    return {
        "seq": seq,
        "receipt_id": settled.receipt_id,
        "entry_hex": settled.entry_hash.hex(),
        "receipt": {**receipt, "inclusion": inclusion(connection, log_id, seq, tree_size).as_dict()},
    }
