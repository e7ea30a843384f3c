"""``ledger replay``: the ledger's decisions again, under other weights. Reads only; nothing is called or written."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.routing import Preset, Weights
    from wattproof.resources.routing.replaying import Compared, Pair, Replayed

__all__ = ["replay"]

_PAGE = 200
_MOVES_SHOWN = 12


def replay(
    preset: Annotated[str | None, typer.Option(help="balanced, speed, price, eco or batch.")] = None,
    environment: Annotated[float | None, typer.Option(help="Own weights: share of carbon; with the other two.")] = None,
    price: Annotated[float | None, typer.Option(help="Own weights: share of price.")] = None,
    speed: Annotated[float | None, typer.Option(help="Own weights: share of speed.")] = None,
    since: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, excluded.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most decisions to look at, newest first.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Decide stored requests again under other weights and say what would have gone elsewhere. Nothing is called."""
    import anyio

    from wattproof.tools.periods import period_of

    name, weights = _preset(preset), _weights(environment, price, speed)
    if name is None and weights is None:
        raise InvalidInput("--preset", "is missing", "give a preset, or --environment, --price and --speed")
    period = period_of(since, until, None)
    read = anyio.run(_replay, name, weights, period.since, period.until, limit)
    if read is None:
        say("There is no ledger yet; nothing was replayed.")
        raise typer.Exit(3)
    result, unreplayable = read
    if as_json:
        print_json(_document(result, unreplayable, name, weights))
    else:
        _print(result, unreplayable, _label(name, weights))


def _preset(name: str | None) -> Preset | None:
    from wattproof.resources.routing import PRESETS

    for preset in PRESETS:
        if name == preset:
            return preset
    if name is not None:
        raise InvalidInput("--preset", f"is {name[:40]!r}", f"give one of {', '.join(PRESETS)}")
    return None


def _weights(environment: float | None, price: float | None, speed: float | None) -> Weights | None:
    from wattproof.resources.routing import Weights

    given = {"--environment": environment, "--price": price, "--speed": speed}
    missing = [option for option, share in given.items() if share is None]
    if len(missing) == len(given):
        return None
    if environment is None or price is None or speed is None:
        raise InvalidInput(missing[0], "is missing", "give all three shares; they add up to 1")
    return Weights(environment, price, speed)


async def _replay(
    preset: Preset | None, weights: Weights | None, since: str | None, until: str | None, limit: int
) -> tuple[Replayed, Counter[str]] | None:
    from wattproof.resources.routing.replaying import replayed
    from wattproof.server.open import ledger_exists, open_existing_ledger
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        return None
    async with open_existing_ledger(settings) as ledger:
        compared, unreplayable = await _compare(ledger, preset, weights, since, until, limit)
    return replayed(compared), unreplayable


async def _compare(
    ledger: Ledger, preset: Preset | None, weights: Weights | None, since: str | None, until: str | None, limit: int
) -> tuple[list[Compared], Counter[str]]:
    """Every decision of the period again, and how many could not be: `erased`, or `unreadable` by this version."""
    from wattproof.resources.routing import decision_from_json
    from wattproof.resources.routing.replaying import replay_one
    from wattproof.server.settings import load_settings

    compared: list[Compared] = []
    unreplayable: Counter[str] = Counter()
    log_id = load_settings(os.environ).log_id
    cursor, left = None, limit
    while left > 0:
        page = await ledger.decisions(log_id, since=since, until=until, cursor=cursor, limit=min(left, _PAGE))
        for row in page.rows:
            if row.json is None:
                unreplayable["erased"] += 1
                continue
            try:
                stored = decision_from_json(row.json)
            except InvalidInput:
                unreplayable["unreadable"] += 1
                continue
            compared.append(replay_one(stored, preset=preset, weights=weights))
        left -= len(page.rows)
        cursor = page.next_cursor
        if cursor is None:
            break
    return compared, unreplayable


def _label(preset: Preset | None, weights: Weights | None) -> str:
    if weights is None:
        return f"preset {preset}"
    return f"environment {weights.environment:g}, price {weights.price:g}, speed {weights.speed:g}"


def _document(
    result: Replayed, unreplayable: Counter[str], preset: Preset | None, weights: Weights | None
) -> dict[str, Any]:
    from dataclasses import asdict

    def pair(found: Pair | None) -> dict[str, Any] | None:
        return None if found is None else {**asdict(found), "difference_of_medians": found.difference}

    return {
        "preset": preset,
        "weights": None if weights is None else asdict(weights),
        "decisions": result.decisions,
        "changed": result.changed,
        "not_replayable": {"erased": unreplayable["erased"], "unreadable": unreplayable["unreadable"]},
        "moves": [asdict(move) for move in result.moves],
        "expected": {
            "carbon_gco2e": pair(result.carbon_gco2e),
            "cost_usd": pair(result.cost_usd),
            "latency_ms_mean": pair(result.latency_ms),
        },
    }


def _print(result: Replayed, unreplayable: Counter[str], label: str) -> None:
    print_text(
        f"{result.decisions} decisions again under {label}: {result.changed} would have gone elsewhere first. "
        f"Not replayable: {unreplayable['erased']} erased, {unreplayable['unreadable']} of another form."
    )
    for move in result.moves[:_MOVES_SHOWN]:
        print_text(f"{move.count:>6}  {move.origin} -> {move.to}")
    if len(result.moves) > _MOVES_SHOWN:
        print_text(f"        and {len(result.moves) - _MOVES_SHOWN} other pairs; --json lists all")
    for title, unit, found in (
        ("carbon", "gCO2e", result.carbon_gco2e),
        ("cost", "USD", result.cost_usd),
        ("mean latency", "ms", result.latency_ms),
    ):
        print_text(_expected(title, unit, found, result.decisions))
    if result.decisions:
        print_text(
            "Expected of each first choice when it was decided, at the output limit; bounds are summed as if all "
            "estimates erred alike, and most of that error is common to both sides."
        )


def _expected(title: str, unit: str, found: Pair | None, decisions: int) -> str:
    from wattproof.tools.figures import significant

    if found is None:
        return f"expected {title:<13} unknown"

    def amount(median: float, low: float | None, high: float | None) -> str:
        text = significant(median, 3)
        return text if low is None or high is None else f"{text} ({significant(low)}–{significant(high)})"

    before, after = found.before, found.after
    sign = "+" if found.difference > 0 else ""
    of = "" if found.count == decisions else f", of {found.count} that know both"
    return (
        f"expected {title:<13} {amount(before.median, before.low, before.high)} -> "
        f"{amount(after.median, after.low, after.high)} {unit} ({sign}{significant(found.difference, 3)}{of})"
    )
