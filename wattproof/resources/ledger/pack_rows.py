"""What an evidence pack takes from a ledger: receipts, every place of the log between them, and the path to its root.

Everything is of the log as one checkpoint signed it: entries that came later are not looked at.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wattproof.resources.ledger import checkpoints
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.tiling import subtrees
from wattproof.resources.receipts import parse
from wattproof.resources.receipts.batch import batch_of, groups_of, is_record, token_operands
from wattproof.resources.receipts.pack import OTHER_PERIOD, RECEIPT, SEQUENCE_COLUMNS, UNDRAWN
from wattproof.resources.receipts.pack.operands import Assumptions
from wattproof.resources.receipts.pack.span import span_proof

if TYPE_CHECKING:
    from wattproof.resources.ledger.export import Write
    from wattproof.resources.ledger.reading import Readers

__all__ = ["PackRows", "PackScope"]

T = TypeVar("T")

_PARENTS = "SELECT parent_id FROM entry e WHERE e.kind = 'imported' AND {period}"
_BATCHES = (
    "SELECT e.receipt_id, e.seq FROM entry e WHERE e.log_id = ? AND e.kind = 'operation' AND e.receipt_id IN ({})"
)
_LAST_RECORD = "SELECT MAX(e.seq) FROM entry e WHERE e.log_id = ? AND e.kind = 'imported' AND e.parent_id IN ({})"
_ROWS = (
    "SELECT e.seq, e.entry_hash, e.kind, e.receipt_id, e.occurred_at, e.parent_id, r.jws, x.at FROM entry e "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "LEFT JOIN erasure x ON x.log_id = e.log_id AND x.seq = e.seq "
    "WHERE e.log_id = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq"
)
_ARCHIVES = "SELECT first_seq, end_seq, at FROM archive WHERE log_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackScope:
    """Which entries a pack is of: [since, until) as RFC 3339 UTC instants, below `size`, under the checkpoint `note`.

    `first` and `end` are the places between which they lie, with the batches that sign for any of them (`batches`, by
    receipt id).
    """

    log_id: str
    since: str | None
    until: str | None
    size: int
    note: str
    first: int = 0
    end: int = 0
    batches: frozenset[str] = frozenset()

    def holds(self, occurred_at: str) -> bool:
        """Whether what occurred then is of the period."""
        return (self.since is None or occurred_at >= self.since) and (self.until is None or occurred_at < self.until)


class PackRows:
    """Reads for a pack. `write` is called in a thread, with pieces of text in order."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def scope(self, log_id: str, since: str | None, until: str | None, note: str) -> PackScope:
        """Where the entries of a period stand in the log that the checkpoint `note` signed."""
        scope = PackScope(log_id=log_id, since=since, until=until, size=checkpoints.size_of(note), note=note)
        return await self._read(log_id, lambda connection: _located(connection, scope))

    async def grew(self, scope: PackScope) -> bool:
        """Whether entries of the period were added behind the checkpoint."""
        return await self._read(scope.log_id, lambda connection: _grew(connection, scope))

    async def receipts(self, scope: PackScope, drawn: frozenset[int], write: Write) -> tuple[int, Assumptions]:
        """Write every receipt of the period as a JSON line, those `drawn` with a proof of their own.

        Returns how many, and what they assume.
        """
        return await self._read(scope.log_id, lambda connection: _write_receipts(connection, scope, drawn, write))

    async def assumptions(self, scope: PackScope) -> Assumptions:
        """What the receipts of the period assume."""
        return (await self.receipts(scope, frozenset(), lambda _: None))[1]

    async def sequence(self, scope: PackScope, drawn: frozenset[int] | None, write: Write) -> Counter[str]:
        """Write every entry between the first and the last of the period; how many are in which state.

        Where receipts were `drawn`, only theirs are in the pack.
        """
        return await self._read(scope.log_id, lambda connection: _write_sequence(connection, scope, drawn, write))

    async def proof(self, scope: PackScope) -> list[bytes]:
        """The nodes beside that sequence in the tree of the log."""
        if scope.first == scope.end:
            return []
        return await self._read(
            scope.log_id,
            lambda connection: span_proof(scope.first, scope.end, scope.size, subtrees(connection, scope.log_id)),
        )

    async def tlog_proof(self, scope: PackScope, seq: int) -> str:
        """The path from one entry to the root of the checkpoint."""
        read = checkpoints.tlog_proof
        return str(await self._read(scope.log_id, lambda connection: read(connection, scope.log_id, seq, scope.note)))

    async def _read(self, log_id: str, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._readers.read, work, log_id)


