"""Closing, adjusting, restating and drawing on the command line, over what a real run recorded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest
from typer.testing import CliRunner, Result

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli import build_app, run_command
from wattproof.tools.run_inference import RunArgs, run_inference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

Invoke = Callable[..., Result]
LONG_AGO_S = 1_735_732_800.0  # 2025-01-01T12:00:00Z


@pytest.fixture
def invoke(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs a subcommand on the home of the test's installation."""
    monkeypatch.setenv("WATTPROOF_HOME", str(installation.home))
    monkeypatch.setenv("WATTPROOF_OFFLINE", "1")
    app = build_app()
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def receipt_id(installation: Installation, fake_provider: FakeProvider) -> str:
    """A run of January 2025."""
    installation.now_s = LONG_AGO_S
    installation.deployments = (fake_provider.deployment(provider="alpha", zone="FR"),)
    made: list[str] = []

    async def run() -> None:
        async with installation.open() as deps:
            messages = [{"role": "user", "content": "hello"}]
            args = RunArgs(model="gpt-oss-120b", messages=messages, max_output_tokens=50)
            made.append((await run_inference(args, deps)).receipt_id or "")

    anyio.run(run)
    return made[0]


def test_a_month_is_closed_with_a_signed_checkpoint_and_stays_closed(invoke: Invoke, receipt_id: str) -> None:
    done = invoke("ledger", "close-period", "2025-01", "--json")
    assert done.exit_code == 0, done.output
    closed = json.loads(done.stdout)
    assert (closed["period"], closed["size"], len(closed["root_hex"])) == ("2025-01", 1, 64)
    assert closed["checkpoint"].splitlines()[1] == "1"
    again = invoke("ledger", "close-period", "2025-01")
    assert f"2025-01 and every month before it are closed since {closed['closed_at']}, at 1 entries" in again.stdout
    assert "closed)" in invoke("summary", "--since", "2025-01-01", "--until", "2025-02-01").stdout
    assert invoke("ledger", "fsck").exit_code == 0


def test_late_usage_is_appended_once_and_shown_in_the_summary(invoke: Invoke, receipt_id: str) -> None:
    invoke("ledger", "close-period", "2025-01")
    before = json.loads(invoke("summary", "--since", "2025-01-01", "--until", "2025-02-01", "--json").stdout)
    done = invoke("ledger", "adjust", receipt_id, "--output-tokens", "808", "--reason", "late_usage", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert (made["adjusts"], made["usage_change"]["output_tokens"]) == (receipt_id, 800)
    assert made["energy_wh"]["median"] > 0
    assert made["provenance"]["methodology"] == "wattproof/param@1.0.0"
    assert (
        "has this usage already; nothing was appended"
        in invoke("ledger", "adjust", receipt_id, "--output-tokens", "808").stdout
    )
    less = invoke("ledger", "adjust", receipt_id, "--output-tokens", "2", "--reasoning-tokens", "0")
    assert "-806 output tokens" in less.stdout
    after = json.loads(invoke("summary", "--since", "2025-01-01", "--until", "2025-02-01", "--json").stdout)
    assert after == before
    whole = json.loads(invoke("summary", "--json").stdout)
    assert (whole["request_count"], whole["adjustments_count"]) == (1, 2)
    assert invoke("verify", made["receipt_id"]).exit_code == 0
    assert invoke("ledger", "fsck").exit_code == 0


def test_a_period_is_restated_kept_and_listed(invoke: Invoke, receipt_id: str) -> None:
    done = invoke("ledger", "restate", "--method", "ecologits/llm@0.11.3", "--period", "2025-01", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["restated_count"], result["interval"]) == (1, "range")
    text = invoke("ledger", "restate", "--method", "ecologits/llm@0.11.3", "--period", "2025-01", "--grid", "annual")
    assert "2025-01 under ecologits/llm@0.11.3 (annual readings): 1 of 1 request restated." in text.stdout
    assert "activity 0 g, factor 0 g, method +" in text.stdout
    listed = json.loads(invoke("ledger", "restatements", "--json").stdout)
    assert result["restatement_id"] in [each["restatement_id"] for each in listed]
    assert len(invoke("ledger", "restatements", "--period", "2025-01").stdout.splitlines()) == 2
    assert invoke("ledger", "restatements", "--period", "2024").stdout == ""


def test_where_nothing_can_be_restated_nothing_is_established(
    invoke: Invoke, receipt_id: str, installation: Installation
) -> None:
    with closing(sqlite3.connect(installation.home / "ledger.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM receipt")
    done = invoke("ledger", "restate", "--method", "melious/measured-token", "--period", "2025-01")
    assert done.exit_code == 3
    assert "0 of 1 request restated; 1 not: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ledger", "close-period", "2999-01"), "has not ended"),
        (("ledger", "close-period", "january"), "give a month such as 2026-10"),
        (("ledger", "adjust", "r_nothing", "--output-tokens", "1"), "is not in this ledger"),
        (("ledger", "restate", "--method", "ecologits", "--period", "soon"), "give a year, month or day"),
        (("ledger", "restate", "--method", "param", "--period", "2025-01", "--grid", "live"), "--grid"),
    ],
)
def test_what_is_not_understood_exits_2_and_says_what_would_work(
    invoke: Invoke, receipt_id: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert run_command(arguments) == 2
    assert says in capsys.readouterr().err


def test_there_is_nothing_to_close_without_a_ledger(invoke: Invoke, installation: Installation) -> None:
    assert invoke("ledger", "close-period", "2025-01").exit_code == 3
    assert not installation.home.exists()


@pytest.mark.parametrize(("name", "begins"), [("days.svg", b"<?xml"), ("days.png", b"\x89PNG")])
def test_a_summary_is_drawn_into_a_file(
    invoke: Invoke, receipt_id: str, tmp_path: Path, name: str, begins: bytes
) -> None:
    done = invoke("summary", "--since", "2025-01-01", "--until", "2025-02-01", "--plot", str(tmp_path / name))
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_summary_is_drawn_in_the_terminal_beside_one_json_document(invoke: Invoke, receipt_id: str) -> None:
    arguments = ("summary", "--since", "2025-01-01", "--until", "2025-02-01", "--plot", "-")
    assert "energy at the wall per day [Wh]" in invoke(*arguments).stdout
    done = invoke(*arguments, "--json")
    assert json.loads(done.stdout)["bar_unit"] == "day"
    assert "energy at the wall per day [Wh]" in done.stderr


def test_a_plot_of_no_known_kind_is_refused_before_anything_is_read(invoke: Invoke, installation: Installation) -> None:
    done = invoke("summary", "--plot", "days.pdf")
    assert isinstance(done.exception, InvalidInput)
    assert not installation.home.exists()
