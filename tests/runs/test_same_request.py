"""One request_id asked for several times at once, in one process and from two: it runs once, and everybody gets it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wattproof.methodology.errors import RequestConflict, RequestInFlight, UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import AttemptDraft, Opened, open_ledger
from wattproof.resources.routing import HealthBook, Policy
from wattproof.resources.runs import Answers, Retry, RunDeps, RunSettled, execute
from wattproof.resources.runs.body import request_bytes
from wattproof.resources.runs.turns import Turns

if TYPE_CHECKING:
    from tests.runs.conftest import Bench


@pytest.fixture
async def elsewhere(bench: Bench) -> AsyncIterator[RunDeps]:
    """The same home opened once more, as by another process: it shares the ledger's files and nothing else."""
    async with open_ledger(bench.home, clock=time.time, random_bytes=secrets.token_bytes) as ledger:
        yield replace(bench.deps, ledger=ledger, turns=Turns(), answers=Answers(), health=HealthBook())


async def run_in(deps: RunDeps, bench: Bench, **changes: Any) -> RunSettled:
    async with aclosing(execute(bench.request(**changes), Policy(), deps)) as events:
        *_, last = [event async for event in events]
    assert isinstance(last, RunSettled)
    return last


async def until_failed(bench: Bench, reason: str) -> None:
    """Wait until the first try is closed with this reason."""
    with anyio.fail_after(10):
        while await bench.states() != [("one", "failed", reason)]:
            await anyio.sleep(0.005)


# -- in one process ----------------------------------------------------------------------------------------------------


async def test_whoever_asks_meanwhile_waits_and_gets_the_answer_from_memory(bench: Bench) -> None:
    bench.provider.script("slow_headers")
    runs: list[RunSettled] = []

    async def one() -> None:
        runs.append(await bench.run())

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)
    assert sorted(run.replayed for run in runs) == [False] + [True] * 7
    assert {run.answer for run in runs} == {"The capital of France is Paris."}
    assert len({run.settled.receipt_id for run in runs}) == 1
    assert len(bench.provider.received) == 1
    assert await bench.states() == [("one", "settled", "stop")]
    await bench.sound()


async def test_another_body_conflicts_at_once(bench: Bench) -> None:
    bench.provider.script("hang")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.run)
        await bench.heard()
        with anyio.fail_after(5), pytest.raises(RequestConflict, match="running with another body"):
            await bench.run(bench.request(model="gpt-oss-120b:eco"))
        tasks.cancel_scope.cancel()


async def test_where_the_first_fails_without_an_entry_the_second_runs(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.script("400", "ok")
    outcomes: list[str] = []

    async def one() -> None:
        try:
            outcomes.append("replayed" if (await bench.run()).replayed else "ran")
        except UpstreamError as error:
            outcomes.append(error.reason)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(one)
    assert sorted(outcomes) == ["http_400", "ran", "replayed"]
    assert await bench.states() == [("one", "failed", "http_400"), ("one", "settled", "stop")]


async def test_a_waiter_goes_on_by_itself_when_the_first_is_cancelled_before_it_spent(bench: Bench) -> None:
    bench.serve("one")
    bench.deps = replace(bench.deps, retry=Retry(pause_s=5.0))
    bench.provider.script("500", "ok")
    first = asyncio.ensure_future(bench.run())
    await until_failed(bench, "http_500")
    second = asyncio.ensure_future(bench.run())
    await anyio.sleep(0)
    first.cancel()
    assert not (await second).replayed
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(bench.provider.received) == 2


async def test_a_waiter_gets_the_entry_of_a_first_that_was_cancelled_after_it_spent(bench: Bench) -> None:
    bench.provider.script("hang")
    first = asyncio.ensure_future(bench.run())
    await bench.heard()
    second = asyncio.ensure_future(bench.run())
    await anyio.sleep(0)
    first.cancel()
    run = await second
    assert (run.replayed, run.settled.draft.status, run.answer_reason) == (True, "cancelled", "the run was cancelled")
    assert len(bench.provider.received) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_waiter_that_is_cancelled_leaves_the_first_alone(bench: Bench) -> None:
    bench.provider.script("slow_headers")
    first = asyncio.ensure_future(bench.run())
    await bench.heard()
    with anyio.move_on_after(0.01) as scope:
        await bench.run()
    assert scope.cancelled_caught
    assert not (await first).replayed


async def test_a_waiter_is_told_at_its_own_deadline_what_would_work(bench: Bench) -> None:
    bench.provider.script("hang")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.run)
        await bench.heard()
        with anyio.fail_after(5), pytest.raises(RequestInFlight, match=r"in this process.*longer deadline_s"):
            await bench.run(bench.request(deadline_s=0.1))
        tasks.cancel_scope.cancel()
    assert len(bench.provider.received) == 1


