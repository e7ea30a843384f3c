"""What the steps of an operation add up to, as its receipt states it.

Energy and climate: the means of the steps' terms add up, and shared factors are kept, so that the interval is neither
that of independent steps nor of fully dependent ones (`methodology.propagate.total`). Where a known step has no 90 %
interval the sum has none either, and its figure is the sum of expected values; so are water, resources and market-based
climate, whose terms nobody keeps. The expected value of an amount with a 90 % interval is median exp(s^2 / 2) with
s = ln(high / median) / 1.6448536; of any other amount it is the figure itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wattproof.methodology.errors import UnknownMethod
from wattproof.methodology.methods import get_method
from wattproof.methodology.propagate import Z90, Row, total
from wattproof.resources.ledger.records import Amount, EntryDraft
from wattproof.resources.ledger.rows import AMOUNTS, own_variance, terms_of

__all__ = ["expected", "total_of_steps"]

_WITH_TERMS = {"energy_nwh": "energy", "carbon_location_ng": "carbon"}


def total_of_steps(steps: Sequence[EntryDraft]) -> tuple[dict[str, dict[str, Any] | None], dict[str, str]]:
    """`(outputs, reasons)` of a receipt over these entries; an amount that no entry knows is None."""
    outputs: dict[str, dict[str, Any] | None] = {}
    reasons: dict[str, str] = {}
    count = sum(step.kind != "adjustment" for step in steps)
    for name in AMOUNTS:
        known = [step for step in steps if getattr(step, name) is not None]
        of_requests = sum(step.kind != "adjustment" for step in known)
        outputs[name] = _total(name, known) if known else None
        if of_requests < count or not known:
            reasons[name] = f"known for {of_requests} of {count} steps"
    return outputs, reasons


def expected(amount: Amount, interval: str) -> float:
    """The expected value of an amount, in its own unit."""
    if interval != "credible90" or amount.high is None or amount.median <= 0:
        return float(amount.median)
    s = math.log(amount.high / amount.median) / Z90
    return amount.median * math.exp(s * s / 2)


def _total(name: str, known: Sequence[EntryDraft]) -> dict[str, Any]:
    amounts: list[Amount] = [getattr(step, name) for step in known]
    if name in _WITH_TERMS and all(amount.low is not None for amount in amounts):
        found = total(_rows(_WITH_TERMS[name], known))
        low, high = found.low or 0.0, found.high or 0.0
        return {"median": round(found.median), "low": round(low), "high": round(high), "interval": "credible90"}
    intervals = [_interval(step, amount) for step, amount in zip(known, amounts, strict=True)]
    whole = math.fsum(expected(amount, each) for amount, each in zip(amounts, intervals, strict=True))
    return {"median": round(whole), "low": None, "high": None, "interval": "none"}


def _rows(kind: str, known: Sequence[EntryDraft]) -> list[Row]:
    rows: list[Row] = []
    for step in known:
        for term in terms_of(step):
            mean = term.energy_mean_nwh if kind == "energy" else term.carbon_mean_ng or 0
            loadings = term.energy_loadings if kind == "energy" else term.carbon_loadings
            rows.append(Row((mean,), (loadings,), own_variance(mean, loadings, term.idiosyncratic_sigma)))
    return rows


def _interval(step: EntryDraft, amount: Amount) -> str:
    if amount.low is None:
        return "none"
    try:
        return get_method(step.method_id).interval
    except UnknownMethod:
        return "none"
