"""After failures a deployment is tried again by one request at a time, and equals do not take turns."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wattproof.methodology.errors import RoutingError, UpstreamError
from wattproof.resources.routing import HealthBook, Policy
from wattproof.resources.runs import Retry

if TYPE_CHECKING:
    from tests.runs.conftest import Bench


CHEAPEST = Policy(preset="price")


class Clock:
    """Unix seconds that a test may move on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
async def clock(bench: Bench) -> Clock:
    """The bench on a clock of the test, with one try each and a short patience for failures."""
    clock = Clock()
    health = HealthBook(failures_to_cool=1, cooldown_s=60)
    bench.deps = replace(bench.deps, clock=clock, health=health, retry=Retry(tries_each=1))
    return clock


async def cooled_down(bench: Bench, clock: Clock, *names: str) -> None:
    """Deployments that failed, after their cooldown."""
    bench.serve(*names)
    bench.provider.script("500")
    with pytest.raises(UpstreamError):
        await bench.run(bench.request("first"))
    clock.ahead_s += 61
    bench.provider.received.clear()


async def test_after_the_cooldown_one_request_tries_and_the_others_go_elsewhere(bench: Bench, clock: Clock) -> None:
    await cooled_down(bench, clock, "one")
    bench.serve("one", "two")
    bench.provider.script("slow_headers")
    # Two runs must fit into it, however slow the disk is.
    bench.provider.slow_s = 1.5
    first = asyncio.ensure_future(bench.run(bench.request("probe"), CHEAPEST))
    await bench.heard()
    others = [await bench.run(bench.request(f"other{number}"), CHEAPEST) for number in range(2)]
    assert {run.settled.draft.deployment for run in others} == {"two/gpt-oss-120b"}
    assert (await first).settled.draft.deployment == "one/gpt-oss-120b"


async def test_two_that_planned_to_try_at_once_do_not_both_try(bench: Bench, clock: Clock) -> None:
    await cooled_down(bench, clock, "one")
    bench.provider.script("slow_headers")
    outcomes: list[str] = []

    async def one(number: int) -> None:
        try:
            outcomes.append((await bench.run(bench.request(f"r{number}"))).settled.draft.status)
        except (UpstreamError, RoutingError) as error:
            outcomes.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(one, number)
    assert outcomes.count("completed") == 1
    assert len(bench.provider.received) == 1
    assert await bench.entry_count() == 1


async def test_a_claim_that_came_too_late_says_what_would_work(bench: Bench, clock: Clock) -> None:
    await cooled_down(bench, clock, "one")
    health = bench.deps.health

    class Late(HealthBook):
        def try_probe(self, deployment_id: str, now_s: float) -> bool:
            return False

    bench.deps = replace(bench.deps, health=Late())
    with pytest.raises(UpstreamError, match="another request is trying it now") as caught:
        await bench.run()
    assert (caught.value.reason, caught.value.retryable) == ("cooling_down", True)
    assert bench.provider.received == []
    assert await bench.states() == []
    assert health is not bench.deps.health


async def test_a_cancelled_try_leaves_the_next_one_to_find_out(bench: Bench, clock: Clock) -> None:
    await cooled_down(bench, clock, "one")
    bench.provider.script("hang", "ok")
    first = asyncio.ensure_future(bench.run(bench.request("cancelled")))
    await bench.heard()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await bench.run()).settled.draft.status == "completed"


async def test_a_refused_key_takes_a_deployment_out_at_once(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("401", "ok")
    await bench.run()
    await bench.run(bench.request("r2"))
    assert await bench.states("r2") == [("two", "settled", "stop")]


async def test_a_bad_request_says_nothing_against_a_deployment(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1), health=HealthBook(failures_to_cool=1))
    bench.provider.script("400", "ok")
    await bench.run()
    assert await bench.states() == [("one", "failed", "http_400"), ("two", "settled", "stop")]
    assert bench.deps.health.health("one/gpt-oss-120b").cooling_until is None


async def test_equals_do_not_take_turns(bench: Bench) -> None:
    bench.serve("one", "two")
    first, second = bench.deps.catalogue
    bench.deps = replace(bench.deps, catalogue=(first, replace(second, price=first.price)))
    bench.provider.script("500", "500", "ok")
    served = [(await bench.run(bench.request(f"r{number}"))).settled.draft.deployment for number in range(3)]
    assert served == ["two/gpt-oss-120b"] * 3
