"""Old receipts move to a file and back; entries, leaves and totals never move."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, LedgerError, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.archive import Range

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

DAY_S = 86_400
LATER = "2026-11-25T00:00:00Z"


@pytest.fixture
async def receipts(ledger: Ledger, drafts: Drafts, clock: Clock) -> list[str]:
    """Entries 0 … 5, one a day from 2026-11-22 on."""
    names: list[str] = []
    for number in range(6):
        names.append((await drafts.settle(ledger, f"r{number}", tags=("nightly",), decision_json="{}")).receipt_id)
        clock.now_s += DAY_S
    return names


async def test_old_receipts_move_to_a_file_that_only_the_owner_reads(
    ledger: Ledger, receipts: list[str], tmp_path: Path
) -> None:
    target = tmp_path / "old.jsonl.gz"
    jws = await ledger.get_jws(receipts[0])
    archived = await ledger.keeping.archive(LATER, target)
    assert archived is not None
    assert (archived.file, archived.ranges, archived.count) == (str(target), (Range("local", 0, 3),), 3)
    assert target.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in gzip.decompress(target.read_bytes()).splitlines()]
    assert lines[0] == {
        "schema": "wattproof-archive/1",
        "made_at": "2026-11-28T06:00:00Z",
        "logs": [{"log_id": "local", "first_seq": 0, "end_seq": 3}],
    }
    assert lines[1] == {"log_id": "local", "seq": 0, "jws": jws, "decision": "{}"}
    assert lines[-1] == {"count": 3}
    assert [await ledger.get_jws(name) is None for name in receipts] == [True] * 3 + [False] * 3
    assert await ledger.keeping.whereabouts(receipts[2]) == (
        "archived in old.jsonl.gz at 2026-11-28T06:00:00Z; wattproof ledger unarchive FILE brings it back"
    )


async def test_log_and_totals_stay_and_fsck_says_where_the_receipts_are(
    ledger: Ledger, receipts: list[str], tmp_path: Path
) -> None:
    assert len(receipts) == 6
    head, totals = await ledger.head("local"), await ledger.summary(SummaryQuery("local"))
    await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    assert await ledger.head("local") == head
    assert await ledger.summary(SummaryQuery("local")) == totals
    for signatures in (True, False):
        report = await ledger.fsck(signatures=signatures)
        assert report.findings == ()
        (note,) = report.notes
        assert note.where == "entries 0-2"
        assert note.message.startswith(f"their receipts were archived in {tmp_path / 'old.gz'} at 2026-11-28T06:00:00Z")


async def test_they_come_back_as_they_were(ledger: Ledger, receipts: list[str], tmp_path: Path) -> None:
    before = [await ledger.get("local", receipt_id=name) for name in receipts]
    await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    (tmp_path / "old.gz").rename(tmp_path / "moved.gz")
    back = await ledger.keeping.unarchive(tmp_path / "moved.gz")
    assert (back.ranges, back.count) == ((Range("local", 0, 3),), 3)
    assert [await ledger.get("local", receipt_id=name) for name in receipts] == before
    report = await ledger.fsck()
    assert (report.findings, report.notes) == ((), ())


async def test_archives_follow_one_another_and_a_folder_names_them(
    ledger: Ledger, receipts: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    first = await ledger.keeping.archive("2026-11-23T00:00:00Z", folder)
    assert await ledger.keeping.archive("2026-11-23T00:00:00Z", folder) is None
    second = await ledger.keeping.archive(LATER, tmp_path / "second.gz")
    assert first is not None
    assert second is not None
    assert [path.name for path in folder.iterdir()] == ["wattproof-receipts-2026-11-28T060000Z.jsonl.gz"]
    assert (first.ranges, second.ranges) == ((Range("local", 0, 1),), (Range("local", 1, 3),))
    await ledger.keeping.unarchive(Path(first.file))
    again = await ledger.keeping.archive(LATER, tmp_path / "third.gz")
    assert again is not None
    assert again.ranges == (Range("local", 0, 1),)
    assert (await ledger.fsck()).findings == ()
    assert len(receipts) == 6


async def test_an_erased_receipt_is_not_in_the_archive_and_does_not_come_back(
    ledger: Ledger, receipts: list[str], tmp_path: Path
) -> None:
    await ledger.keeping.erase(receipts[1], "test")
    archived = await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    assert archived is not None
    assert archived.count == 2
    assert (await ledger.fsck()).findings == ()
    back = await ledger.keeping.unarchive(tmp_path / "old.gz")
    assert back.count == 2
    assert await ledger.get_jws(receipts[1]) is None
    assert (await ledger.fsck()).findings == ()


async def test_an_archived_receipt_must_come_back_before_it_is_erased(
    ledger: Ledger, receipts: list[str], tmp_path: Path
) -> None:
    await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    with pytest.raises(LedgerError, match=r"is archived in .*old\.gz.*unarchive.*Nothing was erased"):
        await ledger.keeping.erase(receipts[0], "test")


async def test_nothing_is_overwritten(ledger: Ledger, receipts: list[str], tmp_path: Path) -> None:
    (tmp_path / "old.gz").write_text("mine")
    with pytest.raises(InvalidInput, match="exists; give another name"):
        await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    assert (tmp_path / "old.gz").read_text() == "mine"
    assert all([await ledger.get_jws(name) for name in receipts])


async def test_a_file_that_cannot_be_made_costs_nothing(ledger: Ledger, receipts: list[str], tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="No such file or directory"):
        await ledger.keeping.archive(LATER, tmp_path / "nowhere" / "old.gz")
    assert all([await ledger.get_jws(name) for name in receipts])


async def test_a_receipt_that_is_not_that_of_its_entry_stops_the_archive(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None], tmp_path: Path
) -> None:
    async with open_home() as ledger:
        for number in range(3):
            await drafts.settle(ledger, f"r{number}")
    tamper("UPDATE receipt SET jws = replace(jws, '.', '..') WHERE seq = 1")
    async with open_home() as ledger:
        with pytest.raises(LedgerError, match="receipt of entry 1 is not that of the entry"):
            await ledger.keeping.archive(LATER, tmp_path / "old.gz")
        assert (await ledger.get("local", seq=0)).jws is not None  # type: ignore[union-attr]
    assert list(tmp_path.glob("old*")) == []


@pytest.mark.parametrize("cut", [1, 20, -1, -8])
async def test_an_archive_that_was_cut_short_or_changed_is_refused(
    ledger: Ledger, receipts: list[str], tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "old.gz"
    await ledger.keeping.archive(LATER, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(InvalidInput, match="is no archive of this ledger, or was changed"):
        await ledger.keeping.unarchive(path)
    path.write_bytes(whole)
    assert (await ledger.keeping.unarchive(path)).count == 3
    assert all([await ledger.get_jws(name) for name in receipts])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip", "is no archive"),
        (gzip.compress(b"{}\n"), "first line does not say wattproof-archive/1"),
        (gzip.compress(b'{"schema":"wattproof-archive/1"}\n'), "cut short or no JSON"),
        (gzip.compress(b'{"schema":"wattproof-archive/1"}\n{"count":1}\n'), "says 1 receipts and has 0"),
        (gzip.compress(b'{"schema":"wattproof-archive/1"}\n[]\n'), "no JSON object"),
        (gzip.compress(b'{"schema":"wattproof-archive/1"}\n{"seq":1}\n'), "lacks 'log_id'"),
        (
            gzip.compress(b'{"schema":"wattproof-archive/1"}\n{"log_id":"local","seq":"1","jws":"","decision":null}\n'),
            "other types",
        ),
        (gzip.compress(b'{"schema":"wattproof-archive/1"}\n{"count":0}\n')[:-6], "is no archive"),
    ],
    ids=["no gzip", "no schema", "no trailer", "wrong count", "no object", "no log", "wrong type", "no checksum"],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    from wattproof.resources.ledger.archive_file import read_archive

    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(read_archive(path))


async def test_a_file_that_is_not_there_is_named(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        await ledger.keeping.unarchive(tmp_path / "missing.gz")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET provider_request_id = 'x' WHERE seq = 1",
        "UPDATE entry SET model = 'another' WHERE seq = 2",
        "UPDATE archive SET end_seq = 2",
        "UPDATE archive SET at = '2026-11-23T06:00:00Z'",
        "UPDATE archive SET file_sha256 = zeroblob(32)",
        "DELETE FROM archive",
    ],
)
async def test_what_was_changed_while_receipts_were_away_is_found(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None], tmp_path: Path, change: str
) -> None:
    async with open_home() as ledger:
        for number in range(3):
            await drafts.settle(ledger, f"r{number}")
        await ledger.keeping.archive(LATER, tmp_path / "old.gz")
        assert (await ledger.fsck()).findings == ()
    tamper(change)
    async with open_home() as ledger:
        findings = (await ledger.fsck()).findings
    assert any(finding.where.startswith(("archive of 0-", "entry ")) for finding in findings), findings


async def test_archiving_goes_on_after_a_process_died_while_deleting(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Callable[..., None], tmp_path: Path
) -> None:
    async with open_home() as ledger:
        names = [(await drafts.settle(ledger, f"r{number}")).receipt_id for number in range(3)]
        jws = await ledger.get_jws(names[2])
        await ledger.keeping.archive(LATER, tmp_path / "old.gz")
    tamper(f"INSERT INTO receipt VALUES ('local', 2, '{jws}')")
    async with open_home() as ledger:
        assert (await ledger.fsck()).findings == ()
        (tmp_path / "old.gz").rename(tmp_path / "away.gz")
        with pytest.raises(LedgerError, match="is gone or changed"):
            await ledger.keeping.archive(LATER, tmp_path / "new.gz")
        assert await ledger.get_jws(names[2]) == jws
        (tmp_path / "away.gz").rename(tmp_path / "old.gz")
        assert await ledger.keeping.archive(LATER, tmp_path / "new.gz") is None
        assert await ledger.get_jws(names[2]) is None


async def test_a_date_that_is_none_is_named(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="before"):
        await ledger.keeping.archive("yesterday", tmp_path / "old.gz")


async def test_an_empty_ledger_has_nothing_to_archive(ledger: Ledger, tmp_path: Path) -> None:
    assert await ledger.keeping.archive(LATER, tmp_path / "old.gz") is None
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
