"""Exports: what is in them, which entries, and that nothing in them runs in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.test_batches import batch_of, usage
from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import Amount, FactorTerm, Ledger, SummaryQuery
from wattproof.resources.ledger.export import COLUMNS, EntryFilter, neutral
from wattproof.resources.receipts import entry_hash, leaf_hash, verify_inclusion
from wattproof.resources.receipts.batch import RecordProof


async def as_csv(ledger: Ledger, wanted: EntryFilter | None = None) -> list[dict[str, str]]:
    pieces: list[str] = []
    count = await ledger.exports.entries("local", wanted or EntryFilter(), "csv", pieces.append)
    found = list(csv.DictReader(io.StringIO("".join(pieces), newline="")))
    assert len(found) == count
    return found


async def as_json(ledger: Ledger, wanted: EntryFilter | None = None) -> list[dict[str, Any]]:
    pieces: list[str] = []
    await ledger.exports.entries("local", wanted or EntryFilter(), "jsonl", pieces.append)
    return [json.loads(line) for line in "".join(pieces).splitlines()]


async def test_cached_and_uncached_tokens_stand_apart(ledger: Ledger, drafts: Any) -> None:
    await drafts.settle(ledger, "r1")
    (row,) = await as_csv(ledger)
    assert (row["input_tokens"], row["uncached_input_tokens"], row["cached_input_tokens"]) == ("1000", "900", "100")
    assert (row["output_tokens"], row["reasoning_tokens"]) == ("400", "20")


async def test_amounts_are_exact_and_in_the_unit_of_their_name(ledger: Ledger, drafts: Any) -> None:
    terms = (FactorTerm("decode", 72_000_001, 5, (), ()),)
    await drafts.settle(
        ledger,
        "r1",
        terms=terms,
        energy_nwh=Amount(72_000_001, 72_000_001, 72_000_001),
        carbon_location_ng=Amount(5, 5, 5),
        water_nl=Amount(7),
        adpe_pgsbeq=Amount(123),
    )
    (row,) = await as_csv(ledger)
    assert (row["energy_wh"], row["carbon_gco2e"]) == ("0.072000001", "0.000000005")
    assert (row["water_ml"], row["adpe_kgsbeq"]) == ("0.000007", "0.000000000000123")
    assert row["carbon_market_gco2e"] == ""
    (fields,) = await as_json(ledger)
    assert (fields["energy_wh"], fields["carbon_gco2e"], fields["adpe_kgsbeq"]) == (0.072000001, 5e-9, 1.23e-13)
    assert fields["carbon_market_gco2e"] is None
    assert fields["reasons"]["carbon_market_ng"] == "no instrument"
    assert tuple(fields) == COLUMNS


async def test_an_export_adds_up_to_the_summary(ledger: Ledger, drafts: Any) -> None:
    for number in range(3):
        await drafts.settle(ledger, f"r{number}")
    await ledger.append_batch(batch_of(usage("a"), usage("b")))
    found = await as_json(ledger)
    total = (await ledger.summary(SummaryQuery("local"))).total
    assert len(found) == total.request_count == 5
    assert sum(each["input_tokens"] for each in found) == total.input_tokens
    assert {each["kind"] for each in found} == {"inference", "imported"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"provider": "nebius"}, ["r2"]),
        ({"model": "gpt-oss-120b", "zone": "FI"}, ["r3"]),
        ({"zone": "FR"}, ["r1", "r2"]),
        ({"tag": "team"}, ["r1"]),
        ({"operation_id": "op"}, ["r2"]),
        ({"status": "failed"}, ["r3"]),
        ({"since": "2026-11-22T06:15:00Z", "until": "2026-11-23T00:00:00Z"}, ["r1", "r2"]),
        ({"until": "2026-11-22T06:15:00Z"}, []),
        ({"kinds": ("imported",)}, []),
        ({"project": "p"}, ["r3"]),
        ({"source": "'; DROP TABLE entry --"}, []),
    ],
    ids=str,
)
async def test_filters_choose_entries(ledger: Ledger, drafts: Any, wanted: dict[str, Any], expected: list[str]) -> None:
    await drafts.settle(ledger, "r1", tags=("team",))
    await drafts.settle(ledger, "r2", provider="nebius", operation_id="op")
    await drafts.settle(ledger, "r3", zone="FI", status="failed", project="p", occurred_at="2026-11-24T00:00:00Z")
    assert [row["request_id"] for row in await as_csv(ledger, EntryFilter(**wanted))] == expected


async def test_text_that_a_spreadsheet_would_run_is_neutralised(ledger: Ledger, drafts: Any) -> None:
    for number, text in enumerate(('=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)", "＝1")):
        await drafts.settle(ledger, f"r{number}", project=text, resolved_model=text)
    for row in await as_csv(ledger):
        assert row["project"].startswith("'")
        assert row["resolved_model"].startswith("'")
    assert (await as_json(ledger))[1]["project"] == "+1"


@given(st.text(max_size=20))
def test_no_text_cell_begins_like_a_formula(text: str) -> None:
    assert not neutral(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert neutral(text).removeprefix("'") in {text, text.removeprefix("'")}


async def test_an_export_does_not_grow_in_memory(ledger: Ledger) -> None:
    for start in range(0, 6000, 2000):
        await ledger.append_batch(batch_of(*(usage(f"r{start + number}") for number in range(2000))))
    peaks: list[int] = []
    for until in (1000, 6000):
        size = 0

        def write(piece: str) -> None:
            nonlocal size
            size += len(piece)

        wanted = EntryFilter() if until == 6000 else EntryFilter(provider="nobody")
        tracemalloc.start()
        await ledger.exports.entries("local", wanted, "csv", write)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert size > 4_000_000
    assert peaks[1] < peaks[0] + 500_000


async def test_receipts_are_a_line_each_in_the_order_of_the_log(ledger: Ledger, drafts: Any) -> None:
    first = await drafts.settle(ledger, "r1")
    await ledger.append_batch(batch_of(usage("a")))
    pieces: list[str] = []
    every = EntryFilter(kinds=("inference", "imported", "operation"))
    assert await ledger.exports.receipts("local", every, pieces.append) == (3, 0)
    lines = "".join(pieces).splitlines()
    assert lines[0] == first.jws
    assert json.loads(lines[2])["external_id"] == "a"
    for seq, line in enumerate(lines):
        entry = await ledger.get("local", seq=seq)
        assert entry is not None
        assert sha256(line.encode()).digest() == entry.entry_hash


async def test_the_same_seed_draws_the_same_sample_and_another_seed_another(ledger: Ledger) -> None:
    await ledger.append_batch(batch_of(*(usage(f"r{number}") for number in range(200))))
    drawn = [await ledger.exports.sample("local", EntryFilter(), 10, seed) for seed in ("a", "a", "b")]
    places = [[each["seq"] for each in sample["sample"]] for sample in drawn]
    assert places[0] == places[1] != places[2]
    assert len(set(places[0])) == 10
    assert drawn[0]["population"] == 200


async def test_anyone_can_draw_the_sample_again_from_the_entries(ledger: Ledger, drafts: Any) -> None:
    settled = [await drafts.settle(ledger, f"r{number}") for number in range(20)]
    sample = await ledger.exports.sample("local", EntryFilter(), 4, "seed")
    ranked = sorted(settled, key=lambda each: sha256(b"seed" + each.entry_hash).digest())
    assert [each["seq"] for each in sample["sample"]] == sorted(each.seq for each in ranked[:4])


async def test_every_receipt_of_a_sample_has_a_proof(ledger: Ledger, drafts: Any) -> None:
    await drafts.settle(ledger, "r1")
    await ledger.append_batch(batch_of(usage("a"), usage("b")))
    sample = await ledger.exports.sample("local", EntryFilter(), 100, "seed")
    assert len(sample["sample"]) == 3
    root = bytes.fromhex(sample["root_hex"])
    for each in sample["sample"]:
        receipt = each["receipt"]
        text = receipt["record"] if "record" in receipt else receipt["jws"]
        entry = entry_hash(text)
        assert entry.hex() == each["entry_hex"]
        hashes = [bytes.fromhex(node) for node in receipt["inclusion"]["hashes"]]
        verify_inclusion(leaf_hash(entry), each["seq"], sample["tree_size"], hashes, root)
    assert RecordProof.from_dict(sample["sample"][-1]["receipt"]).batch


@pytest.mark.parametrize("size", [0, -1, 1001])
async def test_a_sample_of_no_sensible_size_is_refused(ledger: Ledger, size: int) -> None:
    with pytest.raises(InvalidInput, match="size"):
        await ledger.exports.sample("local", EntryFilter(), size, "seed")


async def test_an_empty_log_gives_a_header_and_an_empty_sample(ledger: Ledger) -> None:
    pieces: list[str] = []
    assert await ledger.exports.entries("local", EntryFilter(), "csv", pieces.append) == 0
    assert "".join(pieces) == ",".join(COLUMNS) + "\n"
    assert (await ledger.exports.sample("local", EntryFilter(), 5, "s"))["sample"] == []
