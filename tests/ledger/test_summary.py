"""Totals: exact sums, intervals that keep shared uncertainty, periods of any edge."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import total
from wattproof.resources.ledger import Amount, EntryDraft, FactorTerm, Ledger, SummaryQuery, SummaryRow
from wattproof.resources.ledger.times import rfc3339

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts


def near(numbers: tuple[float, float | None, float | None] | None, rel: float = 1e-9) -> Any:
    assert numbers is not None
    return pytest.approx(numbers, rel=rel)


def expected_energy_wh(entries: Sequence[EntryDraft]) -> tuple[float, float | None, float | None]:
    """The total straight from the entries' terms."""
    quantity = total(
        [((t.energy_mean_nwh * 1e-9,), (t.energy_loadings,), 0.0) for entry in entries for t in entry.terms]
    )
    return quantity.median, quantity.low, quantity.high


async def test_an_empty_ledger_has_no_totals_and_says_why(ledger: Ledger) -> None:
    summary = await ledger.summary(SummaryQuery("local", group_by="zone"))
    assert (summary.total.request_count, summary.total.energy_wh, summary.groups) == (0, None, ())
    assert summary.reasons == {"total": "no entries in this period"}


async def test_one_entry_is_its_own_total(ledger: Ledger, drafts: Drafts) -> None:
    settled = await drafts.settle(ledger)
    row = (await ledger.summary(SummaryQuery("local"))).total
    energy = settled.draft.energy_nwh
    assert energy is not None
    assert row.energy_wh == near((energy.median * 1e-9, (energy.low or 0) * 1e-9, (energy.high or 0) * 1e-9), rel=1e-7)
    assert (row.input_tokens, row.cached_input_tokens, row.output_tokens, row.reasoning_tokens) == (1000, 100, 400, 20)
    assert (row.request_count, row.energy_known_count, row.water_known_count) == (1, 1, 0)
    assert (row.renewable_ratio_bps, row.cost_micros_by_currency) == (2700, {"USD": 278})


