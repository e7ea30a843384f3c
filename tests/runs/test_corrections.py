"""A reading that a run was accepted on is corrected later: one adjustment, and totals that add up."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import GridUnavailable
from wattproof.methodology.quantity import UsageChange
from wattproof.resources.ledger import EntryDraft, SummaryQuery
from wattproof.resources.receipts import exit_code, keys_from_jwks, parse, sign, verify_receipt
from wattproof.resources.routing import Policy
from wattproof.resources.runs import apply_corrections
from wattproof.tools.reproduce import reproduction

if TYPE_CHECKING:
    from tests.runs.conftest import Bench, Signal

CEILING = Policy(max_carbon_intensity=60)


@pytest.fixture
async def accepted(bench: Bench, signal: Signal) -> EntryDraft:
    """A run in FR, accepted under a ceiling of 60 on a live reading of 50 g/kWh."""
    signal.said = {"FR": 50.0}
    run = await bench.run(bench.request(operation_id="op", tags=("night",)), CEILING)
    assert run.settled.draft.temporal_match == "live"
    return run.settled.draft


async def test_a_correction_above_the_ceiling_appends_one_adjustment(
    bench: Bench, signal: Signal, accepted: EntryDraft
) -> None:
    original = await bench.ledger.get("local", request_id="r1")
    assert original is not None
    signal.said = {"FR": 80.0}
    (appended,) = await apply_corrections(bench.deps)
    draft = appended.draft
    assert (draft.kind, draft.adjusts, draft.step_kind) == ("adjustment", 0, "ceiling_exceeded_after")
    assert (draft.parent_id, draft.external_id) == (original.receipt_id, "ceiling_exceeded_after:0")
    assert (draft.request_id, draft.usage, draft.attempts) == (None, UsageChange(0, 0), 0)
    assert (draft.operation_id, draft.tags) == ("op", ("night",))
    assert draft.carbon_location_ng is not None
    assert accepted.carbon_location_ng is not None
    assert draft.carbon_location_ng.median == pytest.approx(accepted.carbon_location_ng.median * 30 / 50, rel=1e-4)
    assert draft.energy_nwh is not None
    assert (draft.energy_nwh.median, draft.energy_nwh.high) == (0, 0)
    await bench.sound()


async def test_its_receipt_establishes_every_verdict(bench: Bench, signal: Signal, accepted: EntryDraft) -> None:
    signal.said = {"FR": 80.0}
    (appended,) = await apply_corrections(bench.deps)
    assert appended.jws is not None
    proof = await bench.ledger.inclusion("local", appended.seq)
    keys = keys_from_jwks(bench.ledger.jwks)
    report = verify_receipt(appended.jws, keys, now=time.time(), inclusion=proof)
    assert {name: v.verdict for name, v in report.verdicts.items()} == dict.fromkeys(report.verdicts, "pass")
    assert exit_code(report) == 0
    grid = parse(appended.jws).payload["grid"]
    assert grid["accounting"]["value_mgco2e_per_kwh"] == 80_000
    assert grid["routing"]["value_mgco2e_per_kwh"] == 50_000


async def test_its_difference_is_computed_again_without_us(
    bench: Bench, signal: Signal, accepted: EntryDraft, tmp_path: Path
) -> None:
    signal.said = {"FR": 80.0}
    (appended,) = await apply_corrections(bench.deps)
    assert appended.jws is not None
    script = tmp_path / "reproduce.py"
    script.write_text(reproduction(parse(appended.jws).payload, appended.receipt_id))
    done = subprocess.run([sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "new values of intensity_gco2e_per_kwh" in done.stdout
    assert done.stdout.endswith("agrees\n")


@pytest.mark.parametrize("change", ["output", "usage"])
async def test_a_difference_that_does_not_follow_fails_the_arithmetic(
    bench: Bench, signal: Signal, accepted: EntryDraft, change: str
) -> None:
    signal.said = {"FR": 80.0}
    (appended,) = await apply_corrections(bench.deps)
    assert appended.jws is not None
    payload = dict(parse(appended.jws).payload)
    if change == "output":
        carbon = payload["outputs"]["carbon_location_ng"]
        payload["outputs"] = payload["outputs"] | {"carbon_location_ng": carbon | {"median": carbon["median"] - 50}}
    else:
        payload["usage"] = payload["usage"] | {"input_tokens": 42}
    report = verify_receipt(sign(payload, bench.ledger.issuer), keys_from_jwks(bench.ledger.jwks))
    assert report.verdicts["arithmetic"].verdict == "fail"


async def test_calling_again_appends_nothing(bench: Bench, signal: Signal, accepted: EntryDraft) -> None:
    signal.said = {"FR": 80.0}
    assert len(await apply_corrections(bench.deps)) == 1
    signal.said = {"FR": 90.0}
    assert await apply_corrections(bench.deps) == ()
    assert await bench.entry_count() == 2


async def test_two_processes_that_find_the_same_correction_append_it_once(
    bench: Bench, signal: Signal, accepted: EntryDraft
) -> None:
    signal.said = {"FR": 80.0}
    (first,) = await apply_corrections(bench.deps)
    assert first.jws is not None
    payload = dict(parse(first.jws).payload)
    again = await bench.ledger.settle(first.draft, lambda issued_at: payload | {"issued_at": issued_at})
    assert again.seq == first.seq
    assert await bench.entry_count() == 2


async def test_an_adjustment_adds_grams_and_counts_no_request(
    bench: Bench, signal: Signal, accepted: EntryDraft
) -> None:
    before = (await bench.ledger.summary(SummaryQuery("local"))).total
    signal.said = {"FR": 80.0}
    (appended,) = await apply_corrections(bench.deps)
    assert appended.draft.carbon_location_ng is not None
    for query in (
        SummaryQuery("local"),
        SummaryQuery("local", operation_id="op"),
        SummaryQuery("local", tag="night"),
        SummaryQuery("local", since="2020-01-01T00:00:00Z", tag="night"),
    ):
        summary = await bench.ledger.summary(query)
        total = summary.total
        assert (total.request_count, total.carbon_known_count, total.energy_known_count) == (1, 1, 1)
        assert (total.input_tokens, total.output_tokens) == (42, 8)
        assert total.cost_micros_by_currency == {"USD": 5}
        assert total.energy_wh == pytest.approx(before.energy_wh)
        assert before.carbon_gco2e is not None
        assert total.carbon_gco2e == pytest.approx(
            [grams * 80 / 50 for grams in before.carbon_gco2e if grams], rel=1e-4
        )
        assert total.counts["status"] == {"completed": 1}
        assert "carbon_gco2e" not in summary.reasons
    by_zone = await bench.ledger.summary(SummaryQuery("local", group_by="zone"))
    assert [(row.key, row.request_count) for row in by_zone.groups] == [("FR", 1)]
    await bench.sound()


@pytest.mark.parametrize("value", [60.0, 20.0])
async def test_a_correction_that_stays_below_the_ceiling_changes_nothing(
    bench: Bench, signal: Signal, accepted: EntryDraft, value: float
) -> None:
    signal.said = {"FR": value}
    assert await apply_corrections(bench.deps) == ()
    assert await bench.entry_count() == 1


async def test_a_source_that_cannot_be_asked_is_left_for_the_next_time(
    bench: Bench, signal: Signal, accepted: EntryDraft
) -> None:
    signal.said = {"FR": GridUnavailable("http_404", "down")}
    assert await apply_corrections(bench.deps) == ()


async def test_runs_without_a_ceiling_or_without_a_live_reading_are_not_adjusted(bench: Bench, signal: Signal) -> None:
    signal.said = {"FR": 50.0}
    await bench.run(bench.request("no-ceiling"))
    bench.serve("one", zone="DE")
    await bench.run(bench.request("annual"), Policy(max_carbon_intensity=1000))
    signal.said = {"FR": 99.0, "DE": 2000.0}
    assert await apply_corrections(bench.deps) == ()


async def test_only_the_last_hours_are_looked_at(bench: Bench, signal: Signal, accepted: EntryDraft) -> None:
    signal.said = {"FR": 80.0}
    later = replace(bench.deps, clock=lambda: time.time() + 50 * 3600)
    assert await apply_corrections(later) == ()
    assert len(await apply_corrections(later, since_s=51 * 3600)) == 1


async def test_an_erased_receipt_cannot_be_adjusted(bench: Bench, signal: Signal, accepted: EntryDraft) -> None:
    signal.said = {"FR": 80.0}
    with closing(sqlite3.connect(bench.ledger.path)) as connection, connection:
        connection.execute("DELETE FROM receipt")
    assert await apply_corrections(bench.deps) == ()


async def test_without_a_grid_there_is_nothing_to_ask(bench: Bench) -> None:
    assert await apply_corrections(bench.deps) == ()
