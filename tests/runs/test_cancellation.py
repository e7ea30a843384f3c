"""Whoever stops a run, and how: what was spent is settled before anyone goes on."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Settled
from wattproof.resources.providers import ChatDelta
from wattproof.resources.receipts import exit_code, keys_from_jwks, verify_receipt
from wattproof.resources.routing import HealthBook, Policy
from wattproof.resources.runs import RunSettled, execute
from wattproof.resources.runs.shielded import shielded

if TYPE_CHECKING:
    from tests.runs.conftest import Bench

# The question is 30 bytes and the first piece 12: at 4 bytes per token, rounded up.
SO_FAR = Usage(8, 3)


async def settled(bench: Bench) -> Settled:
    entry = await bench.ledger.get("local", request_id="r1")
    assert entry is not None
    return entry


async def test_a_cancelled_scope_settles_with_the_usage_so_far(bench: Bench) -> None:
    bench.provider.script("hang_mid")
    with anyio.CancelScope() as scope:
        async for event in execute(bench.request(), Policy(), bench.deps):
            assert isinstance(event, ChatDelta)
            scope.cancel()
    assert scope.cancelled_caught
    entry = await settled(bench)
    assert (entry.draft.status, entry.draft.usage, entry.draft.usage_source) == ("cancelled", SO_FAR, "local_count")
    assert await bench.states() == [("one", "cancelled", "cancelled")]
    assert entry.jws is not None
    proof = await bench.ledger.inclusion("local", entry.seq)
    report = verify_receipt(entry.jws, keys_from_jwks(bench.ledger.jwks), inclusion=proof)
    assert exit_code(report) == 0
    await bench.sound()


async def test_it_is_settled_when_the_scope_is_left(bench: Bench) -> None:
    bench.provider.script("hang_mid")
    with anyio.move_on_after(0.3):
        await bench.run()
    assert (await settled(bench)).draft.status == "cancelled"


async def test_a_request_that_went_out_counts_its_input_even_without_an_answer(bench: Bench) -> None:
    bench.provider.script("hang")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.run)
        await bench.heard()
        tasks.cancel_scope.cancel()
    assert (await settled(bench)).draft.usage == Usage(8, 0)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_asyncio_s_own_cancel_settles_too_however_often_it_comes(bench: Bench, times: int) -> None:
    bench.provider.script("hang_mid")
    begun = asyncio.Event()

    async def consume() -> None:
        async for _ in execute(bench.request(), Policy(), bench.deps):
            begun.set()

    task = asyncio.ensure_future(consume())
    await begun.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await settled(bench)).draft.status == "cancelled"
    await bench.sound()


async def test_a_consumer_that_leaves_early_cancels(bench: Bench) -> None:
    bench.provider.script("hang_mid")
    async with aclosing(execute(bench.request(), Policy(), bench.deps)) as events:
        async for _ in events:
            break
    assert (await settled(bench)).draft.usage == SO_FAR


async def test_a_consumer_that_raises_cancels(bench: Bench) -> None:
    async def consume() -> None:
        async with aclosing(execute(bench.request(), Policy(), bench.deps)) as events:
            async for _ in events:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await consume()
    assert (await settled(bench)).draft.status == "cancelled"


async def test_closing_inside_a_cancelled_scope_settles(bench: Bench) -> None:
    bench.provider.script("hang_mid")
    events = execute(bench.request(), Policy(), bench.deps)
    with anyio.CancelScope() as scope:
        await anext(events)
        scope.cancel()
        await events.aclose()
    assert (await settled(bench)).draft.usage == SO_FAR


async def test_a_run_that_is_dropped_settles_when_it_is_collected(bench: Bench) -> None:
    bench.provider.script("hang_mid")
    events = execute(bench.request(), Policy(), bench.deps)
    await anext(events)
    del events
    gc.collect()
    with anyio.fail_after(10):
        while await bench.ledger.get("local", request_id="r1") is None:
            await anyio.sleep(0.005)
    assert (await settled(bench)).draft.status == "cancelled"


async def test_leaving_after_the_end_changes_nothing(bench: Bench) -> None:
    async with aclosing(execute(bench.request(), Policy(), bench.deps)) as events:
        async for event in events:
            if isinstance(event, RunSettled):
                break
    assert (await settled(bench)).draft.status == "completed"
    assert await bench.entry_count() == 1


async def test_a_run_that_was_never_begun_writes_nothing(bench: Bench) -> None:
    events = execute(bench.request(), Policy(), bench.deps)
    await events.aclose()
    assert await bench.states() == []
    assert bench.provider.received == []


async def test_cancelled_while_waiting_to_try_again_keeps_the_failed_try_and_no_entry(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.retry_after = "5"
    bench.provider.script("429")
    with anyio.CancelScope() as scope:
        async for _ in execute(bench.request(), Policy(), bench.deps):
            scope.cancel()
    assert await bench.states() == [("one", "failed", "http_429")]
    assert await bench.entry_count() == 0


async def test_cancelled_after_a_try_that_spent_settles_that(bench: Bench) -> None:
    bench.serve("one")
    bench.deps = replace(bench.deps, retry=replace(bench.deps.retry, pause_s=5.0))
    bench.provider.script("cut_mid")
    with anyio.CancelScope() as scope:
        async for event in execute(bench.request(), Policy(), bench.deps):
            if not isinstance(event, ChatDelta):
                scope.cancel()
    entry = await settled(bench)
    assert (entry.draft.status, entry.draft.usage) == ("cancelled", SO_FAR)
    assert await bench.states() == [("one", "failed", "cut_stream")]
    await bench.sound()


async def test_a_cancelled_run_is_replayed_as_such(bench: Bench) -> None:
    async with aclosing(execute(bench.request(), Policy(), bench.deps)) as events:
        await anext(events)
    again = await bench.run()
    assert (again.replayed, again.answer, again.answer_reason) == (True, None, "the run was cancelled")
    assert again.estimate.footprint.energy_wh is not None
    assert len(bench.provider.received) == 1


@pytest.mark.parametrize("modes", [("slow_headers",), ("cut_mid", "500", "429", "ok")])
async def test_a_cancellation_at_any_moment_leaves_a_sound_ledger_and_no_open_try(
    bench: Bench, modes: tuple[str, ...]
) -> None:
    bench.deps = replace(bench.deps, retry=replace(bench.deps.retry, pause_s=0.001))
    bench.provider.slow_s = 0.004
    for number in range(40):
        bench.provider.script(*modes)
        bench.deps = replace(bench.deps, health=HealthBook())
        with anyio.move_on_after(number * 0.0015):
            await bench.run(bench.request(f"r{number}"))
    for number in range(40):
        tries = await bench.ledger.attempts("local", f"r{number}")
        entry = await bench.ledger.get("local", request_id=f"r{number}")
        assert "open" not in {tried.state for tried in tries}
        spent = sum(tried.usage.total_tokens for tried in tries if tried.usage is not None)
        assert spent == (0 if entry is None else entry.draft.usage.total_tokens)
    await bench.sound()


# -- the shield itself -------------------------------------------------------------------------------------------------


async def test_shielded_work_ends_before_the_cancellation_is_raised() -> None:
    done: list[int] = []
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        done.append(1)
        return 1

    task = asyncio.ensure_future(shielded(work()))
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]


async def test_a_cancelled_scope_waits_for_shielded_work() -> None:
    done: list[int] = []
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.append(1)

    async def open_the_gate() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        gate.set()

    opening = asyncio.ensure_future(open_the_gate())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await shielded(work())
    assert scope.cancelled_caught
    assert done == [1]
    await opening


async def test_whoever_is_cancelled_by_scope_and_task_learns_of_both() -> None:
    gate, caught = asyncio.Event(), list[bool]()

    async def work() -> int:
        await gate.wait()
        return 1

    async def one() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await shielded(work())
        caught.append(scope.cancelled_caught)

    task = asyncio.ensure_future(one())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caught == []


async def test_shielded_returns_and_raises_like_the_work() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def gives() -> int:
        return 7

    assert await shielded(gives()) == 7
    with pytest.raises(ZeroDivisionError):
        await shielded(fails())
