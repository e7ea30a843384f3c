"""``providers`` and ``grid``: tables of what can be chosen from at this moment, once or until Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattproof.server.cli_output import print_json, print_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wattproof.tools.deps import Deps

__all__ = ["grid", "providers"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Watch = Annotated[
    float | None, typer.Option("--watch", min=1, metavar="SECONDS", help="Show it anew this often, until Ctrl-C.")
]
_UNKNOWN = "–"
Show = Callable[["Deps"], Awaitable[Any]]


def providers(
    model: Annotated[str | None, typer.Argument(help="Only deployments of this model.")] = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Show every deployment with its place, grid intensity, price, and how its runs of the last day went."""
    from wattproof.tools.live import providers_view

    _show(lambda deps: providers_view(model, deps), _providers_table, watch, as_json)


def grid(
    zones: Annotated[list[str] | None, typer.Argument(help="Grid zones, such as FR SE-SE3.")] = None,
    watch: Watch = None,
    as_json: Json = False,
) -> None:
    """Show the grid reading that a run would use in each zone, and how each source of readings fares."""
    from wattproof.tools.live import grid_view

    _show(lambda deps: grid_view(zones or (), deps), _grid_tables, watch, as_json)


def _show(view: Show, draw: Callable[[Any], RenderableType], watch: float | None, as_json: bool) -> None:
    import anyio

    anyio.run(_shown, view, draw, watch, as_json)


async def _shown(view: Show, draw: Callable[[Any], RenderableType], watch: float | None, as_json: bool) -> None:
    import anyio

    from wattproof.server.open import open_deps
    from wattproof.server.settings import load_settings

    async with open_deps(load_settings(os.environ)) as deps:
        if as_json:
            print_json(await view(deps))
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=sys.stdout)
        if watch is None:
            with console.capture() as drawn:
                console.print(draw(await view(deps)))
            print_text("\n".join(line.rstrip() for line in drawn.get().strip("\n").splitlines()))
            return
        with Live(draw(await view(deps)), console=console, auto_refresh=False) as live:
            while True:
                await anyio.sleep(watch)
                live.update(draw(await view(deps)), refresh=True)


def _table(*columns: tuple[str, str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, justify in columns:
        name = title == "deployment"
        table.add_column(title, justify="right" if justify == "right" else "left", overflow="fold", no_wrap=name)
    return table


def _cell(value: object) -> Any:
    """Text as it is: what comes from a provider is no markup."""
    from rich.text import Text

    return Text(_UNKNOWN if value is None else f"{value:g}" if isinstance(value, float) else str(value))


def _providers_table(rows: list[dict[str, Any]]) -> RenderableType:
    table = _table(
        ("deployment", "left"),
        ("zone", "left"),
        ("g/kWh", "right"),
        ("grid", "left"),
        ("in / out per M", "right"),
        ("24 h", "right"),
        ("runs here", "left"),
    )
    for row in rows:
        place = row["zone"] and f"{row['zone']} ({row['location_evidence']})"
        match = row.get("temporal_match") and f"{row['temporal_match']}, {row['evidence']}"
        cells = (
            row["deployment"],
            place,
            row.get("intensity_gco2e_per_kwh"),
            match,
            _price(row["price"]),
            _last_day(row),
            _here(row),
        )
        table.add_row(*(_cell(cell) for cell in cells))
    return table


def _here(row: dict[str, Any]) -> str:
    """Whether it can be run here, else what would have to be set."""
    reason = row["unusable"] or row["stale"] or "yes"
    return "offline" if reason.startswith("offline") else reason


def _price(price: dict[str, Any] | None) -> str | None:
    if price is None:
        return None
    return f"{price['input_per_mtok']:g} / {price['output_per_mtok']:g} {price['currency'] or '?'}"


def _last_day(row: dict[str, Any]) -> str | None:
    if not row["runs"]:
        return None
    latency = "" if row["latency_ms"] is None else f", {row['latency_ms']} ms"
    failed = f", {row['failed']} failed" if row["failed"] else ""
    return f"{row['runs']} runs{failed}{latency}"


def _grid_tables(view: dict[str, Any]) -> RenderableType:
    from rich.console import Group

    zones = _table(
        ("zone", "left"),
        ("g/kWh", "right"),
        ("match", "left"),
        ("evidence", "left"),
        ("observed", "left"),
        ("renewable", "right"),
        ("source", "left"),
        ("others say", "left"),
    )
    for row in view["zones"]:
        share = row["renewable_ratio_bps"]
        cells = (
            row["zone"],
            row["intensity_gco2e_per_kwh"],
            row["temporal_match"],
            row["evidence"],
            row["observed_at"][: 4 if row["evidence"] == "annual" else 16],
            None if share is None else f"{share / 100:.0f} %",
            row["source"],
            "; ".join(_other(other) for other in row["others"] if other["source"] != row["source"]) or None,
        )
        zones.add_row(*(_cell(cell) for cell in cells))
    if not view["live"]:
        return Group(zones, _cell("No source is asked: WATTPROOF_OFFLINE is set, or WATTPROOF_GRID is annual."))
    sources = _table(("source", "left"), ("state", "left"), ("what would help", "left"))
    for source in view["sources"]:
        keys = f"set {' and '.join(source['key_env'])}" if source["state"] == "no_key" else source["detail"]
        sources.add_row(*(_cell(cell) for cell in (source["title"], source["state"], keys)))
    return Group(zones, sources)


def _other(other: dict[str, Any]) -> str:
    kind = "marginal" if other["basis"] == "marginal" else f"{other['factor_scope']}, {other['accounting']}"
    return f"{other['intensity_gco2e_per_kwh']:g} {other['source']} ({kind}, {other['temporal_match']})"
