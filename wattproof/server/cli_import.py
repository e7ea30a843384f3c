"""`wattproof import`: usage from session logs, spend logs, spans and usage exports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattproof.server.cli_call import arguments, print_result

if TYPE_CHECKING:
    from wattproof.tools.importing import ImportArgs, ImportResult

__all__ = ["import_"]


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="claude-code, codex, litellm, otel-spans, openai-usage, anthropic-usage or openrouter.",
        ),
    ],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files or folders; for claude-code and codex also where they are."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA time zone of bare dates; UTC unless given.")] = None,
    zone: Annotated[str | None, typer.Option(help="Grid zone where all of it ran, if you know.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag for every entry; repeat for several.")] = None,
    project: Annotated[str | None, typer.Option(help="Project of every entry, instead of the source's.")] = None,
    totals: Annotated[
        Path | None, typer.Option(help="File with the provider's own totals (JSON, or its usage export).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and estimate; append nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Import usage into the ledger, each record once, signed in batches. Running it again adds only what is new."""
    import anyio

    from wattproof.tools.importing import ImportArgs, brief

    given = arguments(
        ImportArgs,
        format=source,
        since=since,
        until=until,
        tz=tz,
        zone=zone,
        tags=tag or None,
        project=project,
        dry_run=dry_run,
    )
    with _progress() as progress:
        result = anyio.run(partial(_import, given, tuple(paths or ()), totals, progress))
    print_result(result, brief, as_json)


async def _import(
    given: ImportArgs, paths: tuple[Path, ...], totals: Path | None, progress: Callable[[int, int], None] | None
) -> ImportResult:
    from wattproof.server.open import open_deps
    from wattproof.server.settings import load_settings
    from wattproof.tools.importing import import_usage

    async with open_deps(load_settings(os.environ), local_servers=()) as deps:
        return await import_usage(given, deps, paths=paths, totals=totals, progress=progress)


@contextmanager
def _progress() -> Generator[Callable[[int, int], None] | None]:
    """A bar on stderr where somebody looks at it; bytes read of all bytes."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("importing")

        def progress(done: int, whole: int) -> None:
            bar.update(task, completed=done, total=whole)

        yield progress
