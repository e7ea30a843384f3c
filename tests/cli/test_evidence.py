"""`wattproof export evidence`: what is in the pack, and that its own verifier finds what was changed in it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from typing import Any
from zipfile import ZipFile

import pytest

from tests.cli.conftest import ROOT, Wattproof
from wattproof.resources.receipts import Issuer, load_issuer, parse, sign
from wattproof.resources.receipts.pack import TYP
from wattproof.resources.receipts.pack.cli import main

SESSION: dict[str, Any] = {
    "type": "assistant",
    "sessionId": "s-1",
    "cwd": "/home/ada/engine",
    "timestamp": "2026-11-20T10:31:43.399Z",
}
USAGE = {"input_tokens": 4, "cache_read_input_tokens": 30_000, "output_tokens": 211}
STEPS = [
    {"step_id": "s1", "model": "gpt-oss-120b", "zone": "FR", "usage": {"input_tokens": 3000, "output_tokens": 800}},
    {"step_id": "s2", "model": "gpt-5.1", "usage": {"input_tokens": 900, "output_tokens": 200}},
]
PYNACL = ("nacl", "cffi", "_cffi_backend", "pycparser")
SIGNED_FOR = (
    "README.txt",
    "totals.json",
    "assumptions.csv",
    "entries.csv",
    "receipts.jsonl",
    "sequence.csv",
    "sequence.json",
    "jwks.json",
    "log.vkey",
    "checkpoint.txt",
    "verify.html",
    "verify.py",
    "verifier/wattproof/methodology/integers.py",
)


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that holds PyNaCl and what it needs, and no wattproof."""
    environment = tmp_path_factory.mktemp("pynacl")
    venv.create(environment, symlinks=True, with_pip=False)
    site_packages = next(environment.glob("lib/python*/site-packages"))
    for name in PYNACL:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        target = origin.parent if spec.submodule_search_locations else origin
        (site_packages / target.name).symlink_to(target)
    return environment / "bin" / "python"


