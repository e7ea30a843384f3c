"""How much one caller may ask for: the setting, and the table of rates that every worker shares."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.server.serving.limits import Limits, Rate, parse_limits
from wattproof.server.serving.rates import RateTable

RATE = Rate(per_minute=60, burst=3)


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Generator[RateTable]:
    table = RateTable(clock)
    yield table
    table.close()


def test_what_is_left_out_keeps_its_default_and_off_lifts_a_limit() -> None:
    limits = parse_limits("WATTPROOF_LIMITS", "calls=120/5, runs=off at_once=2")
    assert limits == Limits(calls=Rate(120, 5), runs=None, at_once=2)
    assert parse_limits("x", "calls=120") == Limits(calls=Rate(120, 20))
    assert parse_limits("x", {"calls": "90/9", "grace_s": 0}) == Limits(calls=Rate(90, 9), grace_s=0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("cals=5", "did you mean calls"),
        ("calls", "write it like"),
        ("calls=1 calls=2", "write it like"),
        ("calls=0", "integer from 1"),
        ("calls=-5", "integer from 1"),
        ("calls=5/", "integer from 1"),
        ("calls=5/x", "integer from 1"),
        ("calls=²", "integer from 1"),
        ("at_once=1e3", "integer from 1"),
        ("grace_s=off", "integer from 0"),
        ("runs=99999999999999999999", "integer from 1"),
        (7, "write it like"),
    ],
)
def test_a_wrong_limit_is_named_with_what_would_work(value: object, told: str) -> None:
    with pytest.raises(InvalidInput, match=f"WATTPROOF_LIMITS.*{told}"):
        parse_limits("WATTPROOF_LIMITS", value)


def test_a_burst_passes_and_the_next_call_learns_how_long_to_wait(rates: RateTable, clock: Clock) -> None:
    assert [rates.take("anna", RATE) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rates.take("anna", RATE) == pytest.approx(1.0)
    clock.now_s += 0.4
    assert rates.take("anna", RATE) == pytest.approx(0.6)
    clock.now_s += 0.6
    assert rates.take("anna", RATE) == 0.0
    assert rates.take("anna", RATE) > 0.0


def test_a_refused_call_costs_nothing(rates: RateTable, clock: Clock) -> None:
    for _ in range(50):
        rates.take("anna", RATE)
    clock.now_s += 1.0
    assert rates.take("anna", RATE) == 0.0


def test_callers_do_not_share_a_rate(rates: RateTable) -> None:
    for _ in range(9):
        rates.take("anna", RATE)
    assert rates.take("ben", RATE) == 0.0


def test_tokens_are_taken_together_or_not_at_all(rates: RateTable) -> None:
    scarce, ample = Rate(60, 1), Rate(600, 2)
    assert rates.take_all((("calls", ample), ("runs", scarce))) == 0.0
    assert rates.take_all((("calls", ample), ("runs", scarce))) == pytest.approx(1.0)
    assert rates.take("calls", ample) == 0.0
    assert rates.take_all(()) == 0.0


@given(
    pauses=st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=60),
    per_minute=st.integers(1, 6000),
    burst=st.integers(1, 20),
)
def test_never_more_than_the_burst_and_what_time_has_earned(pauses: list[float], per_minute: int, burst: int) -> None:
    clock = Clock()
    table = RateTable(clock, buckets=1)
    rate, taken = Rate(per_minute, burst), list[float]()
    for pause in pauses:
        clock.now_s += pause
        if table.take("anna", rate) == 0.0:
            taken.append(clock.now_s)
    table.close()
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            earned = burst + (taken[last] - taken[first]) * per_minute / 60
            assert last - first + 1 <= earned + 1e-6


def test_many_callers_take_no_more_memory_and_forget_only_who_is_even(rates: RateTable, clock: Clock) -> None:
    small = RateTable(clock, buckets=4)
    for _ in range(3):
        small.take("anna", RATE)
    for number in range(1000):
        clock.now_s += 1e-5
        small.take(f"caller {number}", Rate(60_000, 1))
    # Each of the others is even again after a millisecond; anna is not for three seconds.
    assert small.take("anna", RATE) > 0.0
    small.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process only")
def test_forked_workers_share_one_table(rates: RateTable) -> None:
    reading, writing = os.pipe()
    children: list[int] = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                passed = sum(rates.take("anna", Rate(60, 40)) == 0.0 for _ in range(30))
                os.write(writing, bytes([passed]))
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    os.close(writing)
    assert sum(os.read(reading, 10)) == 40
    os.close(reading)
