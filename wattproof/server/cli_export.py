"""`wattproof export`: entries, receipts and samples with proofs, as files."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import say

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.export import EntryFilter, Write

__all__ = ["export_entries", "export_receipts", "export_sample"]

_T = TypeVar("_T")
_KINDS = ("inference", "recorded", "imported", "adjustment", "operation", "key")

Since = Annotated[str | None, typer.Option(help="Date or RFC 3339 time, included.")]
Until = Annotated[str | None, typer.Option(help="Date or RFC 3339 time, excluded.")]
Tz = Annotated[str | None, typer.Option(help="IANA time zone of bare dates; UTC unless given.")]
Provider = Annotated[str | None, typer.Option(help="Only this provider.")]
Model = Annotated[str | None, typer.Option(help="Only this model.")]
Zone = Annotated[str | None, typer.Option(help="Only this grid zone.")]
Tag = Annotated[str | None, typer.Option(help="Only this tag.")]
OperationId = Annotated[str | None, typer.Option(help="Only this workflow.")]
Source = Annotated[str | None, typer.Option(help="Only this source, such as litellm.")]
Project = Annotated[str | None, typer.Option(help="Only this project.")]
Status = Annotated[str | None, typer.Option(help="completed, failed or cancelled.")]
Kind = Annotated[list[str] | None, typer.Option(help=f"{', '.join(_KINDS)}; repeat for several.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; without it, stdout.")]


def export_entries(
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    output: Output = None,
    since: Since = None,
    until: Until = None,
    tz: Tz = None,
    provider: Provider = None,
    model: Model = None,
    zone: Zone = None,
    tag: Tag = None,
    operation_id: OperationId = None,
    source: Source = None,
    project: Project = None,
    status: Status = None,
    kind: Kind = None,
) -> None:
    """Write entries as CSV or JSON Lines, streamed. Without --kind: those that the summary counts."""
    chosen: Any = form
    if form not in {"csv", "jsonl"}:
        raise InvalidInput("--format", f"is {form[:20]!r}", "give csv or jsonl")
    wanted = _filter(
        since,
        until,
        tz,
        kind,
        provider=provider,
        model=model,
        zone=zone,
        tag=tag,
        operation_id=operation_id,
        source=source,
        project=project,
        status=status,
    )
    with _written_to(output) as write:
        count = _with_ledger(lambda ledger, log_id: ledger.exports.entries(log_id, wanted, chosen, write))
    say(f"{count:,} entries.")


def export_receipts(
    output: Output = None,
    since: Since = None,
    until: Until = None,
    tz: Tz = None,
    provider: Provider = None,
    model: Model = None,
    zone: Zone = None,
    tag: Tag = None,
    operation_id: OperationId = None,
    source: Source = None,
    project: Project = None,
    status: Status = None,
    kind: Kind = None,
) -> None:
    """Write receipts in the order of the log, one a line: a JWS, or a record that its batch signs for."""
    wanted = _filter(
        since,
        until,
        tz,
        kind or list(_KINDS),
        provider=provider,
        model=model,
        zone=zone,
        tag=tag,
        operation_id=operation_id,
        source=source,
        project=project,
        status=status,
    )
    with _written_to(output) as write:
        count, missing = _with_ledger(lambda ledger, log_id: ledger.exports.receipts(log_id, wanted, write))
    gone = f" {missing:,} entries have none: erased or archived." if missing else ""
    say(f"{count:,} receipts.{gone}")


def export_sample(
    size: Annotated[int, typer.Argument(help="How many receipts, 1 to 1000.")] = 25,
    seed: Annotated[str | None, typer.Option(help="What they are drawn by; without it, drawn and printed.")] = None,
    output: Output = None,
    since: Since = None,
    until: Until = None,
    tz: Tz = None,
    provider: Provider = None,
    model: Model = None,
    zone: Zone = None,
    tag: Tag = None,
    operation_id: OperationId = None,
    source: Source = None,
    project: Project = None,
    status: Status = None,
    kind: Kind = None,
) -> None:
    """Draw receipts at random, with proofs and public keys, for a reviewer. The same seed draws the same again."""
    import secrets

    import orjson

    wanted = _filter(
        since,
        until,
        tz,
        kind,
        provider=provider,
        model=model,
        zone=zone,
        tag=tag,
        operation_id=operation_id,
        source=source,
        project=project,
        status=status,
    )
    drawn_by = seed or secrets.token_hex(16)
    with _written_to(output) as write:
        document = _with_ledger(lambda ledger, log_id: _sample(ledger, log_id, wanted, size, drawn_by))
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    say(f"{len(document['sample']):,} of {document['population']:,} receipts; --seed {drawn_by}")


async def _sample(ledger: Ledger, log_id: str, wanted: EntryFilter, size: int, seed: str) -> dict[str, Any]:
    """The sample with what it takes to check it: a proof under a signed checkpoint for each, and the keys."""
    document = await ledger.exports.sample(log_id, wanted, size, seed)
    for each in document["sample"]:
        each["receipt"]["tlog_proof"] = str(await ledger.log.tlog_proof(log_id, each["seq"]))
    document["jwks"] = ledger.jwks
    document["vkeys"] = [str(key) for key in ledger.log.vkeys(log_id)]
    return document


def _filter(
    since: str | None, until: str | None, tz: str | None, kinds: list[str] | None, **equal: str | None
) -> EntryFilter:
    from wattproof.resources.ledger.export import EntryFilter
    from wattproof.tools.periods import period_of

    unknown = sorted(set(kinds or ()) - set(_KINDS))
    if unknown:
        raise InvalidInput("--kind", f"is {unknown[0][:40]!r}", f"give one of {', '.join(_KINDS)}")
    period = period_of(since, until, tz)
    chosen: dict[str, Any] = {"since": period.since, "until": period.until, **equal}
    return EntryFilter(**chosen, kinds=tuple(kinds)) if kinds else EntryFilter(**chosen)


def _with_ledger(work: Callable[[Ledger, str], Awaitable[_T]]) -> _T:
    import anyio

    return anyio.run(partial(_opened, work))


async def _opened(work: Callable[[Ledger, str], Awaitable[_T]]) -> _T:
    from wattproof.server.open import ledger_exists, open_existing_ledger
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        raise InvalidInput("WATTPROOF_HOME", f"{settings.home} holds no ledger yet", "run or import something first")
    async with open_existing_ledger(settings) as ledger:
        return await work(ledger, settings.log_id)


def _to_stdout(text: str) -> None:
    """Raises: typer.Exit: whoever reads has seen enough, as in ``| head``."""
    try:
        sys.stdout.write(text)
        if not text:
            sys.stdout.flush()
    except BrokenPipeError:
        # Nothing may be left for Python to write when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def _to_file(file: TextIO, path: Path, text: str) -> None:
    """Raises: InvalidInput: the disk is full, for instance; never mistaken for a fault of the ledger."""
    try:
        file.write(text)
    except OSError as error:
        raise InvalidInput("--output", f"{path} cannot be written ({error.strerror})", "give another file") from error


@contextmanager
def _written_to(output: Path | None) -> Generator[Write]:
    """Where the pieces go: a file that appears when it is whole, or stdout."""
    if output is None:
        yield _to_stdout
        _to_stdout("")
        return
    # A pipe or a device is written to; a file appears when it is whole.
    special = output.exists() and not output.is_file()
    beside = output if special else output.with_name(f".{output.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield partial(_to_file, file, output)
        if not special:
            beside.replace(output)
    except OSError as error:
        raise InvalidInput("--output", f"{output} cannot be written ({error.strerror})", "give another file") from error
    finally:
        if not special:
            beside.unlink(missing_ok=True)
