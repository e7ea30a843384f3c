"""`wattproof simulate`: where it may write, what it prints, what it draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import typer
from typer.testing import CliRunner, Result

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import open_ledger
from wattproof.server.cli_simulate import simulate
from wattproof.server.simulate.day import STARTS_AT, Day, simulate_day
from wattproof.server.simulate.home import check_home
from wattproof.server.simulate.plot import picture, text_bars
from wattproof.server.simulate.result import DayResult, quantile

LABEL = "SIMULATION: invented traffic, providers and grid"
SMALL = ("--requests", "8", "--hours", "3", "--policy", "eco-100")

Command = Callable[..., Result]


@pytest.fixture
def own_home(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def command(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command as `wattproof` runs it, with `own_home` as this installation's home."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command("simulate")(simulate)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env={"WATTPROOF_HOME": str(own_home), "COLUMNS": "120"})

    return run


def refusal(result: Result) -> InvalidInput:
    assert isinstance(result.exception, InvalidInput)
    return result.exception


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DayResult:
    return simulate_day(Day(requests=10), tmp_path_factory.mktemp("day") / "home")


def real_home(home: Path) -> Path:
    anyio.run(open_ledger(home, clock=lambda: STARTS_AT, random_bytes=_bytes).aclose)
    return home


def _bytes(count: int) -> bytes:
    return b"\x07" * count


def test_the_table_is_labelled_as_a_simulation_and_nothing_is_left_behind(command: Command, own_home: Path) -> None:
    printed = command(*SMALL)
    assert printed.exit_code == 0, printed.output
    assert LABEL in printed.stdout
    assert "every figure is synthetic" in printed.stdout
    assert "eco-100" in printed.stdout
    assert not own_home.exists()


def test_json_is_one_document_that_says_that_it_is_synthetic(command: Command) -> None:
    document = json.loads(command(*SMALL, "--json").stdout)
    assert (document["label"], document["synthetic"]) == (LABEL, True)
    (policy,) = document["policies"]
    assert policy["policy"] == "eco-100"
    assert policy["over_ceiling"] == 0
    assert policy["requests"] == 8


def test_a_home_that_it_made_is_kept_and_used_again(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "kept"
    for printed in (command(*SMALL, "--home", str(home)) for _ in range(2)):
        assert printed.exit_code == 0, printed.output
        assert "verify fails its receipts as a simulation" in printed.stdout
    assert (home / "ledger.sqlite3").exists()


def test_the_installations_own_home_is_refused_even_before_it_exists(command: Command, own_home: Path) -> None:
    error = refusal(command(*SMALL, "--home", str(own_home)))
    assert "records real runs" in str(error)
    assert not own_home.exists()


def test_a_home_of_real_runs_is_refused_and_left_as_it_was(command: Command, tmp_path: Path) -> None:
    home = real_home(tmp_path / "real")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    error = refusal(command(*SMALL, "--home", str(home)))
    assert "was made for real runs" in str(error)
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_with_something_else_a_file_and_a_broken_ledger_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "own"
    other, file, broken = tmp_path / "other", tmp_path / "file", tmp_path / "broken"
    other.mkdir()
    (other / "config.toml").write_text("")
    file.write_text("")
    broken.mkdir()
    (broken / "ledger.sqlite3").write_bytes(b"not a database" * 100)
    for home, problem in ((other, "holds something else"), (file, "is a file"), (broken, "cannot be read")):
        with pytest.raises(InvalidInput, match=problem):
            check_home(home, own)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--policy", "green"), "--policy"),
        (("--hours", "0"), "--hours"),
        (("--hours", "nan"), "--hours"),
        (("--requests", "0"), "--requests"),
        (("--grid", "real"), "--grid"),
        (("--plot", "day.gif"), "--plot"),
    ],
)
def test_a_wrong_option_is_named_before_anything_runs(command: Command, arguments: tuple[str, ...], field: str) -> None:
    assert refusal(command(*arguments)).field == field


def test_it_draws_into_a_file(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "day.svg"
    printed = command(*SMALL, "--plot", str(target))
    assert printed.exit_code == 0, printed.output
    assert target.read_text().lstrip().startswith("<?xml")


def test_a_file_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    assert refusal(command(*SMALL, "--plot", str(tmp_path / "no" / "day.svg"))).field == "--plot"


def test_it_draws_in_the_terminal(command: Command) -> None:
    printed = command(*SMALL, "--plot", "-")
    assert "price [USD]" in printed.stdout
    assert "█" in printed.stdout


def test_the_same_result_gives_the_same_picture(result: DayResult) -> None:
    assert picture(result, "svg") == picture(result, "svg")
    assert picture(result, "png").startswith(b"\x89PNG")


def test_bars_fit_the_width_and_say_that_they_are_synthetic(result: DayResult) -> None:
    drawn = text_bars(result, 80)
    assert drawn.startswith(LABEL)
    assert "Every figure is synthetic" in drawn
    assert max(map(len, drawn.splitlines())) <= 80
    for name in ("balanced", "speed", "price", "eco", "eco-100"):
        assert drawn.count(f"\n{name}  ") == 3


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.95, 4), (1.0, 4), (0.01, 1)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    assert quantile([4, 1, 3, 2], share) == expected
    assert quantile([], share) is None
