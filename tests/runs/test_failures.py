"""Providers fail: every try is closed with its reason, the next candidate is tried, the last error is reported."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wattproof.methodology.errors import LedgerLocked, RoutingError, Unavailable, UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import open_ledger
from wattproof.resources.providers.embedded import deployment as embedded_deployment
from wattproof.resources.receipts import keys_from_jwks, parse, verify_receipt
from wattproof.resources.routing import HealthBook, Policy
from wattproof.resources.runs import AttemptFailed, Retry, RunSettled

if TYPE_CHECKING:
    from tests.runs.conftest import Bench

# Mode of the fake, the reason it must be given, whether the same deployment deserves a second try, and whether it had
# accepted the request (status 200: then the input is spent and counts).
FAILURES = [
    ("cut_before_first", "connect", True, False),
    ("cut_mid", "cut_stream", True, True),
    ("400", "http_400", False, False),
    ("401", "http_401", False, False),
    ("500", "http_500", True, False),
    ("503", "http_503", True, False),
    ("redirect", "http_307", False, False),
    ("html", "bad_content_type", True, True),
    ("gzip", "bad_content_type", True, True),
    ("bad_json", "bad_json", True, True),
    ("error_mid", "stream_error", True, True),
    ("lying_usage", "bad_usage", False, True),
    ("huge", "too_large", False, True),
]


@pytest.mark.parametrize(("mode", "reason", "again", "spent"), FAILURES)
async def test_a_failure_is_recorded_and_the_next_candidate_answers(
    bench: Bench, mode: str, reason: str, again: bool, spent: bool
) -> None:
    bench.deps = replace(bench.deps, retry=Retry(pause_s=0.001, tries_each=2))
    failures = [mode] * (2 if again else 1)
    bench.provider.script(*failures, "ok")
    # A huge answer alone costs more than the default limit of a run.
    run = await bench.run(policy=Policy(max_cost_usd=None))
    assert run.answer == "The capital of France is Paris."
    assert await bench.states() == [*[("one", "failed", reason)] * len(failures), ("two", "settled", "stop")]
    assert run.settled.draft.deployment == "two/gpt-oss-120b"
    assert run.settled.draft.attempts == len(failures) + 1
    assert (run.settled.draft.usage.input_tokens > 42) is spent
    await bench.sound()


async def test_tokens_of_a_failed_try_count_in_the_entry(bench: Bench) -> None:
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    bench.provider.script("cut_mid", "ok")
    run = await bench.run()
    first, second = await bench.ledger.attempts("local", "r1")
    assert first.usage is not None
    assert second.usage == Usage(42, 8, 10, 2)
    assert run.settled.draft.usage.input_tokens == first.usage.input_tokens + 42
    assert run.settled.draft.usage.output_tokens == first.usage.output_tokens + 8 > 8
    assert run.settled.draft.usage_source == "local_count"
    assert run.settled.jws is not None
    report = verify_receipt(run.settled.jws, keys_from_jwks(bench.ledger.jwks))
    assert report.verdicts["arithmetic"].verdict == "pass"


async def test_a_failed_try_is_told_and_voids_what_it_had_sent(bench: Bench) -> None:
    bench.provider.script("cut_mid", "ok")
    kinds = [type(event).__name__ for event in await bench.events()]
    assert kinds == ["ChatDelta", "AttemptFailed", "ChatDelta", "ChatDelta", "ChatDelta", "RunSettled"]


async def test_when_all_fail_the_last_error_is_reported_and_nothing_unspent_is_entered(bench: Bench) -> None:
    bench.provider.script("500", "500", "401")
    with pytest.raises(UpstreamError, match="last of 3 tries") as caught:
        await bench.run()
    assert caught.value.reason == "http_401"
    assert "sk-secret" not in str(caught.value)
    assert await bench.states() == [
        ("one", "failed", "http_500"),
        ("one", "failed", "http_500"),
        ("two", "failed", "http_401"),
    ]
    assert await bench.entry_count() == 0
    bench.provider.script("ok")
    assert (await bench.run()).settled.draft.attempts == 4, "the same request_id may be tried again"


async def test_when_all_fail_what_was_spent_is_entered_as_failed(bench: Bench) -> None:
    bench.provider.script("cut_mid")
    with pytest.raises(UpstreamError) as caught:
        await bench.run()
    assert caught.value.reason == "cut_stream"
    entry = await bench.ledger.get("local", request_id="r1")
    assert entry is not None
    assert entry.receipt_id in str(caught.value)
    assert (entry.draft.status, entry.draft.finish_reason, entry.draft.attempts) == ("failed", "cut_stream", 4)
    tries = await bench.ledger.attempts("local", "r1")
    assert sum(tried.usage.output_tokens for tried in tries if tried.usage) == entry.draft.usage.output_tokens > 0
    assert {tried.state for tried in tries} == {"failed"}
    again = await bench.run()
    assert (again.replayed, again.answer, again.answer_reason) == (True, None, "the run was failed")
    await bench.sound()


@pytest.mark.parametrize("mode", ["hang", "hang_mid"])
async def test_a_silent_provider_gives_way_while_there_is_time(bench: Bench, mode: str) -> None:
    bench.provider.script(mode, "ok")
    started = time.monotonic()
    run = await bench.run(bench.request(deadline_s=1.2))
    assert time.monotonic() - started < 1.2
    assert run.settled.draft.deployment == "two/gpt-oss-120b"
    assert (await bench.states())[0] == ("one", "failed", "timeout")


async def test_the_deadline_holds_for_the_run_as_a_whole(bench: Bench) -> None:
    bench.serve("one", "two", "three")
    bench.provider.script("hang")
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await bench.run(bench.request(deadline_s=0.6))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 3.0
    assert {state for _, state, _ in await bench.states()} == {"failed"}


async def test_retry_after_that_fits_is_honoured_on_the_only_candidate(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.retry_after = "0.3"
    bench.provider.script("429", "ok")
    started = time.monotonic()
    events = await bench.events()
    (failed,) = (event for event in events if isinstance(event, AttemptFailed))
    assert (failed.reason, failed.retry_in_s) == ("http_429", 0.3)
    assert time.monotonic() - started >= 0.3
    assert isinstance(events[-1], RunSettled)


async def test_retry_after_beyond_the_deadline_is_reported_and_not_waited_for(bench: Bench) -> None:
    bench.serve("one")
    bench.provider.retry_after = "3600"
    bench.provider.script("429")
    with pytest.raises(UpstreamError) as caught:
        await bench.run()
    assert (caught.value.reason, caught.value.retry_after_s) == ("http_429", 3600)
    assert len(bench.provider.received) == 1
    with pytest.raises(RoutingError, match="next try in"):
        await bench.run(bench.request("r2"))
    assert len(bench.provider.received) == 1, "it asked to be left alone"


async def test_a_long_retry_after_goes_to_the_next_candidate_at_once(bench: Bench) -> None:
    bench.provider.script("429", "ok")
    run = await bench.run()
    assert run.settled.draft.deployment == "two/gpt-oss-120b"
    assert run.settled.draft.attempts == 2


async def test_repeated_failures_cool_a_deployment_down_and_a_success_is_remembered(bench: Bench) -> None:
    health = HealthBook(failures_to_cool=2, cooldown_s=60)
    bench.deps = replace(bench.deps, health=health)
    bench.provider.script("500", "500", "ok")
    await bench.run()
    assert health.health("one/gpt-oss-120b").cooling_until is not None
    assert health.health("two/gpt-oss-120b").latency_ms is not None
    run = await bench.run(bench.request("r2"))
    assert run.settled.draft.deployment == "two/gpt-oss-120b"
    assert run.settled.draft.attempts == 1


# -- never another region silently -------------------------------------------------------------------------------------


def in_two_zones(bench: Bench) -> None:
    bench.serve("one", "two")
    first, second = bench.deps.catalogue
    bench.deps = replace(bench.deps, catalogue=(first, replace(second, zone="DE")), retry=Retry(tries_each=1))
    bench.provider.script("500", "ok")


async def test_after_a_failure_another_zone_is_not_tried_silently(bench: Bench) -> None:
    in_two_zones(bench)
    with pytest.raises(UpstreamError, match="allow_fallback_region=true"):
        await bench.run()
    assert await bench.states() == [("one", "failed", "http_500")]


@pytest.mark.parametrize("policy", [Policy(allow_fallback_region=True), Policy(zones=("FR", "DE"))])
async def test_another_zone_is_tried_when_the_policy_says_so(bench: Bench, policy: Policy) -> None:
    in_two_zones(bench)
    run = await bench.run(policy=policy)
    assert run.settled.draft.zone == "DE"
    assert run.settled.jws is not None
    payload = parse(run.settled.jws).payload
    assert payload["region_scope"] == payload["grid"]["accounting"]["zone"] == "DE"


# -- our own side ------------------------------------------------------------------------------------------------------


async def test_an_embedded_model_that_is_not_there_gives_way_to_the_next(bench: Bench) -> None:
    here = replace(embedded_deployment("FR"), model="gpt-oss-120b")
    bench.deps = replace(bench.deps, catalogue=(here, *bench.deps.catalogue))
    run = await bench.run(policy=Policy(preset="price"))
    assert (await bench.states())[0] == ("embedded", "failed", "unavailable")
    assert run.settled.draft.status == "completed"


async def test_alone_it_says_what_would_help(bench: Bench) -> None:
    bench.deps = replace(bench.deps, catalogue=(embedded_deployment("FR"),))
    with pytest.raises(Unavailable, match="wattproof embedded install"):
        await bench.run(bench.request(model="smollm2-135m-instruct"))


@pytest.mark.skipif(sys.platform == "win32", reason="holds the lock by flock")
async def test_a_ledger_that_is_locked_when_the_answer_comes_is_waited_for(bench: Bench) -> None:
    import fcntl

    bench.provider.script("slow_headers")
    bench.provider.slow_s = 0.5
    ledger = open_ledger(bench.home, clock=time.time, random_bytes=secrets.token_bytes, lock_timeout_s=0.2)
    async with ledger:
        bench.deps = replace(bench.deps, ledger=ledger)
        with (bench.home / "ledger.lock").open("rb+") as lock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bench.run)
                await bench.heard()
                fcntl.flock(lock, fcntl.LOCK_EX)
                await anyio.sleep(0.8)
                fcntl.flock(lock, fcntl.LOCK_UN)
        assert await bench.states() == [("one", "settled", "stop")]


@pytest.mark.skipif(sys.platform == "win32", reason="holds the lock by flock")
async def test_a_ledger_that_is_locked_before_the_call_stops_the_run_unspent(bench: Bench) -> None:
    import fcntl

    async with open_ledger(
        bench.home, clock=time.time, random_bytes=secrets.token_bytes, lock_timeout_s=0.05
    ) as ledger:
        bench.deps = replace(bench.deps, ledger=ledger)
        with (bench.home / "ledger.lock").open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(LedgerLocked):
                await bench.run()
            fcntl.flock(lock, fcntl.LOCK_UN)
    assert bench.provider.received == []
