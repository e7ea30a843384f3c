"""What the owner of a ledger decides about budgets: set, raise, grant more, remove, and what is left.

These are no MCP tools: the command line calls them, for a person. Who decided, and when, is kept in the ledger.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.budget_left import budget_fields, integer_amount, rates_of

if TYPE_CHECKING:
    from wattproof.resources.ledger.budget_records import (
        BudgetAction,
        BudgetDecision,
        BudgetPer,
        BudgetScope,
        BudgetUnit,
        Headroom,
        Rates,
    )
    from wattproof.tools.deps import Deps

__all__ = ["BudgetRequest", "amount_of", "decide", "show"]

Decision = Literal["set", "raise", "override", "remove"]

_AMOUNT = re.compile(r"\s*([0-9]+(?:[.,_][0-9]+)*)\s*([A-Za-z0-9]*)\s*")
# What people write -> the unit, and how many of it that is.
_SYMBOLS: dict[str, tuple[BudgetUnit, float]] = {
    "mwh": ("energy_wh", 1e-3),
    "wh": ("energy_wh", 1.0),
    "kwh": ("energy_wh", 1e3),
    "mg": ("carbon_gco2e", 1e-3),
    "g": ("carbon_gco2e", 1.0),
    "gco2e": ("carbon_gco2e", 1.0),
    "kg": ("carbon_gco2e", 1e3),
    "kgco2e": ("carbon_gco2e", 1e3),
    "tokens": ("tokens", 1.0),
    "token": ("tokens", 1.0),
    "usd": ("cost_usd", 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRequest:
    """A decision about one budget. `limit` is as people write it (`5 Wh`), or a bare number with `unit`.

    For `override` the limit is what may be spent on top, in the present period.
    """

    decision: Decision
    scope: BudgetScope
    name: str
    per: BudgetPer
    by: str
    limit: str | None = None
    unit: str | None = None
    action: BudgetAction = "refuse"
    tz: str = "UTC"
    may_ask: bool = True
    reason: str | None = None


async def decide(request: BudgetRequest, deps: Deps) -> dict[str, Any]:
    """Carry out a decision; returns what is left of the budget afterwards, empty where it was removed.

    Raises:
        InvalidInput: the amount, the unit or a name is not understood, or there is no such budget.
        LedgerError: the ledger cannot be written.
    """
    from wattproof.resources.ledger.budget_book import BudgetDraft
    from wattproof.resources.ledger.budget_records import BudgetKey

    unit, amount = _unit_and_amount(request)
    key = BudgetKey(deps.log_id, request.scope, request.name, request.per, unit)
    book, by, reason = (await deps.ledger()).budgets, request.by, request.reason
    if request.decision == "remove":
        await book.remove(key, by=by, reason=reason)
        return {}
    if request.decision == "set":
        rates: Rates = rates_of(deps) if unit == "cost_usd" else {}
        draft = BudgetDraft(key, amount, request.action, request.tz, request.may_ask, rates)
        left = await book.set(draft, by=by, reason=reason)
    elif request.decision == "raise":
        left = await book.raise_to(key, amount, by=by, reason=reason)
    else:
        left = await book.grant(key, amount, by=by, reason=reason)
    return _shown(left)


async def show(history: int, deps: Deps) -> dict[str, Any]:
    """Every budget with what is left of it, and the last `history` decisions about them."""
    book = (await deps.ledger()).budgets
    decisions = await book.decisions(deps.log_id, history) if history else ()
    return {
        "budgets": [_shown(left) for left in await book.all(deps.log_id)],
        "decisions": [_decision(decision) for decision in decisions],
    }


def amount_of(text: str, unit: str | None) -> tuple[BudgetUnit, int]:
    """`5 Wh` as its unit and the integers of it; a bare number is in `unit`.

    Raises:
        InvalidInput: it is no amount, or the two units differ.
    """
    found = _AMOUNT.fullmatch(text)
    named = None if found is None or not found[2] else _SYMBOLS.get(found[2].lower(), ())
    if found is None or named == () or (named is None and unit is None):
        raise InvalidInput(
            "--limit", f"is {text[:40]!r}", "give an amount such as '5 Wh', '2 kg', '10000 tokens', '3 USD'"
        )
    number = float(found[1].replace("_", "").replace(",", "."))
    if not named:
        return _unit(unit or ""), integer_amount(_unit(unit or ""), number)
    if unit is not None and unit != named[0]:
        raise InvalidInput("--unit", f"is {unit[:40]!r}, but the limit is in {named[0]}", "leave one of them out")
    return named[0], integer_amount(named[0], number * named[1])


def _unit(name: str) -> BudgetUnit:
    from wattproof.resources.ledger.budget_records import UNITS, BudgetUnit

    for unit in get_args(BudgetUnit):
        if unit == name:
            return unit
    raise InvalidInput("--unit", f"is {name[:40]!r}", f"give one of {', '.join(UNITS)}")


def _unit_and_amount(request: BudgetRequest) -> tuple[BudgetUnit, int]:
    if request.limit is not None:
        return amount_of(request.limit, request.unit)
    if request.decision != "remove":
        raise InvalidInput("--limit", "is missing", "give an amount such as '5 Wh'")
    return _unit(request.unit or ""), 0


def _shown(left: Headroom) -> dict[str, Any]:
    fields = budget_fields(left, full=True)
    key = left.budget.key
    return {**fields, "scope": key.scope, "per": key.per, "may_ask": left.budget.may_ask, "words": _words(left)}


def _words(left: Headroom) -> str:
    key = left.budget.key
    what = key.words + (f" ({left.bucket}, {left.budget.tz})" if left.bucket else "")
    words = [f"{key.amount_words(left.spent)} of {key.amount_words(left.limit)} counted"]
    if left.reserved:
        words.append(f"{key.amount_words(left.reserved)} held by runs in flight")
    over = left.status == "over"
    words.append(f"{key.amount_words(abs(left.remaining))} {'over' if over else 'left'}")
    if left.unknown:
        words.append(f"{left.unknown:,} entries of unknown amount")
    if left.budget.action == "warn":
        words.append("warns only")
    return f"{what}: {', '.join(words)}."


def _decision(decision: BudgetDecision) -> dict[str, Any]:
    key = decision.key
    return {
        "at": decision.decided_at,
        "by": decision.decided_by,
        "decision": decision.decision,
        "scope": key.scope,
        "name": key.name,
        "per": key.per,
        "amount": key.amount_words(decision.amount),
        "period": decision.bucket or None,
        "reason": decision.reason,
    }
