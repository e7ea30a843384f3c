"""An entry as a row of the table and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger.records import Amount, EntryDraft, FactorTerm, Settled
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.sums import MAX_TERMS
from wattproof.resources.ledger.times import check_instant

__all__ = [
    "AMOUNTS",
    "INSERT_ENTRY",
    "SELECT_ENTRY",
    "check_draft",
    "check_name",
    "from_row",
    "own_variance",
    "signature_json",
    "to_row",
]

AMOUNTS = ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")
INSERT_ENTRY = f"INSERT INTO entry VALUES ({', '.join('?' * len(ENTRY_COLUMNS))})"  # noqa: S608

_ENTRY = ", ".join(f"e.{name}" for name in ENTRY_COLUMNS)
SELECT_ENTRY = (
    f"SELECT {_ENTRY}, s.json, r.jws, d.json FROM entry e "  # noqa: S608
    "JOIN factor_signature s ON s.id = e.signature_id "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "LEFT JOIN decision d ON d.log_id = e.log_id AND d.seq = e.seq"
)

# The name of the one term of an amount that came without terms.
_WHOLE = "(whole)"
_MAX_NAME = 200
_MAX_TAGS = 16
_MAX_TAG = 64

_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_PLACED = frozenset(
    {"seq", "recorded_at", "period", "method_sha256", "edition_sha256", "dim", "receipt_id", "entry_hash"}
)
_DERIVED = frozenset({"tags", "reasons", "synthetic", "signature_id", "energy_own_variance", "carbon_own_variance"})
_TERM_MEANS = tuple(f"{kind}{k}" for kind in "ec" for k in range(MAX_TERMS))
_AMOUNT_COLUMNS = tuple(f"{name}{end}" for name in AMOUNTS for end in ("", "_low", "_high"))
_PLAIN = tuple(
    name for name in ENTRY_COLUMNS if name not in {*_USAGE, *_PLACED, *_DERIVED, *_TERM_MEANS, *_AMOUNT_COLUMNS}
)
_plain_of = attrgetter(*_PLAIN)
_amounts_of = attrgetter(*AMOUNTS)


def check_name(field: str, name: object, longest: int = _MAX_NAME) -> None:
    """Refuse a key that could not be shown or found again.

    Raises:
        InvalidInput: not a string of 1 to `longest` printable characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= longest or not name.isprintable():
        raise InvalidInput(field, f"is {str(name)[:40]!r}", f"give 1 to {longest} printable characters")


def check_draft(draft: EntryDraft) -> None:
    """Check what the database could not say as well.

    Raises:
        InvalidInput: a field is malformed; nothing was written.
    """
    check_name("log_id", draft.log_id)
    for field in ("request_id", "operation_id", "parent_id", "project"):
        if getattr(draft, field) is not None:
            check_name(field, getattr(draft, field))
    check_instant("occurred_at", draft.occurred_at)
    if len(draft.tags) > _MAX_TAGS or len(set(draft.tags)) != len(draft.tags):
        raise InvalidInput("tags", f"are {len(draft.tags)}", f"give at most {_MAX_TAGS} different tags")
    for tag in draft.tags:
        check_name("tags", tag, _MAX_TAG)
    for name, amount in zip(AMOUNTS, _amounts_of(draft), strict=True):
        _check_amount(name, amount)
    _check_terms(draft)


def _check_terms(draft: EntryDraft) -> None:
    energy, carbon = draft.energy_nwh, draft.carbon_location_ng
    if len(draft.terms) > MAX_TERMS:
        raise InvalidInput("terms", f"are {len(draft.terms)}", f"give at most {MAX_TERMS}")
    if not draft.terms and any(amount is not None and amount.low is not None for amount in (energy, carbon)):
        raise InvalidInput("terms", "are missing for an amount with an interval", "give the terms it was made from")
    if any((term.carbon_mean_ng is None) != (carbon is None) for term in draft.terms):
        raise InvalidInput("terms", "disagree about carbon", "give carbon_mean_ng in every term iff carbon is known")


def _check_amount(name: str, amount: Amount | None) -> None:
    if amount is None:
        return
    if (amount.low is None) != (amount.high is None):
        raise InvalidInput(name, "has one end of an interval", "give low and high together, or neither")
    if amount.median < 0 or (amount.low is not None and not amount.low <= amount.median <= (amount.high or 0)):
        raise InvalidInput(name, f"is {amount}", "give 0 <= low <= median <= high")


