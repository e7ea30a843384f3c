"""Backup, restore, archive, unarchive, erase and fsck as an operator runs them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Wattproof = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def receipts(wattproof: Wattproof) -> list[str]:
    """A home whose log holds three steps of a workflow; their receipts."""
    steps = [
        {"step_id": f"s{number}", "model": "gpt-oss-120b", "usage": {"input_tokens": 100, "output_tokens": 50}}
        for number in range(3)
    ]
    recorded = wattproof("operation", "record", "op", "--steps", json.dumps(steps))
    assert recorded.returncode == 0, recorded.stderr
    listed = wattproof("export", "entries", "--format", "jsonl")
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line)["receipt_id"] for line in listed.stdout.splitlines()]


def _done(finished: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert finished.returncode == 0, finished.stderr
    return finished


def test_fsck_says_whether_signatures_were_checked(wattproof: Wattproof, receipts: list[str]) -> None:
    fast, slow = _done(wattproof("ledger", "fsck")), _done(wattproof("ledger", "fsck", "--signatures", "--json"))
    assert fast.stdout == (
        "3 entries in 1 log(s) examined, without signatures (add --signatures); everything recomputes.\n"
    )
    report = json.loads(slow.stdout)
    assert (report["sound"], report["signatures"], report["entry_count"]) == (True, True, len(receipts))


@pytest.mark.usefixtures("receipts")
def test_a_backup_is_restored_elsewhere_and_the_fork_is_named(wattproof: Wattproof, tmp_path: Path) -> None:
    copy, back = tmp_path / "copy.tar.gz", str(tmp_path / "back")
    made = json.loads(_done(wattproof("ledger", "backup", str(copy), "--with-keys", "--json")).stdout)
    assert (made["file"], made["with_keys"], made["logs"][0]["size"]) == (str(copy), True, 3)
    restored = _done(wattproof("ledger", "restore", str(copy), WATTPROOF_HOME=back))
    assert f"log local: 3 entries, root {made['logs'][0]['root_hex']}" in restored.stdout
    assert "(a fork)" in restored.stderr
    assert "holds no private keys" not in restored.stderr
    fsck = _done(wattproof("ledger", "fsck", WATTPROOF_HOME=back))
    assert "note: restored: at 20" in fsck.stdout
    again = wattproof("ledger", "restore", str(copy), WATTPROOF_HOME=back)
    assert (again.returncode, again.stdout) == (2, "")
    assert "nothing is overwritten" in again.stderr


@pytest.mark.usefixtures("receipts")
def test_a_backup_without_keys_says_what_is_needed(wattproof: Wattproof, tmp_path: Path) -> None:
    made = _done(wattproof("ledger", "backup", str(tmp_path)))
    (copy,) = tmp_path.glob("wattproof-*.tar.gz")
    assert "without private keys" in made.stdout
    restored = _done(wattproof("ledger", "restore", str(copy), "--signatures", WATTPROOF_HOME=str(tmp_path / "back")))
    assert "The copy holds no private keys. Put issuer.key and log.key into" in restored.stderr


def test_receipts_are_archived_and_come_back(wattproof: Wattproof, receipts: list[str], tmp_path: Path) -> None:
    file = str(tmp_path / "old.gz")
    none = _done(wattproof("ledger", "archive", "--before", "2020-01-01", "--to", file))
    assert none.stdout == "No receipt of an entry recorded before 2020-01-01T00:00:00Z is left to archive.\n"
    moved = _done(wattproof("ledger", "archive", "--before", "2999-01-01", "--to", file))
    assert moved.stdout == f"3 receipts moved to {file}: entries 0-2 of log local\n"
    assert f"archived in {file}" in _done(wattproof("ledger", "fsck", "--signatures")).stdout
    verified = wattproof("verify", receipts[0])
    assert (verified.returncode, verified.stdout) == (2, "")
    assert "is archived in old.gz at 20" in verified.stderr
    shown = json.loads(_done(wattproof("receipt", receipts[0])).stdout)
    assert shown["jws"] is None
    assert shown["whereabouts"].startswith("archived in old.gz at 20")
    refused = wattproof("ledger", "erase", receipts[0], "--reason", "test")
    assert refused.returncode == 1
    assert "unarchive" in refused.stderr
    back = json.loads(_done(wattproof("ledger", "unarchive", file, "--json")).stdout)
    assert back == {"file": file, "count": 3, "logs": [{"log_id": "local", "first_seq": 0, "end_seq": 3}]}
    assert "archived" not in _done(wattproof("ledger", "fsck", "--signatures")).stdout


def test_a_receipt_is_erased_and_fsck_says_so(wattproof: Wattproof, receipts: list[str]) -> None:
    erased = json.loads(_done(wattproof("ledger", "erase", receipts[1], "--reason", "asked for", "--json")).stdout)
    assert (erased["receipt_id"], erased["seq"], erased["write_ahead_log_bytes"]) == (receipts[1], 1, 0)
    fsck = _done(wattproof("ledger", "fsck", "--signatures"))
    assert "note: entry 1: its receipt was erased at 20" in fsck.stdout
    assert "everything recomputes" in fsck.stdout
    assert "is erased at 20" in wattproof("verify", receipts[1]).stderr
    unknown = wattproof("ledger", "erase", "r_none", "--reason", "asked for")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "'r_none', which no entry here has" in unknown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "copy.tar.gz"),
        ("archive", "--before", "2026-01-01", "--to", "old.gz"),
        ("unarchive", "old.gz"),
        ("erase", "r_none", "--reason", "test"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_a_ledger_nothing_is_made(wattproof: Wattproof, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = wattproof("ledger", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no ledger yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_in_postgresql_is_not_copied_as_a_file(
    wattproof: Wattproof, receipts: list[str], tmp_path: Path
) -> None:
    assert len(receipts) == 3
    database = {"WATTPROOF_LEDGER": "postgresql://db.example/wattproof"}
    for arguments in (("backup", str(tmp_path / "copy")), ("restore", str(tmp_path / "copy"))):
        done = wattproof("ledger", *arguments, **database)
        assert (done.returncode, done.stdout) == (1, "")
        assert "pg_dump" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_the_doctor_names_the_sqlite_in_use(wattproof: Wattproof) -> None:
    report = json.loads(wattproof("doctor", "--json").stdout)
    (sqlite,) = [check for check in report["checks"] if check["name"] == "sqlite"]
    assert sqlite["level"] in {"ok", "note"}
    assert "SQLite 3." in sqlite["detail"]
    assert (sqlite["level"] == "note") == ("file lock" in sqlite["detail"])