def _period(scope: PackScope) -> tuple[str, list[Any]]:
    conditions, values = ["e.log_id = ?", "e.seq < ?"], [scope.log_id, scope.size]
    for condition, value in (("e.occurred_at >= ?", scope.since), ("e.occurred_at < ?", scope.until)):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return " AND ".join(conditions), values


def _located(connection: sqlite3.Connection, scope: PackScope) -> PackScope:
    where, values = _period(scope)
    sql = f"SELECT MIN(e.seq), MAX(e.seq) FROM entry e WHERE {where}"  # noqa: S608
    first, last = connection.execute(sql, values).fetchone()
    if first is None:
        return scope
    parents = _PARENTS.format(period=where)
    found = dict(connection.execute(_BATCHES.format(parents), (scope.log_id, *values)).fetchall())
    if found:
        (last_record,) = connection.execute(_LAST_RECORD.format(parents), (scope.log_id, *values)).fetchone()
        first, last = min(first, *found.values()), max(last, last_record)
    return PackScope(
        log_id=scope.log_id,
        since=scope.since,
        until=scope.until,
        size=scope.size,
        note=scope.note,
        first=first,
        end=min(last + 1, scope.size),
        batches=frozenset(found),
    )


def _grew(connection: sqlite3.Connection, scope: PackScope) -> bool:
    where, values = _period(scope)
    behind = where.replace("e.seq < ?", "e.seq >= ?")
    return connection.execute(f"SELECT 1 FROM entry e WHERE {behind} LIMIT 1", values).fetchone() is not None  # noqa: S608


def _rows(connection: sqlite3.Connection, scope: PackScope) -> Iterator[tuple[Any, ...]]:
    yield from connection.execute(_ROWS, (scope.log_id, scope.first, scope.end))


def _belongs(scope: PackScope, row: tuple[Any, ...]) -> bool:
    """Whether a receipt is of the period, or signs for records that are."""
    return scope.holds(row[4]) or row[3] in scope.batches


def _write_receipts(
    connection: sqlite3.Connection, scope: PackScope, drawn: frozenset[int], write: Write
) -> tuple[int, Assumptions]:
    assumed, written = _Assumed(), 0
    for row in _rows(connection, scope):
        seq, _, kind, name, _, _, jws, _ = row
        if jws is None or not _belongs(scope, row):
            continue
        assumed.add(name, jws, row[5])
        line: dict[str, Any] = {"seq": seq, "receipt_id": name, "kind": kind}
        line["record" if is_record(jws) else "jws"] = jws
        if seq in drawn:
            line["tlog_proof"] = str(checkpoints.tlog_proof(connection, scope.log_id, seq, scope.note))
        write(json.dumps(line, separators=(",", ":")) + "\n")
        written += 1
    return written, assumed.table


class _Assumed:
    """Collects operands; those of records from the receipt of their batch, which comes before them."""

    def __init__(self) -> None:
        self.table = Assumptions()
        self._batch: tuple[str, Mapping[str, Mapping[str, Any]]] = ("", {})

    def add(self, name: str, text: str, parent: str | None) -> None:
        if is_record(text):
            self._add_record(json.loads(text), parent)
            return
        payload = parse(text).payload
        batch = batch_of(payload)
        if batch is not None:
            self._batch = (name, groups_of(batch))
        if "method_id" in payload:
            self.table.add(payload["method_id"], payload.get("operands") or [])

    def _add_record(self, record: Mapping[str, Any], parent: str | None) -> None:
        name, groups = self._batch
        group = groups.get(record["group"]) if parent == name else None
        if group is None or not group["operands"]:
            return
        self.table.add(group["method_id"], [*group["operands"], *token_operands(record["usage"])])


def _write_sequence(
    connection: sqlite3.Connection, scope: PackScope, drawn: frozenset[int] | None, write: Write
) -> Counter[str]:
    archives = connection.execute(_ARCHIVES, (scope.log_id,)).fetchall()
    states: Counter[str] = Counter()
    write(",".join(SEQUENCE_COLUMNS) + "\n")
    for row in _rows(connection, scope):
        seq, entry, kind = row[:3]
        state = _state(scope, row, drawn, archives)
        states[state.partition(" at ")[0]] += 1
        write(f"{seq},{bytes(entry).hex()},{kind},{state}\n")
    return states


def _state(
    scope: PackScope, row: tuple[Any, ...], drawn: frozenset[int] | None, archives: list[tuple[int, int, str]]
) -> str:
    seq, jws, erased_at = row[0], row[6], row[7]
    if not _belongs(scope, row):
        return OTHER_PERIOD
    if jws is not None:
        return RECEIPT if drawn is None or seq in drawn else UNDRAWN
    if erased_at is not None:
        return f"erased at {erased_at}"
    archived = next((at for first, end, at in archives if first <= seq < end), None)
    return "missing" if archived is None else f"archived at {archived}"
