"""An entry as a row of the table and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage, UsageChange
from wattproof.resources.ledger.records import Amount, EntryDraft, FactorTerm, Settled
from wattproof.resources.ledger.row_check import WHOLE, row_checker, shape_of
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.sums import MAX_TERMS
from wattproof.resources.ledger.times import check_instant

__all__ = [
    "AMOUNTS",
    "INSERTED",
    "INSERT_ENTRY",
    "SELECT_ENTRY",
    "Place",
    "check_draft",
    "check_name",
    "from_row",
    "has_bounds",
    "own_variance",
    "signature_json",
    "terms_of",
    "to_row",
]

AMOUNTS = ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")

_ENTRY = ", ".join(f"e.{name}" for name in ENTRY_COLUMNS)
SELECT_ENTRY = (
    f"SELECT {_ENTRY}, s.json, r.jws, d.json FROM entry e "  # noqa: S608
    "JOIN factor_signature s ON s.id = e.signature_id "
    "LEFT JOIN receipt r ON r.log_id = e.log_id AND r.seq = e.seq "
    "LEFT JOIN decision d ON d.log_id = e.log_id AND d.seq = e.seq"
)

_UNKNOWN = (None, None, None)
_MAX_NAME = 200
_MAX_TAGS = 16
_MAX_TAG = 64
# What a receipt can state; a thousand such entries still add up within 64 bits.
_MAX_AMOUNT = 2**53 - 1


class Place(NamedTuple):
    """The columns of an entry that its place in the log gives."""

    seq: int
    recorded_at: str
    period: str
    method_sha256: str | None
    edition_sha256: str | None
    signature_id: int
    dim: int
    receipt_id: str
    entry_hash: bytes


_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_AMOUNT_COLUMNS = tuple(f"{name}{end}" for name in AMOUNTS for end in ("", "_low", "_high"))
_TERM_MEANS = tuple(f"{kind}{k}" for kind in "ec" for k in range(MAX_TERMS))
_DERIVED = ("tags", "reasons", "synthetic", "energy_own_variance", "carbon_own_variance")
_MADE = (*Place._fields, *_USAGE, *_AMOUNT_COLUMNS, *_TERM_MEANS, *_DERIVED, "row_check")
_PLAIN = tuple(name for name in ENTRY_COLUMNS if name not in _MADE)
_plain_of = attrgetter(*_PLAIN)
_usage_of = attrgetter(*_USAGE)
_amounts_of = attrgetter(*AMOUNTS)
_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode

INSERTED = (*_PLAIN, *_MADE)
"""The columns in the order of `to_row`."""
_row_check = row_checker(INSERTED)
INSERT_ENTRY = f"INSERT INTO entry ({', '.join(INSERTED)}) VALUES ({', '.join('?' * len(INSERTED))})"  # noqa: S608


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
    if draft.cost_micros is not None and not 0 <= draft.cost_micros <= _MAX_AMOUNT:
        raise InvalidInput("cost_micros", f"is {draft.cost_micros}", "give 0 to 2**53 - 1")
    if len(draft.tags) > _MAX_TAGS or len(set(draft.tags)) != len(draft.tags):
        raise InvalidInput("tags", f"are {len(draft.tags)}", f"give at most {_MAX_TAGS} different tags")
    for tag in draft.tags:
        check_name("tags", tag, _MAX_TAG)
    least = -_MAX_AMOUNT if draft.kind == "adjustment" else 0
    for name, amount in zip(AMOUNTS, _amounts_of(draft), strict=True):
        _check_amount(name, amount, least)
    _check_terms(draft, least)


def _check_terms(draft: EntryDraft, least: int) -> None:
    energy, carbon = draft.energy_nwh, draft.carbon_location_ng
    if len(draft.terms) > MAX_TERMS:
        raise InvalidInput("terms", f"are {len(draft.terms)}", f"give at most {MAX_TERMS}")
    if not draft.terms and any(amount is not None and amount.low is not None for amount in (energy, carbon)):
        raise InvalidInput("terms", "are missing for an amount with an interval", "give the terms it was made from")
    means = [mean for term in draft.terms for mean in (term.energy_mean_nwh, term.carbon_mean_ng or 0)]
    if any(not least <= mean <= _MAX_AMOUNT for mean in means):
        raise InvalidInput("terms", f"have a mean below {least} or of 2**53 or more", "only an adjustment takes away")
    if any((term.carbon_mean_ng is None) != (carbon is None) for term in draft.terms):
        raise InvalidInput("terms", "disagree about carbon", "give carbon_mean_ng in every term iff carbon is known")


def _check_amount(name: str, amount: Amount | None, least: int) -> None:
    if amount is None:
        return
    if (amount.low is None) != (amount.high is None):
        raise InvalidInput(name, "has one end of an interval", "give low and high together, or neither")
    low, high = (amount.median if end is None else end for end in (amount.low, amount.high))
    if not least <= low <= amount.median <= high:
        raise InvalidInput(name, f"is {amount}", f"give {least} <= low <= median <= high")
    if high > _MAX_AMOUNT:
        raise InvalidInput(name, f"is {amount}", "give less than 2**53")


def terms_of(draft: EntryDraft) -> tuple[FactorTerm, ...]:
    """The terms to add up; an amount that its method publishes without terms is one term of no width."""
    energy, carbon = draft.energy_nwh, draft.carbon_location_ng
    if draft.terms or (energy is None and carbon is None):
        return draft.terms
    return (FactorTerm(WHOLE, energy.median if energy else 0, carbon.median if carbon else None, (), ()),)


def signature_json(draft: EntryDraft) -> str:
    """The loadings of the terms, and which amounts have an interval: what makes entries add up alike."""
    terms = [
        {"name": t.name, "energy": t.energy_loadings, "carbon": t.carbon_loadings, "own_sigma": t.idiosyncratic_sigma}
        for t in terms_of(draft)
    ]
    intervals = {"energy": has_bounds(draft.energy_nwh), "carbon": has_bounds(draft.carbon_location_ng)}
    # Most entries have neither.
    others = {"market": draft.carbon_market_ng, "water": draft.water_nl}
    intervals |= {name: True for name, amount in others.items() if has_bounds(amount)}
    return json.dumps({"intervals": intervals, "terms": terms}, sort_keys=True, separators=(",", ":"))


def has_bounds(amount: Amount | None) -> bool:
    """Whether an amount is known with an interval."""
    return amount is not None and amount.low is not None


def to_row(draft: EntryDraft, place: Place) -> tuple[Any, ...]:
    """The row of `draft`, for INSERT_ENTRY."""
    terms = terms_of(draft)
    unused = (None,) * (MAX_TERMS - len(terms))
    row = (
        *_plain_of(draft),
        *place,
        *_usage_of(draft.usage),
        *[end for a in _amounts_of(draft) for end in (_UNKNOWN if a is None else (a.median, a.low, a.high))],
        *[None if draft.energy_nwh is None else term.energy_mean_nwh for term in terms],
        *unused,
        *[term.carbon_mean_ng for term in terms],
        *unused,
        _json(draft.tags) if draft.tags else "[]",
        _reasons_json(tuple(draft.reasons.items())),
        int(draft.synthetic),
        sum([own_variance(t.energy_mean_nwh, t.energy_loadings, t.idiosyncratic_sigma) for t in terms]),
        sum([own_variance(t.carbon_mean_ng or 0, t.carbon_loadings, t.idiosyncratic_sigma) for t in terms]),
    )
    return (*row, _row_check(row, shape_of(draft.terms)))


@lru_cache(maxsize=1024)
def _reasons_json(reasons: tuple[tuple[str, str], ...]) -> str:
    return _json(dict(reasons))


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
    usage_of = UsageChange if values["kind"] == "adjustment" else Usage
    fields["usage"] = usage_of(**{name: values[name] for name in _USAGE})
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
        if term["name"] != WHOLE
    )
