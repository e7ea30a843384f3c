"""When and where: slots against a second-by-second search, kinds that must not be mixed, and the draw."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.grid import Observation, annual_reading
from wattproof.resources.routing.timeline import Kind, stretches
from wattproof.resources.routing.windows import Windows, ZoneForecast, recommend

NOON = 1_793_880_000
HOUR = 3600


def observed(zone: str, starts_at: int, value: float, step_s: int = HOUR, **changes: Any) -> Observation:
    observation = Observation(
        zone=zone,
        value_gco2e_per_kwh=value,
        starts_at=starts_at,
        step_s=step_s,
        received_at=NOON,
        basis="average",
        factor_scope="lifecycle",
        accounting="consumption",
        evidence="forecast",
        source="electricitymaps",
        licence="test",
    )
    return replace(observation, **changes)


def hours(zone: str, *values: float, begin: int = NOON, **changes: Any) -> tuple[Observation, ...]:
    return tuple(observed(zone, begin + at * HOUR, value, **changes) for at, value in enumerate(values))


def zone(name: str, *values: float, **changes: Any) -> ZoneForecast:
    return ZoneForecast(name, hours(name, *values, **changes), annual_reading(name, NOON))


def ask(*zones: ZoneForecast, within_h: float = 6, duration_s: int = HOUR, **changes: Any) -> Windows:
    return recommend(zones, now_s=NOON, deadline_s=NOON + int(within_h * HOUR), duration_s=duration_s, **changes)


def test_zones_and_times_are_weighed_together() -> None:
    found = ask(zone("SE", 40, 40, 40, 40, 40, 40), zone("FR", 90, 80, 60, 20, 50, 70))
    assert found.best is not None
    assert (found.best.zone, found.best.start_s, found.best.mean_gco2e_per_kwh) == ("FR", NOON + 3 * HOUR, 20)
    assert [(slot.zone, slot.mean_gco2e_per_kwh) for slot in found.now] == [("SE", 40), ("FR", 90)]
    assert found.gain_ratio == 2.0
    assert found.kind == Kind("electricitymaps", "average", "lifecycle", "consumption")


def test_a_run_across_two_intervals_is_worth_their_time_weighted_mean() -> None:
    found = ask(zone("FR", 10, 100), within_h=1.25, duration_s=75 * 60)
    assert found.best is not None
    assert found.best.mean_gco2e_per_kwh == pytest.approx((60 * 10 + 15 * 100) / 75)
    assert found.best.end_s - found.best.start_s == 75 * 60


def test_a_window_may_begin_within_an_interval() -> None:
    found = ask(zone("FR", 100, 10, 50), within_h=3, duration_s=90 * 60)
    assert found.best is not None
    assert found.best.start_s == NOON + HOUR
    assert found.best.mean_gco2e_per_kwh == pytest.approx((60 * 10 + 30 * 50) / 90)


def test_now_is_the_answer_where_nothing_later_is_better() -> None:
    found = ask(zone("FR", 20, 30, 40))
    assert found.chosen == found.best
    assert found.best is not None
    assert found.best.start_s == NOON
    assert found.gain_ratio == 1.0


def test_waiting_for_less_than_the_tolerance_is_not_worth_it() -> None:
    found = ask(zone("FR", 20.9, 20), seed=b"any")
    assert found.best is not None
    assert found.chosen is not None
    assert (found.best.start_s, found.chosen.start_s) == (NOON + HOUR, NOON)
    later = ask(zone("FR", 21.1, 20), seed=b"any").chosen
    assert later is not None
    assert later.start_s > NOON


def test_equally_good_starts_are_ranges_to_the_second() -> None:
    found = ask(zone("FR", 100, 20, 20, 100, 21, 100))
    (first, second) = found.equally_good
    # A run may lie in the expensive hour before for as long as its mean stays at 21: 1/80 of it, 45 s.
    assert (first.first_s, first.last_s) == (NOON + HOUR - 45, NOON + 2 * HOUR + 45)
    assert (second.first_s, second.last_s) == (NOON + 4 * HOUR, NOON + 4 * HOUR)


def test_the_same_seed_gives_the_same_start_and_many_seeds_spread_over_all_equal_starts() -> None:
    zones = (zone("FR", 100, 20, 20, 20, 20, 100), zone("SE", 100, 100, 20, 20, 20, 100))
    drawn = [ask(*zones, seed=str(n).encode()).chosen for n in range(400)]
    assert drawn == [ask(*zones, seed=str(n).encode()).chosen for n in range(400)]
    starts = Counter((slot.zone, slot.start_s) for slot in drawn if slot is not None)
    assert sum(starts.values()) == 400
    assert max(starts.values()) <= 4
    by_zone = Counter(name for name, _ in starts.elements())
    assert 0.5 < by_zone["FR"] / (400 * 3 / 5) < 1.5
    assert len({(start_s - NOON) // 600 for _, start_s in starts}) >= 15


def test_where_now_is_as_good_in_several_zones_the_draw_is_between_them() -> None:
    zones = (zone("FR", 20, 20, 20), zone("SE", 20, 20, 20), zone("PL", 500, 20, 20))
    drawn = [ask(*zones, seed=str(n).encode()).chosen for n in range(60)]
    assert {slot.start_s for slot in drawn if slot} == {NOON}
    assert {slot.zone for slot in drawn if slot} == {"FR", "SE"}


def test_zones_with_different_kinds_of_forecast_are_not_compared() -> None:
    direct = {"source": "neso", "factor_scope": "direct", "accounting": "production"}
    found = ask(zone("FR", 50, 40), zone("SE", 45, 44), zone("GB", 30, 10, **direct))
    assert found.best is not None
    assert found.best.zone == "FR"
    gb = next(window for window in found.zones if window.zone == "GB")
    assert (gb.compared, gb.reason) == (False, "another_kind")
    assert gb.kind == Kind("neso", "average", "direct", "production")
    assert gb.best is not None
    assert gb.now is not None
    assert (gb.now.mean_gco2e_per_kwh, gb.best.mean_gco2e_per_kwh) == (30, 10)
    assert {each.zone for each in found.equally_good} == {"FR"}


@pytest.mark.parametrize(
    "change",
    [{"source": "other"}, {"basis": "marginal"}, {"factor_scope": "direct"}, {"accounting": "production"}],
)
def test_one_difference_in_kind_is_enough(change: dict[str, str]) -> None:
    found = ask(zone("FR", 50, 40), zone("SE", 45, 44), zone("FI", 1, 1, **change))
    assert [window.compared for window in found.zones] == [True, True, False]


def test_the_kind_that_covers_most_zones_decides() -> None:
    both = hours("GB", 100, 100) + hours("GB", 5, 5, source="neso")
    found = ask(ZoneForecast("GB", both), zone("FR", 50, 60))
    assert found.kind is not None
    assert found.kind.source == "electricitymaps"
    assert all(window.compared for window in found.zones)


def test_among_kinds_of_one_zone_each_the_lowest_annual_average_decides_and_average_comes_before_marginal() -> None:
    found = ask(zone("PL", 1, 1, source="a"), zone("SE", 90, 90, source="b"))
    assert found.best is not None
    assert found.best.zone == "SE"
    marginal = ask(zone("PL", 600, 600, source="a"), zone("SE", 90, 90, source="b", basis="marginal"))
    assert marginal.best is not None
    assert marginal.best.zone == "PL"


def test_a_marginal_forecast_alone_tells_now_from_later_and_says_what_it_is() -> None:
    found = ask(zone("SE", 700, 300, basis="marginal", source="watttime"))
    assert found.kind is not None
    assert found.kind.basis == "marginal"
    assert found.gain_ratio == pytest.approx(700 / 300)


def test_a_zone_without_forecast_has_its_annual_average_and_no_slot() -> None:
    found = ask(ZoneForecast("SE", (), annual_reading("SE", NOON)), zone("FR", 50, 40))
    se = found.zones[0]
    assert (se.reason, se.compared, se.best, se.now) == ("no_forecast", False, None, None)
    assert se.annual is not None
    assert se.annual.value_gco2e_per_kwh == 21
    assert found.best is not None
    assert found.best.zone == "FR"


def test_without_any_forecast_nothing_is_recommended() -> None:
    found = ask(ZoneForecast("SE", ()), ZoneForecast("FR", ()))
    assert (found.best, found.chosen, found.kind, found.gain_ratio) == (None, None, None, None)
    assert (found.now, found.equally_good) == ((), ())


def test_an_annual_average_that_poses_as_a_forecast_is_none() -> None:
    found = ask(zone("SE", 21, 21, evidence="annual"), zone("FR", 5, 5, evidence="mixture"))
    assert found.best is None


def test_a_forecast_that_is_too_short_for_the_run_is_said_to_be() -> None:
    found = ask(zone("SE", 21), within_h=6, duration_s=2 * HOUR)
    assert [window.reason for window in found.zones] == ["forecast_too_short"]


def test_a_run_never_lies_across_a_gap() -> None:
    gap = hours("FR", 10, 10) + hours("FR", 10, 10, begin=NOON + 3 * HOUR)
    found = ask(ZoneForecast("FR", gap), duration_s=2 * HOUR)
    assert [(each.first_s, each.last_s) for each in found.equally_good] == [
        (NOON, NOON),
        (NOON + 3 * HOUR, NOON + 3 * HOUR),
    ]


def test_a_forecast_that_begins_later_has_no_now_and_no_gain() -> None:
    found = ask(zone("FR", 10, 20, begin=NOON + 60))
    assert found.now == ()
    assert found.gain_ratio is None
    assert found.best is not None
    assert found.best.start_s == NOON + 60


def test_of_two_forecasts_for_one_interval_the_one_received_last_holds() -> None:
    old, new = hours("FR", 10, 90), hours("FR", 90, 10, received_at=NOON + 5)
    for order in (old + new, new + old):
        (piece,) = stretches(order)[Kind("electricitymaps", "average", "lifecycle", "consumption")]
        assert piece.values == (90, 10)


def test_of_two_intervals_that_overlap_the_later_holds_from_its_start() -> None:
    overlapping = (observed("FR", NOON, 100, 2 * HOUR), observed("FR", NOON + HOUR, 10, 1800))
    (piece,) = stretches(overlapping)[Kind.of(overlapping[0])]
    assert (piece.bounds, piece.values) == ((NOON, NOON + HOUR, NOON + HOUR + 1800), (100, 10))


def test_the_renewable_share_of_a_slot_is_time_weighted_and_unknown_as_soon_as_a_part_is() -> None:
    first, second = observed("FR", NOON, 10, renewable_ratio_bps=2000), observed("FR", NOON + HOUR, 10)
    known = ask(
        ZoneForecast("FR", (first, replace(second, renewable_ratio_bps=8000))), within_h=1.5, duration_s=90 * 60
    )
    assert known.best is not None
    assert known.best.renewable_ratio_bps == 4000
    partly = ask(ZoneForecast("FR", (first, second)), within_h=1.5, duration_s=90 * 60)
    assert partly.best is not None
    assert partly.best.renewable_ratio_bps is None


def test_a_gain_over_nothing_cannot_be_told() -> None:
    assert ask(zone("IS", 10, 0)).gain_ratio is None
    assert ask(zone("IS", 0, 10)).gain_ratio == 1.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"deadline_s": NOON + HOUR - 1}, "deadline"),
        ({"duration_s": 0}, "duration_minutes"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"zones": ()}, "zones"),
        ({"zones": (zone("FR", 1), zone("FR", 2))}, "zones"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {"now_s": NOON, "deadline_s": NOON + HOUR, "duration_s": HOUR} | changes
    with pytest.raises(InvalidInput) as caught:
        recommend(asked.pop("zones", (zone("FR", 1),)), **asked)
    assert caught.value.field == field


def test_a_run_that_just_fits_has_one_start() -> None:
    found = ask(zone("FR", 30), within_h=1)
    assert [(each.first_s, each.last_s) for each in found.equally_good] == [(NOON, NOON)]


intervals = st.lists(
    st.tuples(st.integers(-20, 60), st.integers(1, 25), st.floats(0, 900, allow_subnormal=False), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@st.composite
def asked(draw: st.DrawFn) -> tuple[tuple[ZoneForecast, ...], int, int, float]:
    """Zones with unsorted, overlapping and broken forecasts; seconds stand for minutes, so that all can be tried."""
    names = draw(st.lists(st.sampled_from(["FR", "SE", "PL"]), min_size=1, max_size=3, unique=True))
    zones = tuple(
        ZoneForecast(
            name,
            tuple(
                observed(name, NOON + at, value, step_s, received_at=NOON + order)
                for at, step_s, value, order in draw(intervals)
            ),
        )
        for name in names
    )
    duration_s = draw(st.integers(1, 30))
    return zones, duration_s, draw(st.integers(duration_s, 70)), draw(st.sampled_from([0.0, 0.05, 0.5]))


def by_second(zone: ZoneForecast) -> dict[int, float]:
    """What holds in each second: of the intervals that have begun, the last begun one, if it lasts until then."""
    held: dict[int, float] = {}
    for second in range(NOON, NOON + 70):
        begun = [one for one in zone.forecast if one.starts_at <= second]
        if begun:
            last = max(begun, key=lambda o: (o.starts_at, o.received_at, o.step_s, o.value_gco2e_per_kwh))
            if second < last.starts_at + last.step_s:
                held[second] = last.value_gco2e_per_kwh
    return held


@given(asked(), st.binary(max_size=4))
def test_no_start_is_better_than_the_best_and_every_equal_start_is_listed(
    case: tuple[tuple[ZoneForecast, ...], int, int, float], seed: bytes
) -> None:
    zones, duration_s, within_s, tolerance = case
    found = recommend(
        zones, now_s=NOON, deadline_s=NOON + within_s, duration_s=duration_s, seed=seed, tolerance=tolerance
    )
    tried: dict[tuple[str, int], float] = {}
    for each in zones:
        held = by_second(each)
        for start_s in range(NOON, NOON + within_s - duration_s + 1):
            run = [held.get(second) for second in range(start_s, start_s + duration_s)]
            if None not in run:
                tried[each.zone, start_s] = math.fsum(value for value in run if value is not None) / duration_s
    if not tried:
        assert found.best is None
        return
    assert found.best is not None
    assert found.chosen is not None
    least = min(tried.values())
    assert found.best.mean_gco2e_per_kwh == pytest.approx(least, rel=1e-6, abs=1e-6)
    for slot in (found.best, found.chosen, *found.now):
        assert slot.start_s >= NOON
        assert slot.end_s <= NOON + within_s
        assert slot.mean_gco2e_per_kwh == pytest.approx(tried[slot.zone, slot.start_s], rel=1e-6, abs=1e-6)
    listed = {(each.zone, start_s) for each in found.equally_good for start_s in range(each.first_s, each.last_s + 1)}
    limit = least * (1 + tolerance)
    slack = 1e-6 * (1 + limit)
    assert all(tried[place] <= limit + slack for place in listed)
    assert {place for place, value in tried.items() if value < limit - slack} <= listed
    assert (found.chosen.zone, found.chosen.start_s) in listed
