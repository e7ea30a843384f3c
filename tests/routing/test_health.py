"""What recent calls say about a deployment."""

from __future__ import annotations

import pytest

from wattproof.resources.routing import Health, HealthBook


def test_nothing_is_known_before_the_first_call() -> None:
    assert HealthBook().health("a") == Health()


def test_latency_and_speed_are_moving_averages() -> None:
    book = HealthBook()
    book.succeeded("a", latency_ms=1000, output_tokens=100)
    assert book.health("a") == Health(latency_ms=1000, error_rate=0.0, tokens_per_s=100)
    book.succeeded("a", latency_ms=2000, output_tokens=100)
    assert book.health("a").latency_ms == pytest.approx(1300)
    assert book.health("a").tokens_per_s == pytest.approx(85)


def test_three_failures_in_a_row_cool_it_down_and_one_success_ends_it() -> None:
    book = HealthBook(failures_to_cool=3, cooldown_s=30)
    book.failed("a", now_s=100)
    book.failed("a", now_s=101)
    assert book.health("a").cooling_until is None
    book.failed("a", now_s=102)
    assert book.health("a").cooling_until == 132
    book.failed("a", now_s=140)
    assert book.health("a").cooling_until == 170, "half open: the probe failed"
    book.succeeded("a", latency_ms=10, output_tokens=0)
    assert book.health("a").cooling_until is None


def test_retry_after_cools_at_once_and_never_beyond_an_hour() -> None:
    book = HealthBook()
    book.failed("a", now_s=0, retry_after_s=20)
    assert book.health("a").cooling_until == 20
    book.failed("b", now_s=0, retry_after_s=1e12)
    assert book.health("b").cooling_until == 3600


def test_the_error_rate_rises_and_falls() -> None:
    book = HealthBook()
    book.failed("a", now_s=0)
    risen = book.health("a").error_rate
    book.succeeded("a", latency_ms=1, output_tokens=1)
    fallen = book.health("a").error_rate
    assert risen is not None
    assert fallen is not None
    assert 0 < fallen < risen < 1
