"""`wattproof window` from the command line, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_window import window


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setenv("WATTPROOF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WATTPROOF_OFFLINE", "1")


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(window)
    return CliRunner().invoke(app, arguments)


def test_offline_it_tells_annual_averages_and_recommends_nothing() -> None:
    done = run("--zone", "FR", "--zone", "SE", "--duration", "30", "--deadline", "6h")
    assert done.exit_code == 0
    assert done.stdout.startswith("No forecast (live grid data is off)")
    assert "SE 21, FR 31" in done.stdout


def test_json_is_the_structured_content_of_the_tool() -> None:
    done = run("--zone", "FR", "--deadline", "2h", "--seed", "r1", "--full", "--json")
    result = json.loads(done.stdout)
    assert result["verdict"] == "no_forecast"
    assert [zone["zone"] for zone in result["zones"]] == ["FR"]
    assert list(result["provenance"]) == ["region_scope", "energy_source", "methodology", "renewable_ratio_bps"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "zones are missing"),
        (("--zone", "FR", "--deadline", "soon"), "deadline is 'soon'"),
        (("--zone", "FR", "--duration", "0"), "--duration-minutes is 0"),
    ],
)
def test_what_is_asked_wrongly_is_named(arguments: tuple[str, ...], problem: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, InvalidInput)
    assert problem in str(done.exception)
