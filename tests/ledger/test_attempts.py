"""An inference is recorded before it is spent, and a request is spent once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, RequestConflict, RequestInFlight
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import AttemptState, Ledger, Opened, Replay, SummaryQuery

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts


async def open_one(ledger: Ledger, drafts: Drafts, clock: Clock, request_id: str = "r1", lease_s: float = 60) -> int:
    opened = await ledger.open_attempt(drafts.attempt(request_id, lease_expires_at=clock() + lease_s))
    assert isinstance(opened, Opened)
    return opened.attempt_no


async def test_a_try_becomes_an_entry_and_is_settled(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    entry = drafts.draft("r1")
    settled = await ledger.settle(entry, drafts.payload(entry), number)
    (tried,) = await ledger.attempts("local", "r1")
    assert (number, tried.state, tried.usage) == (1, "settled", entry.usage)
    assert await ledger.get("local", request_id="r1") == settled


async def test_a_settled_request_is_replayed_with_its_receipt(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    settled = await drafts.settle(ledger, "r1")
    again = await ledger.open_attempt(drafts.attempt("r1", lease_expires_at=clock() + 60))
    assert again == Replay(settled)
    assert await ledger.attempts("local", "r1") == ()


async def test_another_body_under_a_settled_id_is_a_conflict(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await drafts.settle(ledger, "r1")
    other = drafts.attempt("r1", lease_expires_at=clock() + 60, request_digest=b"\x02" * 32)
    with pytest.raises(RequestConflict, match=r"'r1' was used before with another body \(entry 0, r_"):
        await ledger.open_attempt(other)


async def test_another_body_under_a_tried_id_is_a_conflict(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    await ledger.close_attempt("local", "r1", number, "failed", "timeout", None)
    other = drafts.attempt("r1", lease_expires_at=clock() + 60, request_digest=b"\x02" * 32)
    with pytest.raises(RequestConflict, match="attempt 1"):
        await ledger.open_attempt(other)


async def test_a_running_request_is_not_started_twice(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await open_one(ledger, drafts, clock)
    with pytest.raises(RequestInFlight, match="2026-11-22T06:01:00Z"):
        await open_one(ledger, drafts, clock)


async def test_the_same_request_id_in_another_log_is_another_request(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await open_one(ledger, drafts, clock)
    other = await ledger.open_attempt(drafts.attempt("r1", log_id="tenant", lease_expires_at=clock() + 60))
    assert other == Opened(1)


async def test_a_try_whose_lease_ran_out_is_abandoned_and_may_be_tried_again(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await open_one(ledger, drafts, clock)
    clock.now_s += 61
    assert await open_one(ledger, drafts, clock) == 2
    first, second = await ledger.attempts("local", "r1")
    assert (first.state, first.reason, second.state) == ("abandoned", "lease expired", "open")


async def test_an_abandoned_request_counts_as_unsettled(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await open_one(ledger, drafts, clock, "lost")
    await drafts.settle(ledger, "done")
    clock.now_s += 61
    await open_one(ledger, drafts, clock, "other")
    query = SummaryQuery("local")
    assert (await ledger.summary(query)).unsettled_count == 2
    assert (await ledger.summary(SummaryQuery("local", until="2026-11-22T06:00:30Z"))).unsettled_count == 1


async def test_a_late_settlement_of_an_abandoned_try_still_counts(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    clock.now_s += 61
    await open_one(ledger, drafts, clock, "other")
    entry = drafts.draft("r1")
    await ledger.settle(entry, drafts.payload(entry), number)
    (tried,) = await ledger.attempts("local", "r1")
    assert tried.state == "settled"


async def test_each_try_keeps_its_share_of_the_usage(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    first = await open_one(ledger, drafts, clock)
    await ledger.close_attempt("local", "r1", first, "failed", "cut_stream", Usage(1000, 30))
    second = await open_one(ledger, drafts, clock)
    entry = drafts.draft("r1", usage=Usage(2000, 430), attempts=2)
    await ledger.settle(entry, drafts.payload(entry), second)
    failed, settled = await ledger.attempts("local", "r1")
    assert (failed.state, failed.reason, failed.usage) == ("failed", "cut_stream", Usage(1000, 30))
    assert (settled.state, settled.usage) == ("settled", Usage(1000, 400))


async def test_a_cancelled_run_ends_its_try_as_cancelled(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    entry = drafts.draft("r1", status="cancelled")
    await ledger.settle(entry, drafts.payload(entry), number)
    (tried,) = await ledger.attempts("local", "r1")
    assert tried.state == "cancelled"


async def test_settling_the_same_try_twice_writes_once(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    entry = drafts.draft("r1")
    first = await ledger.settle(entry, drafts.payload(entry), number)
    assert await ledger.settle(entry, drafts.payload(entry), number) == first
    assert (await ledger.head("local"))[0] == 1


async def test_settling_a_request_that_another_try_settled_is_a_conflict(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    late = await open_one(ledger, drafts, clock)
    clock.now_s += 61
    second = await open_one(ledger, drafts, clock)
    entry = drafts.draft("r1")
    await ledger.settle(entry, drafts.payload(entry), second)
    with pytest.raises(RequestConflict, match="settled before, as entry 0"):
        await ledger.settle(entry, drafts.payload(entry), late)


async def test_closing_a_try_that_does_not_exist_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="no such attempt"):
        await ledger.close_attempt("local", "r1", 1, "failed", "timeout", None)


async def test_a_try_that_ended_keeps_its_state(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    number = await open_one(ledger, drafts, clock)
    await ledger.close_attempt("local", "r1", number, "failed", "timeout", None)
    await ledger.close_attempt("local", "r1", number, "cancelled", None, None)
    (tried,) = await ledger.attempts("local", "r1")
    assert (tried.state, tried.reason) == ("failed", "timeout")


@pytest.mark.parametrize("state", ["open", "settled"])
async def test_a_try_cannot_be_closed_as_open_or_settled(
    ledger: Ledger, drafts: Drafts, clock: Clock, state: AttemptState
) -> None:
    number = await open_one(ledger, drafts, clock)
    with pytest.raises(InvalidInput, match="abandoned, cancelled, failed"):
        await ledger.close_attempt("local", "r1", number, state, None, None)


@pytest.mark.parametrize("bad", ["", "x" * 201, "a\nb"])
async def test_a_request_id_must_be_short_and_printable(ledger: Ledger, drafts: Drafts, clock: Clock, bad: str) -> None:
    with pytest.raises(InvalidInput, match="request_id"):
        await open_one(ledger, drafts, clock, bad)
