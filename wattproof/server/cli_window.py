"""`wattproof window`: when and where to run something that can wait."""

from __future__ import annotations

from typing import Annotated

import typer

from wattproof.server.cli_call import arguments, call, print_result

__all__ = ["window"]


def window(
    zone: Annotated[list[str] | None, typer.Option(help="Grid zone it may run in; repeat for several.")] = None,
    model: Annotated[str | None, typer.Option(help="Instead of zones: where this model is offered.")] = None,
    duration: Annotated[
        int | None, typer.Option("--duration", "--duration-minutes", help="Minutes that it runs; 60 unless given.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="By when it ends: hours from now (6h) or an RFC 3339 time; 24h unless given.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Spreads callers over equally good starts: a request id, say.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every zone and every equally good start.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")] = False,
) -> None:
    """When and where a run that can wait meets the least carbon-intensive electricity, by grid forecasts."""
    from wattproof.tools.recommend_window import WindowArgs, brief, recommend_window

    given = arguments(
        WindowArgs,
        zones=zone or None,
        model=model,
        duration_minutes=duration,
        deadline=deadline,
        seed=seed,
        detail="full" if full else None,
    )
    print_result(call(recommend_window, given), brief, as_json)
