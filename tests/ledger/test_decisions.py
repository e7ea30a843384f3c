"""The decisions that the ledger keeps beside its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattproof.resources.ledger import Ledger


async def _settle(ledger: Ledger, drafts: Any, name: str, occurred_at: str, **changed: Any) -> None:
    await drafts.settle(ledger, name, occurred_at=occurred_at, decision_json=f'{{"n":"{name}"}}', **changed)


async def test_decisions_come_newest_first_in_pages(ledger: Ledger, drafts: Any) -> None:
    for name, hour in (("r1", 7), ("r2", 6), ("r3", 6), ("r4", 8)):
        await _settle(ledger, drafts, name, f"2026-11-22T{hour:02}:00:00Z")
    first = await ledger.decisions("local", limit=3)
    assert [row.json for row in first.rows] == ['{"n":"r4"}', '{"n":"r1"}', '{"n":"r3"}']
    second = await ledger.decisions("local", limit=3, cursor=first.next_cursor)
    assert [row.json for row in second.rows] == ['{"n":"r2"}']
    assert second.next_cursor is None


async def test_a_period_includes_its_start_and_not_its_end(ledger: Ledger, drafts: Any) -> None:
    for name, hour in (("r1", 6), ("r2", 7), ("r3", 8)):
        await _settle(ledger, drafts, name, f"2026-11-22T{hour:02}:00:00Z")
    page = await ledger.decisions("local", since="2026-11-22T06:00:00Z", until="2026-11-22T08:00:00Z")
    assert [row.json for row in page.rows] == ['{"n":"r2"}', '{"n":"r1"}']


async def test_only_runs_have_decisions_and_another_log_has_its_own(ledger: Ledger, drafts: Any) -> None:
    await _settle(ledger, drafts, "r1", "2026-11-22T06:00:00Z")
    await _settle(ledger, drafts, "r2", "2026-11-22T06:00:00Z", kind="recorded")
    await _settle(ledger, drafts, "r3", "2026-11-22T06:00:00Z", log_id="other")
    assert [row.json for row in (await ledger.decisions("local")).rows] == ['{"n":"r1"}']


async def test_an_erased_decision_is_a_row_without_one(
    open_home: Callable[..., Ledger], drafts: Any, tamper: Callable[..., None]
) -> None:
    async with open_home() as ledger:
        await _settle(ledger, drafts, "r1", "2026-11-22T06:00:00Z")
    tamper("DELETE FROM decision")
    async with open_home() as ledger:
        (row,) = (await ledger.decisions("local")).rows
    assert (row.seq, row.deployment, row.json) == (0, "ovhcloud/gpt-oss-120b", None)


@pytest.mark.parametrize("limit", [0, 501])
async def test_a_page_has_a_size(ledger: Ledger, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        await ledger.decisions("local", limit=limit)
