"""Check of the entries of one log: each against its checksum, its receipt and, where asked, the receipt's signature.

Without signatures nothing is taken from a receipt but its hash, which its entry, tile and root must lead back to; a
column that was changed is found by the row's checksum, and named by what the receipt states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.propagate import Row, total
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.fsck_kept import Kept
from wattproof.resources.ledger.fsck_periods import adjustment_terms
from wattproof.resources.ledger.fsck_tree import Tree
from wattproof.resources.ledger.records import FactorTerm, Finding, Settled
from wattproof.resources.ledger.row_check import row_checker, stored_shape
from wattproof.resources.ledger.rows import AMOUNTS, SELECT_ENTRY, from_row, own_variance
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.receipts import SIMULATION_TYP, entry_hash, parse, receipt_id
from wattproof.resources.receipts.batch import is_record
from wattproof.resources.receipts.jws import verify

__all__ = ["against_receipt", "check", "faults"]

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
# The same, where the receipt is the entry's own and not of a batch.
_STATED_ALONE = ("attempts", "resolved_model", "latency_ms", "method_sha256", "edition_sha256", "instrument_id")
_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")

_ENTRY = ", ".join(f"e.{name}" for name in ENTRY_COLUMNS)
# Decisions are most of the bytes of a ledger; without signatures there is nothing to hold them against.
_WITHOUT_DECISIONS = (
    f"SELECT {_ENTRY}, s.json, r.jws, NULL FROM entry e "  # noqa: S608
    "JOIN factor_signature s ON s.id = e.signature_id "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq"
)
_IN_ORDER = "WHERE e.log_id = ? ORDER BY e.seq"
_PLACES = {name: place for place, name in enumerate(ENTRY_COLUMNS)}
_SEQ, _HASH, _NAME = (_PLACES[name] for name in ("seq", "entry_hash", "receipt_id"))
_CHECK, _RECORDED = _PLACES["row_check"], _PLACES["recorded_at"]
_SIGNATURE, _JWS, _DECISION = (len(ENTRY_COLUMNS) + k for k in range(3))
_row_check = row_checker(tuple(ENTRY_COLUMNS))


def check(
    connection: sqlite3.Connection,
    log_id: str,
    tree: Tree,
    kept: Kept,
    keys: Mapping[str, bytes] | None,
    notes: list[Finding],
) -> Iterator[Finding]:
    """Every entry in order, with its signature where `keys` are given. `tree` gets each, `notes` what is odd."""
    expected, before = 0, ""
    for row in connection.execute(f"{_WITHOUT_DECISIONS if keys is None else SELECT_ENTRY} {_IN_ORDER}", (log_id,)):
        seq = row[_SEQ]
        if seq != expected:
            last = seq - 1
            yield Finding(log_id, f"entry {last}" if last == expected else f"entries {expected}-{last}", "missing")
        expected = seq + 1
        recorded_at = row[_RECORDED]
        if recorded_at < before:
            message = f"recorded at {recorded_at}, the entry before it at {before}: the clock went back"
            notes.append(Finding(log_id, f"entry {seq}", message))
        before = recorded_at
        tree.add(seq, row[_HASH])
        has_receipt = row[_JWS] is not None
        for message in kept.entry(seq, row[_HASH], row[_CHECK], has_receipt=has_receipt):
            yield Finding(log_id, f"entry {seq}", message)
        for message in faults(row, keys):
            yield Finding(log_id, f"entry {seq}", message)


def faults(row: Sequence[Any], keys: Mapping[str, bytes] | None) -> Iterator[str]:
    """What is wrong with a row of SELECT_ENTRY. An absent receipt is not: see `fsck_kept`."""
    jws: str | None = row[_JWS]
    hashes = list(_hashes(row[_HASH], row[_NAME], jws))
    yield from hashes
    unlike = list(_checksum(row))
    if keys is None and not unlike:
        return
    try:
        settled = from_row(row)
    except (ValueError, LookupError, TypeError, InvalidInput) as error:
        yield f"cannot be read: {error}"
        return
    named = list(_named(settled, row, keys)) if jws is not None and not hashes else []
    yield from named
    # What the receipt states was named; the rest can only be said to differ.
    if not named and not hashes:
        yield from unlike


def _hashes(entry: bytes, name: str, jws: str | None) -> Iterator[str]:
    """The receipt against the entry, and the entry against its name."""
    if jws is not None and (not jws.isascii() or entry_hash(jws) != entry):
        yield f"its receipt does not hash to entry_hash {entry.hex()}"
    elif receipt_id(entry) != name:
        yield f"receipt_id is {name}; its entry_hash gives {receipt_id(entry)}"


def _checksum(row: Sequence[Any]) -> Iterator[str]:
    """The columns against their checksum, and the sums that follow from them."""
    try:
        shape = stored_shape(row[_SIGNATURE])
    except (ValueError, LookupError, TypeError):
        yield "its factor signature cannot be read"
        return
    if row[_CHECK] is None or row[_CHECK] != _row_check(row, shape):
        yield "its columns do not give its row_check: one that no receipt states, its factor signature, or row_check"
    means = zip(("energy", "carbon"), "ec", strict=True)
    for kind, letter in means:
        expected = sum(
            own_variance(row[_PLACES[f"{letter}{k}"]] or 0, loadings[1 + (letter == "c")], loadings[3])
            for k, loadings in enumerate(shape)
            if loadings[3]
        )
        held = row[_PLACES[f"{kind}_own_variance"]] or 0.0
        if abs(held - expected) > 1e-9 * max(1.0, abs(expected)):
            yield f"{kind}_own_variance is {held}; its terms give {expected}"


def _named(settled: Settled, row: Sequence[Any], keys: Mapping[str, bytes] | None) -> Iterator[str]:
    """The columns against the receipt, and the receipt's signature where `keys` are given."""
    jws = settled.jws or ""
    if is_record(jws):
        return  # signed for by its batch: fsck_batches
    try:
        parsed = parse(jws)
        if keys is not None:
            verify(parsed, keys)
    except VerificationFailed as error:
        yield f"its receipt fails: {error}"
        return
    yield from against_receipt(settled, parsed.payload)
    values = {name: row[_PLACES[name]] for name in _STATED_ALONE}
    yield from _differences({**values, "cost": _cost(settled)}, parsed.payload)
    if settled.draft.synthetic != (parsed.typ == SIMULATION_TYP):
        yield f"synthetic is {settled.draft.synthetic}; its receipt is a {parsed.typ}"
    if keys is not None:
        yield from _decision(settled, parsed.payload)


def _cost(settled: Settled) -> dict[str, Any] | None:
    micros, currency = settled.draft.cost_micros, settled.draft.currency
    return None if micros is None or currency is None else {"micros": micros, "currency": currency}


def _decision(settled: Settled, payload: Mapping[str, Any]) -> Iterator[str]:
    """The stored decision against the digest that the receipt states. An adjustment has its original's digest."""
    if "decision_sha256" not in payload or settled.draft.kind != "inference":
        return
    stated, decision = payload["decision_sha256"], settled.draft.decision_json
    held = None if decision is None else sha256(decision.encode()).hexdigest()
    if held != stated:
        yield f"its decision has the SHA-256 {held}; its receipt states {stated}"


def against_receipt(settled: Settled, payload: Mapping[str, Any]) -> Iterator[str]:
    """The columns of an entry that its receipt, or the receipt of its batch, states too."""
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
    yield from adjustment_terms(settled, payload) if draft.kind == "adjustment" else _terms(settled)


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
