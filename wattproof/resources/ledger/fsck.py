"""Recompute what follows from the receipts and say exactly what differs.

receipt -> SHA-256 -> entry hash -> leaf -> tiles, checkpoints, root; receipt -> columns of the entry -> rollups. Only
the receipts are taken at their word, and only once their signature holds. Signatures take most of the time, so the
check can leave them out, and with them what only a signed receipt can be held against: the columns of each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.propagate import Row, total
from wattproof.resources.ledger import fsck_batches, fsck_operations, fsck_totals
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.fsck_tree import Tree
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.records import FactorTerm, Finding, FsckReport, Settled
from wattproof.resources.ledger.rows import AMOUNTS, SELECT_ENTRY, from_row, own_variance
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import entry_hash, keys_from_jwks, parse, receipt_id
from wattproof.resources.receipts.batch import is_record
from wattproof.resources.receipts.jws import verify

__all__ = ["check"]

_LONGEST_LIST = 200
_TERMS_TOLERANCE = 0.01
_TERMS_TOLERANCE_UNITS = 16

# Columns of an entry that its receipt states under the same name.
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
    "renewable_ratio_bps",
    "method_id",
    "edition",
    "tier",
    "boundary",
    "operation_id",
    "parent_id",
    "step_kind",
)
_HASHES = (
    "SELECT e.seq, e.entry_hash, e.receipt_id, r.jws FROM entry e "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq"
)
_IN_ORDER = "WHERE e.log_id = ? ORDER BY e.seq"
_SEQ, _ENTRY_HASH = (list(ENTRY_COLUMNS).index(name) for name in ("seq", "entry_hash"))
_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")


class _Found(NamedTuple):
    findings: list[Finding]
    notes: list[Finding]


def check(
    connection: sqlite3.Connection,
    keyring: Keyring,
    now_s: float,
    log_id: str | None = None,
    *,
    signatures: bool = True,
) -> FsckReport:
    """Check one log, or all of them; reads every entry. `now_s` tells running tries from those whose lease ran out.

    Without `signatures` every hash, root and total is recomputed, and no signature checked.
    """
    found = _Found([], [])
    keys = keys_from_jwks(keyring.jwks) if signatures else None
    with _unreadable(found, None):
        _keep(found.findings, _file(connection))
    chosen: tuple[str, ...] = ()
    with _unreadable(found, None):
        chosen = logs(connection) if log_id is None else (log_id,)
    entry_count = 0
    for each in chosen:
        vkeys = keyring.vkeys(each, revoked=True) if signatures else None
        tree = Tree(connection, each, keyring.origin_of(each), vkeys)
        with _unreadable(found, each):
            tree.load_checkpoints()
        steps: tuple[Callable[[], Iterator[Finding]], ...] = (
            partial(_entries, connection, each, tree, keys),
            partial(fsck_batches.check, connection, each, _against_receipt if signatures else None),
            tree.check,
            lambda log_id=each: fsck_totals.check(connection, log_id),
            lambda log_id=each: fsck_operations.check(connection, log_id),
            lambda log_id=each: _attempts(connection, log_id),
        )
        for step in steps:
            with _unreadable(found, each):
                _keep(found.findings, step())
        with _unreadable(found, each):
            _keep(found.notes, _unsettled(connection, each, now_s))
        entry_count += tree.count
    return FsckReport(chosen, entry_count, tuple(found.findings), tuple(found.notes))


@contextmanager
def _unreadable(found: _Found, log_id: str | None) -> Generator[None]:
    """A damaged page ends one step, not the report."""
    try:
        yield
    except (sqlite3.DatabaseError, InvalidInput) as error:
        found.findings.append(Finding(log_id, "database", f"cannot be read further: {error}"))


def _keep(kept: list[Finding], more: Iterator[Finding]) -> None:
    kept.extend(islice(more, _LONGEST_LIST))
    left = sum(1 for _ in more)
    if left:
        kept.append(Finding(kept[-1].log_id, kept[-1].where, f"and {left} more of this kind"))


def _file(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute("PRAGMA integrity_check(100)"):
        if line != "ok":
            yield Finding(None, "database", line)
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(None, table, f"row {rowid} refers to a row of {parent} that is missing")


def _entries(
    connection: sqlite3.Connection, log_id: str, tree: Tree, keys: Mapping[str, bytes] | None
) -> Iterator[Finding]:
    """Every entry against its receipt, with its signature where `keys` are given; builds the tree on the way."""
    expected = 0
    for row in connection.execute(f"{_HASHES if keys is None else SELECT_ENTRY} {_IN_ORDER}", (log_id,)):
        seq, entry = (row[0], row[1]) if keys is None else (row[_SEQ], row[_ENTRY_HASH])
        if seq != expected:
            last = seq - 1
            yield Finding(log_id, f"entry {last}" if last == expected else f"entries {expected}-{last}", "missing")
        expected = seq + 1
        tree.add(seq, entry)
        for message in _hashes(*row) if keys is None else _signed(row, keys):
            yield Finding(log_id, f"entry {seq}", message)


def _hashes(_: int, entry: bytes, name: str, jws: str | None) -> Iterator[str]:
    """The receipt against the entry, and the entry against its name."""
    if jws is None:
        yield "its receipt is missing"
    elif not jws.isascii() or entry_hash(jws) != entry:
        yield f"its receipt does not hash to entry_hash {entry.hex()}"
    elif receipt_id(entry) != name:
        yield f"receipt_id is {name}; its entry_hash gives {receipt_id(entry)}"


def _signed(row: Sequence[Any], keys: Mapping[str, bytes]) -> Iterator[str]:
    """The same, then the signature of the receipt, and the columns against what it states."""
    try:
        settled = from_row(row)
    except (ValueError, LookupError, TypeError, InvalidInput) as error:
        yield f"cannot be read: {error}"
        return
    yield from _hashes(settled.seq, settled.entry_hash, settled.receipt_id, settled.jws)
    if settled.jws is None or not settled.jws.isascii() or entry_hash(settled.jws) != settled.entry_hash:
        return
    if is_record(settled.jws):
        return  # signed for by its batch: fsck_batches
    try:
        parsed = parse(settled.jws)
        verify(parsed, keys)
    except VerificationFailed as error:
        yield f"its receipt fails: {error}"
        return
    yield from _against_receipt(settled, parsed.payload)


def _against_receipt(settled: Settled, payload: Mapping[str, Any]) -> Iterator[str]:
    draft = settled.draft
    held: dict[str, Any] = {name: getattr(draft, name) for name in _STATED}
    held["log_id"], held["issued_at"], held["tags"] = settled.log_id, settled.recorded_at, list(draft.tags)
    yield from _differences(held, payload)
    if draft.kind == "operation":
        return  # its receipt states what its steps add up to, the entry itself nothing
    usage: dict[str, Any] = {name: getattr(draft.usage, name) for name in _USAGE}
    yield from _differences({**usage, "usage_source": draft.usage_source}, payload.get("usage") or {})
    outputs: Mapping[str, Any] = payload.get("outputs") or {}
    for name in AMOUNTS:
        amount, stated = getattr(draft, name), outputs.get(name)
        ends = None if stated is None else (stated.get("median"), stated.get("low"), stated.get("high"))
        if name in outputs and ends != (amount and (amount.median, amount.low, amount.high)):
            yield f"{name} is {_shown(amount)}; its receipt states {ends}"
    yield from _terms(settled)


def _differences(held: Mapping[str, Any], stated: Mapping[str, Any]) -> Iterator[str]:
    for name, value in held.items():
        if name in stated and stated[name] != value:
            yield f"{name} is {value!r}; its receipt states {stated[name]!r}"


def _shown(amount: Any) -> str:
    return "unknown" if amount is None else f"{(amount.median, amount.low, amount.high)}"


def _terms(settled: Settled) -> Iterator[str]:
    """The terms carry the totals and are not in the receipt: they must lead back to what is."""
    draft = settled.draft
    if draft.energy_nwh is not None:
        means = [(t, t.energy_mean_nwh, t.energy_loadings) for t in draft.terms]
        yield from _term_sum("energy_nwh", draft.energy_nwh.median, means)
    if draft.carbon_location_ng is not None:
        means = [(t, t.carbon_mean_ng or 0, t.carbon_loadings) for t in draft.terms]
        yield from _term_sum("carbon_location_ng", draft.carbon_location_ng.median, means)


def _term_sum(
    name: str, median: int, terms: Iterable[tuple[FactorTerm, int, tuple[tuple[str, float], ...]]]
) -> Iterator[str]:
    rows = [Row((mean,), (shared,), own_variance(mean, shared, t.idiosyncratic_sigma)) for t, mean, shared in terms]
    if not rows:
        return
    implied = total(rows).median
    if abs(implied - median) > _TERMS_TOLERANCE_UNITS + _TERMS_TOLERANCE * median:
        yield f"its terms add up to a median {name} of {implied:.0f}; it is {median}"


def _attempts(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    sql = (
        "SELECT request_id, attempt_no FROM attempt a WHERE log_id = ? AND state = 'settled' AND NOT EXISTS "
        "(SELECT 1 FROM entry e WHERE e.log_id = a.log_id AND e.request_id = a.request_id) ORDER BY 1, 2"
    )
    for request_id, attempt_no in connection.execute(sql, (log_id,)):
        yield Finding(log_id, f"attempt {attempt_no} of {request_id}", "is settled, but no entry has its request_id")


def _unsettled(connection: sqlite3.Connection, log_id: str, now_s: float) -> Iterator[Finding]:
    sql = (
        "SELECT request_id, attempt_no, state, opened_at, lease_expires_at FROM attempt "
        "WHERE log_id = ? AND state IN ('open', 'abandoned') ORDER BY opened_at, request_id, attempt_no"
    )
    for request_id, attempt_no, state, opened_at, lease_expires_at in connection.execute(sql, (log_id,)):
        lease = rfc3339(lease_expires_at)
        if state == "open" and lease_expires_at >= now_s:
            message = f"running since {opened_at}; its lease ends at {lease}"
        else:
            message = f"begun at {opened_at} and never settled: its process ended before the lease did ({lease})"
        yield Finding(log_id, f"attempt {attempt_no} of {request_id}", message)
