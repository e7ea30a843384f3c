"""Imports into a ledger: once each, signed in batches, with figures that anyone can compute again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.imports.conftest import NOW_S, Import
from tests.imports.test_exports_of_providers import anthropic_page, openai_page
from tests.imports.test_litellm import row
from wattproof.methodology.errors import InvalidInput, UnknownZone
from wattproof.methodology.integers import amounts
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.footprints import estimate
from wattproof.resources.grid import reading_for
from wattproof.resources.imports import read_totals
from wattproof.resources.imports.spelling import known_model
from wattproof.resources.ledger import Amount, Ledger, Settled, SummaryQuery, open_ledger
from wattproof.resources.receipts import keys_from_jwks, parse
from wattproof.resources.receipts.batch import batch_of
from wattproof.resources.receipts.verify_record import verify_record

ROOT = Path(__file__).parents[2]
Write = Callable[[Mapping[str, str | bytes]], Path]


def rows(count: int, first: int = 0, **changed: Any) -> str:
    """A spend log of `count` requests, one a minute."""
    made = [
        row(
            request_id=f"r{number}",
            startTime=f"2026-11-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z",
            endTime="",
            prompt_tokens=100 + number,
            total_tokens=400 + number,
            session_id=f"s{number % 3}",
            **changed,
        )
        for number in range(first, first + count)
    ]
    return "\n".join(map(json.dumps, made))


async def imported(ledger: Ledger) -> list[Settled]:
    """Every imported entry of a small ledger, in the order of the log."""
    size, _ = await ledger.head("local")
    found = [await ledger.get("local", seq=seq) for seq in range(size)]
    return [each for each in found if each is not None and each.draft.kind == "imported"]


async def test_an_import_appends_every_record_once(write: Write, bring_in: Import, ledger: Ledger) -> None:
    folder = write({"logs.jsonl": rows(30)})
    first = await bring_in("litellm", folder)
    second = await bring_in("litellm", folder)
    assert (first.records, first.appended, first.known) == (30, 30, 0)
    assert (second.records, second.appended, second.known) == (30, 0, 30)
    assert second.batches == []
    assert len(await imported(ledger)) == 30


async def test_what_is_new_in_a_longer_export_is_added(write: Write, bring_in: Import) -> None:
    await bring_in("litellm", write({"logs.jsonl": rows(10)}))
    report = await bring_in("litellm", write({"logs.jsonl": rows(25)}))
    assert (report.appended, report.known) == (15, 10)


async def test_a_record_that_stands_twice_in_one_export_is_appended_once(write: Write, bring_in: Import) -> None:
    report = await bring_in("litellm", write({"a.jsonl": rows(5), "b.jsonl": rows(8)}))
    assert (report.records, report.appended, report.known) == (13, 8, 5)


async def test_sources_do_not_share_their_names(write: Write, bring_in: Import, ledger: Ledger) -> None:
    await bring_in("litellm", write({"logs.jsonl": rows(1)}))
    page = openai_page()
    await bring_in("openai-usage", write({"usage.json": json.dumps(page)}) / "usage.json")
    assert [entry.draft.source for entry in await imported(ledger)] == ["litellm", "openai-usage"]


async def test_the_figures_are_those_of_an_estimate(write: Write, bring_in: Import, ledger: Ledger) -> None:
    made = [
        row(request_id="a", prompt_tokens=1200, completion_tokens=300),
        row(request_id="b", prompt_tokens=90_000, completion_tokens=10, metadata=cached(80_000)),
        row(request_id="c", prompt_tokens=1, completion_tokens=0),
    ]
    await bring_in("litellm", write({"logs.jsonl": "\n".join(map(json.dumps, made))}), zone="FR")
    for entry in await imported(ledger):
        found = estimate(
            find_model("gpt-5-mini"),
            entry.draft.usage,
            reading_for("FR", "openai", NOW_S),
            method_id="wattproof/param",
            location_evidence="caller",
        )
        for name, expected in amounts(found.footprint).items():
            held: Amount | None = getattr(entry.draft, name)
            assert (held is None) == (expected is None)
            if held is not None and expected is not None:
                for ours, theirs in zip((held.median, held.low, held.high), expected, strict=True):
                    assert ours == pytest.approx(theirs, abs=1, rel=1e-12)


def cached(tokens: int) -> dict[str, Any]:
    return {"usage_object": {"prompt_tokens_details": {"cached_tokens": tokens}}}


async def test_the_ledger_stays_sound_and_adds_up(write: Write, bring_in: Import, ledger: Ledger) -> None:
    report = await bring_in("litellm", write({"logs.jsonl": rows(40)}), tags=("team-a",))
    checked = await ledger.fsck()
    assert checked.findings == ()
    for query in (SummaryQuery("local"), SummaryQuery("local", tag="team-a")):
        total = (await ledger.summary(query)).total
        assert total.request_count == 40
        assert total.input_tokens + total.output_tokens == report.input_tokens + report.output_tokens
        assert total.energy_wh is not None
        assert report.energy_nwh is not None
        assert total.energy_wh[0] == pytest.approx(report.energy_nwh.median / 1e9)
    of_session = await ledger.summary(SummaryQuery("local", operation_id="litellm:s1"))
    assert of_session.total.request_count == 13


async def test_the_batch_s_receipt_states_what_its_records_add_up_to(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    report = await bring_in("litellm", write({"logs.jsonl": rows(10) + "\n" + rows(2, 10, model="nobody/knows-it")}))
    jws = await ledger.get_jws(report.batches[0])
    assert jws is not None
    batch = batch_of(parse(jws).payload)
    assert batch is not None
    assert (batch["count"], batch["requests"], batch["energy_known"]) == (12, 12, 10)
    assert batch["usage"]["input_tokens"] == sum(100 + number for number in range(12))
    assert (batch["first_occurred_at"], batch["last_occurred_at"]) == ("2026-11-01T00:00:00Z", "2026-11-01T00:11:00Z")
    assert batch["energy_nwh"]["median"] == pytest.approx(report.energy_nwh.median, rel=1e-9)


async def test_anyone_can_check_a_record_against_the_receipt_of_its_batch(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    await bring_in("litellm", write({"logs.jsonl": rows(11)}))
    keys = keys_from_jwks(ledger.jwks)
    for entry in await imported(ledger):
        proof = await ledger.record_proof("local", entry.receipt_id)
        assert proof is not None
        report = verify_record(proof, keys, now=NOW_S, inclusion=await ledger.inclusion("local", entry.seq))
        assert {name: found.verdict for name, found in report.verdicts.items()} == dict.fromkeys(
            ("signature", "inclusion", "arithmetic", "plausibility", "freshness"), "pass"
        )


async def test_a_model_that_no_edition_lists_is_kept_without_figures(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    report = await bring_in("litellm", write({"logs.jsonl": rows(3, model="nobody/knows-it")}))
    (entry, *_) = await imported(ledger)
    assert entry.draft.energy_nwh is None
    assert entry.draft.reasons["energy_nwh"].startswith("unknown_model")
    assert (entry.draft.model, entry.draft.usage.input_tokens) == ("nobody/knows-it", 100)
    assert report.energy_nwh is None
    assert (await ledger.fsck()).findings == ()
    proof = await ledger.record_proof("local", entry.receipt_id)
    assert proof is not None
    assert verify_record(proof, keys_from_jwks(ledger.jwks)).verdicts["arithmetic"].reason == "no_estimate"


async def test_a_workload_that_no_method_covers_is_kept_without_figures(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    await bring_in("litellm", write({"logs.jsonl": rows(1, call_type="image_generation")}))
    (entry,) = await imported(ledger)
    assert entry.draft.workload == "image"
    assert entry.draft.reasons["energy_nwh"].startswith("not_defined")


async def test_the_location_is_unknown_unless_somebody_states_it(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    await bring_in("litellm", write({"logs.jsonl": rows(1)}))
    await bring_in("litellm", write({"logs.jsonl": rows(1, 1)}), zone="SE-SE3")
    first, second = await imported(ledger)
    assert (first.draft.zone, first.draft.location_evidence, first.draft.tier) == ("unknown:openai", "unknown", "proxy")
    assert (second.draft.zone, second.draft.location_evidence) == ("SE-SE3", "caller")
    with pytest.raises(UnknownZone):
        await bring_in("litellm", write({"logs.jsonl": rows(1, 2)}), zone="Atlantis")


async def test_a_bucket_is_one_entry_that_counts_as_its_requests(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    report = await bring_in("openai-usage", write({"usage.json": json.dumps(openai_page())}))
    (entry,) = await imported(ledger)
    assert (report.records, report.requests, report.buckets) == (1, 500, 1)
    assert (entry.draft.step_kind, entry.draft.attempts) == ("bucket", 500)
    total = (await ledger.summary(SummaryQuery("local"))).total
    assert (total.request_count, total.energy_known_count) == (500, 500)
    one = estimate(
        find_model("gpt-5-mini"),
        Usage(200, 100, 160),
        reading_for(None, "openai", NOW_S),
        method_id="wattproof/param",
    )
    assert entry.draft.energy_nwh is not None
    assert one.footprint.energy_wh is not None
    assert entry.draft.energy_nwh.median == pytest.approx(500 * one.footprint.energy_wh.median * 1e9, rel=1e-9)
    proof = await ledger.record_proof("local", entry.receipt_id)
    assert proof is not None
    assert verify_record(proof, keys_from_jwks(ledger.jwks)).verdicts["arithmetic"].verdict == "pass"
    assert (await ledger.fsck()).findings == ()


async def test_a_bucket_without_a_count_of_requests_leaves_out_attention(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    page = anthropic_page(uncached_input_tokens=10_000_000)
    report = await bring_in("anthropic-usage", write({"usage.json": json.dumps(page)}))
    (entry,) = await imported(ledger)
    assert (report.requests, report.uncounted) == (0, 1)
    assert entry.draft.energy_nwh is not None
    as_one_prompt = estimate(
        find_model("claude-sonnet-4-6"),
        entry.draft.usage,
        reading_for(None, "anthropic", NOW_S),
        method_id="wattproof/param",
    )
    assert as_one_prompt.footprint.energy_wh is not None
    assert entry.draft.energy_nwh.median < as_one_prompt.footprint.energy_wh.median * 1e9
    proof = await ledger.record_proof("local", entry.receipt_id)
    assert proof is not None
    assert verify_record(proof, keys_from_jwks(ledger.jwks)).verdicts["arithmetic"].verdict == "pass"


async def test_a_bucket_that_no_entry_can_hold_is_kept_without_figures(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    page = openai_page(input_tokens=10**12, output_tokens=10**12, input_cached_tokens=0, num_model_requests=1)
    await bring_in("openai-usage", write({"usage.json": json.dumps(page)}))
    (entry,) = await imported(ledger)
    assert entry.draft.energy_nwh is None
    assert entry.draft.reasons["energy_nwh"].startswith("too_large")
    assert (await ledger.fsck()).findings == ()


async def test_more_models_than_one_receipt_can_state_make_more_batches(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    names = [f"someone/model-{number}" for number in range(150)]
    made = [row(request_id=name, model=name, custom_llm_provider=name[:9]) for name in names]
    report = await bring_in("litellm", write({"logs.jsonl": "\n".join(map(json.dumps, made))}))
    assert report.appended == 150
    assert len(report.batches) > 1
    assert (await ledger.fsck()).findings == ()


async def test_a_dry_run_appends_nothing_and_estimates_everything(
    write: Write, bring_in: Import, ledger: Ledger
) -> None:
    report = await bring_in("litellm", write({"logs.jsonl": rows(12)}), ledger=None)
    assert (report.records, report.appended) == (12, 0)
    assert report.energy_nwh is not None
    assert await ledger.head("local") == (0, (await ledger.head("other"))[1])


async def test_only_the_period_that_was_asked_for_is_imported(write: Write, bring_in: Import) -> None:
    folder = write({"logs.jsonl": rows(60)})
    report = await bring_in("litellm", folder, since="2026-11-01T00:10:00Z", until="2026-11-01T00:30:00Z")
    assert report.appended == 20
    assert report.skipped == {"before since": 10, "after until": 30}


async def test_coverage_compares_with_what_the_provider_states(write: Write, bring_in: Import, tmp_path: Path) -> None:
    folder = write({"logs.jsonl": rows(10)})
    stated = tmp_path / "totals.json"
    stated.write_text(json.dumps({"tokens": 8_090, "until": "2026-11-01T00:05:00Z", "provider": "openai"}))
    report = await bring_in("litellm", folder, totals=read_totals(stated, NOW_S))
    assert report.covered_tokens == sum(400 + number for number in range(5))
    assert report.coverage_bps == round(10_000 * report.covered_tokens / 8_090)
    export = tmp_path / "usage.json"
    export.write_text(json.dumps(openai_page()))
    assert read_totals(export, NOW_S).tokens == 150_000


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"tokens": 0}', '{"tokens": "x"}', '{"tokens": 1, "tokns": 2}', "a,b\n1,2\n"]
)
def test_a_file_without_totals_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "totals.json"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        read_totals(path, NOW_S)


async def test_a_file_of_another_format_is_refused_with_what_it_lacks(write: Write, bring_in: Import) -> None:
    with pytest.raises(InvalidInput, match="holds nothing of LiteLLM spend logs: not a row"):
        await bring_in("litellm", write({"logs.jsonl": '{"a": 1}\n{"a": 2}'}))


@pytest.mark.parametrize("content", [b"\x00\x01", b"", b"{", b"request_id,prompt_tokens\n\xff\xfe,1\n"])
async def test_a_file_that_is_no_export_is_refused(write: Write, bring_in: Import, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        await bring_in("litellm", write({"logs.json": content}))


async def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path, bring_in: Import) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        await bring_in("litellm", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no"):
        await bring_in("litellm", tmp_path / "empty")


async def test_progress_is_told_in_bytes_up_to_all_of_them(write: Write, bring_in: Import) -> None:
    told: list[tuple[int, int]] = []
    folder = write({"logs.jsonl": rows(50)})

    def tell(done: int, whole: int) -> None:
        told.append((done, whole))

    await bring_in("litellm", folder, progress=tell)
    size = (folder / "logs.jsonl").stat().st_size
    assert told[-1] == (size, size)
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("spelling", "model"),
    [
        ("claude-sonnet-4-6[1m]", "claude-sonnet-4-6"),
        ("anthropic/claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("bedrock/anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ("openrouter/openai/gpt-5-mini:free", "gpt-5-mini"),
        ("GPT-5-MINI", "gpt-5-mini"),
    ],
)
def test_a_model_is_found_by_the_spellings_of_gateways_and_clouds(spelling: str, model: str) -> None:
    found = known_model(spelling)
    assert found is not None
    assert found.id == model


@pytest.mark.parametrize("spelling", ["my-gpt-5-mini", "gpt-5-mini-20990101", "claude", "", "/", "a" * 500])
def test_a_part_of_a_name_is_no_model(spelling: str) -> None:
    assert known_model(spelling) is None


async def test_an_import_that_was_killed_is_completed_by_the_next(
    tmp_path: Path, write: Write, bring_in: Import
) -> None:
    folder = write({"logs.jsonl": rows(9000)})
    home = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "imports" / "child_import.py"), str(folder), str(home)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        # A line after each batch; some time into the next one it is killed.
        for _ in range(random.Random(7).randint(1, 2)):
            assert child.stdout.readline()
    finally:
        child.kill()
        child.communicate()
    async with open_ledger(home, clock=lambda: NOW_S, random_bytes=os.urandom) as ledger:
        report = await bring_in("litellm", folder, ledger=ledger)
        assert 0 < report.known < 9000
        assert report.known + report.appended == 9000
        assert (await ledger.summary(SummaryQuery("local"))).total.request_count == 9000
        assert (await ledger.fsck(signatures=False)).findings == ()
