"""A month that was closed stays as it was: nothing that occurred in it is added any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, PeriodClosed, RequestInFlight
from wattproof.methodology.quantity import UsageChange
from wattproof.resources.ledger import Amount, EntryDraft, Ledger, Opened, SummaryQuery
from wattproof.resources.ledger.periods import month_after, redated
from wattproof.resources.receipts import canonical
from wattproof.resources.receipts.statement import Statement

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

OCTOBER = SummaryQuery("local", since="2026-10-01T00:00:00Z", until="2026-11-01T00:00:00Z")


@pytest.fixture
async def closed(ledger: Ledger, drafts: Drafts) -> Ledger:
    """Two entries of October, which was then closed, and one of November."""
    await drafts.settle(ledger, "r0", occurred_at="2026-10-31T23:59:59Z")
    await drafts.settle(ledger, "r1", occurred_at="2026-10-02T03:00:00Z")
    await ledger.periods.close("local", "2026-10")
    await drafts.settle(ledger, "r2", occurred_at="2026-11-01T00:00:00Z")
    return ledger


def adjustment(drafts: Drafts, seq: int, **changed: Any) -> EntryDraft:
    """One that takes half of everything away again."""
    entry = drafts.draft(None)
    half = {
        name: Amount(-amount.median // 2, -(amount.high or 0) // 2, -(amount.low or 0) // 2)
        for name in ("energy_nwh", "carbon_location_ng")
        if isinstance(amount := getattr(entry, name), Amount)
    }
    terms = tuple(
        type(term)(term.name, -term.energy_mean_nwh // 2, -(term.carbon_mean_ng or 0) // 2, *_loadings(term))
        for term in entry.terms
    )
    fields: dict[str, Any] = {
        "kind": "adjustment",
        "adjusts": seq,
        "usage": UsageChange(-500, -200),
        "terms": terms,
        "cost_micros": None,
        "currency": None,
        **half,
    }
    return drafts.draft(None, **{**fields, **changed})


def _loadings(term: Any) -> tuple[Any, Any]:
    return term.energy_loadings, term.carbon_loadings


async def test_closing_keeps_time_size_and_root(closed: Ledger) -> None:
    (kept,) = await closed.periods.closed("local")
    assert (kept.period, kept.closed_at, kept.size) == ("2026-10", "2026-11-22T06:00:00Z", 2)
    assert kept.root == (await closed.inclusion("local", 0, 2)).root
    assert (await closed.summary(SummaryQuery("local"))).closed_through == "2026-10"


@pytest.mark.parametrize("kind", ["recorded", "imported", "adjustment"])
@pytest.mark.parametrize("occurred_at", ["2026-10-31T23:59:59Z", "2026-03-01T00:00:00Z"])
async def test_nothing_is_added_to_a_closed_month_or_one_before(
    closed: Ledger, drafts: Drafts, kind: str, occurred_at: str
) -> None:
    before = await closed.summary(OCTOBER)
    with pytest.raises(PeriodClosed, match=r"2026-10 is closed, and every month before it: .*wattproof ledger adjust"):
        await drafts.settle(closed, None, kind=kind, occurred_at=occurred_at)
    assert await closed.summary(OCTOBER) == before
    assert (await closed.head("local"))[0] == 3


async def test_a_run_that_ends_after_its_month_was_closed_is_dated_when_it_is_settled(
    closed: Ledger, drafts: Drafts
) -> None:
    before = await closed.summary(OCTOBER)
    settled = await drafts.settle(closed, "late", occurred_at="2026-10-31T23:59:59Z")
    assert settled.draft.occurred_at == "2026-11-22T06:00:00Z"
    assert await closed.summary(OCTOBER) == before
    assert (await closed.fsck()).findings == ()


async def test_a_month_that_has_not_ended_stays_open(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="has not ended; close it from 2026-12-01T00:00:00Z on"):
        await ledger.periods.close("local", "2026-11")


@pytest.mark.parametrize("wrong", ["2026", "2026-13", "2026-00", "october", "2026-10-01", ""])
async def test_what_is_no_month_is_refused(ledger: Ledger, wrong: str) -> None:
    with pytest.raises(InvalidInput, match="give a month such as 2026-10"):
        await ledger.periods.close("local", wrong)


async def test_closing_again_changes_nothing(closed: Ledger, clock: Clock) -> None:
    clock.now_s += 3600
    (kept,) = await closed.periods.closed("local")
    assert await closed.periods.close("local", "2026-10") == kept
    # Closed with October, and therefore as it was then.
    assert await closed.periods.close("local", "2026-05") == kept


async def test_a_later_month_can_be_closed_after_an_earlier_one(closed: Ledger, clock: Clock, drafts: Drafts) -> None:
    clock.now_s += 30 * 86_400
    assert (await closed.periods.close("local", "2026-11")).size == 3
    assert [kept.period for kept in await closed.periods.closed("local")] == ["2026-10", "2026-11"]
    with pytest.raises(PeriodClosed):
        await drafts.settle(closed, None, kind="recorded", occurred_at="2026-11-30T00:00:00Z")


async def test_a_month_with_a_run_under_way_is_not_closed(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    clock.now_s -= 22 * 86_400
    opened = await ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 3 * 86_400))
    assert isinstance(opened, Opened)
    clock.now_s += 2 * 86_400
    with pytest.raises(RequestInFlight, match=r"1 run\(s\) begun in 2026-10 have not ended, 'r1' among them"):
        await ledger.periods.close("local", "2026-10")
    clock.now_s += 2 * 86_400
    assert (await ledger.periods.close("local", "2026-10")).size == 0


async def test_an_entry_of_the_same_group_commit_is_within_what_was_closed(ledger: Ledger, drafts: Drafts) -> None:
    entries = [drafts.settle(ledger, f"r{k}", occurred_at="2026-10-05T00:00:00Z") for k in range(4)]
    await asyncio.gather(*entries, ledger.periods.close("local", "2026-10"))
    (kept,) = await ledger.periods.closed("local")
    assert kept.size == (await ledger.summary(OCTOBER)).total.request_count == 4
    assert (await ledger.fsck()).findings == ()


async def test_another_process_knows_that_a_month_was_closed(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as one, open_home() as other:
        await drafts.settle(one, None, kind="recorded", occurred_at="2026-10-05T00:00:00Z")
        await other.periods.close("local", "2026-10")
        with pytest.raises(PeriodClosed):
            await drafts.settle(one, None, kind="recorded", occurred_at="2026-10-05T00:00:00Z")


async def test_logs_are_closed_apart(closed: Ledger, drafts: Drafts) -> None:
    await drafts.settle(closed, None, kind="recorded", log_id="tenant", occurred_at="2026-10-05T00:00:00Z")
    assert (await closed.summary(SummaryQuery("tenant"))).closed_through is None


async def test_adjustments_take_away_and_count_no_request(closed: Ledger, drafts: Drafts) -> None:
    whole = (await closed.summary(SummaryQuery("local"))).total
    draft = adjustment(drafts, 0)
    await closed.settle(draft, drafts.payload(draft))
    summary = await closed.summary(SummaryQuery("local"))
    assert summary.total.request_count == 3
    assert summary.total.input_tokens == whole.input_tokens - 500
    assert (summary.adjusted.count, summary.adjusted.tokens) == (1, -700)
    assert draft.energy_nwh is not None
    assert summary.adjusted.energy_nwh == draft.energy_nwh.median
    assert whole.energy_wh is not None
    assert summary.total.energy_wh == pytest.approx([part * 2.5 / 3 for part in whole.energy_wh if part], rel=1e-6)
    assert (await closed.summary(OCTOBER)).adjusted.count == 0
    by_method = SummaryQuery("local", method="batchin/token-estimate@1.0.0")
    assert (await closed.summary(by_method)).adjusted.count == 0
    assert {seq: len(found) for seq, found in (await closed.periods.adjustments("local", [0, 1])).items()} == {0: 1}
    assert await closed.periods.adjusted("local") == {0}


@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        ("inference", Amount(-1, -2, 1)),
        ("inference", Amount(1, -1, 2)),
        ("adjustment", Amount(-1, 0, 1)),
        ("adjustment", Amount(-(2**53))),
    ],
)
async def test_amounts_out_of_order_or_below_what_their_kind_allows_are_refused(
    ledger: Ledger, drafts: Drafts, kind: str, amount: Amount
) -> None:
    with pytest.raises(InvalidInput, match="energy_nwh"):
        await drafts.settle(ledger, None, kind=kind, energy_nwh=amount)


async def test_only_an_adjustment_has_terms_that_take_away(ledger: Ledger, drafts: Drafts) -> None:
    terms = adjustment(drafts, 0).terms
    with pytest.raises(InvalidInput, match="only an adjustment takes away"):
        await drafts.settle(ledger, "r1", terms=terms)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE entry SET occurred_at = '2026-10-09T00:00:00Z' WHERE seq = 2", "entry 2 came after it was closed"),
        ("DELETE FROM entry WHERE seq = 0", "was closed at 2 entries; 1 of them are there"),
        ("UPDATE closed_period SET root = zeroblob(32)", f"root was {'00' * 32}"),
    ],
)
async def test_a_change_of_a_closed_month_is_found(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None], statement: str, says: str
) -> None:
    async with open_home() as ledger:
        for number, at in enumerate(("2026-10-31T23:59:59Z", "2026-10-02T03:00:00Z")):
            await drafts.settle(ledger, f"r{number}", occurred_at=at)
        await ledger.periods.close("local", "2026-10")
        await drafts.settle(ledger, "r2", occurred_at="2026-11-01T00:00:00Z")
    tamper(statement)
    async with open_home() as ledger:
        found = [each for each in (await ledger.fsck()).findings if each.where == "closed period 2026-10"]
    assert len(found) == 1
    assert says in found[0].message


def test_the_month_after_december_is_january() -> None:
    assert [month_after(month) for month in ("2026-11", "2026-12")] == ["2026-12", "2027-01"]


def test_a_statement_is_redated_without_changing_anything_else() -> None:
    payload = {"issued_at": "2026-01-01T00:00:00Z", "occurred_at": "2026-01-01T00:00:00Z", "a": 1, "z": None}
    moved = redated(Statement(payload), "2026-02-01T00:00:00Z")
    assert isinstance(moved, Statement)
    expected = {**payload, "issued_at": "2026-03-01T00:00:00Z", "occurred_at": "2026-02-01T00:00:00Z"}
    assert moved.encoded("2026-03-01T00:00:00Z") == canonical.dumps(expected)
