"""What an evidence pack takes from a ledger: in constant memory, and only what the checkpoint signed."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

from tests.ledger.test_batches import batch_of, usage
from wattproof.resources.ledger import Ledger
from wattproof.resources.receipts.checkpoint import open_checkpoint
from wattproof.resources.receipts.merkle import leaf_hash
from wattproof.resources.receipts.pack.span import span_root


async def sequence(ledger: Ledger, scope: Any, drawn: frozenset[int] | None = None) -> list[list[str]]:
    pieces: list[str] = []
    await ledger.exports.pack.sequence(scope, drawn, pieces.append)
    return [line.split(",") for line in "".join(pieces).splitlines()[1:]]


async def test_the_entries_of_a_period_lead_to_the_signed_root(ledger: Ledger, drafts: Any) -> None:
    for number, day in enumerate((20, 21, 22, 21, 23)):
        await drafts.settle(ledger, f"r{number}", occurred_at=f"2026-11-{day}T00:00:00Z")
    note = await ledger.log.checkpoint("local")
    scope = await ledger.exports.pack.scope("local", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", note)
    assert (scope.first, scope.end, scope.size) == (1, 4, 5)
    rows = await sequence(ledger, scope)
    assert [row[3] for row in rows] == ["receipt", "other period", "receipt"]
    assert [row[3] for row in await sequence(ledger, scope, frozenset({3}))] == ["not drawn", "other period", "receipt"]
    leaves = [leaf_hash(bytes.fromhex(row[1])) for row in rows]
    root = span_root(scope.first, scope.end, scope.size, leaves, await ledger.exports.pack.proof(scope))
    assert root == open_checkpoint(note, ledger.log.vkeys("local")).root


async def test_what_came_behind_the_checkpoint_is_not_packed_and_is_noticed(ledger: Ledger, drafts: Any) -> None:
    await drafts.settle(ledger, "r1")
    scope = await ledger.exports.pack.scope("local", None, None, await ledger.log.checkpoint("local"))
    assert not await ledger.exports.pack.grew(scope)
    await drafts.settle(ledger, "r2")
    assert await ledger.exports.pack.grew(scope)
    assert len(await sequence(ledger, scope)) == 1


async def test_records_bring_the_receipt_of_their_batch_and_all_its_places(ledger: Ledger, drafts: Any) -> None:
    await drafts.settle(ledger, "r1", occurred_at="2026-10-01T00:00:00Z")
    await ledger.append_batch(batch_of(usage("a"), usage("b")))
    note = await ledger.log.checkpoint("local")
    record = await ledger.get("local", seq=2)
    assert record is not None
    scope = await ledger.exports.pack.scope("local", record.draft.occurred_at, None, note)
    assert (scope.first, scope.end) == (1, 4)
    lines: list[str] = []
    count, _ = await ledger.exports.pack.receipts(scope, frozenset({2}), lines.append)
    found = [json.loads(line) for line in lines]
    assert count == 3
    assert ["jws" in line for line in found] == [True, False, False]
    assert ["tlog_proof" in line for line in found] == [False, True, False]


async def test_a_pack_does_not_grow_in_memory(ledger: Ledger) -> None:
    for start in range(0, 4000, 2000):
        await ledger.append_batch(batch_of(*(usage(f"r{start + number}") for number in range(2000))))
    note = await ledger.log.checkpoint("local")
    peaks: list[int] = []
    for until in ("2000-01-01T00:00:00Z", None):
        scope = await ledger.exports.pack.scope("local", None, until, note)
        size = 0

        def write(piece: str) -> None:
            nonlocal size
            size += len(piece)

        tracemalloc.start()
        await ledger.exports.pack.receipts(scope, frozenset(), write)
        await ledger.exports.pack.sequence(scope, None, write)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert size > 2_000_000
    assert peaks[1] < peaks[0] + 500_000
