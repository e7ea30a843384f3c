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


# -- after the cooldown ------------------------------------------------------------------------------------------------


def cooled(book: HealthBook, now_s: float = 100.0) -> HealthBook:
    for _ in range(3):
        book.failed("a", now_s=now_s, reason="http_503")
    return book


def test_after_the_cooldown_one_caller_may_try_and_the_others_wait() -> None:
    book = cooled(HealthBook())
    assert not book.try_probe("a", 129)
    assert book.health("a", 129).cooling_until == 130
    assert not book.health("a", 129).half_open
    before = book.health("a", 131)
    assert (before.half_open, before.cooling_until) == (True, None)
    assert book.try_probe("a", 131)
    assert not book.try_probe("a", 131)
    during = book.health("a", 132)
    assert (during.half_open, during.cooling_until) == (True, 131 + 120)


def test_a_probe_that_succeeds_opens_the_deployment_to_all() -> None:
    book = cooled(HealthBook())
    assert book.try_probe("a", 131)
    book.succeeded("a", latency_ms=10, output_tokens=1, now_s=132)
    assert not book.health("a", 132).half_open
    assert book.health("a", 132).cooling_until is None
    assert all(book.try_probe("a", 133) for _ in range(3))


def test_a_probe_that_fails_cools_again() -> None:
    book = cooled(HealthBook())
    assert book.try_probe("a", 131)
    book.failed("a", now_s=132, reason="timeout")
    assert book.health("a", 132).cooling_until == 162
    assert not book.try_probe("a", 161)
    assert book.try_probe("a", 162)


def test_a_failed_probe_cools_again_also_after_a_retry_after() -> None:
    book = HealthBook()
    book.failed("a", now_s=0, retry_after_s=5, reason="http_429")
    assert book.try_probe("a", 6)
    book.failed("a", now_s=7, reason="http_500")
    assert book.health("a", 7).cooling_until == 37


@pytest.mark.parametrize("end", ["gave_up", "vanished"])
def test_a_probe_that_says_nothing_makes_way_for_another(end: str) -> None:
    book = cooled(HealthBook(probe_s=60))
    assert book.try_probe("a", 131)
    if end == "gave_up":
        book.gave_up("a")
        assert book.try_probe("a", 132)
    else:
        assert not book.try_probe("a", 190)
        assert book.try_probe("a", 191)


def test_who_never_failed_may_always_be_tried() -> None:
    book = HealthBook()
    book.gave_up("a")
    assert book.try_probe("a", 0)
    assert book.health("a", 0) == Health()


# -- what counts as a failure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["http_400", "http_413", "http_422"])
def test_a_request_that_was_wrong_says_nothing_against_the_deployment(reason: str) -> None:
    book = HealthBook()
    for _ in range(10):
        book.failed("a", now_s=0, reason=reason)
    assert book.health("a", 0) == Health()


def test_a_wrong_request_ends_a_probe_without_a_verdict() -> None:
    book = cooled(HealthBook())
    assert book.try_probe("a", 131)
    book.failed("a", now_s=132, reason="http_400")
    assert book.health("a", 132).half_open
    assert book.try_probe("a", 132)


@pytest.mark.parametrize("reason", ["http_401", "http_402", "http_403", "http_404"])
def test_what_only_the_operator_can_cure_cools_at_once_and_for_longer(reason: str) -> None:
    book = HealthBook()
    book.failed("a", now_s=100, reason=reason)
    assert book.health("a", 100).cooling_until == 400


def test_a_later_failure_never_shortens_a_cooldown() -> None:
    book = HealthBook()
    book.failed("a", now_s=0, retry_after_s=1000, reason="http_429")
    book.failed("a", now_s=1, reason="http_503")
    assert book.health("a", 1).cooling_until == 1000


# -- time --------------------------------------------------------------------------------------------------------------


def test_an_old_error_counts_half_after_ten_minutes_and_hardly_after_hours() -> None:
    book = HealthBook()
    book.failed("a", now_s=0)
    rates = [book.health("a", now_s).error_rate for now_s in (0, 600, 1200, 36_000)]
    assert rates == pytest.approx([0.3, 0.15, 0.075, 0.0], abs=1e-9)


def test_errors_decay_before_the_next_one_is_added() -> None:
    book = HealthBook()
    book.failed("a", now_s=0)
    book.failed("a", now_s=600)
    assert book.health("a", 600).error_rate == pytest.approx(0.15 + 0.3 * 0.85)
    book.succeeded("a", latency_ms=1, output_tokens=1, now_s=1200)
    assert book.health("a", 1200).error_rate == pytest.approx((0.15 + 0.3 * 0.85) / 2 * 0.7)


def test_latency_seen_over_an_hour_ago_is_forgotten() -> None:
    book = HealthBook()
    book.succeeded("a", latency_ms=9000, output_tokens=90, now_s=0)
    assert book.health("a", 3600).latency_ms == 9000
    assert (book.health("a", 3601).latency_ms, book.health("a", 3601).tokens_per_s) == (None, None)
    book.succeeded("a", latency_ms=100, output_tokens=10, now_s=4000)
    assert book.health("a", 4000).latency_ms == 100


def test_the_book_is_bounded_and_forgets_who_was_not_called_for_longest() -> None:
    book = HealthBook(most=2)
    for name in ("a", "b", "a", "c"):
        book.succeeded(name, latency_ms=1, output_tokens=1, now_s=0)
    assert [book.health(name, 0).latency_ms for name in ("a", "b", "c")] == [1, None, 1]
