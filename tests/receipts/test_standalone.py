from __future__ import annotations

import io
import json
import subprocess
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import wattproof
from tests.fakes.receipt_log import WITNESS_KEY, ReceiptLog
from wattproof.resources.receipts import Frontier, InclusionProof, Issuer, entry_hash, jwks, leaf_hash, sign
from wattproof.resources.receipts.cli import main

MakePayload = Callable[..., dict[str, Any]]

# Ten minutes after the receipts of these tests were issued.
NOW = 1_793_880_004.0 + 600
PYNACL = ("nacl", "cffi", "_cffi_backend", "pycparser")


@pytest.fixture
def files(tmp_path: Path, make_payload: MakePayload, issuer: Issuer) -> Path:
    """A folder with receipt.jws, jwks.json and proof.json."""
    jws = sign(make_payload(), issuer)
    leaf = leaf_hash(entry_hash(jws))
    proof = InclusionProof("log-1", 0, 1, Frontier().append(leaf).root(), ())
    (tmp_path / "receipt.jws").write_text(jws + "\n")
    (tmp_path / "jwks.json").write_text(json.dumps(jwks([issuer])))
    (tmp_path / "proof.json").write_text(json.dumps(proof.as_dict()))
    return tmp_path


def _run(files: Path, *extra: str, receipt: str = "receipt.jws") -> tuple[int, str]:
    out = io.StringIO()
    status = main([str(files / receipt), "--jwks", str(files / "jwks.json"), *extra], out=out, now=NOW)
    return status, out.getvalue()


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that holds wattproof, PyNaCl and PyNaCl's own dependencies only."""
    environment = tmp_path_factory.mktemp("only-pynacl")
    venv.create(environment, symlinks=True, with_pip=False)
    site_packages = next(environment.glob("lib/python*/site-packages"))
    (site_packages / "wattproof").symlink_to(Path(wattproof.__file__).parent)
    for name in PYNACL:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        target = origin.parent if spec.submodule_search_locations else origin
        (site_packages / target.name).symlink_to(target)
    return environment / "bin" / "python"


