"""`wattproof verify` and its exit codes, on the receipt that ships with the demo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

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
