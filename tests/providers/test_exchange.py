"""Money in other currencies: through a dated, sourced row, exactly, rounded up; or not at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.resources.providers import ExchangeRate, bundled_rates, rates_with, stale_rate, to_usd_micros

NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
DAY_S = 86_400


def rate(currency: str, usd_per_unit: str, checked_at: str = "2026-11-20") -> ExchangeRate:
    return ExchangeRate(currency, Decimal(usd_per_unit), "our bank", checked_at)


def test_dollars_stay_dollars() -> None:
    assert to_usd_micros(278, "USD") == 278


@pytest.mark.parametrize("currency", ["XAU", "", None, "eur"])
def test_a_price_in_a_currency_without_a_sourced_rate_is_unknown(currency: str | None) -> None:
    assert to_usd_micros(278, currency) is None
    assert stale_rate(currency, NOW) is None


def test_no_rates_at_all_is_not_the_bundled_rates() -> None:
    assert to_usd_micros(278, "EUR", rates={}) is None


def test_euros_become_dollars_by_the_reference_rate() -> None:
    # 1 EUR = 1.1418 USD on 2026-07-21.
    assert to_usd_micros(1_000_000, "EUR") == 1_141_800
    assert to_usd_micros(1, "EUR") == 2
    assert to_usd_micros(0, "EUR") == 0


@pytest.mark.parametrize("currency", sorted(bundled_rates()))
def test_a_bundled_rate_has_a_source_and_a_day(currency: str) -> None:
    row = bundled_rates()[currency]
    assert re.fullmatch("[A-Z]{3}", row.currency)
    assert "ECB" in row.source
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", row.checked_at)


@pytest.mark.parametrize(
    ("currency", "per_euro"), [("CHF", "0.9259"), ("GBP", "0.85205"), ("PLN", "4.3305"), ("SEK", "11.0485")]
)
def test_a_rate_between_two_others_is_their_quotient_rounded_up(currency: str, per_euro: str) -> None:
    exact = Fraction(Decimal("1.1418")) / Fraction(Decimal(per_euro))
    shipped = Fraction(bundled_rates()[currency].usd_per_unit)
    assert exact <= shipped <= exact * Fraction(100_001, 100_000)


def test_a_users_rate_goes_before_the_bundled_one() -> None:
    rates = rates_with([rate("EUR", "1.5"), rate("JPY", "0.0065")])
    assert to_usd_micros(100, "EUR", rates=rates) == 150
    assert to_usd_micros(100, "JPY", rates=rates) == 1
    assert to_usd_micros(1_000_000, "SEK", rates=rates) == to_usd_micros(1_000_000, "SEK")


def test_an_old_rate_is_used_and_flagged() -> None:
    assert stale_rate("EUR", NOW) is None
    assert stale_rate("USD", NOW) is None
    later_s = NOW + 60 * DAY_S
    assert stale_rate("EUR", later_s) == "EUR rate of 2026-07-21, 184 days old"
    assert stale_rate("EUR", later_s, rates=rates_with([rate("EUR", "1.1")])) is None
    assert stale_rate("JPY", NOW, rates={"JPY": rate("JPY", "0.0065", "once")}) == "JPY rate is not dated"


@given(st.integers(0, 10**15), st.decimals("0.000001", "10000", places=6))
def test_conversion_never_understates_and_never_adds_a_whole_micro_dollar(micros: int, per_unit: Decimal) -> None:
    found = to_usd_micros(micros, "EUR", rates={"EUR": rate("EUR", str(per_unit))})
    exact = Fraction(per_unit) * micros
    assert found is not None
    assert exact <= found < exact + 1
