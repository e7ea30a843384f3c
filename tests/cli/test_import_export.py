"""`wattproof import` and `wattproof export` as a person or a script calls them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Wattproof

MESSAGE: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 4, "cache_read_input_tokens": 30_000, "output_tokens": 211},
}
SESSION: dict[str, Any] = {
    "type": "assistant",
    "sessionId": "s-1",
    "cwd": "/home/ada/engine",
    "timestamp": "2026-11-20T10:31:43.399Z",
    "requestId": "req_1",
}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Where Claude Code keeps its logs for this user."""
    folder = tmp_path / ".claude" / "projects" / "-home-ada-engine"
    folder.mkdir(parents=True)
    lines = [{**SESSION, "message": {**MESSAGE, "id": f"msg_{n}"}} for n in range(5)]
    (folder / "s-1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_logs_are_found_where_their_program_keeps_them(wattproof: Wattproof, logs: Path) -> None:
    done = wattproof("import", "claude-code", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "claude-code: 5 records in 1 file: would append up to 5" in done.stdout
    assert "150,000 cached" in done.stdout
    assert "methodology wattproof/param@1.0.0" in done.stdout


def test_a_dry_run_makes_no_ledger(wattproof: Wattproof, logs: Path, tmp_path: Path) -> None:
    wattproof("import", "claude-code", "--dry-run")
    assert not (tmp_path / "home" / "ledger.sqlite3").exists()


def test_an_import_is_told_as_data(wattproof: Wattproof, logs: Path) -> None:
    first = json.loads(wattproof("import", "claude-code", "--zone", "FR", "--tag", "team-a", "--json").stdout)
    again = json.loads(wattproof("import", "claude-code", str(logs), "--json").stdout)
    assert (first["appended"], again["appended"], again["already_known"]) == (5, 0, 5)
    assert first["provenance"]["region_scope"] == "FR"
    assert first["batch_count"] == len(first["batch_receipts"]) == 1
    assert first["models"][0]["model"] == "claude-sonnet-4-6"
    summary = json.loads(wattproof("summary", "--tag", "team-a", "--json").stdout)
    assert summary["request_count"] == 5


def test_exports_of_an_import_can_be_checked_elsewhere(wattproof: Wattproof, logs: Path, tmp_path: Path) -> None:
    wattproof("import", "claude-code")
    drawn = wattproof("export", "sample", "2", "--seed", "abc", "--output", str(tmp_path / "sample.json"))
    assert drawn.returncode == 0, drawn.stderr
    assert "2 of 5 receipts; --seed abc" in drawn.stderr
    sample = json.loads((tmp_path / "sample.json").read_text())
    one = {**sample["sample"][0]["receipt"], "jwks": sample["jwks"], "vkey": sample["vkeys"]}
    (tmp_path / "one.json").write_text(json.dumps(one))
    verified = wattproof("verify", str(tmp_path / "one.json"), WATTPROOF_HOME=str(tmp_path / "auditor"))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "established: signature pass; inclusion pass; arithmetic pass" in verified.stdout
    assert not (tmp_path / "auditor" / "ledger.sqlite3").exists()


def test_a_record_is_verified_and_shown_by_its_id(wattproof: Wattproof, logs: Path) -> None:
    wattproof("import", "claude-code")
    (row, *_) = csv.DictReader(io.StringIO(wattproof("export", "entries").stdout))
    assert wattproof("verify", row["receipt_id"]).returncode == 0
    shown = json.loads(wattproof("receipt", row["receipt_id"]).stdout)
    assert shown["jws"] is None
    assert json.loads(shown["record"])["external_id"] == row["external_id"]
    batch = wattproof("verify", row["parent_id"])
    assert batch.returncode == 3
    assert "batch of records" in batch.stdout
    assert wattproof("ledger", "fsck").returncode == 0


def test_entries_and_receipts_are_written_as_files(wattproof: Wattproof, logs: Path, tmp_path: Path) -> None:
    wattproof("import", "claude-code")
    for arguments, lines in ((("entries", "--format", "jsonl"), 5), (("receipts",), 6), (("entries",), 6)):
        path = tmp_path / "out"
        done = wattproof("export", *arguments, "-o", str(path))
        assert done.returncode == 0, done.stderr
        assert len(path.read_text().splitlines()) == lines
    assert [each.name for each in tmp_path.glob(".out*")] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "sendmail"), "give one of claude-code, codex"),
        (("import", "litellm"), "give the file that you exported"),
        (("import", "litellm", "nowhere.json"), "does not exist"),
        (("import", "claude-code", ".", "--since", "soon"), "since"),
        (("export", "entries"), "holds no ledger yet"),
    ],
    ids=str,
)
def test_what_cannot_be_done_says_what_would_work(wattproof: Wattproof, arguments: Any, told: str) -> None:
    done = wattproof(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("entries", "--format", "xlsx"), "give csv or jsonl"),
        (("entries", "--kind", "dream"), "give one of inference"),
        (("entries", "-o", "/dev/full"), "cannot be written"),
        (("entries", "-o", "/nowhere/out.csv"), "cannot be written"),
        (("sample", "0"), "give 1 to 1000"),
    ],
    ids=str,
)
def test_a_wrong_export_is_refused(wattproof: Wattproof, logs: Path, arguments: Any, told: str) -> None:
    wattproof("import", "claude-code")
    done = wattproof("export", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_reader_that_has_seen_enough_ends_an_export(
    wattproof: Wattproof, logs: Path, environ: dict[str, str]
) -> None:
    wattproof("import", "claude-code")
    command = [sys.executable, "-m", "wattproof", "export", "entries"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(30) == 0
    assert "Traceback" not in told
    assert "cannot be used" not in told
