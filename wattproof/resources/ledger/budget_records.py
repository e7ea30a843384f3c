"""Budgets as plain data: what is limited, in which unit, over which period, and what is left of it.

Amounts are integers: nWh, nanograms, tokens and micro-dollars. Of an estimated amount the high bound counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from wattproof.methodology.errors import InvalidInput

__all__ = [
    "UNITS",
    "Budget",
    "BudgetAction",
    "BudgetDecision",
    "BudgetKey",
    "BudgetPer",
    "BudgetScope",
    "BudgetUnit",
    "Headroom",
    "Rates",
    "amount_words",
    "bucket_of",
    "check_tz",
    "plain",
]

BudgetScope = Literal["operation", "tag", "tenant"]
BudgetPer = Literal["total", "day", "month"]
BudgetUnit = Literal["energy_wh", "carbon_gco2e", "tokens", "cost_usd"]
BudgetAction = Literal["refuse", "warn"]

Rates = Mapping[str, tuple[int, int]]
"""Currency -> dollars for one unit of it, as numerator and denominator."""

UNITS: Mapping[BudgetUnit, tuple[int, str]] = MappingProxyType(
    {
        "energy_wh": (1_000_000_000, "Wh"),
        "carbon_gco2e": (1_000_000_000, "gCO2e"),
        "tokens": (1, "tokens"),
        "cost_usd": (1_000_000, "USD"),
    }
)
"""Unit -> how many integer units make one, and its symbol."""

_BUCKET_LENGTHS = {"day": 10, "month": 7}


@dataclass(frozen=True, slots=True)
class BudgetKey:
    """What one budget is about. `name` is the operation or the tag; empty for the whole log (`tenant`)."""

    log_id: str
    scope: BudgetScope
    name: str
    per: BudgetPer
    unit: BudgetUnit

    @property
    def words(self) -> str:
        """`operation 'op_1'`, `tag 'nightly' per day`, `this ledger per month`."""
        what = "this ledger" if self.scope == "tenant" else f"{self.scope} {self.name[:80]!r}"
        return what if self.per == "total" else f"{what} per {self.per}"

    def amount_words(self, amount: int) -> str:
        """`1.1 Wh`: an amount in the unit of this budget, to three significant figures."""
        return amount_words(self.unit, amount)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what may be spent. `refuse` stops a try that could exceed it, `warn` only says so.

    `may_ask`: a client's user may be asked to exceed it. Days and months are those of `tz`. A total for a tag or a
    whole log counts the entries from `from_seq` on; a period counts from `from_bucket` on, each whole. `rates` turn
    prices in other currencies into dollars: those in force when the budget was set, so that a count stays what it was.
    """

    id: int
    key: BudgetKey
    tz: str
    amount: int
    action: BudgetAction
    may_ask: bool
    rates: Rates
    from_seq: int
    from_bucket: str


@dataclass(frozen=True, slots=True)
class Headroom:
    """A budget at one moment, in one period (`bucket`, empty for a total).

    `spent` is of entries, `reserved` of tries that run; `granted` was added to the limit for this period alone.
    `unknown` counts entries whose amount nobody knows, which `spent` therefore lacks.
    """

    budget: Budget
    bucket: str
    spent: int
    reserved: int
    granted: int
    unknown: int

    @property
    def limit(self) -> int:
        """What may be spent in this period."""
        return self.budget.amount + self.granted

    @property
    def remaining(self) -> int:
        """What a new try may take; negative where more was spent than allowed."""
        return self.limit - self.spent - self.reserved

    @property
    def status(self) -> Literal["ok", "over"]:
        return "over" if self.remaining < 0 else "ok"

    @property
    def share_left(self) -> float:
        """What is left as a share of the limit, to find the tightest of several budgets."""
        return self.remaining / self.limit if self.limit else float("-inf")


@dataclass(frozen=True, slots=True)
class BudgetDecision:
    """What somebody decided about a budget: set, raise (a new limit), override (a grant for one period), remove."""

    decided_at: str
    decided_by: str
    decision: Literal["set", "raise", "override", "remove"]
    key: BudgetKey
    amount: int
    bucket: str
    reason: str | None


def amount_words(unit: BudgetUnit, amount: int) -> str:
    """`1.1 Wh`: an amount in integers of `unit`, to three significant figures."""
    scale, symbol = UNITS[unit]
    if unit == "tokens":
        return f"{amount:,} {symbol if amount != 1 else symbol.removesuffix('s')}"
    return f"{plain(amount / scale)} {symbol}"


def bucket_of(per: BudgetPer, tz: str, occurred_at: str) -> str:
    """The period of a budget that an instant (RFC 3339 UTC) falls into: its day or month in `tz`, empty for a total."""
    if per == "total":
        return ""
    local = datetime.fromisoformat(occurred_at).astimezone(check_tz(tz))
    return local.date().isoformat()[: _BUCKET_LENGTHS[per]]


@lru_cache(maxsize=64)
def check_tz(name: str) -> tzinfo:
    """The time zone of that IANA name.

    Raises:
        InvalidInput: there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput("tz", f"is {name[:60]!r}", "give an IANA zone such as Europe/Paris, or UTC") from error


def plain(number: float) -> str:
    """`number` to three significant figures, without an exponent and without zeros that say nothing."""
    text = f"{number:.3g}"
    if "e" not in text:
        return text
    digits = max(0, 2 - int(text.partition("e")[2]))
    shown = f"{float(text):,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
