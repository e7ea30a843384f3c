"""fsck recomputes everything that follows from the receipts and says exactly what differs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.resources.ledger import FsckReport, Ledger

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

Tamper = Callable[..., None]


@pytest.fixture
async def filled(open_home: Callable[..., Ledger], drafts: Drafts, clock: Clock) -> None:
    """A closed home with five entries, r0 … r4."""
    async with open_home() as ledger:
        for number in range(5):
            opened = await ledger.open_attempt(drafts.attempt(f"r{number}", lease_expires_at=clock() + 60))
            entry = drafts.draft(f"r{number}", tags=("nightly",), operation_id="op")
            await ledger.settle(entry, drafts.payload(entry), getattr(opened, "attempt_no", None))


async def findings_after(tamper: Tamper, open_home: Callable[..., Ledger], *statements: str) -> list[str]:
    tamper(*statements)
    async with open_home() as ledger:
        report = await ledger.fsck()
    assert report.sound == (not report.findings)
    return [f"{finding.where}: {finding.message}" for finding in report.findings]


@pytest.mark.usefixtures("filled")
async def test_an_untouched_ledger_is_sound(open_home: Callable[..., Ledger]) -> None:
    async with open_home() as ledger:
        assert await ledger.fsck() == FsckReport(("local",), 5, (), ())
        assert await ledger.fsck("local") == FsckReport(("local",), 5, (), ())


@pytest.mark.usefixtures("filled")
async def test_a_flipped_bit_of_a_receipt_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    flip = "UPDATE receipt SET jws = substr(jws, 1, 299) || 'A' || substr(jws, 301) WHERE seq = 2"
    found = await findings_after(tamper, open_home, flip)
    assert len(found) == 1
    assert found[0].startswith("entry 2: its receipt does not hash to entry_hash ")


@pytest.mark.usefixtures("filled")
async def test_a_flipped_bit_of_an_entry_hash_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    found = await findings_after(tamper, open_home, "UPDATE entry SET entry_hash = zeroblob(32) WHERE seq = 1")
    assert [line.split(" is ")[0] for line in found] == [
        f"entry 1: its receipt does not hash to entry_hash {'00' * 32}",
        "head: root",
    ]


@pytest.mark.usefixtures("filled")
async def test_a_dropped_entry_is_found_everywhere(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    found = await findings_after(tamper, open_home, "DELETE FROM entry WHERE seq = 3")
    assert "entry 3: missing" in found
    assert "head: size is 5, of the frontier 5; there are 4 entries" in found
    assert "attempt 1 of r3: is settled, but no entry has its request_id" in found
    assert any(line.startswith("rollup day 2026-11-22 of ovhcloud/gpt-oss-120b/FR/") for line in found)
    assert any("request_count is 5; the entries add up to 4" in line for line in found)
    assert any(line.startswith("receipt: row ") for line in found)


@pytest.mark.usefixtures("filled")
async def test_the_last_entry_cut_off_with_its_receipt_is_found(
    tamper: Tamper, open_home: Callable[..., Ledger]
) -> None:
    cut = [f"DELETE FROM {table} WHERE seq = 4" for table in ("receipt", "entry_tag", "entry")]
    found = await findings_after(tamper, open_home, *cut)
    assert "head: size is 5, of the frontier 5; there are 4 entries" in found


@pytest.mark.usefixtures("filled")
async def test_a_changed_amount_of_an_entry_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    found = await findings_after(
        tamper, open_home, "UPDATE entry SET output_tokens = 399, energy_nwh = energy_nwh + 1 WHERE seq = 0"
    )
    assert "entry 0: output_tokens is 399; its receipt states 400" in found
    assert any(line.startswith("entry 0: energy_nwh is (") for line in found)
    assert any("output_tokens is 2000; the entries add up to 1999" in line for line in found)


@pytest.mark.usefixtures("filled")
async def test_changed_terms_are_found_even_with_their_rollups(
    tamper: Tamper, open_home: Callable[..., Ledger]
) -> None:
    found = await findings_after(
        tamper,
        open_home,
        "UPDATE entry SET e0 = e0 - 9000000 WHERE seq = 0",
        *(f"UPDATE {table} SET e0 = e0 - 9000000" for table in ("rollup", "operation_rollup", "tag_rollup")),
    )
    assert len(found) == 1
    assert found[0].startswith("entry 0: its terms add up to a median energy_nwh of ")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("rollup", "rollup month 2026-11 of ovhcloud/gpt-oss-120b/FR/wattproof/param@1.0.0"),
        ("operation_rollup", "operation_rollup op of ovhcloud/gpt-oss-120b/FR/wattproof/param@1.0.0"),
        ("tag_rollup", "tag_rollup nightly of ovhcloud/gpt-oss-120b/FR/wattproof/param@1.0.0"),
    ],
)
async def test_a_changed_total_is_found(
    tamper: Tamper, open_home: Callable[..., Ledger], table: str, where: str
) -> None:
    found = await findings_after(tamper, open_home, f"UPDATE {table} SET cost_micros = cost_micros - 1")
    assert f"{where}: cost_micros is 1389; the entries add up to 1390" in found


@pytest.mark.usefixtures("filled")
async def test_a_removed_total_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    (found,) = await findings_after(tamper, open_home, "DELETE FROM rollup WHERE level = 'hour'")
    assert found.startswith("rollup hour 2026-11-22T06 of ")
    assert found.endswith(": missing, though there are entries")


@pytest.mark.usefixtures("filled")
async def test_an_invented_total_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    invent = "UPDATE rollup SET bucket = '2026-10' WHERE level = 'month'"
    invented, missing = await findings_after(tamper, open_home, invent)
    assert invented.endswith(": exists, though there are no entries")
    assert missing.endswith(": missing, though there are entries")


@pytest.mark.usefixtures("filled")
async def test_a_removed_receipt_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    assert await findings_after(tamper, open_home, "DELETE FROM receipt WHERE seq = 2") == [
        "entry 2: its receipt is missing"
    ]


@pytest.mark.usefixtures("filled")
async def test_a_moved_tag_is_found(tamper: Tamper, open_home: Callable[..., Ledger]) -> None:
    found = await findings_after(tamper, open_home, "UPDATE entry_tag SET tag = 'daily' WHERE seq = 2")
    assert "entry 2: the tag 'daily' is in one of `entry` and `entry_tag` only" in found
    assert "entry 2: the tag 'nightly' is in one of `entry` and `entry_tag` only" in found


@pytest.mark.usefixtures("filled")
async def test_an_entry_that_cannot_be_read_does_not_end_the_report(
    tamper: Tamper, open_home: Callable[..., Ledger]
) -> None:
    found = await findings_after(
        tamper, open_home, "UPDATE entry SET reasons = '{' WHERE seq = 0", "DELETE FROM receipt WHERE seq = 4"
    )
    assert found[0].startswith("entry 0: cannot be read: ")
    assert found[1:] == ["entry 4: its receipt is missing"]


async def test_a_receipt_of_a_stranger_is_found(open_home: Callable[..., Ledger], drafts: Drafts, home: Path) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    (home / "keys" / "jwks.json").write_text('{"keys": []}')
    (home / "keys" / "issuer.key").write_bytes(b"\x09" * 32)
    async with open_home() as ledger:
        (found,) = (await ledger.fsck()).findings
    assert found.where == "entry 0"
    assert found.message.startswith("its receipt fails: No known key has the id ")


@pytest.mark.usefixtures("filled")
async def test_damaged_pages_are_reported(open_home: Callable[..., Ledger], home: Path) -> None:
    path = home / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'receipt'").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)
    async with open_home() as ledger:
        report = await ledger.fsck()
    assert not report.sound
    assert any(finding.where == "database" for finding in report.findings)


async def test_open_tries_are_explained(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    await ledger.open_attempt(drafts.attempt("lost", lease_expires_at=clock() + 60))
    clock.now_s += 61
    await ledger.open_attempt(drafts.attempt("running", lease_expires_at=clock() + 60))
    report = await ledger.fsck()
    assert report.sound
    assert [(note.where, note.message) for note in report.notes] == [
        (
            "attempt 1 of lost",
            (
                "begun at 2026-11-22T06:00:00Z and never settled: "
                "its process ended before the lease did (2026-11-22T06:01:00Z)"
            ),
        ),
        ("attempt 1 of running", "running since 2026-11-22T06:01:01Z; its lease ends at 2026-11-22T06:02:01Z"),
    ]


async def test_a_long_list_is_cut_and_counted(ledger: Ledger, drafts: Drafts, clock: Clock) -> None:
    for number in range(203):
        await ledger.open_attempt(drafts.attempt(f"r{number}", lease_expires_at=clock() + 60))
    notes = (await ledger.fsck()).notes
    assert (len(notes), notes[-1].message) == (201, "and 3 more of this kind")
