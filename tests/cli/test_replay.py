"""`wattproof ledger replay`, over decisions that real runs stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
import typer
from typer.testing import CliRunner, Result

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_replay import replay
from wattproof.tools.run_inference import RunArgs, run_inference

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.resources.providers import Deployment

Replay = Callable[..., Result]


@pytest.fixture
def replayed(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Replay:
    monkeypatch.setenv("WATTPROOF_HOME", str(installation.home))
    app = typer.Typer()
    app.command()(replay)
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def three_runs(installation: Installation, fake_provider: FakeProvider) -> Installation:
    """Three runs under the preset `price`: Poland is cheaper, Sweden has less carbon-intensive electricity."""
    rows: list[Deployment] = []
    for name, zone, rate in (("alpha", "PL", 100_000), ("beta", "SE", 900_000)):
        row = fake_provider.deployment(provider=name, zone=zone)
        assert row.price is not None
        rows.append(replace(row, price=replace(row.price, input_micros_per_mtok=rate, output_micros_per_mtok=rate)))
    installation.deployments = tuple(rows)

    async def run() -> None:
        async with installation.open() as deps:
            for _ in range(3):
                messages = [{"role": "user", "content": "hello"}]
                args = RunArgs(
                    model="gpt-oss-120b:price",
                    messages=messages,
                    max_output_tokens=50,
                    providers=None,
                )
                await run_inference(args, deps)
                installation.now_s += 3600

    anyio.run(run)
    return installation


def test_it_says_how_many_would_have_gone_elsewhere_and_what_was_expected(
    three_runs: Installation, replayed: Replay
) -> None:
    done = replayed("--preset", "eco")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "3 decisions again under preset eco: 3 would have gone elsewhere first. "
        "Not replayable: 0 erased, 0 of another form."
    )
    assert lines[1].split() == ["3", "alpha/gpt-oss-120b", "->", "beta/gpt-oss-120b"]
    assert lines[2].startswith("expected carbon")
    assert "gCO2e (-" in lines[2]
    assert "USD (+" in lines[3]


def test_own_weights_and_json(three_runs: Installation, replayed: Replay) -> None:
    result = json.loads(replayed("--environment", "0.5", "--price", "0.5", "--speed", "0", "--json").stdout)
    assert (result["decisions"], result["changed"]) == (3, 3)
    assert result["weights"] == {"environment": 0.5, "price": 0.5, "speed": 0.0}
    carbon = result["expected"]["carbon_gco2e"]
    assert carbon["count"] == 3
    assert carbon["difference_of_medians"] == pytest.approx(carbon["after"]["median"] - carbon["before"]["median"])
    assert carbon["before"]["low"] < carbon["before"]["median"] < carbon["before"]["high"]


def test_the_same_preset_changes_nothing(three_runs: Installation, replayed: Replay) -> None:
    assert json.loads(replayed("--preset", "price", "--json").stdout)["changed"] == 0


def test_a_period_and_a_limit_bound_what_is_looked_at(three_runs: Installation, replayed: Replay) -> None:
    later = json.loads(replayed("--preset", "eco", "--since", "2026-11-05T13:00:00Z", "--json").stdout)
    newest = json.loads(replayed("--preset", "eco", "--limit", "1", "--json").stdout)
    none = json.loads(replayed("--preset", "eco", "--until", "2026-11-05", "--json").stdout)
    assert (later["decisions"], newest["decisions"], none["decisions"]) == (2, 1, 0)
    assert none["expected"]["carbon_gco2e"] is None


def test_erased_and_older_decisions_are_counted_apart(three_runs: Installation, replayed: Replay) -> None:
    connection = sqlite3.connect(three_runs.home / "ledger.sqlite3")
    connection.execute("DELETE FROM decision WHERE seq = 0")
    connection.execute("DROP TRIGGER decision_update")
    connection.execute("UPDATE decision SET json = '{\"candidates\":[]}' WHERE seq = 1")
    connection.commit()
    connection.close()
    result = json.loads(replayed("--preset", "eco", "--json").stdout)
    assert result["decisions"] == 1
    assert result["not_replayable"] == {"erased": 1, "unreadable": 1}


def test_without_a_ledger_it_says_so_and_makes_none(installation: Installation, replayed: Replay) -> None:
    done = replayed("--preset", "eco")
    assert done.exit_code == 3
    assert "no ledger yet" in done.stderr
    assert not installation.home.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--preset is missing"),
        (("--preset", "green"), "balanced, speed, price, eco, batch"),
        (("--environment", "1"), "--price is missing"),
        (("--environment", "1", "--price", "1", "--speed", "0"), "add up to 2"),
        (("--preset", "eco", "--since", "soon"), "since"),
    ],
)
def test_what_cannot_be_replayed_under_is_named(replayed: Replay, arguments: tuple[str, ...], said: str) -> None:
    error = replayed(*arguments).exception
    assert isinstance(error, InvalidInput)
    assert said in str(error)
