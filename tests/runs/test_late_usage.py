"""Usage that is reported after a request was settled becomes an adjustment, which anyone can compute again."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import get_method
from wattproof.methodology.quantity import Operand, Usage, UsageChange
from wattproof.resources.ledger import Settled, SummaryQuery
from wattproof.resources.receipts import exit_code, keys_from_jwks, parse, sign, validate_payload, verify_receipt
from wattproof.resources.receipts.adjustment import split
from wattproof.resources.routing import Policy
from wattproof.resources.runs import adjust_usage, apply_corrections

if TYPE_CHECKING:
    from tests.runs.conftest import Bench, Signal

NOW = "2026-12-01T00:00:00Z"


@pytest.fixture
async def original(bench: Bench) -> Settled:
    """A run that used 42 and 8 tokens, in an operation and with a tag."""
    run = await bench.run(bench.request(operation_id="op", tags=("night",)))
    assert run.settled.draft.usage == Usage(42, 8, 10, 2)
    return run.settled


async def adjust(bench: Bench, receipt_id: str, **known: Any) -> Settled | None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return await adjust_usage(bench.ledger, "local", receipt_id, now=now, random_bytes=os.urandom, **known)


async def test_more_tokens_are_added_by_an_adjustment_that_refers_to_the_request(
    bench: Bench, original: Settled
) -> None:
    made = await adjust(bench, original.receipt_id, output_tokens=808)
    assert made is not None
    draft = made.draft
    assert (draft.kind, draft.adjusts, draft.parent_id, draft.step_kind) == (
        "adjustment",
        original.seq,
        original.receipt_id,
        "late_usage",
    )
    assert draft.usage == UsageChange(0, 800)
    assert (draft.operation_id, draft.tags, draft.request_id, draft.cost_micros) == ("op", ("night",), None, None)
    assert draft.energy_nwh is not None
    assert draft.energy_nwh.median > 0
    await bench.sound()


async def test_totals_are_those_of_a_request_that_had_used_so_much(bench: Bench, original: Settled) -> None:
    await adjust(bench, original.receipt_id, input_tokens=90_000, output_tokens=808, cached_input_tokens=20_000)
    jws = original.jws
    assert jws is not None
    stated = parse(jws).payload
    numbers = {row["name"]: Operand(**row).number for row in stated["operands"]}
    numbers |= {"input_tokens": 90_000, "output_tokens": 808, "cached_input_tokens": 20_000}
    expected = outputs(get_method(stated["method_id"]).compute(numbers, stated["boundary"]))
    for query in (SummaryQuery("local"), SummaryQuery("local", operation_id="op"), SummaryQuery("local", tag="night")):
        total = (await bench.ledger.summary(query)).total
        assert total.request_count == 1
        assert (total.input_tokens, total.output_tokens, total.cached_input_tokens) == (90_000, 808, 20_000)
        for name, found, unit in (
            ("energy_nwh", total.energy_wh, 1e-9),
            ("carbon_location_ng", total.carbon_gco2e, 1e-9),
        ):
            amount = expected[name]
            assert amount is not None
            assert found == pytest.approx(
                [float(amount[end] or 0) * unit for end in ("median", "low", "high")], rel=1e-5
            )
    await bench.sound()


async def test_fewer_tokens_take_away(bench: Bench, original: Settled) -> None:
    made = await adjust(bench, original.receipt_id, input_tokens=20, output_tokens=2, reason="provider corrected it")
    assert made is not None
    assert made.draft.usage == UsageChange(-22, -6, 0, 0)
    assert made.draft.energy_nwh is not None
    assert made.draft.energy_nwh.median < 0
    total = (await bench.ledger.summary(SummaryQuery("local"))).total
    assert (total.request_count, total.input_tokens, total.output_tokens) == (1, 20, 2)
    assert total.energy_wh is not None
    assert 0 < total.energy_wh[0] < (original.draft.energy_nwh.median if original.draft.energy_nwh else 0) * 1e-9
    stored = await bench.ledger.get("local", seq=made.seq)
    assert stored is not None
    assert stored.draft.usage == made.draft.usage
    await bench.sound()


@pytest.mark.parametrize("tokens", [2, 808])
async def test_its_receipt_establishes_every_verdict(bench: Bench, original: Settled, tokens: int) -> None:
    made = await adjust(bench, original.receipt_id, output_tokens=tokens)
    assert made is not None
    assert made.jws is not None
    proof = await bench.ledger.inclusion("local", made.seq)
    report = verify_receipt(made.jws, keys_from_jwks(bench.ledger.jwks), now=time.time(), inclusion=proof)
    assert {name: verdict.verdict for name, verdict in report.verdicts.items()} == dict.fromkeys(
        report.verdicts, "pass"
    )
    assert exit_code(report) == 0


async def test_an_adjustment_of_other_usage_than_its_operands_fails_the_arithmetic(
    bench: Bench, original: Settled
) -> None:
    made = await adjust(bench, original.receipt_id, output_tokens=2)
    assert made is not None
    assert made.jws is not None
    payload = dict(parse(made.jws).payload)
    payload["usage"] = payload["usage"] | {"output_tokens": -5}
    report = verify_receipt(sign(payload, bench.ledger.issuer), keys_from_jwks(bench.ledger.jwks))
    assert report.verdicts["arithmetic"].verdict == "fail"


async def test_only_an_adjustment_may_state_negative_usage(bench: Bench, original: Settled) -> None:
    assert original.jws is not None
    payload = dict(parse(original.jws).payload)
    payload["usage"] = payload["usage"] | {"output_tokens": -1, "reasoning_tokens": 0}
    with pytest.raises(InvalidInput, match=r"usage\.output_tokens is -1"):
        validate_payload(payload)
    validate_payload(payload | {"kind": "adjustment"})


async def test_saying_the_same_again_appends_nothing(bench: Bench, original: Settled) -> None:
    assert await adjust(bench, original.receipt_id, output_tokens=808) is not None
    assert await adjust(bench, original.receipt_id, output_tokens=808) is None
    assert await adjust(bench, original.receipt_id) is None
    assert await bench.entry_count() == 2


async def test_a_second_adjustment_starts_from_the_first(bench: Bench, original: Settled) -> None:
    await adjust(bench, original.receipt_id, output_tokens=808)
    second = await adjust(bench, original.receipt_id, output_tokens=108)
    assert second is not None
    assert second.jws is not None
    assert second.draft.usage == UsageChange(0, -700)
    _, before = split(Operand(**row) for row in parse(second.jws).payload["operands"])
    assert before == {"output_tokens": 808}
    assert (await bench.ledger.summary(SummaryQuery("local"))).total.output_tokens == 108
    await bench.sound()


async def test_late_usage_after_a_corrected_reading_counts_at_the_corrected_reading(
    bench: Bench, signal: Signal
) -> None:
    signal.said = {"FR": 50.0}
    run = await bench.run(bench.request(), Policy(max_carbon_intensity=60))
    before = run.settled.draft.carbon_location_ng
    assert before is not None
    signal.said = {"FR": 80.0}
    assert len(await apply_corrections(bench.deps)) == 1
    late = await adjust(bench, run.settled.receipt_id, output_tokens=16)
    assert late is not None
    assert late.jws is not None
    assert parse(late.jws).payload["grid"]["accounting"]["value_mgco2e_per_kwh"] == 80_000
    total = (await bench.ledger.summary(SummaryQuery("local"))).total
    assert total.energy_wh is not None
    assert total.carbon_gco2e is not None
    assert total.carbon_gco2e[0] == pytest.approx(total.energy_wh[0] * 80 / 1000, rel=0.01)
    await bench.sound()


async def test_a_corrected_reading_after_late_usage_covers_that_usage_too(bench: Bench, signal: Signal) -> None:
    signal.said = {"FR": 50.0}
    run = await bench.run(bench.request(), Policy(max_carbon_intensity=60))
    await adjust(bench, run.settled.receipt_id, output_tokens=800)
    signal.said = {"FR": 80.0}
    assert len(await apply_corrections(bench.deps)) == 1
    total = (await bench.ledger.summary(SummaryQuery("local"))).total
    assert total.energy_wh is not None
    assert total.carbon_gco2e is not None
    assert total.carbon_gco2e[0] == pytest.approx(total.energy_wh[0] * 80 / 1000, rel=0.01)
    await bench.sound()


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"cached_input_tokens": 50}, "cached_input_tokens is 50, more than input_tokens"),
        ({"output_tokens": -1}, "output_tokens is -1"),
        ({"output_tokens": 9, "reason": ""}, "reason"),
        ({"output_tokens": 9, "reason": "a\nb"}, "reason"),
    ],
)
async def test_counts_that_no_request_has_are_refused(
    bench: Bench, original: Settled, known: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        await adjust(bench, original.receipt_id, **known)
    assert await bench.entry_count() == 1


async def test_an_adjustment_is_not_adjusted_itself(bench: Bench, original: Settled) -> None:
    made = await adjust(bench, original.receipt_id, output_tokens=9)
    assert made is not None
    with pytest.raises(InvalidInput, match=f"adjustment of {original.receipt_id}"):
        await adjust(bench, made.receipt_id, output_tokens=10)


async def test_an_unknown_receipt_is_named(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="'r_nothing' is not in this ledger"):
        await adjust(bench, "r_nothing", output_tokens=10)


async def test_an_erased_receipt_cannot_be_adjusted(bench: Bench, original: Settled) -> None:
    with closing(sqlite3.connect(bench.ledger.path)) as connection, connection:
        connection.execute("DELETE FROM receipt")
    with pytest.raises(InvalidInput, match="the receipt of entry 0 was erased"):
        await adjust(bench, original.receipt_id, output_tokens=9)


async def test_a_term_that_does_not_follow_from_the_operands_is_found(bench: Bench, original: Settled) -> None:
    await adjust(bench, original.receipt_id, output_tokens=808)
    with closing(sqlite3.connect(bench.ledger.path)) as connection, connection:
        connection.execute("DROP TRIGGER entry_update")
        connection.execute("UPDATE entry SET e0 = e0 + 1000000 WHERE kind = 'adjustment'")
    messages = [each.message for each in (await bench.ledger.fsck()).findings if each.where == "entry 1"]
    assert any("its term 'decode' adds" in message for message in messages)