def terms_of(draft: EntryDraft) -> tuple[FactorTerm, ...]:
    """The terms to add up; an amount that its method publishes without terms is one term of no width."""
    energy, carbon = draft.energy_nwh, draft.carbon_location_ng
    if draft.terms or (energy is None and carbon is None):
        return draft.terms
    return (FactorTerm(_WHOLE, energy.median if energy else 0, carbon.median if carbon else None, (), ()),)


def signature_json(draft: EntryDraft) -> str:
    """The loadings of the terms, and whether energy and carbon have an interval: what makes entries add up alike."""
    terms = [
        {"name": t.name, "energy": t.energy_loadings, "carbon": t.carbon_loadings, "own_sigma": t.idiosyncratic_sigma}
        for t in terms_of(draft)
    ]
    intervals = {
        "energy": draft.energy_nwh is not None and draft.energy_nwh.low is not None,
        "carbon": draft.carbon_location_ng is not None and draft.carbon_location_ng.low is not None,
    }
    return json.dumps({"intervals": intervals, "terms": terms}, sort_keys=True, separators=(",", ":"))


def to_row(draft: EntryDraft, placed: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of `draft` in the order of ENTRY_COLUMNS; `placed` holds the columns that its place in the log gives."""
    terms = terms_of(draft)
    values: dict[str, Any] = dict(zip(_PLAIN, _plain_of(draft), strict=True))
    for name in _USAGE:
        values[name] = getattr(draft.usage, name)
    for name, amount in zip(AMOUNTS, _amounts_of(draft), strict=True):
        if amount is not None:
            values[name], values[f"{name}_low"], values[f"{name}_high"] = amount.median, amount.low, amount.high
    for k, term in enumerate(terms):
        values[f"e{k}"] = None if draft.energy_nwh is None else term.energy_mean_nwh
        values[f"c{k}"] = term.carbon_mean_ng
    values["energy_own_variance"] = math.fsum(
        own_variance(t.energy_mean_nwh, t.energy_loadings, t.idiosyncratic_sigma) for t in terms
    )
    values["carbon_own_variance"] = math.fsum(
        own_variance(t.carbon_mean_ng or 0, t.carbon_loadings, t.idiosyncratic_sigma) for t in terms
    )
    values["tags"] = json.dumps(draft.tags, ensure_ascii=False)
    values["reasons"] = json.dumps(dict(draft.reasons), sort_keys=True, ensure_ascii=False)
    values["synthetic"] = int(draft.synthetic)
    values.update(placed)
    return tuple([values.get(name) for name in ENTRY_COLUMNS])


def own_variance(mean: int, loadings: Sequence[tuple[str, float]], sigma: float) -> float:
    """The variance of a term that no other entry shares: m^2 exp(sum L^2) (exp(sigma^2) - 1)."""
    if not sigma:
        return 0.0
    return mean * mean * math.exp(math.fsum(load * load for _, load in loadings)) * math.expm1(sigma * sigma)


def from_row(row: Sequence[Any]) -> Settled:
    """The entry of a row of SELECT_ENTRY."""
    values = dict(zip(ENTRY_COLUMNS, row, strict=False))
    signature, jws, decision = row[len(ENTRY_COLUMNS) :]
    fields = {name: values[name] for name in _PLAIN}
    fields["usage"] = Usage(**{name: values[name] for name in _USAGE})
    for name in AMOUNTS:
        median = values[name]
        fields[name] = None if median is None else Amount(median, values[f"{name}_low"], values[f"{name}_high"])
    draft = EntryDraft(
        **fields,
        reasons=json.loads(values["reasons"]),
        terms=_terms(values, json.loads(signature)["terms"]),
        tags=tuple(json.loads(values["tags"])),
        synthetic=bool(values["synthetic"]),
        decision_json=decision,
    )
    return Settled(
        values["log_id"], values["seq"], values["receipt_id"], jws, values["entry_hash"], values["recorded_at"], draft
    )


def _terms(values: Mapping[str, Any], signature: Sequence[Mapping[str, Any]]) -> tuple[FactorTerm, ...]:
    return tuple(
        FactorTerm(
            term["name"],
            values[f"e{k}"] or 0,
            values[f"c{k}"],
            tuple((name, sigma) for name, sigma in term["energy"]),
            tuple((name, sigma) for name, sigma in term["carbon"]),
            term["own_sigma"],
        )
        for k, term in enumerate(signature)
        if term["name"] != _WHOLE
    )
