"""Appending records that came together: one receipt for all of them, one row and one leaf for each.

The receipt of the batch is an entry of kind ``operation`` and comes first; its records follow it without a gap, in the
order of the tree whose root it states: record k of the batch at seq s is entry s + 1 + k. A record's own columns carry
its figures; the batch's entry has none, so that nothing counts twice. Where a receipt stands for other entries stands
the record's canonical text (`receipts/batch.py`): its SHA-256 is the entry, and it can be erased like a receipt.
`parent_id` of a record is the receipt of its batch: it is not part of the record, which is hashed before that exists.

Records whose `external_id` the log has already, from the same source, are left out: appending again changes nothing.
Where an entry is a bucket of an aggregated export (`step_kind` ``bucket``), `attempts` is the number of its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from json.encoder import encode_basestring_ascii as _quoted
from operator import attrgetter
from typing import Any, NamedTuple, cast

import orjson

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import Row, total
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import budgets
from wattproof.resources.ledger.append import PayloadBuilder, Signed, Transaction, append
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.periods import require_open
from wattproof.resources.ledger.records import Amount, EntryDraft
from wattproof.resources.ledger.row_check import row_checker, shape_of
from wattproof.resources.ledger.rows import AMOUNTS, INSERTED, Place, check_draft, to_row
from wattproof.resources.ledger.sums import MAX_TERMS
from wattproof.resources.receipts import Frontier, entry_hash, leaf_hash, receipt_id
from wattproof.resources.receipts.batch import RECORD_SCHEMA, factored, group_id
from wattproof.resources.receipts.schema import USAGE_COUNTS

__all__ = [
    "MAX_RECORDS",
    "NONCE_BYTES",
    "Appended",
    "Batch",
    "Group",
    "Record",
    "append_batch",
    "check_batch",
    "known_ids",
    "text_of",
]

MAX_RECORDS = 10_000
"""More in one transaction would keep other writers waiting for too long."""
NONCE_BYTES = 16

_NO_AMOUNTS = (None,) * (3 * len(AMOUNTS))
_NO_MEANS = (None,) * MAX_TERMS


class Record(NamedTuple):
    """What one record has of its own.

    `usage` is input, cached input, output and reasoning tokens. `amounts` holds median, low and high of each of
    `rows.AMOUNTS`, `energy_means` and `carbon_means` the means of the terms of the group's draft, all None where the
    group has no figures. `requests` is how many requests it stands for (None: unknown) and `until` the end of the
    bucket; for a single request 1 and None.
    """

    external_id: str
    occurred_at: str
    usage: tuple[int, int, int, int]
    amounts: tuple[int | None, ...] = _NO_AMOUNTS
    energy_means: tuple[int | None, ...] = _NO_MEANS
    carbon_means: tuple[int | None, ...] = _NO_MEANS
    cost_micros: int | None = None
    latency_ms: int | None = None
    finish_reason: str | None = None
    resolved_model: str | None = None
    provider_request_id: str | None = None
    operation_id: str | None = None
    project: str | None = None
    requests: int | None = 1
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What many records share: a draft whose own figures are not read, and the statement that is signed of it."""

    draft: EntryDraft
    statement: Mapping[str, Any]
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", group_id(self.statement))