async def test_shared_uncertainty_does_not_average_out(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r0")
    one = (await ledger.summary(SummaryQuery("local"))).total.energy_wh
    for number in range(1, 100):
        await drafts.settle(ledger, f"r{number}")
    many = (await ledger.summary(SummaryQuery("local"))).total.energy_wh
    assert one is not None
    median, low, high = one
    assert many == near((100 * median, 100 * (low or 0), 100 * (high or 0)))


async def test_uncertainty_of_one_entry_alone_does_average_out(ledger: Ledger, drafts: Drafts) -> None:
    for number in range(100):
        term = FactorTerm("decode", 80_000_000, None, (), (), idiosyncratic_sigma=0.5)
        amount = Amount(70_599_752, 31_017_566, 160_695_345)
        await drafts.settle(ledger, f"r{number}", terms=(term,), energy_nwh=amount, carbon_location_ng=None)
    energy = (await ledger.summary(SummaryQuery("local"))).total.energy_wh
    assert energy is not None
    _, low, high = energy
    assert low is not None
    assert high is not None
    assert 1.15 < high / low < 1.22  # of one entry it is 5.2
    assert (await ledger.fsck()).findings == ()


async def test_groups_add_up_to_the_whole(ledger: Ledger, drafts: Drafts) -> None:
    entries = [
        drafts.draft(f"r{k}", zone=zone, size=k + 1) for k, zone in enumerate(["FR", "FI", "FR", "unknown:groq"])
    ]
    for entry in entries:
        await ledger.settle(entry, drafts.payload(entry))
    summary = await ledger.summary(SummaryQuery("local", group_by="zone"))
    assert [row.key for row in summary.groups] == ["FR", "unknown:groq", "FI"]
    assert summary.groups[0].energy_wh == near(expected_energy_wh([entries[0], entries[2]]))
    assert summary.total.energy_wh == near(expected_energy_wh(entries))
    assert summary.total.counts["zone"] == {"FR": 2, "FI": 1, "unknown:groq": 1}
    assert summary.total.counts["usage_source"] == {"provider": 4}
    assert sum(row.input_tokens for row in summary.groups) == summary.total.input_tokens == 10_000


@pytest.mark.parametrize("seed", range(3))
async def test_every_period_is_summed_exactly(ledger: Ledger, drafts: Drafts, seed: int) -> None:
    chance = random.Random(seed)
    start = datetime(2026, 9, 20, tzinfo=UTC)
    moments = sorted(start + timedelta(seconds=chance.randrange(60 * 86_400)) for _ in range(60))
    entries = [
        drafts.draft(f"r{k}", occurred_at=rfc3339(moment.timestamp()), size=1 + k % 7, zone=chance.choice(["FR", "FI"]))
        for k, moment in enumerate(moments)
    ]
    for entry in entries:
        await ledger.settle(entry, drafts.payload(entry))
    for _ in range(40):
        edges = sorted(
            chance.choice([chance.choice(moments), start + timedelta(hours=chance.randrange(1440))]) for _ in "ab"
        )
        since, until = (rfc3339(edge.timestamp()) for edge in edges)
        inside = [entry for entry in entries if since <= entry.occurred_at < until]
        row = (await ledger.summary(SummaryQuery("local", since=since, until=until))).total
        assert (row.request_count, row.input_tokens) == (len(inside), sum(e.usage.input_tokens for e in inside))
        if inside:
            assert row.energy_wh == near(expected_energy_wh(inside))


async def test_old_hours_are_dropped_and_their_edges_still_summed(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    for number in range(6):
        await drafts.settle(ledger, f"r{number}", occurred_at=f"2026-11-22T{number:02}:30:00Z")
    clock.now_s += 90 * 86_400
    await drafts.settle(ledger, "later", occurred_at="2027-02-20T06:15:00Z")
    await drafts.settle(ledger, "very late", occurred_at="2026-11-22T03:45:00Z")
    query = SummaryQuery("local", since="2026-11-22T02:00:00Z", until="2026-11-22T05:00:00Z")
    assert (await ledger.summary(query)).total.request_count == 4
    assert (await ledger.fsck()).findings == ()


async def test_an_operation_is_summed_over_all_time_and_within_a_period(ledger: Ledger, drafts: Drafts) -> None:
    for number in range(4):
        at = f"2026-11-22T0{number}:00:00Z"
        await drafts.settle(ledger, f"r{number}", operation_id="op" if number else None, occurred_at=at)
    whole = await ledger.summary(SummaryQuery("local", operation_id="op"))
    part = await ledger.summary(SummaryQuery("local", operation_id="op", since="2026-11-22T02:00:00Z"))
    assert (whole.total.request_count, part.total.request_count) == (3, 2)


async def test_a_tag_is_summed_over_all_time_and_within_a_period(ledger: Ledger, drafts: Drafts) -> None:
    tags: list[tuple[str, ...]] = [("a",), ("a", "b"), (), ("b",)]
    for number, given in enumerate(tags):
        at = f"2026-11-22T0{number}:00:00Z"
        await drafts.settle(ledger, f"r{number}", tags=given, operation_id="op", occurred_at=at)
    counts = {
        query: (await ledger.summary(query)).total.request_count
        for query in (
            SummaryQuery("local", tag="a"),
            SummaryQuery("local", tag="b", since="2026-11-22T02:00:00Z"),
            SummaryQuery("local", tag="b", operation_id="op"),
            SummaryQuery("local", tag="none"),
        )
    }
    assert list(counts.values()) == [2, 1, 2, 0]


async def test_past_the_cap_a_tag_is_summed_from_entries(
    ledger: Ledger, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattproof.resources.ledger.rollups.MAX_ROLLED_TAGS", 2)
    for number, tag in enumerate("abcca"):
        await drafts.settle(ledger, f"r{number}", tags=(tag,))
    counts = [(await ledger.summary(SummaryQuery("local", tag=tag))).total.request_count for tag in "abc"]
    assert counts == [2, 1, 2]
    assert (await ledger.fsck()).findings == ()


async def test_a_method_can_be_singled_out(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1")
    await drafts.settle(ledger, "r2", method_id="batchin/token-estimate@1.0.0")
    row = (await ledger.summary(SummaryQuery("local", method="batchin/token-estimate@1.0.0"))).total
    assert (row.request_count, row.counts["method"]) == (1, {"batchin/token-estimate@1.0.0": 1})


async def test_a_method_without_interval_gives_the_total_none(ledger: Ledger, drafts: Drafts) -> None:
    bare = {"terms": (), "energy_nwh": Amount(50_000_000), "carbon_location_ng": Amount(1_000_000)}
    await drafts.settle(ledger, "r1", **bare)
    row = (await ledger.summary(SummaryQuery("local"))).total
    assert (row.energy_wh, row.carbon_gco2e) == ((0.05, None, None), (0.001, None, None))
    await drafts.settle(ledger, "r2")
    mixed = (await ledger.summary(SummaryQuery("local"))).total.energy_wh
    assert mixed is not None
    assert mixed[0] > 0.05
    assert mixed[1:] == (None, None)


async def test_what_some_entries_do_not_know_is_counted_and_said(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", water_nl=Amount(2_000_000), adpe_pgsbeq=Amount(3_000), carbon_market_ng=Amount(7))
    await drafts.settle(ledger, "r2", terms=(), energy_nwh=None, carbon_location_ng=None, renewable_ratio_bps=None)
    summary = await ledger.summary(SummaryQuery("local"))
    row = summary.total
    assert (row.water_ml, row.adpe_kgsbeq) == ((2.0, None, None), pytest.approx(3e-12))
    assert row.carbon_market_gco2e == (pytest.approx(7e-9), None, None)
    assert (row.energy_known_count, row.carbon_known_count, row.renewable_ratio_bps) == (1, 1, None)
    assert summary.reasons["energy_wh"] == "known for 1 of 2 requests"
    assert summary.reasons["renewable_ratio_bps"] == "unknown for a part of the energy"


async def test_the_renewable_ratio_is_weighted_by_energy(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", renewable_ratio_bps=1000, size=3)
    await drafts.settle(ledger, "r2", renewable_ratio_bps=5000, size=1)
    assert (await ledger.summary(SummaryQuery("local"))).total.renewable_ratio_bps == 2000


async def test_currencies_are_never_added_up(ledger: Ledger, drafts: Drafts) -> None:
    for request_id, currency, micros in (("r1", "USD", 5), ("r2", "EUR", 7), ("r3", None, None), ("r4", "USD", 1)):
        await drafts.settle(ledger, request_id, currency=currency, cost_micros=micros)
    assert (await ledger.summary(SummaryQuery("local"))).total.cost_micros_by_currency == {"USD": 6, "EUR": 7}


async def test_failed_and_cancelled_requests_count_with_what_they_used(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", status="cancelled")
    await drafts.settle(ledger, "r2", status="failed")
    row: SummaryRow = (await ledger.summary(SummaryQuery("local"))).total
    assert (row.request_count, row.counts["status"]) == (2, {"cancelled": 1, "failed": 1})


async def test_logs_are_summed_apart(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1")
    await drafts.settle(ledger, "r1", log_id="tenant")
    assert (await ledger.summary(SummaryQuery("tenant"))).total.request_count == 1


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("group_by", {"group_by": "colour"}),
        ("since", {"since": "today"}),
        ("until", {"since": "2026-11-22T00:00:00Z", "until": "2026-11-21T00:00:00Z"}),
    ],
)
async def test_a_question_that_is_not_understood_names_its_field(
    ledger: Ledger, field: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await ledger.summary(SummaryQuery("local", **asked))
    assert refused.value.field == field


async def test_another_process_sees_the_same_totals(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as one, open_home() as other:
        await drafts.settle(one, "r1")
        await drafts.settle(other, "r2")
        await drafts.settle(one, "r3")
        assert await one.summary(SummaryQuery("local")) == await other.summary(SummaryQuery("local"))
        assert (await one.summary(SummaryQuery("local"))).total.request_count == 3
