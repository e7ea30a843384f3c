"""``simulate``: a day of invented traffic under several policies, in a home of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.routing import Policy
    from wattproof.server.simulate.result import DayResult, PolicyResult

__all__ = ["simulate"]

_FORMATS = {".svg": "svg", ".png": "png"}
_GRIDS = ("live", "annual")
_MOST_REQUESTS = 20_000
_MOST_HOURS = 24.0 * 14


def simulate(
    policy: Annotated[
        list[str] | None,
        typer.Option(help="balanced, speed, price, eco or eco-100; may be repeated; all unless given."),
    ] = None,
    hours: Annotated[float, typer.Option(help="Length of the simulated period.")] = 24.0,
    requests: Annotated[int, typer.Option(help="How many requests arrive in it.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 7,
    grid: Annotated[str, typer.Option(help="live: invented grid APIs; annual: none, the bundled averages.")] = "live",
    home: Annotated[
        Path | None,
        typer.Option(help="Keep the ledger in this folder, marked as a simulation; thrown away unless given."),
    ] = None,
    plot: Annotated[
        str | None, typer.Option(help="Draw into this .svg or .png file; alone or -: in the terminal.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replay a day of invented traffic on invented providers and grids under several policies: all synthetic."""
    from wattproof.server.simulate.day import Day, simulate_day

    chosen = _policies(policy)
    _check("--hours", hours, 0.01, _MOST_HOURS)
    _check("--requests", requests, 1, _MOST_REQUESTS)
    image_format = _format(plot)
    if grid not in _GRIDS:
        raise InvalidInput("--grid", f"is {grid!r}", f"give one of {', '.join(_GRIDS)}")
    day = Day(seed=seed, hours=hours, requests=requests, grid=grid)
    with _home(home) as folder:
        result = simulate_day(day, folder, chosen, progress=lambda name: say(f"simulating {name} ..."))
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result, home)
    if plot is not None:
        _draw(result, plot, image_format, as_json)


def _policies(names: list[str] | None) -> dict[str, Policy]:
    from wattproof.server.simulate.day import POLICIES

    for name in names or ():
        if name not in POLICIES:
            raise InvalidInput("--policy", f"is {name!r}", f"give one of {', '.join(POLICIES)}")
    return {name: POLICIES[name] for name in dict.fromkeys(names or POLICIES)}


def _check(option: str, given: float, least: float, most: float) -> None:
    if not least <= given <= most:
        raise InvalidInput(option, f"is {given:g}", f"give a number from {least:g} to {most:g}")


def _format(plot: str | None) -> str | None:
    if plot is None or plot == "-":
        return None
    found = _FORMATS.get(Path(plot).suffix.lower())
    if found is None:
        raise InvalidInput("--plot", f"is {plot!r}", "give a file that ends in .svg or .png, or - for the terminal")
    return found


@contextmanager
def _home(home: Path | None) -> Generator[Path]:
    """The folder to write to: the one that was named, once it is known to be for simulations, or a temporary one."""
    if home is None:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="wattproof-simulation-") as folder:
            yield Path(folder)
        return
    from wattproof.server.settings import load_settings
    from wattproof.server.simulate.home import check_home

    check_home(home, load_settings(os.environ).home)
    yield home.absolute()


def _draw(result: DayResult, plot: str, image_format: str | None, as_json: bool) -> None:
    from wattproof.server.simulate.plot import ImageFormat, picture, text_bars

    if image_format is None:
        drawn = text_bars(result, max(60, shutil.get_terminal_size((100, 24)).columns))
        (say if as_json else print_text)(f"\n{drawn}")
        return
    content = picture(result, cast("ImageFormat", image_format))
    try:
        Path(plot).write_bytes(content)
    except OSError as error:
        raise InvalidInput("--plot", f"{plot} cannot be written ({error.strerror})", "give another file") from error
    say(f"wrote {plot}")


def _print(result: DayResult, home: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=result.label, title_justify="left", box=box.SIMPLE)
    table.add_column("policy", no_wrap=True)
    heads = ("done", "refused", "failed", "CO2e (90 %)", "USD", "p50 / p95", "live/fresh/old", "switches", "over")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for policy in result.policies:
        table.add_row(policy.policy, *_cells(policy))
    width = max(110, shutil.get_terminal_size((120, 24)).columns)
    console = Console(width=width, highlight=False)
    with console.capture() as printed:
        console.print(table)
    print_text(printed.get().rstrip())
    print_text(
        f"\n{result.requests} requests in {result.hours:g} h, seed {result.seed}, grid {result.grid}; every figure is "
        "synthetic.\nlive/fresh/old: age of the grid readings; old is another day's, or the annual average."
        "\nover: above the ceiling on the reading frozen for the request / by what the invented grid turned "
        "out to be."
    )
    if home is not None:
        print_text(f"The ledger is in {home}; verify fails its receipts as a simulation.")


def _cells(policy: PolicyResult) -> tuple[str, ...]:
    from wattproof.tools.figures import Figure, mass_text

    carbon = policy.carbon_gco2e
    shares = (f"{100 * policy.temporal_match[match]:.0f}" for match in ("live", "fresh", "fallback"))
    over = "" if policy.over_ceiling is None else f"{policy.over_ceiling} / {policy.over_ceiling_after}"
    return (
        str(policy.completed),
        str(policy.refused),
        str(policy.failed),
        "" if carbon is None else mass_text(Figure(median=carbon.median, low=carbon.low, high=carbon.high), ""),
        f"{policy.cost_usd:.4f}",
        ""
        if policy.latency_p50_ms is None
        else f"{policy.latency_p50_ms / 1e3:.1f} / {(policy.latency_p95_ms or 0) / 1e3:.1f} s",
        "/".join(shares) + " %",
        str(policy.switches),
        over,
    )
