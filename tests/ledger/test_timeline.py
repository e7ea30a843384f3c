"""Totals day by day and hour by hour, in any time zone, against adding up the entries one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import total
from wattproof.resources.ledger import Amount, EntryDraft, Ledger, SummaryQuery
from wattproof.resources.ledger.times import rfc3339

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
# Summer time ends, and begins on the other side, within these weeks.
FIRST, LAST = datetime(2026, 9, 25, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)


def expected_wh(entries: Sequence[EntryDraft]) -> Any:
    """The total straight from the entries' terms."""
    found = total([((t.energy_mean_nwh * 1e-9,), (t.energy_loadings,), 0.0) for entry in entries for t in entry.terms])
    return pytest.approx((found.median, found.low, found.high))


def local_midnights(zone: ZoneInfo, first: datetime, days: int) -> list[str]:
    """The instants at which local days begin."""
    date = first.astimezone(zone).date()
    starts = [datetime.combine(date + timedelta(days=k), datetime.min.time(), zone) for k in range(days + 1)]
    return [rfc3339(start.timestamp()) for start in starts]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, drafts: Drafts) -> tuple[Path, list[EntryDraft]]:
    """A ledger with 300 entries around the turns of summer time, some of them on the edges of hours and days."""
    from wattproof.resources.ledger import open_ledger

    home = tmp_path_factory.mktemp("filled")
    step = (LAST - FIRST) / 300
    moments = [FIRST + step * k for k in range(300)]
    moments[::10] = [moment.replace(minute=30, second=0) for moment in moments[::10]]
    moments[1::10] = [moment.replace(minute=0, second=0) for moment in moments[1::10]]
    entries = [
        drafts.draft(f"r{k}", occurred_at=rfc3339(moment.timestamp()), size=1 + k % 5, zone=["FR", "FI"][k % 2])
        for k, moment in enumerate(moments)
    ]

    async def fill() -> None:
        async with open_ledger(home, clock=LAST.timestamp, random_bytes=bytes) as ledger:
            for entry in entries:
                await ledger.settle(entry, drafts.payload(entry))

    anyio.run(fill)
    return home, entries


def run(home: Path, work: Callable[[Ledger], Any]) -> Any:
    """What `work` gives with the ledger in `home` open."""
    from wattproof.resources.ledger import open_ledger

    async def opened() -> Any:
        async with open_ledger(home, clock=LAST.timestamp, random_bytes=bytes) as ledger:
            return await work(ledger)

    return anyio.run(opened)


@pytest.mark.parametrize("name", ZONES)
def test_every_local_day_is_summed_exactly(filled: tuple[Path, list[EntryDraft]], name: str) -> None:
    home, entries = filled
    edges = local_midnights(ZoneInfo(name), FIRST, 56)
    rows = run(home, lambda ledger: ledger.periods.timeline(SummaryQuery("local"), edges))
    assert [row.key for row in rows] == edges[:-1]
    for row, since, until in zip(rows, edges, edges[1:], strict=False):
        inside = [entry for entry in entries if since <= entry.occurred_at < until]
        assert row.request_count == len(inside)
        if inside:
            assert row.energy_wh == expected_wh(inside)
        else:
            assert row.energy_wh is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)), min_size=2, max_size=9, unique=True),
)
def test_whatever_the_edges_the_rows_add_up_to_the_whole(
    filled: tuple[Path, list[EntryDraft]], name: str, walls: list[datetime]
) -> None:
    home, entries = filled
    edges = sorted({rfc3339(wall.replace(tzinfo=ZoneInfo(name), microsecond=0).timestamp()) for wall in walls})
    if len(edges) < 2:
        return

    async def both(ledger: Ledger) -> Any:
        rows = await ledger.periods.timeline(SummaryQuery("local"), edges)
        return rows, (await ledger.summary(SummaryQuery("local", since=edges[0], until=edges[-1]))).total

    rows, whole = run(home, both)
    inside = [entry for entry in entries if edges[0] <= entry.occurred_at < edges[-1]]
    assert whole.request_count == len(inside) == sum(row.request_count for row in rows)
    assert whole.input_tokens == sum(entry.usage.input_tokens for entry in inside) == sum(r.input_tokens for r in rows)
    if inside:
        assert whole.energy_wh == expected_wh(inside)


def test_an_operation_and_a_tag_have_days_of_their_own(filled: tuple[Path, list[EntryDraft]], drafts: Drafts) -> None:
    home, _ = filled
    edges = ["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"]

    async def mine(ledger: Ledger) -> list[int]:
        for number, at in enumerate(("2026-10-01T05:00:00Z", "2026-10-02T05:00:00Z", "2026-10-02T06:00:00Z")):
            entry = drafts.draft(
                f"op{number}", occurred_at=at, operation_id="op", tags=("a",), external_id=f"x{number}"
            )
            await ledger.settle(entry, drafts.payload(entry))
        queries = (SummaryQuery("local", operation_id="op"), SummaryQuery("local", tag="a"))
        return [row.request_count for query in queries for row in await ledger.periods.timeline(query, edges)]

    copy = home.parent / "copy"
    if not copy.exists():
        import shutil

        shutil.copytree(home, copy)
    assert run(copy, mine) == [1, 2, 1, 2]


