"""Exchange rates as dated, sourced rows. Without a row, a price in another currency is unknown in USD.

A rate older than 180 days is still used, and flagged by `stale_rate`: without it the price would be unknown, which says
less than a rate that is a few per cent off.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from wattproof.resources.providers.staleness import STALE_AFTER_DAYS, age_days

__all__ = ["ExchangeRate", "bundled_rates", "rates_with", "stale_rate", "to_usd_micros"]


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """USD for one unit of `currency`, with where and when it was read."""

    currency: str
    usd_per_unit: Decimal
    source: str
    checked_at: str


def to_usd_micros(micros: int, currency: str | None, *, rates: Mapping[str, ExchangeRate] | None = None) -> int | None:
    """`micros` micro-units of `currency` in micro-dollars, rounded up; None where no sourced rate is known.

    `rates` by currency; None: the bundled ones.
    """
    if currency == "USD":
        return micros
    rate = (bundled_rates() if rates is None else rates).get(currency or "")
    if rate is None:
        return None
    dollars, units = rate.usd_per_unit.as_integer_ratio()
    return -(-micros * dollars // units)


def stale_rate(currency: str | None, now_s: float, *, rates: Mapping[str, ExchangeRate] | None = None) -> str | None:
    """Why the rate of `currency` should be checked again, or None; a currency without a rate has nothing stale."""
    rate = (bundled_rates() if rates is None else rates).get(currency or "")
    if rate is None:
        return None
    age = age_days(rate.checked_at, now_s)
    if age is None:
        return f"{rate.currency} rate is not dated"
    return f"{rate.currency} rate of {rate.checked_at}, {age} days old" if age > STALE_AFTER_DAYS else None


def rates_with(own: Iterable[ExchangeRate]) -> Mapping[str, ExchangeRate]:
    """The bundled rates by currency, with a user's own in the place of those that have one."""
    return MappingProxyType({**bundled_rates(), **{rate.currency: rate for rate in own}})


@functools.cache
def bundled_rates() -> Mapping[str, ExchangeRate]:
    """The rates that ship, by currency."""
    content: dict[str, Any] = json.loads(files("wattproof.resources.providers").joinpath("exchange.json").read_bytes())
    found = (
        ExchangeRate(row["currency"], Decimal(row["usd_per_unit"]), row["source"], row["checked_at"])
        for row in content["rates"]
    )
    return MappingProxyType({rate.currency: rate for rate in found})
