"""`wattproof verify` and its exit codes, on the receipt that ships with the demo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from tests.fakes.receipt_log import WITNESS_KEY, ReceiptLog
from wattproof.resources.receipts import parse

Wattproof = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def receipt(tmp_path: Path) -> str:
    """The receipt; beside it, in the working folder: receipt.jws, jwks.json, inclusion.json."""
    shipped = files("wattproof.server.demo")
    for name in ("receipt.jws", "jwks.json", "inclusion.json"):
        (tmp_path / name).write_bytes(shipped.joinpath(name).read_bytes())
    return (tmp_path / "receipt.jws").read_text().strip()


@pytest.mark.usefixtures("receipt")
def test_with_the_issuers_keys_it_exits_0(wattproof: Wattproof, tmp_path: Path) -> None:
    done = wattproof("verify", "receipt.jws", "--jwks", "jwks.json", "--proof", "inclusion.json", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdicts"]["inclusion"]["verdict"] == "pass"
    assert found["key_trust"] == "given"
    assert not (tmp_path / "home").exists()


def test_a_stranger_key_exits_3(wattproof: Wattproof, receipt: str) -> None:
    by_value = wattproof("verify", receipt)
    from_stdin = wattproof("verify", "-", stdin=receipt + "\n")
    assert (by_value.returncode, from_stdin.returncode) == (3, 3)
    assert by_value.stdout == from_stdin.stdout
    assert "Key unknown" in by_value.stdout


def test_an_altered_receipt_exits_1(wattproof: Wattproof, receipt: str, tmp_path: Path) -> None:
    header, payload, signature = receipt.split(".")
    swapped = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    (tmp_path / "altered.jws").write_text(f"{header}.{swapped}.{signature}\n")
    done = wattproof("verify", "altered.jws", "--jwks", "jwks.json")
    assert done.returncode == 1
    assert "FAIL" in done.stdout


@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("r_aaaaaaaaaaaaaaaaaaaaaaaaaa",), "neither a JWS nor the id"),
        (("missing.jws",), "does not exist"),
        (("receipt.jws", "--jwks", "receipt.jws"), "--jwks is not JSON"),
        (("receipt.jws", "--proof", "missing.json"), "--proof"),
    ],
    ids=["unknown id", "missing file", "keys that are no JSON", "missing proof"],
)
def test_what_is_no_receipt_exits_2(wattproof: Wattproof, arguments: tuple[str, ...], said: str) -> None:
    done = wattproof("verify", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.fixture
def log(receipt: str, tmp_path: Path) -> ReceiptLog:
    """A log with the receipt; in the working folder: receipt.tlog-proof, log.vkey, old.checkpoint, consistency.txt."""
    made = ReceiptLog(log_id=parse(receipt).payload["log_id"]).fill(3)
    proof = made.tlog_proof(made.append(receipt), witnessed_at_s=1_793_880_000)
    for name, text in (
        ("receipt.tlog-proof", proof),
        ("log.vkey", f"# the log\n{made.vkey}\n"),
        ("old.checkpoint", made.checkpoint(3)),
        ("consistency.txt", made.consistency(3)),
    ):
        (tmp_path / name).write_bytes(text.encode())
    return made


def test_a_proof_under_a_signed_checkpoint_an_older_one_and_a_witness_are_taken_from_files(
    wattproof: Wattproof, log: ReceiptLog, tmp_path: Path
) -> None:
    common = ("verify", "receipt.jws", "--jwks", "jwks.json", "--tlog-proof", "receipt.tlog-proof", "--json")
    older = ("--old-checkpoint", "old.checkpoint", "--consistency", "consistency.txt")
    done = wattproof(*common, "--vkey", "log.vkey", "--vkey", str(WITNESS_KEY), *older)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["log_evidence"] == "witnessed"
    (tmp_path / "old.checkpoint").write_bytes(ReceiptLog(log_id=log.log_id).fill(3, b"x").checkpoint().encode())
    forked = wattproof(*common, "--vkey", "log.vkey", *older)
    assert forked.returncode == 1
    assert json.loads(forked.stdout)["verdicts"]["inclusion"]["reason"] == "forked"


def test_another_vendors_answer_is_judged_from_stdin_or_a_file(wattproof: Wattproof, tmp_path: Path) -> None:
    answer = {"environment_impact": {"energy_kwh": 0.00015, "carbon_g_co2": 0.06, "location": "FR"}}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    from_file = wattproof("verify", "answer.json")
    from_stdin = wattproof("verify", "-", stdin=json.dumps(answer))
    assert (from_file.returncode, from_stdin.returncode) == (1, 1)
    assert from_file.stdout == from_stdin.stdout
    assert "implies 400 gCO2e/kWh" in from_file.stdout


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vkey", "missing.vkey"), "--vkey"),
        (("--vkey", "a+b+c"), "vkey"),
        (("--old-checkpoint", "missing"), "--old-checkpoint"),
        (("--consistency", "jwks.json"), "consistency"),
    ],
    ids=["missing key file", "no key", "missing checkpoint", "no hashes"],
)
def test_what_is_no_evidence_exits_2(wattproof: Wattproof, arguments: tuple[str, ...], said: str) -> None:
    done = wattproof("verify", "receipt.jws", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_offline_page_is_written_as_it_ships(wattproof: Wattproof, tmp_path: Path) -> None:
    printed = wattproof("verify-page")
    written = wattproof("verify-page", "--output", "verify.html")
    assert (printed.returncode, written.returncode) == (0, 0)
    shipped = files("wattproof.resources.receipts").joinpath("verify.html").read_bytes()
    assert (tmp_path / "verify.html").read_bytes() == printed.stdout.encode() == shipped
    nowhere = wattproof("verify-page", "-o", "nowhere/verify.html")
    assert nowhere.returncode == 2
    assert "--output" in nowhere.stderr
