"""`wattproof ledger migrate`: from the file in this home to a database that several processes share."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from wattproof.methodology.errors import InvalidInput, Unavailable
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger.postgres.migrate import MigratedLog

__all__ = ["COMMANDS", "migrate"]

_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def migrate(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="postgresql://…", help="Where to; without it WATTPROOF_LEDGER, which no process list shows."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare both sides; make and copy nothing.")] = False,
    print_schema: Annotated[
        bool, typer.Option("--print-schema", help="Print the SQL that makes the tables, for whoever runs such things.")
    ] = False,
    grant_to: Annotated[
        str | None, typer.Option(metavar="ROLE", help="With --print-schema: what lets this role use them.")
    ] = None,
    citus: Annotated[
        bool, typer.Option("--citus", help="With --print-schema: what spreads them over a Citus cluster by log.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Copy this home's ledger to PostgreSQL: the same receipts, the same roots. It stays in use meanwhile.

    Running it again copies what came since; one that was cut off goes on where it stopped.
    """
    if print_schema:
        print_text(_schema(grant_to, citus=citus))
        return
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    dsn = to or settings.environ.get("WATTPROOF_LEDGER", "")
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise InvalidInput("--to", "names no PostgreSQL database", "give postgresql://USER@HOST/DATABASE")
    if not (settings.home / "ledger.sqlite3").exists():
        raise Unavailable(
            f"There is no ledger in {settings.home} that could be copied. Set WATTPROOF_HOME to its home."
        )
    _require_driver()
    from wattproof.resources.ledger.postgres.migrate import migrate as copy
    from wattproof.resources.ledger.postgres.migrate import plan
    from wattproof.resources.ledger.postgres.opening import SCHEMA

    file = settings.home / "ledger.sqlite3"
    if dry_run:
        found = plan(file, dsn, schema=SCHEMA)
    else:
        with _progress() as progress:
            found = copy(file, dsn, schema=SCHEMA, clock=time.time, progress=progress)
    _print(found, dry_run=dry_run, as_json=as_json)
    if not dry_run:
        say(
            "The roots of both sides are the same. Servers go on with the file until they are started with "
            "WATTPROOF_LEDGER and the keys of this home, WATTPROOF_ISSUER_KEY and WATTPROOF_LOG_KEY: what "
            f"`basenc --base64url {settings.home / 'keys' / 'issuer.key'}` prints, and the same of log.key. "
            "Stop them, run this once more, then start them."
        )


def _print(found: Sequence[MigratedLog], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        logs = [
            {
                "log_id": log.log_id,
                "size": log.size,
                "root": log.root.hex(),
                "entries_before": log.before,
                "entries_now": log.now,
            }
            for log in found
        ]
        print_json({"dry_run": dry_run, "logs": logs})
        return
    for log in found:
        what = f"{log.size - log.before} to copy" if dry_run else f"{log.now - log.before} copied"
        print_text(f"{log.log_id}: {log.size} entries, root {log.root.hex()}; {log.before} were there, {what}")


def _schema(grant_to: str | None, *, citus: bool) -> str:
    _require_driver()
    from wattproof.resources.ledger.postgres.opening import SCHEMA
    from wattproof.resources.ledger.postgres.tables import citus_statements, grant_statements, schema_statements

    statements = list(schema_statements(SCHEMA))
    if citus:
        statements += citus_statements(SCHEMA)
    if grant_to is not None:
        if not _ROLE.fullmatch(grant_to):
            raise InvalidInput("--grant-to", f"is {grant_to[:60]!r}", "give a role of letters, digits and underscores")
        statements += grant_statements(SCHEMA, f'"{grant_to}"')
    return "\n".join(f"{statement};" for statement in statements)


def _require_driver() -> None:
    """Raises Unavailable where the extra is not installed."""
    from wattproof.resources.ledger import postgres

    _ = postgres.open_postgres_ledger


@contextmanager
def _progress() -> Generator[Callable[[str, int, int], None]]:
    """A bar on stderr where somebody looks at it: entries of one log after the other."""
    if not sys.stderr.isatty():
        yield lambda _log_id, _done, _size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("copying")

        def progress(log_id: str, done: int, size: int) -> None:
            bar.update(task, description=log_id, completed=done, total=size)

        yield progress


COMMANDS = (("migrate", migrate),)
