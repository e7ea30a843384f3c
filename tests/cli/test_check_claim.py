"""`wattproof check-claim` in a process of its own: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Wattproof = Callable[..., CompletedProcess[str]]


def test_a_claim_from_stdin_is_revised_and_exits_1(wattproof: Wattproof) -> None:
    done = wattproof("check-claim", "-", stdin="We saved 3.2 g CO2e.")

    assert done.returncode == 1
    assert "“saved 3.2 g CO2e” (saved)" in done.stdout
    assert "not legal advice" in done.stdout
    assert done.stderr == ""


def test_a_file_in_which_nothing_is_found_exits_0(wattproof: Wattproof, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Zones\n\nWe choose zones by their published intensity.\n", "utf-8")
    done = wattproof("check-claim", "page.md", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"] == "nothing_found"


def test_figures_come_from_a_result_as_estimate_printed_it(wattproof: Wattproof, tmp_path: Path) -> None:
    options = ("--model", "gpt-oss-120b", "--input-tokens", "1000", "--output-tokens", "400", "--zone", "FR")
    (tmp_path / "estimate.json").write_text(wattproof("estimate", *options, "--json").stdout, "utf-8")
    done = wattproof("check-claim", "-", "--figures", "estimate.json", "--json", stdin="It takes 4 Wh.")

    assert done.returncode == 1
    assert json.loads(done.stdout)["figures"][0]["verdict"] == "differs"


def test_what_cannot_be_read_exits_2_and_says_what_would_work(wattproof: Wattproof, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "list.json").write_text("[1]", "utf-8")
    for arguments, told in (
        (("missing.txt",), "FILE missing.txt cannot be read"),
        (("bytes",), "it is not UTF-8"),
        (("-", "--figures", "list.json"), "is not a JSON object"),
        (("-", "--figures", "bytes"), "--figures"),
        (("-", "--use", "everyone"), "--use is 'everyone'"),
    ):
        done = wattproof("check-claim", *arguments, stdin="x")
        assert done.returncode == 2
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
