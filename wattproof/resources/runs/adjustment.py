"""From an entry and what became known of it later to the adjustment: its draft and what its receipt states.

Later is a corrected grid reading, or other usage. The method of the entry is run on its operands as they stand, and
again as they are now; the adjustment states the difference. An adjustment of an entry that was adjusted before starts
from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import get_method
from wattproof.methodology.propagate import Loadings, scoped
from wattproof.methodology.quantity import Operand, Term, Usage, UsageChange
from wattproof.resources.ledger.records import Amount, EntryDraft, FactorTerm, Settled
from wattproof.resources.receipts import validate_payload
from wattproof.resources.receipts.adjustment import TermChange, change, former, split, term_changes
from wattproof.resources.receipts.schema import USAGE_COUNTS
from wattproof.resources.receipts.statement import Statement

__all__ = ["Adjustment", "Later", "adjustment_of", "as_it_stands", "usage_of"]

_TOKENS = ("cached_input_tokens", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A draft for the ledger and what its receipt will state."""

    draft: EntryDraft
    statement: Statement


@dataclass(frozen=True, slots=True)
class Later:
    """What became known later. `reason` becomes the entry's `step_kind`; once is enough for each `external_id`.

    `operands` are those that have another value now. `usage` is by how much the counts changed. `grid` holds the
    reading that accounts now, and the one that it replaces.
    """

    reason: str
    external_id: str
    operands: Sequence[Operand]
    usage: UsageChange
    grid: Mapping[str, Any]

    @property
    def reading(self) -> Mapping[str, Any]:
        """The reading that accounts now, as a receipt states it."""
        return self.grid["accounting"]


def as_it_stands(stated: Mapping[str, Any], adjustments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the receipt of a request states, with the operands and the reading of the last of its `adjustments`."""
    if not adjustments:
        return dict(stated)
    last = adjustments[-1]
    now, _ = split(Operand(**row) for row in last["operands"])
    return {
        **stated,
        "operands": _rows(now),
        "grid": {**stated["grid"], "accounting": last["grid"]["accounting"]},
        "renewable_ratio_bps": last["renewable_ratio_bps"],
    }


def usage_of(entry: EntryDraft, adjustments: Iterable[EntryDraft]) -> Usage:
    """The usage of a request with what its adjustments changed."""
    drafts = (entry, *adjustments)
    return Usage(**{name: sum(getattr(draft.usage, name) for draft in drafts) for name in USAGE_COUNTS})


def token_operands(stated: Mapping[str, Any], usage: Usage) -> tuple[Operand, ...]:
    """The token counts among the operands that `stated` holds, with the counts of `usage`."""
    rows = [Operand(**row) for row in stated["operands"]]
    return tuple(replace(row, value=getattr(usage, row.name), exp10=0) for row in rows if row.name in _TOKENS)


def adjustment_of(original: Settled, stated: Mapping[str, Any], later: Later, *, now: str, nonce: bytes) -> Adjustment:
    """What `later` adds to `original`, of which `stated` says how it stands. It occurs at `now` (RFC 3339 UTC).

    `parent_id` names the receipt that is adjusted. Cost does not change: no price is in a receipt.

    Raises:
        InvalidInput: an operand is not one of the method's.
        UnknownMethod: this version does not have that method.
    """
    method = get_method(stated["method_id"])
    operands = _changed([Operand(**row) for row in stated["operands"]], later.operands)
    present, before = split(operands)
    numbers = {operand.name: operand.number for operand in present}
    outputs = change(method, numbers, before, stated["boundary"])
    changes = term_changes(method, numbers, before, stated["boundary"]) if original.draft.terms else ()
    draft = _draft(original, later, outputs, _terms(original.draft, changes), now)
    payload = _statement(original, stated, later, outputs, operands)
    payload |= {"issued_at": now, "occurred_at": now, "nonce": nonce.hex()}
    validate_payload(payload)
    return Adjustment(draft, Statement(payload))


def _changed(operands: Iterable[Operand], later: Iterable[Operand]) -> list[Operand]:
    """The operands with their new values and, beside each that changed, the former one."""
    held = {operand.name: operand for operand in operands}
    former_ones: list[Operand] = []
    for operand in later:
        before = held.get(operand.name)
        if before is None:
            raise InvalidInput("operands", f"hold no {operand.name}", "adjust what the figures follow from")
        if before.number != operand.number:
            former_ones.append(former(before))
            held[operand.name] = operand
    return sorted([*held.values(), *former_ones], key=lambda operand: operand.name)


def _terms(draft: EntryDraft, changes: Iterable[TermChange]) -> tuple[FactorTerm, ...]:
    """The changes under the names that the factors have in totals, where they meet those of the entry itself."""
    method = get_method(draft.method_id)
    values = {"model": draft.model, "zone": draft.zone, "provider": draft.provider}

    def named(loadings: Loadings) -> Loadings:
        return scoped((Term("", 0.0, loadings),), method.factor_scopes, values)[0].loadings

    held = {term.name: term for term in draft.terms}
    return tuple(
        replace(held[each.name], energy_mean_nwh=each.energy_mean_nwh, carbon_mean_ng=each.carbon_mean_ng)
        if each.name in held
        else FactorTerm(
            each.name,
            each.energy_mean_nwh,
            each.carbon_mean_ng,
            named(each.energy_loadings),
            named(each.carbon_loadings),
        )
        for each in changes
    )


def _draft(
    original: Settled, later: Later, outputs: Mapping[str, Any], terms: tuple[FactorTerm, ...], now: str
) -> EntryDraft:
    amounts = {
        name: None if output is None else Amount(output["median"], output["low"], output["high"])
        for name, output in outputs.items()
    }
    return replace(
        original.draft,
        **amounts,
        kind="adjustment",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=now,
        temporal_match=later.reading["temporal_match"],
        renewable_ratio_bps=later.reading["renewable_ratio_bps"],
        usage=later.usage,
        terms=terms,
        attempts=0,
        latency_ms=None,
        finish_reason=None,
        cost_micros=None,
        currency=None,
        parent_id=original.receipt_id,
        step_kind=later.reason,
        adjusts=original.seq,
        source="wattproof",
        external_id=later.external_id,
        provider_request_id=None,
        decision_json=None,
    )


def _statement(
    original: Settled, stated: Mapping[str, Any], later: Later, outputs: Mapping[str, Any], operands: Iterable[Operand]
) -> dict[str, Any]:
    return {
        **stated,
        "kind": "adjustment",
        "status": "completed",
        "request_id": None,
        "attempts": 0,
        "renewable_ratio_bps": later.reading["renewable_ratio_bps"],
        "usage": {**stated["usage"], **{name: getattr(later.usage, name) for name in USAGE_COUNTS}},
        "outputs": dict(outputs),
        "operands": _rows(operands),
        "grid": dict(later.grid),
        "cost": None,
        "latency_ms": None,
        "parent_id": original.receipt_id,
        "step_kind": later.reason,
        "request_commitment": None,
        "provider_reported": None,
    }


def _rows(operands: Iterable[Operand]) -> list[dict[str, Any]]:
    return [{name: getattr(operand, name) for name in Operand.__slots__} for operand in operands]