_Members = list[tuple[Group, Sequence[Record]]]
"""The records of each group of a batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one source: `records[k]` are those of `groups[k]`. `nonces` holds 16 random bytes for each record.

    `draft` is the batch's own entry; `payload(block, issued_at)` is what its receipt states around the block `batch`.
    """

    source: str
    groups: Sequence[Group]
    records: Sequence[Sequence[Record]]
    nonces: bytes
    draft: EntryDraft
    payload: Callable[[Mapping[str, Any], str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch. `receipt_id` and `seq` are of its own entry, None where nothing was new."""

    count: int
    known: int
    receipt_id: str | None = None
    seq: int | None = None


def check_batch(batch: Batch) -> None:
    """Check what the database could not say as well.

    Raises:
        InvalidInput: a draft is malformed, or the batch is too large.
    """
    count = sum(map(len, batch.records))
    if not 1 <= count <= MAX_RECORDS or len(batch.records) != len(batch.groups):
        raise InvalidInput("records", f"are {count}", f"give 1 to {MAX_RECORDS} at once, by group")
    if len(batch.nonces) != NONCE_BYTES * count:
        raise InvalidInput("nonces", f"have {len(batch.nonces)} bytes", f"give {NONCE_BYTES} for each record")
    for draft in (batch.draft, *(group.draft for group in batch.groups)):
        check_draft(draft)


def known_ids(connection: sqlite3.Connection, log_id: str, source: str, external_ids: Sequence[str]) -> set[str]:
    """Those of `external_ids` that the log has from `source` already."""
    places = ", ".join("?" * len(external_ids))
    sql = f"SELECT external_id FROM entry WHERE log_id = ? AND source = ? AND external_id IN ({places})"  # noqa: S608
    return {found for (found,) in connection.execute(sql, (log_id, source, *external_ids))}


def append_batch(
    transaction: Transaction, batch: Batch, sign: Callable[[PayloadBuilder, str], Signed], *, synthetic: bool = False
) -> Appended:
    """Append the records that are new, and before them the receipt that they share. The caller ran `check_batch`.

    Raises:
        PeriodClosed: one of them occurred in a month that was closed.
        InvalidInput: the receipt of the batch cannot be signed.
    """
    log_id = batch.draft.log_id
    members = _new(transaction.connection, log_id, batch)
    count = sum(len(records) for _, records in members)
    known = sum(map(len, batch.records)) - count
    if not count:
        return Appended(0, known)
    require_open(transaction, log_id, min(record.occurred_at for _, records in members for record in records))
    nonces = iter([batch.nonces[place : place + NONCE_BYTES] for place in range(0, len(batch.nonces), NONCE_BYTES)])
    texts = [text_of(record, group.id, next(nonces)) for group, records in members for record in records]
    hashes = [entry_hash(text) for text in texts]
    leaves = [leaf_hash(entry) for entry in hashes]
    block = _block(batch.source, members, Frontier().extend(leaves).root())
    draft = replace(batch.draft, synthetic=synthetic)
    own = append(transaction, draft, partial(sign, partial(batch.payload, block)), None)
    _insert(transaction, members, hashes, parent_id=own.receipt_id, first_seq=own.seq + 1, synthetic=synthetic)
    rows = [(log_id, seq, text) for seq, text in enumerate(texts, own.seq + 1)]
    transaction.connection.executemany("INSERT INTO receipt VALUES (?, ?, ?)", rows)
    log = transaction.log(log_id)
    log.leaves.extend(leaves)
    in_operations = any(record.operation_id is not None for _, records in members for record in records)
    log.in_operations = log.in_operations or in_operations
    return Appended(count, known, own.receipt_id, own.seq)


def _new(connection: sqlite3.Connection, log_id: str, batch: Batch) -> _Members:
    """The records that the log lacks, each once; groups without any are left out."""
    asked = [record.external_id for records in batch.records for record in records]
    seen = known_ids(connection, log_id, batch.source, asked)
    if not seen and len(set(asked)) == len(asked):
        return list(zip(batch.groups, batch.records, strict=True))
    found: _Members = []
    for group, records in zip(batch.groups, batch.records, strict=True):
        kept: list[Record] = []
        for record in records:
            if record.external_id not in seen:
                seen.add(record.external_id)
                kept.append(record)
        if kept:
            found.append((group, kept))
    return found


def text_of(record: Record, group: str, nonce: bytes) -> str:
    """What `receipts.batch.record_text` gives for the record; put together here because it is most of the work."""
    a = record.amounts
    amounts = ",".join([_UNKNOWN if a[k] is None else f"[{a[k]},{a[k + 1]},{a[k + 2]}]" for k in _AMOUNT_PLACES])
    usage = record.usage
    return (
        f'{{"amounts":[{amounts}],"cost_micros":{_number(record.cost_micros)},'
        f'"external_id":{_quoted(record.external_id)},"finish_reason":{_name(record.finish_reason)},'
        f'"group":"{group}","latency_ms":{_number(record.latency_ms)},"nonce":"{nonce.hex()}",'
        f'"occurred_at":"{record.occurred_at}","operation_id":{_name(record.operation_id)},'
        f'"project":{_name(record.project)},"provider_request_id":{_name(record.provider_request_id)},'
        f'"requests":{_number(record.requests)},"resolved_model":{_name(record.resolved_model)},'
        f'"schema":"{RECORD_SCHEMA}","until":{_name(record.until)},'
        f'"usage":[{usage[0]},{usage[1]},{usage[2]},{usage[3]}]}}'
    )


_UNKNOWN = "null"
_AMOUNT_PLACES = range(0, len(_NO_AMOUNTS), 3)


def _number(value: int | None) -> int | str:
    return _UNKNOWN if value is None else value


def _name(value: str | None) -> str:
    return _UNKNOWN if value is None else _quoted(value)


def _block(source: str, members: _Members, root: bytes) -> dict[str, Any]:
    common, own = factored([group.statement for group, _ in members])
    records = [record for _, of_group in members for record in of_group]
    requests = [record.requests for record in records]
    times = [record.occurred_at for record in records]
    usage = [sum(counts) for counts in zip(*[record.usage for record in records], strict=True)]
    energy, energy_known = _total(members, "energy")
    carbon, carbon_known = _total(members, "carbon")
    return {
        "source": source,
        "count": len(records),
        "root_hex": root.hex(),
        "first_occurred_at": min(times),
        "last_occurred_at": max(times),
        "requests": None if None in requests else sum(count or 0 for count in requests),
        "usage": dict(zip(USAGE_COUNTS, usage, strict=True)),
        "energy_nwh": energy,
        "carbon_location_ng": carbon,
        "energy_known": energy_known,
        "carbon_known": carbon_known,
        "common": common,
        "groups": own,
    }


def _total(members: _Members, kind: str) -> tuple[dict[str, Any] | None, int]:
    """The total of energy or carbon with its interval, and over how many records."""
    means_of = attrgetter(f"{kind}_means")
    rows: list[Row] = []
    known = 0
    for group, records in members:
        terms = group.draft.terms
        if not terms or means_of(records[0])[0] is None:
            continue
        known += len(records)
        sums = [sum(column) for column in zip(*map(means_of, records), strict=True)]
        loadings = [term.energy_loadings if kind == "energy" else term.carbon_loadings for term in terms]
        rows.append(Row(sums[: len(terms)], loadings))
    if not rows:
        return None, 0
    found = total(rows)
    low, high = found.low or 0.0, found.high or 0.0
    amount = {"median": round(found.median), "low": round(low), "high": round(high), "interval": "credible90"}
    return amount, known


# The columns that differ from record to record, in the order of `_varying`; all others are their group's.
_VARYING = (
    "seq",
    "external_id",
    "occurred_at",
    "period",
    "cost_micros",
    "latency_ms",
    "finish_reason",
    "resolved_model",
    "provider_request_id",
    "operation_id",
    "project",
    "attempts",
    "receipt_id",
    "entry_hash",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    *(f"{name}{end}" for name in AMOUNTS for end in ("", "_low", "_high")),
    *(f"{kind}{k}" for kind in "ec" for k in range(MAX_TERMS)),
)
_SHARED_COLUMNS = tuple(name for name in INSERTED if name not in {*_VARYING, "row_check"})
_COLUMNS = f"{', '.join(_SHARED_COLUMNS)}, {', '.join(_VARYING)}, row_check"
_PLACEHOLDERS = ", ".join("?" * (len(_VARYING) + 1))
_row_check = row_checker((*_SHARED_COLUMNS, *_VARYING))
_QUOTE = f"SELECT {', '.join(['quote(?)'] * len(_SHARED_COLUMNS))}"


def _insert(
    transaction: Transaction,
    members: _Members,
    hashes: Sequence[bytes],
    *,
    parent_id: str,
    first_seq: int,
    synthetic: bool,
) -> None:
    placed = enumerate(hashes, first_seq)
    has_budgets = bool(transaction.connection.execute(_BUDGET, (members[0][0].draft.log_id,)).fetchone())
    for group, records in members:
        rows = [_varying(record, *next(placed)) for record in records]
        shared = _shared(transaction, group, parent_id=parent_id, synthetic=synthetic)
        shape: Any = orjson.Fragment(orjson.dumps(shape_of(group.draft.terms)))
        checked = [(*row, _row_check((*shared, *row), shape)) for row in rows]
        transaction.connection.executemany(_insert_for(transaction, shared), checked)
        if has_budgets:
            for row, record in zip(rows, records, strict=True):
                budgets.settle(transaction, _draft_of(group.draft, record), row[0])
        log_id = group.draft.log_id
        tagged = [(seq, tag) for seq, *_ in rows for tag in group.draft.tags]
        of_tags = [(log_id, tag, seq) for seq, tag in tagged]
        transaction.connection.executemany("INSERT INTO entry_tag VALUES (?, ?, ?)", of_tags)
        transaction.log(log_id).tagged.extend(tagged)


_BUDGET = "SELECT 1 FROM budget WHERE log_id = ? LIMIT 1"


def _draft_of(shared: EntryDraft, record: Record) -> EntryDraft:
    """As much of the draft of one entry as a budget counts."""
    ends = [cast("tuple[int, int, int]", record.amounts[k : k + 3]) for k in (0, 3)]
    amounts = [None if record.amounts[k] is None else Amount(*ends[k // 3]) for k in (0, 3)]
    input_tokens, cached, output, reasoning = record.usage
    return replace(
        shared,
        occurred_at=record.occurred_at,
        usage=Usage(input_tokens, output, cached, reasoning),
        energy_nwh=amounts[0],
        carbon_location_ng=amounts[1],
        cost_micros=record.cost_micros,
        operation_id=record.operation_id,
    )


def _shared(transaction: Transaction, group: Group, *, parent_id: str, synthetic: bool) -> list[Any]:
    """The columns that the entries of a group share."""
    draft = replace(group.draft, parent_id=parent_id, synthetic=synthetic)
    signature_id = transaction.interning.signature(draft)
    place = Place(
        seq=0,
        recorded_at=transaction.now,
        period="",
        method_sha256=group.statement["method_sha256"],
        edition_sha256=group.statement["edition_sha256"],
        signature_id=signature_id,
        dim=transaction.interning.dimension(draft, signature_id),
        receipt_id="",
        entry_hash=b"",
    )
    values = dict(zip(INSERTED, to_row(draft, place), strict=True))
    return [values[name] for name in _SHARED_COLUMNS]


def _insert_for(transaction: Transaction, shared: Sequence[Any]) -> str:
    """The statement that inserts the entries of a group. What they share is in its text, quoted by SQLite itself:
    binding it again for each of them takes a third of the time of inserting them.
    """
    quoted = transaction.connection.execute(_QUOTE, shared).fetchone()
    return f"INSERT INTO entry ({_COLUMNS}) VALUES ({', '.join(quoted)}, {_PLACEHOLDERS})"  # noqa: S608


def _varying(record: Record, seq: int, entry: bytes) -> tuple[Any, ...]:
    return (
        seq,
        record.external_id,
        record.occurred_at,
        record.occurred_at[:7],
        record.cost_micros,
        record.latency_ms,
        record.finish_reason,
        record.resolved_model,
        record.provider_request_id,
        record.operation_id,
        record.project,
        record.requests or 1,
        receipt_id(entry),
        entry,
        *record.usage,
        *record.amounts,
        *record.energy_means,
        *record.carbon_means,
    )