async def test_a_consumer_that_lingers_over_the_end_keeps_nobody_waiting(bench: Bench) -> None:
    async with aclosing(execute(bench.request(), Policy(), bench.deps)) as events:
        async for event in events:
            if isinstance(event, RunSettled):
                with anyio.fail_after(5):
                    assert (await bench.run()).replayed


# -- from two processes ------------------------------------------------------------------------------------------------


async def test_another_process_waits_for_the_entry_and_spends_nothing(bench: Bench, elsewhere: RunDeps) -> None:
    bench.provider.script("slow_headers")
    runs: list[RunSettled] = []

    async def one(deps: RunDeps) -> None:
        runs.append(await run_in(deps, bench))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, bench.deps)
        await bench.heard()
        tasks.start_soon(one, elsewhere)
    first, second = runs
    assert (first.replayed, second.replayed) == (False, True)
    assert second.settled.jws == first.settled.jws
    assert (second.answer, second.answer_reason) == (None, "answers are not stored")
    assert len(bench.provider.received) == 1
    assert await bench.states() == [("one", "settled", "stop")]


async def test_another_process_runs_it_when_the_first_failed_and_counts_what_that_spent(
    bench: Bench, elsewhere: RunDeps
) -> None:
    bench.provider.script("ok")
    opened = await bench.ledger.open_attempt(_attempt(bench, lease_expires_at=time.time() + 60))
    assert isinstance(opened, Opened)
    second = asyncio.ensure_future(run_in(elsewhere, bench))
    await anyio.sleep(0.06)
    assert not second.done()
    await bench.ledger.close_attempt("local", "r1", opened.attempt_no, "failed", "cut_stream", Usage(8, 3))
    run = await second
    assert (run.replayed, run.settled.draft.attempts, run.settled.draft.usage) == (False, 2, Usage(50, 11, 10, 2))


async def test_another_process_goes_on_when_the_lease_of_a_dead_one_ends(bench: Bench, elsewhere: RunDeps) -> None:
    await bench.ledger.open_attempt(_attempt(bench, lease_expires_at=time.time() + 0.2))
    run = await run_in(elsewhere, bench)
    assert not run.replayed
    assert await bench.states() == [("one", "abandoned", "lease expired"), ("one", "settled", "stop")]


async def test_another_process_is_told_at_its_deadline(bench: Bench, elsewhere: RunDeps) -> None:
    await bench.ledger.open_attempt(_attempt(bench, lease_expires_at=time.time() + 60))
    begun = time.monotonic()
    with pytest.raises(RequestInFlight, match="in another process"):
        await run_in(elsewhere, bench, deadline_s=0.2)
    assert time.monotonic() - begun < 5
    assert bench.provider.received == []


async def test_tries_that_failed_are_not_settled_while_another_process_tries(bench: Bench, elsewhere: RunDeps) -> None:
    """The one with a try under way settles, and counts them; the other gets its entry."""
    bench.serve("one")
    bench.deps = replace(bench.deps, retry=Retry(pause_s=0.3))
    elsewhere = replace(elsewhere, catalogue=bench.deps.catalogue)
    bench.provider.script("cut_mid", "slow_headers")
    first = asyncio.ensure_future(run_in(bench.deps, bench))
    await until_failed(bench, "cut_stream")
    second = await run_in(elsewhere, bench)
    assert not second.replayed
    assert (await first).replayed
    assert (second.settled.draft.attempts, second.settled.draft.usage) == (2, Usage(50, 11, 10, 2))
    assert len(bench.provider.received) == 2
    await bench.sound()


async def test_a_cancelled_run_leaves_what_it_spent_to_the_process_that_tries_now(
    bench: Bench, elsewhere: RunDeps
) -> None:
    bench.serve("one")
    bench.deps = replace(bench.deps, retry=Retry(pause_s=5.0))
    elsewhere = replace(elsewhere, catalogue=bench.deps.catalogue)
    bench.provider.script("cut_mid", "slow_headers")
    first = asyncio.ensure_future(run_in(bench.deps, bench))
    await until_failed(bench, "cut_stream")
    second = asyncio.ensure_future(run_in(elsewhere, bench))
    await bench.heard(2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).settled.draft.usage == Usage(50, 11, 10, 2)
    assert await bench.entry_count() == 1
    await bench.sound()


def _attempt(bench: Bench, *, lease_expires_at: float) -> AttemptDraft:
    digest = sha256(request_bytes(bench.request(), Policy())).digest()
    return AttemptDraft("local", "r1", digest, "one/gpt-oss-120b", lease_expires_at)
