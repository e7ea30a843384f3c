"""What the tests that both engines share do not ask of PostgreSQL, and who does not do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import LedgerError
from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.postgres import PostgresLedger
from wattproof.resources.ledger.restatements import RestatementDraft
from wattproof.resources.receipts import Issuer

if TYPE_CHECKING:
    from pathlib import Path


async def test_recent_runs_are_told_by_deployment(ledger: Ledger, drafts: Any) -> None:
    for number, latency_ms in enumerate((100, 300, 200)):
        await drafts.settle(ledger, f"r{number}", latency_ms=latency_ms)
    await drafts.settle(ledger, "r9", status="failed")
    (runs,) = await ledger.recent("local", "2026-11-22T00:00:00Z")
    assert (runs.deployment, runs.runs, runs.failed, runs.latency_ms) == ("ovhcloud/gpt-oss-120b", 4, 1, 200)


async def test_adjustments_are_found_by_what_they_adjust(ledger: Ledger, drafts: Any) -> None:
    for number in range(3):
        await drafts.settle(ledger, f"r{number}", occurred_at=f"2026-11-22T0{number}:00:00Z")
    made = await drafts.settle(ledger, None, kind="adjustment", adjusts=1, source="test", external_id="a")
    assert await ledger.periods.adjusted("local") == {1}
    found = await ledger.periods.adjustments("local", (0, 1))
    assert {seq: [entry.receipt_id for entry in entries] for seq, entries in found.items()} == {1: [made.receipt_id]}
    first = await ledger.periods.entries("local", "2026-11-22T00:30:00Z", "2026-11-23T00:00:00Z", None, 1)
    after = (first[-1].draft.occurred_at, first[-1].seq)
    rest = await ledger.periods.entries("local", "2026-11-22T00:30:00Z", "2026-11-23T00:00:00Z", after, 9)
    assert [entry.seq for entry in (*first, *rest)] == [1, 2, 3]


async def test_a_restatement_is_kept_once(ledger: Ledger, drafts: Any, clock: Any) -> None:
    await drafts.settle(ledger, "r1")
    size, root = await ledger.head("local")
    draft = RestatementDraft(
        "local", "2026-11", "m@1", "a" * 64, "2026-11", "b" * 64, "annual", size, root, "c" * 64, {}
    )
    kept = await ledger.periods.keep(draft)
    clock.now_s += 60
    assert await ledger.periods.keep(draft) == kept
    assert (
        await ledger.periods.restatements("local") == await ledger.periods.restatements("local", "2026-11") == (kept,)
    )
    assert await ledger.periods.restatements("local", "2026-10") == ()


async def test_keys_are_retired_and_revoked_for_every_machine(
    open_home: Callable[..., PostgresLedger], drafts: Any, home: Path, tmp_path: Path
) -> None:
    old, new = Issuer(b"\x06" * 32), Issuer(b"\x08" * 32)
    async with open_home() as ledger:
        await drafts.settle(ledger, "r1")
        await ledger.log.rotate_log_key(new)
        assert await ledger.log.retire_log_key() == old.kid
        await ledger.log.revoke(old.kid)
        assert [key.public_key for key in ledger.log.vkeys("local")] == [new.public_key]
    async with open_home(home=tmp_path / "elsewhere" / home.name, keep=True, log_keys=(new,)) as other:
        assert [key.public_key for key in other.log.vkeys("local")] == [new.public_key]
        assert (await other.fsck()).findings == ()


async def test_what_postgresql_does_not_understand_is_said_and_spoils_no_neighbour(
    ledger: PostgresLedger, drafts: Any
) -> None:
    def of_sqlite(connection: Any, log_id: str) -> Any:
        return connection.execute("SELECT julianday(?)", (log_id,)).fetchone()

    with pytest.raises(LedgerError, match="The ledger in PostgreSQL cannot do this"):
        await ledger._read(of_sqlite, "local")  # pyright: ignore[reportPrivateUsage]
    assert (await drafts.settle(ledger, "r1")).seq == 0