class Reviewer:
    """Opens packs elsewhere, and checks them with what is in them."""

    def __init__(self, python: Path) -> None:
        self._python = python

    def opened(self, pack: Path) -> Path:
        folder = pack.with_name(f"{pack.stem}-opened")
        with ZipFile(pack) as packed:
            packed.extractall(folder)
        return folder

    def check(self, folder: Path, *extra: str) -> tuple[int, str]:
        done = subprocess.run(
            [str(self._python), "-I", str(folder / "verify.py"), *extra],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def reviewer(bare_python: Path) -> Reviewer:
    return Reviewer(bare_python)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with an imported batch, an operation of two steps and an adjustment; the receipt that was adjusted."""
    place = tmp_path_factory.mktemp("made")
    logs = place / ".claude" / "projects" / "-home-ada-engine"
    logs.mkdir(parents=True)
    message = {"model": "claude-sonnet-4-6", "stop_reason": "end_turn", "usage": USAGE}
    lines = [{**SESSION, "requestId": f"req_{n}", "message": {"id": f"m{n}", **message}} for n in range(5)]
    (logs / "s-1.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wattproof", *arguments],
            env=environment(place),
            cwd=place,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    run("import", "claude-code")
    (place / "home" / "old.checkpoint").write_text(run("ledger", "checkpoint"))
    for words in (("begin", "op"), ("record", "op", "--steps", json.dumps(STEPS)), ("end", "op")):
        run("operation", *words)
    recorded = run("export", "entries", "--kind", "recorded", "--format", "jsonl").splitlines()
    adjusted: str = json.loads(recorded[0])["receipt_id"]
    run("ledger", "adjust", adjusted, "--output-tokens", "900")
    return place / "home", adjusted


def environment(place: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(place),
        "PYTHONPATH": str(ROOT),
        "WATTPROOF_HOME": str(place / "home"),
        "WATTPROOF_OFFLINE": "1",
    }


@pytest.fixture
def ledger(made: tuple[Path, str], tmp_path: Path) -> str:
    """A copy of that home for one test; the receipt that was adjusted."""
    copytree(made[0], tmp_path / "home")
    return made[1]


def packed(wattproof: Wattproof, path: Path, *extra: str) -> str:
    done = wattproof("export", "evidence", "--output", str(path), *extra)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_pack_is_checked_where_wattproof_is_not_installed(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    said = packed(wattproof, tmp_path / "evidence.zip", "--from", str(tmp_path / "home" / "old.checkpoint"))
    assert "8 entries, 10 receipts" in said
    folder = reviewer.opened(tmp_path / "evidence.zip")
    status, text = reviewer.check(folder, "--old-checkpoint", str(tmp_path / "home" / "old.checkpoint"))
    assert status == 0, text
    assert "10 receipts, 10 signatures valid, 9 recomputed, 0 gaps in sequence" in text
    assert "5 are records under the signature of their batch" in text
    assert "1 sign for a batch, 0 state no figures" in text
    assert "8 rows, 8 held against their receipts" in text
    assert "begins with the 6 entries of the older checkpoint given here" in text
    assert "entries 0 to 9 of 10" in text
    assert "compare them with those that the issuer publishes" in text
    assert reviewer.check(folder, str(tmp_path / "evidence.zip"))[0] == 0


def test_totals_are_those_of_the_summary(wattproof: Wattproof, ledger: str, tmp_path: Path) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    with ZipFile(tmp_path / "evidence.zip") as pack:
        totals = json.loads(pack.read("totals.json"))
        assert pack.namelist()[0] == "README.txt"
        assert "verifier/wattproof/methodology/data/2026-11/ecologits/LICENSE" in pack.namelist()
    assert totals["summary"] == json.loads(wattproof("summary", "--json", "--full").stdout)
    by_model = json.loads(wattproof("summary", "--json", "--full", "--group-by", "model").stdout)
    assert totals["by_model"] == by_model["groups"]
    assert {group["provider_id"] for group in totals["by_provider"]} >= {"anthropic"}
    assert totals["closed_periods"] == totals["restatements"] == []
    assert totals["summary"]["carbon_market_kg"] is None
    assert totals["summary"]["reasons"]["carbon_market_kg"]


@pytest.mark.parametrize("extra", [(), ("--sample", "3")], ids=["all", "sample"])
def test_the_same_ledger_gives_the_same_bytes(
    wattproof: Wattproof, ledger: str, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    for name in ("a.zip", "b.zip"):
        packed(wattproof, tmp_path / name, *extra)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def judged(folder: Path) -> tuple[int, str]:
    """What the verifier says of an opened pack, in this process."""
    out = io.StringIO()
    return main([], folder=folder, out=out), out.getvalue()


def test_whatever_file_is_changed_is_named(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    assert judged(folder)[0] == 0
    for name in SIGNED_FOR:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole + b"\n")
        status, text = judged(folder)
        assert status == 1, (name, text)
        assert f"{name}: it is not the file that was signed for" in text
        (folder / name).unlink()
        assert judged(folder)[0] == 1, name
        (folder / name).write_bytes(whole)
    (folder / "manifest.jws").write_text("e30.e30.AAAA")
    assert judged(folder)[0] == 1


def signed_again(folder: Path, issuer: Issuer) -> None:
    """Sign for the files as they are now, as an issuer could who changed them."""
    stated = dict(parse((folder / "manifest.jws").read_text().strip()).payload)
    stated["files"] = {
        name: {"sha256": sha256(data := (folder / name).read_bytes()).hexdigest(), "bytes": len(data)}
        for name in stated["files"]
    }
    (folder / "manifest.jws").write_text(sign(stated, issuer, TYP) + "\n")


def _without_line(number: int) -> Callable[[str], str]:
    def changed(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(lines[:number] + lines[number + 1 :])

    return changed


CHANGES: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("totals.json", lambda text: text.replace('"token_count": ', '"token_count": 1', 1), "add up to token_count"),
    ("totals.json", lambda text: re.sub(r'("median": )', r"\g<1>9", text, count=1), "add up to estimated_energy_kwh"),
    ("totals.json", lambda text: text.replace('"gpt-5.1"', '"gpt-5.2"'), "by_model gpt-5.1"),
    ("totals.json", lambda _: "{}", "a figure that is missing"),
    ("entries.csv", lambda text: text.replace(",211,", ",212,", 1), "its receipt differ in output_tokens"),
    ("entries.csv", lambda text: text.replace(",gpt-oss-120b,", ",gpt-oss-20b,", 1), "its receipt differ in model"),
    ("entries.csv", _without_line(2), "without a row in entries.csv"),
    ("receipts.jsonl", _without_line(3), "is said to be in receipts.jsonl and is not"),
    ("receipts.jsonl", lambda text: text.replace(r'"nonce\":\"', r'"nonce\":\"0', 1), "does not hash"),
    ("sequence.csv", _without_line(4), "entry 3 is missing"),
    ("sequence.csv", _without_line(10), "fewer entries than it is of"),
    ("sequence.csv", lambda text: text.replace(",receipt", ",other period", 2), "the period does not count"),
    ("sequence.json", lambda text: text.replace('"end": 10', '"end": 9'), "cannot be used"),
    ("assumptions.csv", _without_line(5), "receipts use wattproof/param@1.0.0"),
    ("assumptions.csv", lambda text: text + "wattproof/param@1.0.0,new,1,x,1,1,1\n", "not the table"),
    ("checkpoint.txt", lambda text: text.replace("\n10\n", "\n11\n"), "signature"),
)


@pytest.mark.slow
def test_an_issuer_who_changes_a_file_and_signs_again_is_found_out(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    issuer = load_issuer(tmp_path / "home" / "keys" / "issuer.key")
    signed_again(folder, issuer)
    assert judged(folder)[0] == 0
    for name, change, expected in CHANGES:
        whole = (folder / name).read_text()
        (folder / name).write_text(change(whole))
        assert (folder / name).read_text() != whole, expected
        signed_again(folder, issuer)
        status, text = judged(folder)
        assert (status, expected in text) == (1, True), (name, expected, text)
        (folder / name).write_text(whole)


def test_a_pack_by_a_key_that_the_reviewer_does_not_know_is_not_established(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    (tmp_path / "own.json").write_text('{"keys": []}')
    status, text = reviewer.check(folder, "--jwks", str(tmp_path / "own.json"))
    assert status == 3, text
    assert "NOT ESTABLISHED" in text


@pytest.mark.slow
def test_a_sample_is_drawn_by_a_seed_that_is_named(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    said = packed(wattproof, tmp_path / "sample.zip", "--sample", "3", "--seed", "audit")
    assert "3 receipts drawn by seed audit" in said
    status, text = reviewer.check(reviewer.opened(tmp_path / "sample.zip"))
    assert status == 0, text
    assert "3 receipts drawn of 8 by seed audit, 3 signatures valid, 3 recomputed, 0 gaps" in text
    assert "3 receipts with a path of their own" in text
    assert "7 entries: not drawn" in text


@pytest.mark.slow
def test_an_erased_receipt_is_said_to_be_missing_and_leaves_the_rest_standing(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    assert wattproof("ledger", "erase", ledger, "--reason", "asked for").returncode == 0
    said = packed(wattproof, tmp_path / "evidence.zip")
    assert "Receipts not in it, erased, archived or missing: 1." in said
    status, text = reviewer.check(reviewer.opened(tmp_path / "evidence.zip"))
    assert status == 3, text
    assert "1 entries: erased" in text
    assert "9 receipts, 9 signatures valid" in text
    assert "WRONG" not in text


@pytest.mark.slow
def test_a_period_takes_the_batch_that_signs_for_its_records(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "day.zip", "--since", "2026-11-20", "--until", "2026-11-21")
    status, text = reviewer.check(reviewer.opened(tmp_path / "day.zip"))
    assert status == 0, text
    assert "6 receipts, 6 signatures valid, 5 recomputed" in text
    assert "entries 0 to 5 of 10" in text


@pytest.mark.slow
def test_a_period_without_entries_is_a_pack_too(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "none.zip", "--since", "2026-10-01", "--until", "2026-11-01")
    status, text = reviewer.check(reviewer.opened(tmp_path / "none.zip"))
    assert status == 0, text
    assert "no entries of the period, in a log of 10" in text


def test_a_file_is_replaced_only_when_asked_and_left_whole_when_writing_fails(
    wattproof: Wattproof, ledger: str, tmp_path: Path
) -> None:
    target = tmp_path / "evidence.zip"
    target.write_text("mine")
    refused = wattproof("export", "evidence", "--output", str(target))
    assert (refused.returncode, target.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    (tmp_path / "other.checkpoint").write_text("wattproof.local/else\n1\nAAAA\n\n— x y\n")
    other = wattproof("export", "evidence", "-o", str(target), "--force", "--from", str(tmp_path / "other.checkpoint"))
    assert other.returncode != 0
    assert target.read_text() == "mine"
    assert wattproof("export", "evidence", "-o", str(target), "--force").returncode == 0
    assert target.read_bytes().startswith(b"PK")
    assert not list(tmp_path.glob(".*.part"))
    nowhere = wattproof("export", "evidence", "-o", str(tmp_path / "missing" / "evidence.zip"))
    assert nowhere.returncode == 2
    assert "Traceback" not in nowhere.stderr


@pytest.mark.slow
def test_without_pynacl_the_pack_says_what_to_install(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True, with_pip=False)
    status, text = Reviewer(bare / "bin" / "python").check(folder)
    assert status == 2
    assert "pip install pynacl" in text


def test_a_file_in_the_place_of_a_pack_is_no_crash(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    packed(wattproof, tmp_path / "evidence.zip")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    (tmp_path / "noise").write_bytes(b"\x00\xff")
    assert reviewer.check(folder, str(tmp_path / "noise"))[0] == 1
    assert reviewer.check(folder, str(tmp_path / "nothing"))[0] == 2
    half = copytree(folder, tmp_path / "half")
    (half / "manifest.jws").unlink()
    assert reviewer.check(half)[0] == 1


@pytest.mark.slow
def test_an_operation_of_more_steps_than_it_lists_is_added_up(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    assert wattproof("operation", "begin", "many").returncode == 0
    for part in range(4):
        steps = [{**STEPS[0], "step_id": f"m{part}-{n}"} for n in range(100)]
        assert wattproof("operation", "record", "many", "--steps", json.dumps(steps)).returncode == 0
    assert wattproof("operation", "end", "many").returncode == 0
    packed(wattproof, tmp_path / "evidence.zip", "--since", "2026-11-21")
    folder = reviewer.opened(tmp_path / "evidence.zip")
    (listing,) = [json.loads(line) for line in (folder / "receipts.jsonl").read_text().splitlines()[-1:]]
    assert parse(listing["jws"]).payload["operation"]["steps"] is None
    status, text = judged(folder)
    assert status == 0, text
    assert "405 receipts, 405 signatures valid, 405 recomputed" in text


@pytest.mark.slow
def test_a_log_whose_keys_were_changed_is_checked_with_all_of_them(
    wattproof: Wattproof, ledger: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    for role in ("issuer", "log"):
        assert wattproof("ledger", "rotate-key", role).returncode == 0
    assert wattproof("operation", "begin", "later").returncode == 0
    assert wattproof("operation", "record", "later", "--steps", json.dumps(STEPS[:1])).returncode == 0
    assert wattproof("operation", "end", "later").returncode == 0
    packed(wattproof, tmp_path / "evidence.zip", "--from", str(tmp_path / "home" / "old.checkpoint"))
    status, text = judged(reviewer.opened(tmp_path / "evidence.zip"))
    assert status == 0, text
    assert "2 are statements about keys" in text
    assert "14 receipts, 14 signatures valid, 11 recomputed" in text
