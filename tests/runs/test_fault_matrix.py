"""Every fault of a provider or a grid source, met by a run: nothing crashes, hangs, spends twice or is lost."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wattproof.methodology.errors import GridUnavailable, UpstreamError
from wattproof.resources.receipts import keys_from_jwks, parse, verify_receipt
from wattproof.resources.routing import Policy
from wattproof.resources.runs import Retry

if TYPE_CHECKING:
    from tests.runs.conftest import Bench, Signal

NO_LIMIT = Policy(max_cost_usd=None)
DEADLINE_S = 2.0

# Mode of the fake -> the reason of the failed try; None: the answer is good enough to be settled.
FAULTS: dict[str, str | None] = {
    "refused": "connect",
    "tls": "tls",
    "slow_headers": None,
    "slow_body": None,
    "hang": "timeout",
    "hang_mid": "timeout",
    "cut_before_first": "connect",
    "cut_mid": "cut_stream",
    "400": "http_400",
    "401": "http_401",
    "402": "http_402",
    "403": "http_403",
    "404": "http_404",
    "408": "http_408",
    "413": "http_413",
    "429": "http_429",
    "500": "http_500",
    "502": "http_502",
    "503": "http_503",
    "504": "http_504",
    "529": "http_529",
    "redirect": "http_307",
    "html": "bad_content_type",
    "gzip": "bad_content_type",
    "bad_json": "bad_json",
    "bad_shape": "bad_json",
    "error_mid": "stream_error",
    "empty": "cut_stream",
    "huge": "too_large",
    "no_usage": None,
    "zero_usage": None,
    "lying_usage": "bad_usage",
    "absurd_usage": None,
    "over_limit_usage": None,
    "wrong_model": None,
    "bad_utf8": None,
    "no_done": None,
    "whole": None,
}


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def break_first(bench: Bench, fault: str, *, then: str | None) -> None:
    """Let the first deployment have the fault, and every other request the mode `then` (None: the fault as well)."""
    bench.provider.slow_s = 0.05
    bench.deps = replace(bench.deps, retry=Retry(tries_each=1))
    address = {
        "refused": f"http://127.0.0.1:{closed_port()}/v1",
        "tls": bench.provider.base_url.replace("http", "https"),
    }
    if fault not in address:
        bench.provider.script(*([fault] if then is None else [fault, then]))
        return
    rows = [replace(row, base_url=address[fault]) for row in bench.deps.catalogue]
    bench.deps = replace(bench.deps, catalogue=(rows[0], rows[1] if then is None else bench.deps.catalogue[1]))
    bench.provider.script(then or "ok")


async def require_every_try_is_accounted_for(bench: Bench) -> None:
    tries = await bench.ledger.attempts("local", "r1")
    entry = await bench.ledger.get("local", request_id="r1")
    assert "open" not in {tried.state for tried in tries}
    assert [tried.attempt_no for tried in tries] == list(range(1, len(tries) + 1))
    spent = [tried.usage for tried in tries if tried.usage is not None]
    assert await bench.entry_count() == (0 if entry is None else 1)
    if entry is None:
        assert sum(usage.total_tokens for usage in spent) == 0
        return
    assert entry.draft.attempts == len(tries)
    assert entry.draft.usage.total_tokens == sum(usage.total_tokens for usage in spent)
    assert entry.jws is not None
    report = verify_receipt(entry.jws, keys_from_jwks(bench.ledger.jwks), now=time.time())
    assert {name for name, verdict in report.verdicts.items() if verdict.verdict == "fail"} <= {"plausibility"}
    assert report.verdicts["arithmetic"].verdict == "pass"
    await bench.sound()


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_candidate_answers_after_any_fault(bench: Bench, fault: str) -> None:
    break_first(bench, fault, then="ok")
    with anyio.fail_after(DEADLINE_S + 3):
        run = await bench.run(bench.request(deadline_s=DEADLINE_S), NO_LIMIT)
    reason = FAULTS[fault]
    assert run.settled.draft.status == "completed"
    first = (await bench.states())[0]
    if reason is None:
        assert first[:2] == ("one", "settled")
        assert len(bench.provider.received) == 1
    else:
        assert first == ("one", "failed", reason)
        assert run.settled.draft.deployment == "two/gpt-oss-120b"
    await require_every_try_is_accounted_for(bench)


@pytest.mark.parametrize("fault", [fault for fault, reason in FAULTS.items() if reason is not None])
async def test_a_fault_everywhere_ends_with_its_reason_before_the_deadline(bench: Bench, fault: str) -> None:
    break_first(bench, fault, then=None)
    begun = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await bench.run(bench.request(deadline_s=0.6), NO_LIMIT)
    assert caught.value.reason == FAULTS[fault]
    assert time.monotonic() - begun < 0.6 + 3
    assert "sk-secret" not in str(caught.value)
    await require_every_try_is_accounted_for(bench)


async def test_another_model_than_the_one_asked_for_is_recorded_as_such(bench: Bench) -> None:
    bench.provider.script("wrong_model")
    run = await bench.run()
    draft = run.settled.draft
    assert draft.model == "gpt-oss-120b"
    assert draft.resolved_model not in (None, "gpt-oss-120b")
    assert run.settled.jws is not None
    assert parse(run.settled.jws).payload["resolved_model"] == draft.resolved_model


# -- the grid ----------------------------------------------------------------------------------------------------------

NOW = time.time()
GRID_FAULTS: dict[str, tuple[float | Exception, float | None]] = {
    "null": (GridUnavailable("no_data", "null"), None),
    "nan": (float("nan"), None),
    "infinite": (float("inf"), None),
    "negative": (-5.0, None),
    "in other units": (80_000.0, None),
    "stale": (20.0, NOW - 30 * 3600),
    "future": (20.0, NOW + 5 * 3600),
    "401": (GridUnavailable("http_401", "key refused"), None),
    "429": (GridUnavailable("http_429", "too many", retry_after_s=60.0), None),
    "500": (GridUnavailable("http_500", "down"), None),
    "timeout": (GridUnavailable("timeout", "late"), None),
    "a bug in the source": (ZeroDivisionError("bug"), None),
}


@pytest.mark.parametrize("fault", GRID_FAULTS)
@pytest.mark.parametrize("ceiling", [None, 60.0])
async def test_a_grid_fault_falls_back_to_the_annual_edition(
    bench: Bench, signal: Signal, fault: str, ceiling: float | None
) -> None:
    value, signal.starts_s = GRID_FAULTS[fault]
    signal.said = {"FR": value}
    with anyio.fail_after(5):
        run = await bench.run(policy=Policy(max_carbon_intensity=ceiling))
    assert run.settled.jws is not None
    accounting = parse(run.settled.jws).payload["grid"]["accounting"]
    assert (accounting["evidence"], accounting["temporal_match"]) == ("annual", "fallback")
    await require_every_try_is_accounted_for(bench)


async def test_a_grid_that_stays_silent_costs_its_patience_and_not_the_run(bench: Bench, signal: Signal) -> None:
    gate = anyio.Event()
    signal.said = {"FR": 20.0}
    signal.gate = gate
    begun = time.monotonic()
    run = await bench.run()
    assert time.monotonic() - begun < 5
    assert run.settled.draft.temporal_match == "fallback"
    gate.set()
