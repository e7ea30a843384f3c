"""Records under one receipt: what fsck finds, what an erased batch leaves, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.imports.grouping import Grouping
from wattproof.resources.imports.records import UsageRecord
from wattproof.resources.imports.stating import batches_of
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.batches import Batch, Record, text_of
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey
from wattproof.resources.providers import load_catalogue
from wattproof.resources.receipts import parse
from wattproof.resources.receipts.batch import read_record, record_text

NOW_S = 1_795_327_200.0


def usage(name: str, **changed: Any) -> UsageRecord:
    record = UsageRecord(
        name,
        "2026-11-20T10:00:00Z",
        "openai",
        "gpt-5-mini",
        1200,
        1000,
        300,
        50,
        "provider",
        cost_micros=420,
        currency="USD",
        operation_id="op_1",
        project="engine",
        latency_ms=900,
        finish_reason="stop",
    )
    return record._replace(**changed)


def batch_of(*records: UsageRecord, tags: tuple[str, ...] = ("a",)) -> Batch:
    grouping = Grouping("litellm", log_id="local", deployments=load_catalogue(), zone="FR", now_s=NOW_S, tags=tags)
    (batch,) = batches_of(grouping.entries(records), grouping, os.urandom)
    return batch


@pytest.fixture
def batch() -> Batch:
    return batch_of(*(usage(f"r{number}", output_tokens=300 + number) for number in range(5)))


Tamper = Callable[..., None]
Open = Callable[..., Ledger]


async def findings(open_home: Open) -> list[tuple[str, str]]:
    async with open_home() as ledger:
        return [(found.where, found.message) for found in (await ledger.fsck()).findings]


async def test_records_follow_the_receipt_that_they_share(ledger: Ledger, batch: Batch) -> None:
    appended = await ledger.append_batch(batch)
    assert (appended.count, appended.known, appended.seq) == (5, 0, 0)
    own = await ledger.get("local", seq=0)
    assert own is not None
    assert (own.draft.kind, own.draft.usage.input_tokens, own.draft.energy_nwh) == ("operation", 0, None)
    for number in range(5):
        entry = await ledger.get("local", seq=1 + number)
        assert entry is not None
        assert entry.draft.parent_id == appended.receipt_id == own.receipt_id
        assert entry.draft.external_id == f"r{number}"
        assert entry.jws is not None
        assert read_record(entry.jws)["external_id"] == f"r{number}"
    assert (await ledger.fsck()).findings == ()


@pytest.mark.parametrize("text", ["a?", "?, ?)", ":size", "50%", "%s %(a)s", "it's", "a\\'b", 'say "x"', "é ☂"])
async def test_what_records_share_is_kept_as_it_is(ledger: Ledger, text: str) -> None:
    await ledger.append_batch(batch_of(usage(text, model=f"unknown {text}"), usage(f"{text}2"), tags=(text,)))
    entries = [await ledger.get("local", seq=seq) for seq in (1, 2)]
    assert {entry.draft.external_id for entry in entries if entry is not None} == {text, f"{text}2"}
    assert {entry.draft.model for entry in entries if entry is not None} == {f"unknown {text}", "gpt-5-mini"}
    assert all(entry is not None and entry.draft.tags == (text,) for entry in entries)
    assert (await ledger.fsck()).findings == ()


async def test_the_receipt_of_a_batch_counts_in_no_total(ledger: Ledger, batch: Batch) -> None:
    await ledger.append_batch(batch)
    total = (await ledger.summary(SummaryQuery("local", group_by="provider"))).total
    assert total.request_count == 5
    assert (await ledger.summary(SummaryQuery("local", operation_id="op_1"))).total.request_count == 5
    assert (await ledger.summary(SummaryQuery("local", tag="a"))).total.request_count == 5


async def test_receipts_of_runs_and_batches_stand_in_one_log(ledger: Ledger, batch: Batch, drafts: Any) -> None:
    await drafts.settle(ledger, "r1")
    await ledger.append_batch(batch)
    await drafts.settle(ledger, "r2")
    assert (await ledger.head("local"))[0] == 8
    assert (await ledger.inclusion("local", 4)).tree_size == 8
    assert (await ledger.summary(SummaryQuery("local"))).total.request_count == 7


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE entry SET input_tokens = input_tokens + 1 WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET energy_nwh = energy_nwh - 1 WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET provider = 'other' WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET external_id = 'r9' WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET project = 'other' WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET cost_micros = 1 WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET source = 'codex' WHERE seq = 2", "entry 2"),
        ("UPDATE entry SET parent_id = 'r_else' WHERE seq = 2", "entry 2"),
        ("UPDATE receipt SET jws = replace(jws, '\"r1\"', '\"r7\"') WHERE seq = 2", "entry 2"),
    ],
)
async def test_a_changed_record_is_found_where_it_is(
    open_home: Open, batch: Batch, tamper: Tamper, statement: str, where: str
) -> None:
    async with open_home() as ledger:
        await ledger.append_batch(batch)
    tamper(statement)
    assert where in {place for place, _ in await findings(open_home)}


async def test_a_removed_record_is_found(open_home: Open, batch: Batch, tamper: Tamper) -> None:
    async with open_home() as ledger:
        await ledger.append_batch(batch)
    tamper(
        "DELETE FROM receipt WHERE seq = 5", "DELETE FROM entry_tag WHERE seq = 5", "DELETE FROM entry WHERE seq = 5"
    )
    assert ("entry 0", "its batch has 5 records; 4 follow it") in await findings(open_home)


async def test_a_record_that_no_batch_signs_for_is_found(open_home: Open, batch: Batch, tamper: Tamper) -> None:
    async with open_home() as ledger:
        appended = await ledger.append_batch(batch)
        await ledger.append_batch(batch_of(usage("x"), usage("y")))
    tamper(f"UPDATE entry SET parent_id = '{appended.receipt_id}' WHERE seq = 8")
    told = dict(await findings(open_home))
    assert "does not sign for" in told["entry 8"]


async def test_a_record_put_in_place_of_a_receipt_is_found(
    open_home: Open, batch: Batch, tamper: Tamper, drafts: Any
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger, "r1")
        await ledger.append_batch(batch)
    tamper(
        "UPDATE receipt SET jws = (SELECT jws FROM receipt WHERE seq = 2) WHERE seq = 0",
        "UPDATE entry SET entry_hash = (SELECT entry_hash FROM entry WHERE seq = 2), "
        "receipt_id = (SELECT receipt_id FROM entry WHERE seq = 2) WHERE seq = 0",
    )
    assert any(place == "entry 0" for place, _ in await findings(open_home))


async def test_an_erased_batch_leaves_its_records_and_no_proof(open_home: Open, batch: Batch, tamper: Tamper) -> None:
    async with open_home() as ledger:
        appended = await ledger.append_batch(batch)
    tamper("DELETE FROM receipt WHERE seq = 0")
    async with open_home() as ledger:
        entry = await ledger.get("local", seq=3)
        assert entry is not None
        assert await ledger.record_proof("local", entry.receipt_id) is None
        assert appended.receipt_id is not None
        assert await ledger.record_proof("local", appended.receipt_id) is None
        assert (await ledger.summary(SummaryQuery("local"))).total.request_count == 5


async def test_only_new_records_of_a_batch_are_appended(ledger: Ledger, batch: Batch) -> None:
    await ledger.append_batch(batch)
    more = batch_of(usage("r3"), usage("new"), usage("new"))
    appended = await ledger.append_batch(more)
    assert (appended.count, appended.known) == (1, 2)
    jws = await ledger.get_jws(appended.receipt_id or "")
    assert jws is not None
    assert parse(jws).payload["batch"]["count"] == 1
    assert (await ledger.append_batch(more)).receipt_id is None
    assert (await ledger.fsck()).findings == ()


async def test_a_batch_without_records_or_nonces_is_refused(ledger: Ledger, batch: Batch) -> None:
    for bad in (
        replace(batch, records=((),)),
        replace(batch, nonces=b"\0" * 16),
        replace(batch, records=(*batch.records, ())),
    ):
        with pytest.raises(InvalidInput):
            await ledger.append_batch(bad)
    assert (await ledger.head("local"))[0] == 0


async def test_records_in_a_simulation_are_synthetic(open_home: Open, batch: Batch, tmp_path: Path) -> None:
    async with open_home(home=tmp_path / "simulated", simulation=True) as ledger:
        await ledger.append_batch(batch)
        entry = await ledger.get("local", seq=1)
        assert entry is not None
        assert entry.draft.synthetic


async def test_imported_usage_counts_in_budgets(ledger: Ledger, batch: Batch) -> None:
    key = BudgetKey("local", "tag", "a", "total", "tokens")
    await ledger.budgets.set(BudgetDraft(key, 10_000), by="operator")
    await ledger.append_batch(batch)
    (room,) = await ledger.budgets.all("local")
    assert room.spent == sum(1200 + 300 + number for number in range(5))


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    external_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    project=texts,
    operation_id=texts,
    numbers=st.lists(st.integers(0, 2**53 - 1), min_size=6, max_size=6),
    latency_ms=st.none() | st.integers(0, 10**9),
)
def test_the_text_of_a_record_is_canonical(
    external_id: str, project: str | None, operation_id: str | None, numbers: list[int], latency_ms: int | None
) -> None:
    record = Record(
        external_id,
        "2026-11-20T10:00:00Z",
        (numbers[0], numbers[1], numbers[2], numbers[3]),
        (numbers[4], numbers[4], numbers[5], *(None,) * 12),
        project=project,
        operation_id=operation_id,
        latency_ms=latency_ms,
    )
    text = text_of(record, "ab" * 32, b"\1" * 16)
    assert text.isascii()
    read = read_record(text)
    assert record_text(read) == text
    assert (read["external_id"], read["project"], read["operation_id"]) == (external_id, project, operation_id)
    assert read["amounts"] == [[numbers[4], numbers[4], numbers[5]], None, None, None, None]
