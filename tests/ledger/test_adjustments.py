"""What comes in from elsewhere comes in once, and adjustments change amounts without counting as requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import RequestInFlight
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Amount, FactorTerm, Ledger, SummaryQuery

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

NOTHING = Usage(0, 0)


async def test_the_same_external_id_is_appended_once(ledger: Ledger, drafts: Drafts) -> None:
    first = await drafts.settle(ledger, None, source="invoice", external_id="line 7")
    again = await drafts.settle(ledger, None, source="invoice", external_id="line 7", size=3)
    assert again == first
    other = await drafts.settle(ledger, None, source="another", external_id="line 7")
    assert (first.seq, other.seq) == (0, 1)
    assert (await ledger.head("local"))[0] == 2


async def test_two_open_ledgers_append_it_once_and_keep_the_log_whole(
    open_home: Callable[..., Ledger], drafts: Drafts
) -> None:
    async with open_home() as one, open_home() as two:
        for number in range(5):
            await drafts.settle(one, f"one{number}", tags=("a",))
            await drafts.settle(two, f"two{number}", tags=("a",))
            await drafts.settle(one, None, source="invoice", external_id=f"{number}")
            await drafts.settle(two, None, source="invoice", external_id=f"{number}")
        assert (await one.head("local"))[0] == 15
        assert (await two.fsck()).findings == ()


async def test_an_adjustment_alone_in_its_dimension_adds_its_amounts_and_no_request(
    ledger: Ledger, drafts: Drafts
) -> None:
    await drafts.settle(ledger, "r1")
    before = (await ledger.summary(SummaryQuery("local"))).total
    term = FactorTerm("decode", 0, 1_000_000, (), ())
    amounts = {"energy_nwh": None, "carbon_location_ng": Amount(1_000_000), "carbon_market_ng": Amount(500_000)}
    await drafts.settle(
        ledger, None, kind="adjustment", usage=NOTHING, terms=(term,), tier="proxy", cost_micros=7, **amounts
    )
    total = (await ledger.summary(SummaryQuery("local"))).total
    assert (total.request_count, total.carbon_known_count, total.energy_known_count) == (1, 1, 1)
    assert total.energy_wh == before.energy_wh
    assert total.carbon_gco2e is not None
    assert before.carbon_gco2e is not None
    assert total.carbon_gco2e[0] > before.carbon_gco2e[0]
    assert total.carbon_market_gco2e == (pytest.approx(0.0005), None, None)
    assert total.cost_micros_by_currency == {"USD": 285}
    assert total.counts["tier"] == {"parametric": 1}
    assert (await ledger.fsck()).findings == ()


async def test_failed_tries_are_not_settled_while_another_try_runs(
    ledger: Ledger, drafts: Drafts, clock: Clock
) -> None:
    await ledger.open_attempt(drafts.attempt(lease_expires_at=clock.now_s + 60))
    entry = drafts.draft(status="failed")
    with pytest.raises(RequestInFlight, match="attempt 1"):
        await ledger.settle(entry, drafts.payload(entry))
    clock.now_s += 61
    assert (await ledger.settle(entry, drafts.payload(entry))).seq == 0
