"""Budgets: reserved before a try, counted when it is settled, changed by their owner only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import BudgetExceeded, InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Amount, Ledger, Opened, Settled
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey, Headroom

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

WH = 1_000_000_000
# What one entry of drafts.py counts: its high bounds, tokens and price.
HIGH_NWH, HIGH_NG, TOKENS, MICROS = 192_780_040, 6_369_309, 1400, 278


def key(scope: Any = "tenant", name: str = "", per: Any = "total", unit: Any = "energy_wh") -> BudgetKey:
    return BudgetKey("local", scope, name, per, unit)


async def put(ledger: Ledger, amount: int, of: BudgetKey | None = None, **more: Any) -> Headroom:
    return await ledger.budgets.set(BudgetDraft(of or key(), amount, **more), by="owner")


async def try_one(
    ledger: Ledger, drafts: Drafts, clock: Clock, request_id: str, energy_nwh: int | None = 100, **more: Any
) -> int:
    lease = clock() + more.pop("lease_s", 60)
    draft = drafts.attempt(request_id, lease_expires_at=lease, reserved_energy_nwh=energy_nwh, **more)
    opened = await ledger.open_attempt(draft)
    assert isinstance(opened, Opened)
    return opened.attempt_no


async def end_one(ledger: Ledger, drafts: Drafts, request_id: str, number: int | None, **changed: Any) -> Settled:
    entry = drafts.draft(request_id, **changed)
    return await ledger.settle(entry, drafts.payload(entry), number)


async def left(ledger: Ledger, **scope: Any) -> Headroom:
    (found,) = await ledger.budgets.left("local", **scope)
    return found


async def test_a_try_that_fits_is_reserved_and_settled_at_the_high_bound(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    number = await try_one(ledger, drafts, clock, "r1", 300_000_000)
    during = await left(ledger)
    assert (during.spent, during.reserved, during.remaining) == (0, 300_000_000, 700_000_000)
    settled = await end_one(ledger, drafts, "r1", number)
    assert settled.draft.energy_nwh == Amount(75_743_412, 29_759_639, HIGH_NWH)
    (after,) = settled.budgets
    assert (after.spent, after.reserved, after.remaining, after.status) == (HIGH_NWH, 0, WH - HIGH_NWH, "ok")


async def test_a_try_that_could_exceed_the_budget_is_refused_and_nothing_is_written(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    await try_one(ledger, drafts, clock, "r1", 600_000_000)
    with pytest.raises(BudgetExceeded) as caught:
        await try_one(ledger, drafts, clock, "r2", 600_000_000)
    assert str(caught.value) == (
        "The budget of this ledger has 0.4 Wh of 1 Wh left, 0.6 Wh of it held by runs in flight; this run may take 0.6 "
        "Wh (high bound). What could fit: a smaller max_output_tokens or another model. Its owner can raise it: "
        "wattproof budget raise --tenant --unit energy_wh --limit 1.2"
    )
    assert (caught.value.asked, caught.value.remaining) == (600_000_000, 400_000_000)
    assert await ledger.attempts("local", "r2") == ()
    assert (await left(ledger)).reserved == 600_000_000


async def test_a_try_of_unknown_cost_may_not_start_under_a_budget_that_refuses(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    with pytest.raises(BudgetExceeded, match="what this run may take in Wh is unknown"):
        await try_one(ledger, drafts, clock, "r1", None)


async def test_a_budget_that_warns_refuses_nothing_and_says_that_it_is_over(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, 100_000_000, action="warn")
    number = await try_one(ledger, drafts, clock, "r1", 600_000_000)
    (after,) = (await end_one(ledger, drafts, "r1", number)).budgets
    assert (after.status, after.remaining) == ("over", 100_000_000 - HIGH_NWH)


async def test_a_failed_try_frees_what_it_reserved_unless_it_spent(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    first = await try_one(ledger, drafts, clock, "r1", 400_000_000)
    await ledger.close_attempt("local", "r1", first, "failed", "connect", None)
    assert (await left(ledger)).reserved == 0
    second = await try_one(ledger, drafts, clock, "r1", 400_000_000)
    await ledger.close_attempt("local", "r1", second, "failed", "cut_stream", Usage(42, 3))
    assert (await left(ledger)).reserved == 400_000_000
    third = await try_one(ledger, drafts, clock, "r1", 500_000_000)
    assert (await left(ledger)).reserved == 900_000_000
    (after,) = (await end_one(ledger, drafts, "r1", third)).budgets
    assert (after.spent, after.reserved) == (HIGH_NWH, 0)


async def test_a_cancelled_try_frees_what_it_reserved(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await put(ledger, WH)
    number = await try_one(ledger, drafts, clock, "r1", WH)
    await ledger.close_attempt("local", "r1", number, "cancelled", "cancelled", None)
    await try_one(ledger, drafts, clock, "r2", WH)


async def test_what_a_lost_process_reserved_is_free_once_its_lease_has_ended(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    number = await try_one(ledger, drafts, clock, "r1", WH, lease_s=60)
    with pytest.raises(BudgetExceeded):
        await try_one(ledger, drafts, clock, "r2", WH)
    clock.now_s += 61
    assert (await left(ledger)).reserved == 0
    await try_one(ledger, drafts, clock, "r2", 500_000_000)
    # It was alive after all: what it spent counts, whatever is left.
    (after,) = (await end_one(ledger, drafts, "r1", number)).budgets
    assert (after.spent, after.reserved) == (HIGH_NWH, 500_000_000)


@pytest.mark.parametrize(
    ("unit", "counted"),
    [("energy_wh", HIGH_NWH), ("carbon_gco2e", HIGH_NG), ("tokens", TOKENS), ("cost_usd", MICROS)],
)
async def test_every_unit_counts_what_an_entry_states_of_it(
    ledger: Ledger, drafts: Drafts, unit: Any, counted: int
) -> None:
    await put(ledger, 10**12, key(unit=unit))
    (after,) = (await drafts.settle(ledger)).budgets
    assert abs(after.spent - counted) <= 1


async def test_an_amount_without_an_interval_counts_as_it_is(ledger: Ledger, drafts: Drafts) -> None:
    await put(ledger, WH)
    settled = await drafts.settle(ledger, energy_nwh=Amount(5), carbon_location_ng=None, terms=())
    assert settled.budgets[0].spent == 5


async def test_an_unknown_amount_counts_as_reserved_else_as_unknown(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, WH)
    nothing: dict[str, Any] = {"energy_nwh": None, "carbon_location_ng": None, "terms": ()}
    number = await try_one(ledger, drafts, clock, "r1", 7)
    (after,) = (await end_one(ledger, drafts, "r1", number, **nothing)).budgets
    assert (after.spent, after.unknown) == (7, 0)
    (after,) = (await drafts.settle(ledger, None, kind="recorded", **nothing)).budgets
    assert (after.spent, after.unknown) == (7, 1)


async def test_a_price_in_another_currency_counts_by_the_rate_that_the_budget_was_set_with(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await put(ledger, 10**9, key(unit="cost_usd"), rates={"EUR": (11, 10)})
    (after,) = (await drafts.settle(ledger, currency="EUR", cost_micros=101)).budgets
    assert after.spent == 112  # 111.1, rounded up
    number = await try_one(ledger, drafts, clock, "r2", reserved_cost_micros=50)
    (after,) = (await end_one(ledger, drafts, "r2", number, currency="SEK", cost_micros=9)).budgets
    assert after.spent == 162  # no rate for it: what was reserved, in dollars


async def test_each_scope_counts_what_falls_under_it(ledger: Ledger, drafts: Drafts) -> None:
    for of in (key("operation", "op_1"), key("tag", "nightly"), key()):
        await put(ledger, WH, of)
    await drafts.settle(ledger, "r1", operation_id="op_1")
    await drafts.settle(ledger, "r2", tags=("nightly",))
    await drafts.settle(ledger, "r3")
    counted = {each.budget.key.scope: each.spent for each in await ledger.budgets.all("local")}
    assert counted == {"operation": HIGH_NWH, "tag": HIGH_NWH, "tenant": 3 * HIGH_NWH}
    assert await ledger.budgets.all("another") == ()


async def test_a_try_must_fit_every_budget_that_it_falls_under(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await put(ledger, 10 * WH)
    await put(ledger, WH, key("tag", "nightly"))
    await try_one(ledger, drafts, clock, "r1", 2 * WH)
    with pytest.raises(BudgetExceeded, match="tag 'nightly' has 1 Wh of 1 Wh left;"):
        await try_one(ledger, drafts, clock, "r2", 2 * WH, tags=("nightly",))
    assert (await left(ledger)).reserved == 2 * WH


async def test_a_day_begins_anew_in_its_own_time_zone(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    # 06:00 UTC is 22:00 of the day before in Los Angeles.
    tz = "America/Los_Angeles"
    await put(ledger, WH, key(per="day"), tz=tz)
    await drafts.settle(ledger, "r1", occurred_at="2026-11-22T06:00:00Z")
    today = await left(ledger)
    assert (today.bucket, today.spent) == ("2026-11-21", HIGH_NWH)
    clock.now_s += 2 * 3600
    today = await left(ledger)
    assert (today.bucket, today.spent) == ("2026-11-22", 0)
    await drafts.settle(ledger, "r2", occurred_at="2026-11-22T08:00:00Z")
    assert (await left(ledger)).spent == HIGH_NWH


async def test_a_month_adds_up_its_days(ledger: Ledger, drafts: Drafts) -> None:
    await put(ledger, WH, key(per="month"))
    await drafts.settle(ledger, "r1", occurred_at="2026-11-03T00:00:00Z")
    await drafts.settle(ledger, "r2", occurred_at="2026-11-22T06:00:00Z")
    found = await left(ledger)
    assert (found.bucket, found.spent) == ("2026-11", 2 * HIGH_NWH)


async def test_a_day_counts_whole_and_a_total_from_when_it_was_set(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r1", tags=("t",), operation_id="op_1")
    for of in (key(per="day"), key(), key("tag", "t"), key("operation", "op_1")):
        await put(ledger, WH, of)
    found = {(each.budget.key.scope, each.budget.key.per): each.spent for each in await ledger.budgets.all("local")}
    assert found == {
        ("tenant", "day"): HIGH_NWH,
        ("operation", "total"): HIGH_NWH,
        ("tenant", "total"): 0,
        ("tag", "total"): 0,
    }


async def test_tries_that_run_when_a_budget_is_set_are_held_in_it(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await try_one(ledger, drafts, clock, "r1", 300, operation_id="op_1")
    await try_one(ledger, drafts, clock, "r2", 50)
    assert (await put(ledger, WH)).reserved == 350
    assert (await put(ledger, WH, key("operation", "op_1"))).reserved == 300


async def test_setting_a_budget_again_changes_its_limit_and_keeps_its_count(ledger: Ledger, drafts: Drafts) -> None:
    await put(ledger, WH)
    await drafts.settle(ledger)
    again = await put(ledger, 2 * WH, action="warn")
    assert (again.limit, again.spent, again.budget.action) == (2 * WH, HIGH_NWH, "warn")


async def test_a_raise_is_for_good_and_a_grant_for_one_period(ledger: Ledger, clock: Clock) -> None:
    day = key(per="day")
    await put(ledger, WH, day)
    assert (await ledger.budgets.grant(day, WH, by="owner", reason="demo")).limit == 2 * WH
    assert (await ledger.budgets.raise_to(day, 3 * WH, by="owner")).limit == 4 * WH
    clock.now_s += 86_400
    assert (await left(ledger)).limit == 3 * WH


async def test_every_decision_is_kept_with_who_and_when_even_of_a_budget_that_is_gone(
    ledger: Ledger, clock: Clock
) -> None:
    await put(ledger, WH)
    clock.now_s += 60
    await ledger.budgets.raise_to(key(), 2 * WH, by="maria", reason="more steps")
    await ledger.budgets.remove(key(), by="jon")
    assert await ledger.budgets.all("local") == ()
    told = [
        (d.decided_at, d.decided_by, d.decision, d.amount, d.reason) for d in await ledger.budgets.decisions("local")
    ]
    assert told == [
        ("2026-11-22T06:01:00Z", "jon", "remove", 2 * WH, None),
        ("2026-11-22T06:01:00Z", "maria", "raise", 2 * WH, "more steps"),
        ("2026-11-22T06:00:00Z", "owner", "set", WH, None),
    ]


async def test_a_budget_that_is_gone_holds_nothing_back(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await put(ledger, 10)
    await ledger.budgets.remove(key(), by="owner")
    await try_one(ledger, drafts, clock, "r1", WH)


async def test_what_cannot_be_a_budget_is_refused_with_what_would_work(ledger: Ledger) -> None:
    wrong: list[tuple[BudgetDraft, str]] = [
        (BudgetDraft(key(), -1), "limit is -1; give an amount from 0"),
        (BudgetDraft(key(), 1, tz="Mars/Base"), "give an IANA zone"),
        (BudgetDraft(key("tag", ""), 1), "give 1 to 200 printable characters"),
        (BudgetDraft(key("tenant", "x"), 1), "a budget of the whole ledger has none"),
    ]
    for draft, told in wrong:
        with pytest.raises(InvalidInput, match=told):
            await ledger.budgets.set(draft, by="owner")
    with pytest.raises(InvalidInput, match="does not exist; see wattproof budget show"):
        await ledger.budgets.grant(key(), 5, by="owner")
    await put(ledger, 10)
    with pytest.raises(InvalidInput, match=r"give more than 0\.00000001 Wh, or set"):
        await ledger.budgets.raise_to(key(), 10, by="owner")
    with pytest.raises(InvalidInput, match="give what may be spent beyond the limit"):
        await ledger.budgets.grant(key(), 0, by="owner")


async def test_budgets_survive_and_are_shared_between_openings(
    open_home: Callable[..., Ledger], drafts: Drafts, clock: Clock
) -> None:
    async with open_home() as one, open_home() as other:
        await put(one, WH)
        await try_one(one, drafts, clock, "r1", 600_000_000)
        with pytest.raises(BudgetExceeded):
            await try_one(other, drafts, clock, "r2", 600_000_000)
    async with open_home() as later:
        assert (await left(later)).reserved == 600_000_000


async def test_a_request_that_is_replayed_needs_no_room(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await drafts.settle(ledger, "r1")
    await put(ledger, 0)
    await ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 60, reserved_energy_nwh=WH))


async def test_adjustments_count_and_what_is_said_about_other_entries_does_not(ledger: Ledger, drafts: Drafts) -> None:
    await put(ledger, WH)
    await drafts.settle(ledger, "r1")
    late: dict[str, Any] = {"kind": "adjustment", "adjusts": 0, "cost_micros": None, "currency": None}
    await drafts.settle(ledger, None, **late)
    nothing: dict[str, Any] = {"energy_nwh": None, "carbon_location_ng": None, "terms": ()}
    await drafts.settle(ledger, None, **late, **nothing)
    settled = await drafts.settle(ledger, None, kind="operation")
    assert settled.budgets == ()
    found = await left(ledger)
    assert (found.spent, found.unknown) == (2 * HIGH_NWH, 0)


async def test_fsck_counts_again_and_says_where_a_budget_differs(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None]
) -> None:
    async with open_home() as ledger:
        await put(ledger, WH, key(per="day"))
        await put(ledger, 10**9, key(unit="cost_usd"), rates={"EUR": (11, 10)})
        await drafts.settle(ledger, "r1", currency="EUR")
        await drafts.settle(ledger, "r2")
        assert (await ledger.fsck()).findings == ()
    tamper("UPDATE budget_count SET spent = spent - 1 WHERE bucket = '2026-11-22'")
    async with open_home() as ledger:
        (finding,) = (await ledger.fsck()).findings
    assert finding.where == "budget of this ledger per day in energy_wh, 2026-11-22"
    assert finding.message == f"counts {2 * HIGH_NWH - 1} and 0 unknown; the entries give {2 * HIGH_NWH} and 0"


async def test_days_of_another_time_zone_are_counted_from_the_present_one_on(ledger: Ledger, drafts: Drafts) -> None:
    await put(ledger, WH, key(per="day"))
    await drafts.settle(ledger, "r1", occurred_at="2026-11-22T05:00:00Z")
    moved = await put(ledger, WH, key(per="day"), tz="America/Los_Angeles")
    assert (moved.bucket, moved.spent) == ("2026-11-21", HIGH_NWH)
    assert (await ledger.fsck()).findings == ()


def test_an_amount_reads_as_a_person_would_write_it() -> None:
    words = key().amount_words
    shown = [words(0), words(5 * WH), words(1_234_567_890_123), words(42), words(-300_000_000)]
    assert shown == ["0 Wh", "5 Wh", "1,230 Wh", "0.000000042 Wh", "-0.3 Wh"]
    assert replace(key(), unit="tokens").amount_words(1_234_567) == "1,234,567 tokens"
