"""A budget in results and in words, and as the caller or the operator states it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import rounded

if TYPE_CHECKING:
    from wattproof.resources.ledger.budget_records import BudgetUnit, Headroom, Rates
    from wattproof.tools.deps import Deps

__all__ = ["brief_budget", "budget_fields", "budget_words", "integer_amount", "rates_of", "tightest_fields"]

_ESTIMATED = ("energy_wh", "carbon_gco2e")


def tightest_fields(found: Iterable[Headroom], *, full: bool = False) -> dict[str, Any] | None:
    """The budget with the smallest share left, as a result shows it; None where there is none."""
    from wattproof.resources.ledger.budgets import tightest

    left = tightest(found)
    return None if left is None else budget_fields(left, full=full)


def budget_fields(left: Headroom, *, full: bool = False) -> dict[str, Any]:
    """What is left of one budget. `of` says what it limits, `counted` which figure of an estimate counts."""
    from wattproof.resources.ledger.budget_records import UNITS

    key, (scale, _) = left.budget.key, UNITS[left.budget.key.unit]
    digits = None if full or scale == 1 else 3

    def shown(amount: int) -> float:
        return amount if scale == 1 else rounded(amount / scale, digits)

    fields: dict[str, Any] = {
        "of": key.scope if key.per == "total" else f"{key.scope} per {key.per}",
        "unit": key.unit,
        "limit": shown(left.limit),
        "counted": "high" if key.unit in _ESTIMATED else "exact",
        "spent": shown(left.spent),
        "reserved": shown(left.reserved),
        "remaining": shown(left.remaining),
        "status": left.status,
    }
    if left.unknown:
        fields["unknown_count"] = left.unknown
    if full:
        fields |= {"name": key.name, "period": left.bucket or None, "tz": left.budget.tz, "action": left.budget.action}
    return fields


def brief_budget(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` without what goes without saying: that nothing is reserved, and that it is the operation's own."""
    usual = {"of": "operation", "reserved": 0}
    return {name: value for name, value in fields.items() if name not in usual or value != usual[name]}


def budget_words(fields: dict[str, Any]) -> str:
    """`Budget left 4.8 of 5 Wh (high bound counts).`"""
    from wattproof.resources.ledger.budget_records import UNITS, plain

    symbol = UNITS[fields["unit"]][1]
    bound = "high bound counts" if fields["counted"] == "high" else ""
    if fields["status"] == "over":
        limit = ", ".join(filter(None, (f"limit {plain(fields['limit'])}", bound)))
        return f"Budget of {fields['of']} exceeded by {plain(-fields['remaining'])} {symbol} ({limit})."
    left = f"Budget left {plain(fields['remaining'])} of {plain(fields['limit'])} {symbol}"
    return f"{left} ({bound})." if bound else f"{left}."


def integer_amount(unit: BudgetUnit, limit: float) -> int:
    """A limit in the integers of its unit.

    Raises:
        InvalidInput: it is negative, not finite, or too large.
    """
    from wattproof.resources.ledger.budget_records import UNITS

    scale, symbol = UNITS[unit]
    if not 0 <= limit * scale < 2**53:
        raise InvalidInput("limit", f"is {limit!r} {symbol}", f"give an amount from 0 to {(2**53 - 1) // scale:,}")
    return round(limit * scale)


def rates_of(deps: Deps) -> Rates:
    """The exchange rates of now, for a budget of money to count by."""
    from wattproof.resources.providers import bundled_rates

    rates = bundled_rates() if deps.rates is None else deps.rates()
    return {currency: rate.usd_per_unit.as_integer_ratio() for currency, rate in rates.items()}
