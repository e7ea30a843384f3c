"""However many ask at once, in threads or processes, and whatever becomes of them: no budget is overspent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import BudgetExceeded
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Amount, Ledger, Opened, open_ledger
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

TOTAL = BudgetKey("local", "tenant", "", "total", "energy_wh")
LIMIT = 1000

End = Literal["settled", "failed", "failed after spending", "cancelled", "lost", "running"]
Step = tuple[int, End, int]
"""What a try reserves, how it ends, and what its entry then states, as a share of that in percent."""


async def test_callers_at_once_share_one_budget_exactly(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.budgets.set(BudgetDraft(TOTAL, LIMIT), by="owner")

    async def ask(number: int) -> bool:
        draft = drafts.attempt(f"r{number}", lease_expires_at=clock() + 60, reserved_energy_nwh=30)
        try:
            await ledger.open_attempt(draft)
        except BudgetExceeded:
            return False
        return True

    allowed = await asyncio.gather(*(ask(number) for number in range(200)))
    assert sum(allowed) == LIMIT // 30


async def test_processes_at_once_share_one_budget_exactly(
    child: Callable[..., subprocess.Popen[str]], home: Path
) -> None:
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        await ledger.budgets.set(BudgetDraft(TOTAL, LIMIT), by="owner")
    processes = [child("child_reserve.py", home, name, 40, 10) for name in ("a", "b", "c", "d")]
    said: Counter[str] = Counter()
    for process in processes:
        assert process.stdout is not None
        while (line := process.stdout.readline().strip()) != "done":
            assert line, process.communicate()[1]
            said[line.split()[0]] += 1
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        (held,) = await ledger.budgets.all("local")
        assert (await ledger.fsck()).findings == ()
    assert said["opened"] == LIMIT // 10
    assert (held.spent, held.reserved, held.remaining) == (said["settled"] * 10, LIMIT - said["settled"] * 10, 0)


async def test_what_a_killed_process_had_reserved_is_free_after_its_lease(
    child: Callable[..., subprocess.Popen[str]], home: Path, drafts: Drafts
) -> None:
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        await ledger.budgets.set(BudgetDraft(TOTAL, LIMIT), by="owner")
    process = child("child_reserve.py", home, "a", 1, LIMIT)
    assert process.stdout is not None
    assert process.stdout.readline() == "opened a-0\n"
    process.kill()
    process.wait()
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        (held,) = await ledger.budgets.all("local")
        assert held.remaining == 0
    async with open_ledger(home, clock=lambda: time.time() + 601, random_bytes=os.urandom) as later:
        opened = await later.open_attempt(
            drafts.attempt("b", lease_expires_at=time.time() + 1200, reserved_energy_nwh=LIMIT)
        )
        assert isinstance(opened, Opened)
        (held,) = await later.budgets.all("local")
        assert (held.spent, held.reserved) == (0, LIMIT)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(["settled", "failed", "failed after spending", "cancelled", "lost", "running"]),
            st.integers(0, 100),
        ),
        max_size=20,
    )
)
def test_reserved_and_spent_are_what_the_tries_say_and_never_more_than_the_limit(
    drafts: Drafts, steps: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_replay(Path(folder) / "home", drafts, steps))


async def _replay(home: Path, drafts: Drafts, steps: list[Step]) -> None:
    now_s = 1_795_327_200.0
    spent = held = 0
    async with open_ledger(home, clock=lambda: now_s, random_bytes=os.urandom) as ledger:
        await ledger.budgets.set(BudgetDraft(TOTAL, LIMIT), by="owner")
        for number, (asked, end, share) in enumerate(steps):
            # A lost process leaves a lease that ends before the next try.
            lease = now_s + (0.5 if end == "lost" else 3600)
            draft = drafts.attempt(f"r{number}", lease_expires_at=lease, reserved_energy_nwh=asked)
            if asked > LIMIT - spent - held:
                with pytest.raises(BudgetExceeded) as caught:
                    await ledger.open_attempt(draft)
                assert caught.value.remaining == LIMIT - spent - held
                continue
            opened = await ledger.open_attempt(draft)
            assert isinstance(opened, Opened)
            took = asked * share // 100
            await _end(ledger, drafts, f"r{number}", opened.attempt_no, end, took)
            spent += took if end == "settled" else 0
            held += asked if end in ("running", "failed after spending") else 0
            now_s += 1
            (found,) = await ledger.budgets.all("local")
            assert (found.spent, found.reserved, found.unknown) == (spent, held, 0)
        assert (await ledger.fsck()).findings == ()


async def _end(ledger: Ledger, drafts: Drafts, request_id: str, number: int, end: End, took: int) -> None:
    if end == "settled":
        entry = drafts.draft(request_id, energy_nwh=Amount(took), carbon_location_ng=None, terms=())
        await ledger.settle(entry, drafts.payload(entry), number)
    elif end == "failed after spending":
        await ledger.close_attempt("local", request_id, number, "failed", "cut_stream", Usage(10, 1))
    elif end in ("failed", "cancelled"):
        await ledger.close_attempt("local", request_id, number, end, "test", None)
