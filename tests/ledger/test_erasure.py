"""One receipt is erased: its words are gone from the disk, the log proves what it proved."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, LedgerError
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.receipts import verify_inclusion
from wattproof.resources.receipts.merkle import leaf_hash

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

DECISION = '{"candidates":["somewhere"]}'


@pytest.fixture
async def receipt(ledger: Ledger, drafts: Drafts) -> str:
    """The receipt of entry 1 of 3, which has a decision."""
    names: list[str] = []
    for number in range(3):
        entry = drafts.draft(f"r{number}", tags=("nightly",), operation_id="op", decision_json=DECISION)
        stated = dict(drafts.payload(entry)("2026-11-22T06:00:00Z"))
        stated["decision_sha256"] = sha256(DECISION.encode()).hexdigest()
        settled = await ledger.settle(entry, lambda at, stated=stated: {**stated, "issued_at": at})
        names.append(settled.receipt_id)
    return names[1]


async def test_receipt_and_decision_go_and_entry_totals_and_proof_stay(ledger: Ledger, receipt: str) -> None:
    before = await ledger.get("local", receipt_id=receipt)
    head, totals = await ledger.head("local"), await ledger.summary(SummaryQuery("local", group_by="model"))
    assert before is not None
    erased = await ledger.keeping.erase(receipt, "asked for by its author")
    assert (erased.log_id, erased.seq, erased.at) == ("local", 1, "2026-11-22T06:00:00Z")
    after = await ledger.get("local", receipt_id=receipt)
    assert after is not None
    assert (after.jws, after.draft.decision_json) == (None, None)
    assert (after.entry_hash, after.draft.usage) == (before.entry_hash, before.draft.usage)
    assert await ledger.get_jws(receipt) is None
    assert await ledger.head("local") == head
    assert await ledger.summary(SummaryQuery("local", group_by="model")) == totals
    proof = await ledger.inclusion("local", 1)
    verify_inclusion(leaf_hash(after.entry_hash), 1, proof.tree_size, proof.hashes, head[1])


async def test_fsck_knows_an_erased_receipt_from_a_missing_one(ledger: Ledger, receipt: str) -> None:
    await ledger.keeping.erase(receipt, "asked for by its author")
    for signatures in (True, False):
        report = await ledger.fsck(signatures=signatures)
        assert report.findings == ()
        assert [(note.where, note.message) for note in report.notes] == [
            ("entry 1", "its receipt was erased at 2026-11-22T06:00:00Z: asked for by its author")
        ]
    assert await ledger.keeping.whereabouts(receipt) == "erased at 2026-11-22T06:00:00Z: asked for by its author"


async def test_nothing_of_it_is_left_on_the_disk(open_home: Callable[..., Ledger], drafts: Drafts, home: Path) -> None:
    async with open_home() as ledger:
        kept = await drafts.settle(ledger, "kept", decision_json='{"kept":"a decision"}')
        gone = await drafts.settle(ledger, "gone", decision_json='{"gone":"a decision"}')
        await ledger.keeping.erase(gone.receipt_id, "test")
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert kept.jws is not None
    assert gone.jws is not None
    # A part of the signature, which nothing else has.
    assert (kept.jws[-60:-20].encode() in everything, gone.jws[-60:-20].encode() in everything) == (True, False)
    assert (b'{"kept":"a decision"}' in everything, b'{"gone":"a decision"}' in everything) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET energy_nwh = energy_nwh - 1 WHERE seq = 1",
        "UPDATE entry SET project = 'another' WHERE seq = 1",
        "UPDATE erasure SET reason = 'another'",
        "UPDATE erasure SET at = '2026-11-23T06:00:00Z'",
        "UPDATE erasure SET seq = 2",
        "UPDATE erasure SET statement = substr(statement, 1, length(statement) - 4) || 'AAAA'",
        "DELETE FROM erasure",
        "INSERT INTO receipt SELECT log_id, 1, jws FROM receipt WHERE seq = 0",
    ],
)
async def test_what_was_changed_after_an_erasure_is_found(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None], change: str
) -> None:
    async with open_home() as ledger:
        names = [(await drafts.settle(ledger, f"r{number}")).receipt_id for number in range(3)]
        await ledger.keeping.erase(names[1], "test")
        assert (await ledger.fsck()).findings == ()
    tamper(change)
    async with open_home() as ledger:
        findings = (await ledger.fsck()).findings
    assert any(finding.where in {"entry 1", "entry 2"} for finding in findings), findings


async def test_an_entry_that_was_tampered_with_is_not_erased(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None]
) -> None:
    async with open_home() as ledger:
        name = (await drafts.settle(ledger)).receipt_id
    tamper("UPDATE entry SET output_tokens = 401 WHERE seq = 0")
    async with open_home() as ledger:
        with pytest.raises(LedgerError, match=r"output_tokens is 401; its receipt states 400.*Nothing was erased"):
            await ledger.keeping.erase(name, "test")
        assert await ledger.get_jws(name) is not None


async def test_what_cannot_be_erased_is_named(ledger: Ledger, receipt: str, clock: Clock) -> None:
    await ledger.keeping.erase(receipt, "first")
    clock.now_s += 60
    with pytest.raises(InvalidInput, match="was erased at 2026-11-22T06:00:00Z"):
        await ledger.keeping.erase(receipt, "again")
    with pytest.raises(InvalidInput, match="'r_unknown', which no entry here has"):
        await ledger.keeping.erase("r_unknown", "test")
    with pytest.raises(InvalidInput, match="reason"):
        await ledger.keeping.erase(receipt, "x" * 201)
    change = await ledger.log.rotate_issuer()
    with pytest.raises(InvalidInput, match="a statement about a key"):
        await ledger.keeping.erase(change.entries[0].receipt_id, "test")


async def test_an_erasure_holds_after_the_key_was_replaced(ledger: Ledger, receipt: str, clock: Clock) -> None:
    await ledger.keeping.erase(receipt, "test")
    clock.now_s += 60
    await ledger.log.rotate_issuer()
    assert (await ledger.fsck()).findings == ()


async def test_whereabouts_of_what_is_there_or_unknown_is_none(ledger: Ledger, receipt: str) -> None:
    assert await ledger.keeping.whereabouts(receipt) is None
    assert await ledger.keeping.whereabouts("r_unknown") is None