def test_a_receipt_verifies_where_only_pynacl_is_installed(
    files: Path, bare_python: Path, make_payload: MakePayload, issuer: Issuer
) -> None:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (files / "today.jws").write_text(sign(make_payload(issued_at=moment, occurred_at=moment), issuer))
    command = [str(bare_python), "-I", "-B", "-m", "wattproof.resources.receipts"]
    done = subprocess.run(
        [*command, str(files / "today.jws"), "--jwks", str(files / "jwks.json"), "--json"],
        capture_output=True,
        text=True,
        cwd=files,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verdicts"]["signature"]["verdict"] == "pass"
    assert report["verdicts"]["arithmetic"]["verdict"] == "pass"
    assert report["key_trust"] == "given"


def test_that_environment_has_nothing_else(bare_python: Path) -> None:
    for name in ("pydantic", "orjson", "mcp"):
        done = subprocess.run([str(bare_python), "-I", "-B", "-c", f"import {name}"], capture_output=True, timeout=60)
        assert b"ModuleNotFoundError" in done.stderr


def test_the_text_names_every_verdict(files: Path) -> None:
    status, text = _run(files, "--proof", str(files / "proof.json"))
    assert status == 0
    for name in ("signature", "inclusion", "arithmetic", "plausibility", "freshness"):
        assert f"{name}:" in text
    assert text.count("PASS") == 5


@pytest.fixture
def log_files(files: Path) -> Path:
    """And receipt.tlog-proof, log.vkey, old.checkpoint and consistency.txt."""
    log = ReceiptLog().fill(5)
    at = log.append((files / "receipt.jws").read_text().strip())
    log.fill(4)
    (files / "receipt.tlog-proof").write_bytes(log.tlog_proof(at, witnessed_at_s=1_793_880_060).encode())
    (files / "log.vkey").write_text(f"{log.vkey}\n")
    (files / "old.checkpoint").write_bytes(log.checkpoint(5).encode())
    (files / "consistency.txt").write_text(log.consistency(5))
    return files


def test_a_tlog_proof_its_keys_and_an_older_checkpoint_are_taken_from_files(log_files: Path) -> None:
    proof = ("--tlog-proof", str(log_files / "receipt.tlog-proof"))
    key = ("--vkey", str(log_files / "log.vkey"))
    older = (
        *("--old-checkpoint", str(log_files / "old.checkpoint")),
        *("--consistency", str(log_files / "consistency.txt")),
    )
    status, text = _run(log_files, *proof, *key, *older)
    assert status == 0
    assert text.count("PASS") == 5
    assert "log evidence: self" in text
    assert "log evidence: witnessed" in _run(log_files, *proof, *key, "--vkey", str(WITNESS_KEY))[1]
    assert "UNKNOWN" in _run(log_files, *proof)[1]


def test_a_forked_log_exits_1(log_files: Path) -> None:
    (log_files / "old.checkpoint").write_bytes(ReceiptLog().fill(5, seed=b"other").checkpoint().encode())
    status, text = _run(
        log_files,
        *("--tlog-proof", str(log_files / "receipt.tlog-proof")),
        *("--vkey", str(log_files / "log.vkey")),
        *("--old-checkpoint", str(log_files / "old.checkpoint")),
        *("--consistency", str(log_files / "consistency.txt")),
        "--json",
    )
    assert status == 1
    assert json.loads(text)["verdicts"]["inclusion"]["reason"] == "forked"


def test_bytes_that_are_no_proof_exit_1_and_a_key_that_is_none_exits_2(log_files: Path) -> None:
    (log_files / "receipt.tlog-proof").write_bytes(b"\xff\xfe")
    proof = ("--tlog-proof", str(log_files / "receipt.tlog-proof"))
    assert _run(log_files, *proof)[0] == 1
    assert _run(log_files, *proof, "--vkey", "a+b+c")[0] == 2
    assert _run(log_files, *proof, "--vkey", str(log_files / "missing"))[0] == 2
    assert _run(log_files, *proof, "--consistency", str(log_files / "jwks.json"))[0] == 2


def test_a_key_set_says_until_when_a_key_counts(files: Path, issuer: Issuer) -> None:
    (files / "jwks.json").write_text(json.dumps({"keys": [issuer.public_jwk() | {"exp": 1_700_000_000}]}))
    status, text = _run(files)
    assert status == 1
    assert "after its key was retired" in text


def test_a_strangers_key_exits_3(files: Path, make_payload: MakePayload) -> None:
    (files / "receipt.jws").write_text(sign(make_payload(), Issuer(bytes(32))))
    assert _run(files)[0] == 3


def test_a_changed_receipt_exits_1(files: Path) -> None:
    path = files / "receipt.jws"
    path.write_text(path.read_text()[:-4] + "AAA\n")
    assert _run(files)[0] == 1


def test_bytes_that_are_no_text_exit_1(files: Path) -> None:
    (files / "receipt.jws").write_bytes(b"\xff\xfe\x00")
    assert _run(files)[0] == 1


def test_a_proof_of_something_else_exits_1(files: Path) -> None:
    proof = json.loads((files / "proof.json").read_text())
    (files / "proof.json").write_text(json.dumps(proof | {"root_hex": "00" * 32}))
    assert _run(files, "--proof", str(files / "proof.json"))[0] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jwks.json", "{}"),
        ("jwks.json", "not json"),
        ("proof.json", "[]"),
        ("proof.json", "{"),
        ("proof.json", "{}"),
        ("proof.json", '{"log_id":1,"index":0,"tree_size":1,"root_hex":"","hashes":[]}'),
        ("proof.json", '{"log_id":"l","index":true,"tree_size":1,"root_hex":"","hashes":[]}'),
        ("proof.json", '{"log_id":"l","index":0,"tree_size":1,"root_hex":"00","hashes":[]}'),
        ("proof.json", '{"log_id":"l","index":0,"tree_size":1,"root_hex":"00","hashes":0}'),
        ("proof.json", "[" * 100_000),
    ],
)
def test_a_file_that_cannot_be_used_exits_2_and_says_why(
    files: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (files / name).write_text(content)
    assert _run(files, "--proof", str(files / "proof.json"))[0] == 2
    assert capsys.readouterr().err.strip()


def test_a_receipt_that_is_not_there_exits_2(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(files, receipt="missing.jws")[0] == 2
    assert "missing.jws" in capsys.readouterr().err


def test_a_command_that_is_not_understood_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["receipt.jws"])
    assert caught.value.code == 2
    assert "--jwks" in capsys.readouterr().err


def test_a_receipt_can_come_from_standard_input(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO((files / "receipt.jws").read_bytes()))
    monkeypatch.setattr("sys.stdin", given)
    out = io.StringIO()
    assert main(["-", "--jwks", str(files / "jwks.json")], out=out, now=NOW) == 0
