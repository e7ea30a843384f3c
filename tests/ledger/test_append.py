"""Entries get a place in the log, a receipt and a proof, in one durable step."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, LedgerError
from wattproof.resources.ledger import Amount, FactorTerm, Ledger
from wattproof.resources.receipts import (
    entry_hash,
    keys_from_jwks,
    leaf_hash,
    parse,
    receipt_id,
    verify_inclusion,
)
from wattproof.resources.receipts.jws import verify

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts


async def test_an_entry_is_found_by_receipt_place_and_request(ledger: Ledger, drafts: Drafts) -> None:
    settled = await drafts.settle(ledger, "r1", tags=("nightly", "é"), decision_json="{}", finish_reason="stop")
    assert await ledger.get("local", receipt_id=settled.receipt_id) == settled
    assert await ledger.get("local", seq=0) == settled
    assert await ledger.get("local", request_id="r1") == settled
    assert await ledger.get("other", seq=0) is None


async def test_a_look_up_needs_exactly_one_key(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="exactly one"):
        await ledger.get("local", seq=0, request_id="r1")


async def test_the_receipt_states_when_it_was_issued_and_is_signed_by_the_home(ledger: Ledger, drafts: Drafts) -> None:
    settled = await drafts.settle(ledger)
    assert settled.jws == await ledger.get_jws(settled.receipt_id)
    parsed = parse(settled.jws or "")
    verify(parsed, keys_from_jwks(ledger.jwks))
    assert parsed.payload["issued_at"] == settled.recorded_at == "2026-11-22T06:00:00Z"
    assert settled.entry_hash == entry_hash(settled.jws or "")
    assert settled.receipt_id == receipt_id(settled.entry_hash)


async def test_an_unknown_receipt_is_none(ledger: Ledger) -> None:
    assert await ledger.get_jws("r_" + "a" * 26) is None


async def test_every_entry_is_proved_to_be_in_every_later_tree(ledger: Ledger, drafts: Drafts) -> None:
    roots = [(await ledger.head("local"))[1]]
    entries: list[bytes] = []
    for number in range(13):
        entries.append((await drafts.settle(ledger, f"r{number}")).entry_hash)
        roots.append((await ledger.head("local"))[1])
    for size in range(1, 14):
        for seq in range(size):
            proof = await ledger.inclusion("local", seq, size)
            assert (proof.log_id, proof.index, proof.tree_size, proof.root) == ("local", seq, size, roots[size])
            verify_inclusion(leaf_hash(entries[seq]), seq, size, proof.hashes, proof.root)


@pytest.mark.parametrize(("seq", "size"), [(1, None), (0, 2), (-1, 1), (0, 0)])
async def test_a_proof_of_what_is_not_there_is_refused(
    ledger: Ledger, drafts: Drafts, seq: int, size: int | None
) -> None:
    await drafts.settle(ledger)
    with pytest.raises(InvalidInput, match="seq"):
        await ledger.inclusion("local", seq, size)


async def test_an_unknown_log_is_an_empty_tree(ledger: Ledger) -> None:
    size, root = await ledger.head("nobody")
    assert (size, root.hex()[:8]) == (0, "e3b0c442")


async def test_logs_do_not_share_places(ledger: Ledger, drafts: Drafts) -> None:
    first, second = await drafts.settle(ledger), await drafts.settle(ledger, log_id="tenant")
    assert (first.seq, second.seq) == (0, 0)
    assert await ledger.logs() == ("local", "tenant")
    assert (await ledger.head("local"))[1] != (await ledger.head("tenant"))[1]


async def test_many_callers_at_once_get_every_place_once(ledger: Ledger, drafts: Drafts) -> None:
    settled = await asyncio.gather(*(drafts.settle(ledger, f"r{number}") for number in range(100)))
    assert sorted(one.seq for one in settled) == list(range(100))
    assert (await ledger.fsck()).findings == ()


async def test_one_bad_request_does_not_spoil_its_neighbours(ledger: Ledger, drafts: Drafts) -> None:
    def not_canonical(issued_at: str) -> Mapping[str, Any]:
        return {"issued_at": issued_at, "energy": 0.5}

    def broken(issued_at: str) -> Mapping[str, Any]:
        return {"issued_at": issued_at, "energy": 1 // 0}

    entry = drafts.draft("bad")
    outcomes = await asyncio.gather(
        drafts.settle(ledger, "r1"),
        ledger.settle(entry, not_canonical),
        drafts.settle(ledger, "r2"),
        ledger.settle(entry, broken),
        drafts.settle(ledger, "wrong type", latency_ms="fast"),
        drafts.settle(ledger, "r3"),
        return_exceptions=True,
    )
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["Settled", "InvalidInput", "Settled", "ZeroDivisionError", "IntegrityError", "Settled"]
    assert (await ledger.head("local"))[0] == 3
    assert (await ledger.fsck()).findings == ()


async def test_a_caller_who_stops_waiting_leaves_the_ledger_sound(ledger: Ledger, drafts: Drafts) -> None:
    tasks = [asyncio.create_task(drafts.settle(ledger, f"r{number}")) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(not isinstance(outcome, BaseException) for outcome in outcomes[1::2])
    assert (await ledger.fsck()).findings == ()


async def test_a_closed_ledger_says_so(ledger: Ledger, drafts: Drafts) -> None:
    await ledger.aclose()
    await ledger.aclose()
    with pytest.raises(LedgerError, match="closed"):
        await drafts.settle(ledger)
    with pytest.raises(LedgerError, match="closed"):
        await ledger.head("local")


async def test_what_was_queued_before_the_close_is_written(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    ledger = open_home()
    waiting = [asyncio.create_task(drafts.settle(ledger, f"r{number}")) for number in range(10)]
    await asyncio.sleep(0)
    await ledger.aclose()
    assert sorted(one.seq for one in await asyncio.gather(*waiting)) == list(range(10))


async def test_pages_run_from_the_newest_to_the_oldest(ledger: Ledger, drafts: Drafts) -> None:
    for number in range(5):
        await drafts.settle(ledger, f"r{number}", operation_id="op" if number % 2 else None)
    first = await ledger.entries("local", limit=3)
    assert [one.seq for one in first.entries] == [4, 3, 2]
    last = await ledger.entries("local", limit=3, cursor=first.next_cursor)
    assert ([one.seq for one in last.entries], last.next_cursor) == ([1, 0], None)
    of_operation = await ledger.entries("local", operation_id="op")
    assert [one.seq for one in of_operation.entries] == [3, 1]


@pytest.mark.parametrize("limit", [0, 501])
async def test_a_page_has_a_bounded_length(ledger: Ledger, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        await ledger.entries("local", limit=limit)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("log_id", {"log_id": ""}),
        ("request_id", {"request_id": "a\x00b"}),
        ("occurred_at", {"occurred_at": "2026-11-22T06:00:00.5Z"}),
        ("occurred_at", {"occurred_at": "2026-11-22T07:00:00+01:00"}),
        ("occurred_at", {"occurred_at": "yesterday"}),
        ("occurred_at", {"occurred_at": "2026-13-01T00:00:00Z"}),
        ("tags", {"tags": tuple(f"t{k}" for k in range(17))}),
        ("tags", {"tags": ("twice", "twice")}),
        ("tags", {"tags": ("",)}),
        ("energy_nwh", {"energy_nwh": Amount(5, 6, 7)}),
        ("energy_nwh", {"energy_nwh": Amount(5, None, 7)}),
        ("water_nl", {"water_nl": Amount(-1)}),
        ("water_nl", {"water_nl": Amount(2**53)}),
        ("cost_micros", {"cost_micros": -1}),
        ("terms", {"terms": ()}),
        ("terms", {"terms": (FactorTerm("decode", 2**53, 1, (), ()),)}),
        ("terms", {"carbon_location_ng": None}),
    ],
)
async def test_a_malformed_entry_is_refused_by_field(
    ledger: Ledger, drafts: Drafts, field: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await drafts.settle(ledger, **changed)
    assert refused.value.field == field
    assert (await ledger.head("local"))[0] == 0


async def test_an_amount_without_interval_needs_no_terms(ledger: Ledger, drafts: Drafts) -> None:
    settled = await drafts.settle(ledger, terms=(), energy_nwh=Amount(5_000_000), carbon_location_ng=None)
    assert await ledger.get("local", seq=0) == settled


async def test_entries_cannot_be_changed_or_removed_through_the_database(
    ledger: Ledger, drafts: Drafts, home: Path
) -> None:
    await drafts.settle(ledger)
    connection = sqlite3.connect(home / "ledger.sqlite3")
    for statement in (
        "UPDATE entry SET input_tokens = 0",
        "DELETE FROM entry",
        "UPDATE receipt SET jws = ''",
        "UPDATE head SET size = 0",
        "DELETE FROM head",
        "UPDATE factor_signature SET json = '{}'",
        "DELETE FROM dimension",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()


async def test_a_simulation_says_so_in_every_receipt(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home(simulation=True) as ledger:
        settled = await drafts.settle(ledger)
        assert parse(settled.jws or "").typ == "wattproof-simulation+jws"
        assert settled.draft.synthetic


async def test_the_write_ahead_log_does_not_grow_without_end(ledger: Ledger, drafts: Drafts, home: Path) -> None:
    filler = "x" * 60_000
    for number in range(160):
        await drafts.settle(ledger, f"r{number}", decision_json=filler)
    assert (home / "ledger.sqlite3-wal").stat().st_size < 6 << 20


async def test_time_is_taken_from_the_clock(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    clock.now_s += 3600
    assert (await drafts.settle(ledger)).recorded_at == "2026-11-22T07:00:00Z"
