"""Bring the user's own usage logs and exports into the ledger, asked for by a model: see what it may read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput, Refused
from wattproof.methodology.foreign import as_name
from wattproof.tools import importing
from wattproof.tools.importing import ImportArgs, ImportResult
from wattproof.tools.progress import Report, unreported
from wattproof.tools.result import JSON_TEXT, Arguments, Detail

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["FormatName", "ImportResult", "ImportUsageArgs", "brief", "import_usage"]

FormatName = Literal["claude-code", "codex", "litellm", "otel-spans", "openai-usage", "anthropic-usage", "openrouter"]

_Path = Annotated[str, Field(min_length=1, max_length=1000)]
_Time = Annotated[str | None, Field(max_length=40, description="Date (UTC) or RFC 3339 time")]

# How many times the progress of one import is told.
_STEPS = 20
_LINKS_NAMED = 3
# The text is paid for by a model; the data name more.
_MODELS_IN_TEXT = 2
_REASONS_IN_TEXT = 2


class ImportUsageArgs(Arguments):
    """Arguments of `import_usage`."""

    format: Annotated[FormatName, Field(description="Program that wrote the log or export")]
    paths: Annotated[
        Annotated[list[_Path], JSON_TEXT] | None,
        Field(
            min_length=1,
            max_length=20,
            description="Files or folders below the home folder; default where claude-code and codex keep their logs",
        ),
    ] = None
    since: _Time = None
    until: _Time = None
    zone: Annotated[str | None, Field(max_length=20, description="Grid zone where all of it ran, if known")] = None
    dry_run: Annotated[bool | None, Field(description="Default true: append nothing; false appends")] = None
    detail: Annotated[Detail | None, Field(description="full: every model, count and receipt")] = None


async def import_usage(args: ImportUsageArgs, deps: Deps, report: Report = unreported) -> ImportResult:
    """Import usage from the files of the user of this machine; unless told otherwise, only show what that would do.

    Raises:
        Refused: the caller is not the user of this machine.
        InvalidInput: a path is not to be read, holds nothing of the format, or an argument is wrong.
        UnknownZone: no edition lists the zone.
        LedgerError: the ledger cannot be written; batches that were appended before stay.
    """
    if not deps.own_files:
        raise Refused(
            "import_usage reads files of the server's machine, for the user of that machine only: over stdio, or over "
            "HTTP from that machine with the token that `wattproof serve --http` prints. Run `wattproof import` in a "
            "terminal there instead."
        )
    from wattproof.resources.imports import format_named
    from wattproof.resources.imports.reach import find_files

    given = ImportArgs(
        format=args.format, since=args.since, until=args.until, zone=args.zone, dry_run=args.dry_run is not False
    )
    try:
        found = await asyncio.to_thread(find_files, format_named(args.format), deps.environ, args.paths or ())
        async with _telling(report) as progress:
            result = await importing.import_usage(given, deps, paths=found.files, progress=progress)
    except InvalidInput as error:
        # What the command line calls its argument.
        raise InvalidInput("paths", error.problem, error.fix) if error.field == "PATH" else error from None
    if not found.left_out:
        return result
    links = {
        "reason": "hidden, or a link that leads elsewhere",
        "count": len(found.left_out),
        "examples": [as_name(each) for each in found.left_out[:_LINKS_NAMED]],
    }
    return result.model_copy(update={"skipped": (*result.skipped, links)})


def brief(result: ImportResult) -> str:
    """As the command says it, and after a dry run how to append."""
    advice = "dry_run false appends them." if result.dry_run else ""
    return importing.brief(result, advice, _MODELS_IN_TEXT, _REASONS_IN_TEXT)


@asynccontextmanager
async def _telling(report: Report) -> AsyncGenerator[Callable[[int, int], None]]:
    """Takes bytes read of all bytes from whichever thread reads, and tells `report` now and then."""
    loop, told = asyncio.get_running_loop(), asyncio.Queue[tuple[int, int] | None]()
    last = -1

    def progress(done: int, whole: int) -> None:
        nonlocal last
        step = _STEPS * done // max(whole, 1)
        if step > last:
            last = step
            loop.call_soon_threadsafe(told.put_nowait, (done, whole))

    async def tell() -> None:
        while (bytes_read := await told.get()) is not None:
            await report(*bytes_read, "bytes read")

    telling = asyncio.create_task(tell())
    try:
        yield progress
    finally:
        told.put_nowait(None)
        await telling
