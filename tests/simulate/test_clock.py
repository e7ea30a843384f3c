"""Simulated time: pauses pass at once, threads take none of it."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import pytest

from wattproof.server.simulate.clock import SimulatedLoop, run_simulated


def test_a_day_of_pauses_passes_at_once() -> None:
    async def main(loop: SimulatedLoop) -> float:
        for _ in range(24):
            await anyio.sleep(3600)
        return loop.time()

    began = time.monotonic()
    assert run_simulated(main) == 86_400
    assert time.monotonic() - began < 5


def test_a_deadline_fires_at_its_simulated_time() -> None:
    async def main(loop: SimulatedLoop) -> float:
        with pytest.raises(TimeoutError):
            with anyio.fail_after(5):
                await anyio.sleep(10)
        return loop.time()

    assert run_simulated(main) == 5


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def main(_: SimulatedLoop) -> list[float]:
        woken: list[float] = []

        async def sleeper(for_s: float) -> None:
            await anyio.sleep(for_s)
            woken.append(for_s)

        async with anyio.create_task_group() as group:
            for for_s in (30.0, 10.0, 20.0):
                group.start_soon(sleeper, for_s)
        return woken

    assert run_simulated(main) == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("in_thread", [anyio.to_thread.run_sync, asyncio.to_thread], ids=["anyio", "asyncio"])
def test_the_clock_stands_still_while_a_thread_works(in_thread: object) -> None:
    async def main(loop: SimulatedLoop) -> float:
        free = threading.Event()
        # Only the real world can free the thread: simulated time must not run on to the deadline meanwhile.
        timer = threading.Timer(0.05, free.set)
        timer.start()
        with anyio.fail_after(0.001):
            await in_thread(free.wait)  # type: ignore[operator]
        timer.join()
        return loop.time()

    assert run_simulated(main) == 0.0


def test_nothing_passes_within_a_held_block() -> None:
    async def main(loop: SimulatedLoop) -> float:
        future = loop.create_future()
        timer = threading.Timer(0.05, loop.call_soon_threadsafe, (future.set_result, None))
        timer.start()
        with anyio.fail_after(0.001), loop.held():
            await future
        timer.join()
        return loop.time()

    assert run_simulated(main) == 0.0