async def test_old_days_are_summed_after_their_hours_were_dropped(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    for number in range(6):
        await drafts.settle(ledger, f"r{number}", occurred_at=f"2026-11-22T{number * 3:02}:20:00Z")
    clock.now_s += 90 * 86_400
    await drafts.settle(ledger, "later", occurred_at="2027-02-20T06:15:00Z")
    edges = ["2026-11-21T18:30:00Z", "2026-11-22T06:30:00Z", "2026-11-22T18:30:00Z"]
    rows = await ledger.periods.timeline(SummaryQuery("local"), edges)
    assert [row.request_count for row in rows] == [3, 3]


async def test_hours_around_the_turn_of_a_month_are_kept_for_every_time_zone(
    ledger: Ledger, drafts: Drafts, clock: Clock, home: Path
) -> None:
    moments = ["2026-10-31T10:20:00Z", "2026-11-01T11:20:00Z", "2026-11-15T11:20:00Z", "2026-11-30T13:20:00Z"]
    for number, moment in enumerate(moments):
        await drafts.settle(ledger, f"r{number}", occurred_at=moment, size=number + 1)
    clock.now_s += 120 * 86_400
    await drafts.settle(ledger, "now", occurred_at=rfc3339(clock.now_s))
    await drafts.settle(ledger, "late", occurred_at="2026-11-01T11:40:00Z", size=7)
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        kept = connection.execute("SELECT DISTINCT bucket FROM rollup WHERE level = 'hour' ORDER BY 1").fetchall()
    assert [hour for (hour,) in kept] == ["2026-10-31T10", "2026-11-01T11", "2026-11-30T13", rfc3339(clock.now_s)[:13]]
    for name, count in (("Pacific/Kiritimati", 4), ("UTC", 4), ("Etc/GMT+12", 2)):
        zone = ZoneInfo(name)
        since, until = (rfc3339(datetime(2026, month, 1, tzinfo=zone).timestamp()) for month in (11, 12))
        inside = [moment for moment in (*moments, "2026-11-01T11:40:00Z") if since <= moment < until]
        found = (await ledger.summary(SummaryQuery("local", since=since, until=until))).total
        assert found.request_count == len(inside) == count
    assert (await ledger.fsck()).findings == ()


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        (["2026-11-22T00:00:00Z"], "are 1"),
        (["2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z"], "do not ascend"),
        (["2026-11-22T00:00:00Z", "tomorrow"], "'tomorrow'"),
        ([rfc3339(k * 3600) for k in range(1002)], "are 1002"),
    ],
)
async def test_edges_that_make_no_timeline_are_refused(ledger: Ledger, edges: list[str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        await ledger.periods.timeline(SummaryQuery("local"), edges)


async def test_the_extent_is_of_what_was_asked_for(ledger: Ledger, drafts: Drafts) -> None:
    assert await ledger.periods.extent(SummaryQuery("local")) is None
    for number, operation_id in enumerate([None, "op", "op", None]):
        at = f"2026-11-22T0{number}:00:00Z"
        await drafts.settle(ledger, f"r{number}", occurred_at=at, operation_id=operation_id)
    await drafts.settle(ledger, None, kind="key", occurred_at="2026-11-22T05:00:00Z")
    assert await ledger.periods.extent(SummaryQuery("local")) == ("2026-11-22T00:00:00Z", "2026-11-22T03:00:00Z")
    within = SummaryQuery("local", operation_id="op", since="2026-11-22T01:30:00Z")
    assert await ledger.periods.extent(within) == ("2026-11-22T02:00:00Z", "2026-11-22T02:00:00Z")


async def test_bounds_of_water_and_market_based_carbon_are_summed(ledger: Ledger, drafts: Drafts) -> None:
    for number in range(3):
        await drafts.settle(
            ledger,
            f"r{number}",
            water_nl=Amount(2_000_000, 1_000_000, 5_000_000),
            carbon_market_ng=Amount(10, 4, 20) if number else None,
        )
    row = (await ledger.summary(SummaryQuery("local"))).total
    assert row.water_ml == pytest.approx((6.0, 3.0, 15.0))
    assert row.carbon_market_gco2e == pytest.approx((20e-9, 8e-9, 40e-9))
    assert (row.water_known_count, row.market_known_count) == (3, 2)
    await drafts.settle(ledger, "r3", water_nl=Amount(2_000_000))
    row = (await ledger.summary(SummaryQuery("local"))).total
    assert row.water_ml == (pytest.approx(8.0), None, None)
    assert row.carbon_market_gco2e == pytest.approx((20e-9, 8e-9, 40e-9))
    assert (await ledger.fsck()).findings == ()


async def test_requests_that_were_not_run_here_are_counted_apart(ledger: Ledger, drafts: Drafts) -> None:
    for number, kind in enumerate(["inference", "recorded", "recorded", "imported"]):
        await drafts.settle(ledger, f"r{number}", kind=kind)
    await drafts.settle(ledger, "bucket", kind="imported", step_kind="bucket", attempts=40)
    row = (await ledger.summary(SummaryQuery("local"))).total
    assert (row.request_count, row.recorded_count, row.imported_count) == (44, 2, 41)
