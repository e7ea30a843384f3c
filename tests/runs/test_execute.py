"""The life of a run that goes well, and of one that is asked for twice."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wattproof.methodology.errors import (
    InvalidInput,
    LedgerError,
    RequestConflict,
    RoutingError,
    UnknownModel,
)
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import AttemptDraft, Opened
from wattproof.resources.providers import ChatDelta, ChatEnd, ChatRequest, Price
from wattproof.resources.receipts import exit_code, keys_from_jwks, parse, verify_receipt
from wattproof.resources.routing import Policy
from wattproof.resources.runs import Answers, RunRequest, RunSettled, plan
from wattproof.resources.runs.body import request_bytes

if TYPE_CHECKING:
    from tests.runs.conftest import Bench


async def test_a_run_yields_the_answer_and_then_its_entry(bench: Bench) -> None:
    events = await bench.events()
    assert [e.text for e in events if isinstance(e, ChatDelta)] == ["The capital ", "of France ", "is Paris."]
    settled = events[-1]
    assert isinstance(settled, RunSettled)
    assert settled.answer == "The capital of France is Paris."
    assert (settled.replayed, settled.answer_reason) == (False, None)
    draft = settled.settled.draft
    assert (draft.status, draft.attempts, draft.deployment, draft.zone) == ("completed", 1, "one/gpt-oss-120b", "FR")
    assert draft.usage == Usage(42, 8, 10, 2)
    assert draft.usage_source == "provider"
    assert (draft.cost_micros, draft.currency) == (5, "USD")
    assert await bench.states() == [("one", "settled", "stop")]
    await bench.sound()


async def test_the_receipt_of_a_run_establishes_every_verdict(bench: Bench) -> None:
    run = await bench.run()
    assert run.settled.jws is not None
    proof = await bench.ledger.inclusion("local", run.settled.seq)
    keys = keys_from_jwks(bench.ledger.jwks)
    report = verify_receipt(run.settled.jws, keys, now=time.time(), inclusion=proof)
    assert {name: v.verdict for name, v in report.verdicts.items()} == dict.fromkeys(report.verdicts, "pass")
    assert exit_code(report) == 0


async def test_estimate_entry_and_receipt_state_the_same_figures(bench: Bench) -> None:
    run = await bench.run()
    assert run.settled.jws is not None
    outputs = parse(run.settled.jws).payload["outputs"]
    energy, carbon = run.estimate.footprint.energy_wh, run.estimate.footprint.carbon_gco2e
    assert energy is not None
    assert carbon is not None
    entry = run.settled.draft
    assert entry.energy_nwh is not None
    assert entry.carbon_location_ng is not None
    assert outputs["energy_nwh"]["median"] == entry.energy_nwh.median == round(energy.median * 1e9) > 0
    assert outputs["carbon_location_ng"]["high"] == entry.carbon_location_ng.high
    assert outputs["carbon_market_ng"] is None
    assert "carbon_market_ng" in parse(run.settled.jws).payload["reasons"]


async def test_the_salt_opens_the_commitment_to_the_request(bench: Bench) -> None:
    run = await bench.run()
    assert run.settled.jws is not None
    assert run.commitment_salt is not None
    body = request_bytes(bench.request(), Policy())
    stated = parse(run.settled.jws).payload["request_commitment"]
    assert stated == hmac.new(run.commitment_salt, body, hashlib.sha256).hexdigest()


async def test_the_decision_is_stored_and_its_digest_signed(bench: Bench) -> None:
    run = await bench.run()
    assert run.settled.jws is not None
    stored = run.settled.draft.decision_json
    assert stored is not None
    assert parse(run.settled.jws).payload["decision_sha256"] == hashlib.sha256(stored.encode()).hexdigest()


async def test_the_provider_s_own_block_is_kept_apart_in_the_receipt(bench: Bench) -> None:
    bench.provider.script("disclosing")
    run = await bench.run()
    assert run.settled.jws is not None
    reported = parse(run.settled.jws).payload["provider_reported"]
    assert "0.00015" in str({name: block for name, block in reported.items() if name != "wattproof"})
    assert run.reported is not None
    assert reported["wattproof"]["schema"] == "wattproof-reported/1"
    assert reported["wattproof"]["vendor"] == run.reported.vendor
    assert reported["wattproof"]["flags"] == sorted({f"{flag.code}:{flag.field}" for flag in run.reported.flags})
    energy = run.estimate.footprint.energy_wh
    assert energy is not None
    assert reported["wattproof"]["energy_nwh"] != round(energy.median * 1e9), "ours is beside it, not made from it"


async def test_a_provider_that_reports_nothing_leaves_nothing(bench: Bench) -> None:
    run = await bench.run()
    assert run.reported is None
    assert run.settled.jws is not None
    assert parse(run.settled.jws).payload["provider_reported"] is None


async def test_neither_prompt_nor_answer_nor_key_is_written_anywhere(bench: Bench) -> None:
    await bench.run()
    written = b"".join(path.read_bytes() for path in bench.home.rglob("*") if path.is_file())
    assert b"r1" in written
    for secret in (b"capital", b"Paris", b"sk-secret"):
        assert secret not in written


async def test_the_try_is_in_the_ledger_before_the_provider_hears_of_it(bench: Bench) -> None:
    bench.provider.script("hang")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.events)
        await bench.heard()
        (tried,) = await bench.ledger.attempts("local", "r1")
        assert tried.state == "open"
        assert tried.lease_expires_at > time.time() + 20
        tasks.cancel_scope.cancel()


async def test_a_suffix_of_the_model_picks_the_preset(bench: Bench) -> None:
    run = await bench.run(bench.request(model="gpt-oss-120b:eco"))
    assert run.decision is not None
    assert run.decision.policy.preset == "eco"
    assert run.settled.draft.model == "gpt-oss-120b"


async def test_a_run_without_a_request_id_gets_one(bench: Bench) -> None:
    first, second = await bench.run(bench.request(None)), await bench.run(bench.request(None))
    assert first.settled.draft.request_id != second.settled.draft.request_id
    assert await bench.entry_count() == 2


# -- the same request twice --------------------------------------------------------------------------------------------


async def test_a_replay_returns_the_same_entry_and_spends_nothing(bench: Bench) -> None:
    first, again = await bench.run(), await bench.run()
    assert (again.replayed, again.answer) == (True, first.answer)
    assert again.settled.receipt_id == first.settled.receipt_id
    assert again.settled.jws == first.settled.jws
    assert again.commitment_salt is None
    assert len(bench.provider.received) == 1
    assert await bench.entry_count() == 1


async def test_a_replay_elsewhere_has_the_figures_but_not_the_answer(bench: Bench) -> None:
    first = await bench.run()
    bench.deps = replace(bench.deps, answers=Answers(), catalogue=())
    again = await bench.run()
    assert (again.answer, again.answer_reason) == (None, "answers are not stored")
    energy, before = again.estimate.footprint.energy_wh, first.estimate.footprint.energy_wh
    assert energy is not None
    assert before is not None
    assert energy.median == pytest.approx(before.median, rel=1e-6)
    assert energy.high == pytest.approx(before.high, rel=1e-6)
    assert again.estimate.operands == first.estimate.operands
    assert again.estimate.region_scope == first.estimate.region_scope == "FR"
    assert again.estimate.location_evidence == first.estimate.location_evidence
    assert again.estimate.renewable_ratio_bps == first.estimate.renewable_ratio_bps
    assert again.estimate.footprint.reasons == first.estimate.footprint.reasons


@pytest.mark.parametrize("change", ["body", "limit", "model"])
async def test_the_same_id_with_another_body_conflicts(bench: Bench, change: str) -> None:
    await bench.run()
    request, policy = bench.request(), Policy()
    if change == "body":
        request = replace(request, chat=replace(request.chat, temperature=0.7))
    elif change == "limit":
        policy = Policy(max_carbon_intensity=50)
    else:
        request = replace(request, model="llama-3.3-70b-instruct")
    with pytest.raises(RequestConflict, match="r1"):
        await bench.run(request, policy)
    assert len(bench.provider.received) == 1


async def test_labels_are_not_part_of_the_body(bench: Bench) -> None:
    await bench.run()
    again = await bench.run(bench.request(tags=("other",), operation_id="op"))
    assert again.replayed


async def test_many_runs_at_once_all_settle(bench: Bench) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(bench.run, bench.request(f"r{number}"))
    assert await bench.entry_count() == 20
    await bench.sound()


async def test_a_replay_after_the_receipt_was_erased_keeps_the_figures(bench: Bench) -> None:
    first = await bench.run()
    with closing(sqlite3.connect(bench.ledger.path)) as connection, connection:
        connection.execute("DELETE FROM receipt")
    again = await bench.run()
    assert (again.replayed, again.settled.jws) == (True, None)
    energy, before = again.estimate.footprint.energy_wh, first.estimate.footprint.energy_wh
    assert energy is not None
    assert before is not None
    assert energy.median == pytest.approx(before.median, rel=1e-6)
    assert again.estimate.region_scope == "FR"


async def test_tokens_that_an_earlier_process_spent_on_the_request_count(bench: Bench) -> None:
    # As after a crash between closing a failed try and settling the run.
    digest = hashlib.sha256(request_bytes(bench.request(), Policy())).digest()
    opened = await bench.ledger.open_attempt(AttemptDraft("local", "r1", digest, "one/gpt-oss-120b", time.time() + 60))
    assert isinstance(opened, Opened)
    await bench.ledger.close_attempt("local", "r1", opened.attempt_no, "failed", "cut_stream", Usage(8, 3))
    run = await bench.run()
    assert run.settled.draft.attempts == 2
    assert run.settled.draft.usage == Usage(50, 11, 10, 2)
    await bench.sound()


# -- refused before anything is spent ----------------------------------------------------------------------------------


async def test_a_ceiling_excludes_unknown_locations_and_then_nothing_is_spent_or_written(bench: Bench) -> None:
    bench.serve("groq", zone=None)
    with pytest.raises(RoutingError, match="location unknown"):
        await bench.run(policy=Policy(max_carbon_intensity=1e6))
    assert bench.provider.received == []
    assert await bench.states() == []
    assert await bench.entry_count() == 0


async def test_a_missing_key_excludes_a_run_and_names_the_variable(bench: Bench) -> None:
    bench.deps = replace(bench.deps, environ={})
    with pytest.raises(RoutingError, match="no key: set FAKE_API_KEY"):
        await bench.run()


async def test_a_plan_spends_nothing_and_writes_nothing(bench: Bench) -> None:
    bench.deps = replace(bench.deps, environ={})
    planned = await plan(bench.request(), Policy(max_carbon_intensity=100), bench.deps, dry_run=True)
    assert [r.candidate.deployment.provider for r in planned.decision.allowed] == ["one", "two"]
    assert bench.provider.received == []
    assert await bench.ledger.logs() == ()
    assert await bench.states() == []


async def test_an_unknown_model_names_the_closest(bench: Bench) -> None:
    with pytest.raises(UnknownModel, match="gpt-oss-120b"):
        await bench.run(bench.request(model="gpt-oss-12ob"))


async def test_a_closed_ledger_stops_the_run_before_it_spends(bench: Bench) -> None:
    await bench.ledger.aclose()
    with pytest.raises(LedgerError):
        await bench.run(bench.request(None))
    assert bench.provider.received == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_id", ""),
        ("request_id", "x" * 201),
        ("request_id", "a\nb"),
        ("operation_id", "\x00"),
        ("tags", ("a", "a")),
        ("tags", ("x" * 65,)),
        ("deadline_s", 0.0),
        ("deadline_s", float("nan")),
        ("chat", ChatRequest(messages=(), max_output_tokens=5)),
        ("chat", ChatRequest(messages=({"role": "user", "content": "hi"},), max_output_tokens=0)),
    ],
)
def test_what_ledger_or_receipt_would_refuse_is_refused_first(field: str, value: object) -> None:
    chat = ChatRequest(messages=({"role": "user", "content": "hi"},), max_output_tokens=5)
    fields: dict[str, object] = {"model": "gpt-oss-120b", "chat": chat, field: value}
    with pytest.raises(InvalidInput):
        RunRequest(**fields)  # pyright: ignore[reportArgumentType]


async def test_a_message_that_is_not_json_is_refused(bench: Bench) -> None:
    chat = ChatRequest(messages=({"role": "user", "content": float("nan")},), max_output_tokens=5)
    with pytest.raises(InvalidInput, match="messages"):
        await bench.run(bench.request(chat=chat))


async def test_at_most_64_answers_are_kept_the_least_used_goes_first() -> None:
    answers = Answers(size=2)
    ends = [ChatEnd(text, Usage(1, 1), "provider", "stop", None) for text in "abc"]
    answers.keep("local", "a", ends[0])
    answers.keep("local", "b", ends[1])
    assert answers.find("local", "a") is ends[0]
    answers.keep("local", "c", ends[2])
    assert answers.find("local", "b") is None
    assert answers.find("local", "a") is ends[0]
    assert answers.find("other log", "a") is None


# -- what it cost ------------------------------------------------------------------------------------------------------


async def test_a_price_in_euros_is_recorded_in_euros(bench: Bench) -> None:
    bench.serve("scaleway", price=Price(150_000, 600_000, None, "EUR", "test", "2026-11-01"))
    run = await bench.run(policy=Policy(max_cost_usd=None))
    assert (run.settled.draft.cost_micros, run.settled.draft.currency) == (5, "EUR")


@pytest.mark.parametrize("currency", [None, "none at all"])
async def test_an_unknown_price_is_no_cost_at_all(bench: Bench, currency: str | None) -> None:
    (row, _) = bench.deps.catalogue
    assert row.price is not None
    price = replace(row.price, currency=None) if currency is None else None
    bench.deps = replace(bench.deps, catalogue=(replace(row, price=price),))
    run = await bench.run(policy=Policy(max_cost_usd=None))
    assert (run.settled.draft.cost_micros, run.settled.draft.currency) == (None, None)
    assert run.settled.jws is not None
    assert parse(run.settled.jws).payload["cost"] is None


# -- what a provider claims --------------------------------------------------------------------------------------------


async def test_missing_usage_is_counted_locally_and_says_so(bench: Bench) -> None:
    bench.provider.script("no_usage")
    run = await bench.run()
    assert run.settled.draft.usage_source == "local_count"
    assert run.settled.draft.usage == Usage(8, 8)


async def test_an_absurd_usage_is_replaced_by_our_count_instead_of_losing_the_entry(bench: Bench) -> None:
    bench.provider.usage = {"prompt_tokens": 10**12, "completion_tokens": 10**12}
    run = await bench.run()
    assert run.settled.draft.status == "completed"
    assert run.settled.draft.usage_source == "local_count"
    assert run.settled.draft.usage == Usage(8, 8)
    await bench.sound()


# -- many at once ------------------------------------------------------------------------------------------------------


async def test_two_hundred_streams_at_once_all_settle(bench: Bench) -> None:
    bench.provider.script("slow_body")
    bench.provider.slow_s = 0.5
    runs: list[RunSettled] = []

    async def one(number: int) -> None:
        runs.append(await bench.run(bench.request(f"r{number}", deadline_s=60.0)))

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(one, number)
    assert {run.answer for run in runs} == {"The capital of France is Paris."}
    assert len({run.settled.receipt_id for run in runs}) == 200
    assert {run.settled.draft.attempts for run in runs} == {1}
    assert await bench.entry_count() == 200
    await bench.sound()
