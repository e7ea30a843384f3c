"""The subcommands of ``ledger`` that move its content: backup and restore, archive and unarchive, erase."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wattproof.methodology.errors import Unavailable
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.archive import Archived, Range
    from wattproof.resources.ledger.backup import Head
    from wattproof.server.settings import Settings

__all__ = ["COMMANDS", "archive", "backup", "erase", "restore", "unarchive"]

T = TypeVar("T")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_FORK = (
    "What was appended after that copy is not here. If receipts or checkpoints beyond these sizes were handed out, "
    "appending here contradicts them (a fork): compare first, with wattproof ledger consistency --from CHECKPOINT."
)


def backup(
    to: Annotated[Path, typer.Argument(help="A file that does not exist yet, or a folder for one.")],
    with_keys: Annotated[bool, typer.Option("--with-keys", help="Private keys too: guard the file like them.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Copy the ledger to one file while it is in use. Others go on writing."""
    import time

    from wattproof.resources.ledger.backup import back_up

    settings = _existing()
    _require_a_file(settings)
    made = back_up(settings.home, to, clock=time.time, with_keys=with_keys)
    if as_json:
        print_json({"file": made.file, "made_at": made.made_at, "with_keys": with_keys, "logs": _heads(made.heads)})
        return
    print_text(f"{made.file}: copy of {made.made_at}, {'with' if with_keys else 'without'} private keys")
    _print_heads(made.heads)


def restore(
    file: Annotated[Path, typer.Argument(help="What `ledger backup` wrote.")],
    signatures: Annotated[bool, typer.Option("--signatures", help="Check every signature before: slower.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a backup into a home that has no ledger, once it was found sound. Nothing is overwritten."""
    import secrets
    import time

    from wattproof.resources.ledger.restore import restore as bring_back
    from wattproof.server.open import origin_of
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    _require_a_file(settings)
    found = bring_back(
        file,
        settings.home,
        clock=time.time,
        random_bytes=secrets.token_bytes,
        signatures=signatures,
        origin_of=origin_of(settings),
    )
    if as_json:
        keys = list(found.private_keys)
        heads = _heads(found.heads)
        print_json({"home": found.home, "made_at": found.made_at, "private_keys": keys, "logs": heads, "note": _FORK})
        return
    print_text(f"{found.home}: restored from a copy of {found.made_at}")
    _print_heads(found.heads)
    say(_FORK)
    if "issuer.key" not in found.private_keys and not settings.environ.get("WATTPROOF_ISSUER_KEY"):
        say(
            f"The copy holds no private keys. Put issuer.key and log.key into {settings.home / 'keys'} (mode 0600), or "
            "set WATTPROOF_ISSUER_KEY and WATTPROOF_LOG_KEY: until then the ledger cannot be opened."
        )


def archive(
    before: Annotated[str, typer.Option("--before", help="Entries recorded before this day or instant (UTC).")],
    to: Annotated[Path, typer.Option("--to", help="A file that does not exist yet, or a folder for one.")],
    as_json: JsonFlag = False,
) -> None:
    """Move the receipts and decisions of old entries to a file. Entries, proofs and totals stay."""
    instant = f"{before}T00:00:00Z" if len(before) == len("2026-11-22") else before
    moved = _with_ledger(lambda ledger: ledger.keeping.archive(instant, to))
    if as_json:
        print_json(_moved(moved))
    elif moved is None:
        print_text(f"No receipt of an entry recorded before {instant} is left to archive.")
    else:
        print_text(f"{moved.count} receipts moved to {moved.file}: {_spelled(moved.ranges)}")
        say("Keep that file: the ledger has no other copy. Its SHA-256 is in the ledger, under a signature.")


def unarchive(
    file: Annotated[Path, typer.Argument(help="An archive of this ledger.")], as_json: JsonFlag = False
) -> None:
    """Put archived receipts beside their entries again. The file stays."""
    back = _with_ledger(lambda ledger: ledger.keeping.unarchive(file))
    if as_json:
        print_json(_moved(back))
    else:
        print_text(f"{back.count} receipts came back from {back.file}: {_spelled(back.ranges)}")


def erase(
    receipt_id: Annotated[str, typer.Argument(help="A receipt of this ledger, r_…")],
    reason: Annotated[str, typer.Option("--reason", help="Kept for good and shown by fsck: name nobody in it.")],
    as_json: JsonFlag = False,
) -> None:
    """Delete one receipt and its decision for good. Its entry, its leaf in the log and all totals stay."""
    erased = _with_ledger(lambda ledger: ledger.keeping.erase(receipt_id, reason))
    in_log = _log_bytes()
    if as_json:
        place = {"log_id": erased.log_id, "seq": erased.seq, "receipt_id": erased.receipt_id}
        print_json({**place, "at": erased.at, "reason": erased.reason, "write_ahead_log_bytes": in_log})
        return
    print_text(f"{erased.receipt_id}: erased (entry {erased.seq} of log {erased.log_id} stays)")
    if in_log:
        say("Another process reads the ledger now: bytes of the receipt stay in its write-ahead log until it is done.")
    say("Copies that were made before, in backups and archives or with whoever received it, are not reached.")


def _require_a_file(settings: Settings) -> None:
    if settings.environ.get("WATTPROOF_LEDGER", "").startswith(("postgresql://", "postgres://")):
        raise Unavailable(
            "WATTPROOF_LEDGER names a PostgreSQL database, and this command copies the file of a home. "
            "Back that database up with pg_dump and restore it with pg_restore; unset WATTPROOF_LEDGER for the file."
        )


def _existing() -> Settings:
    from wattproof.server.open import ledger_exists
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        raise Unavailable("There is no ledger yet: the first run makes it. Try: wattproof demo.")
    return settings


def _with_ledger(work: Callable[[Ledger], Awaitable[T]]) -> T:
    import anyio

    async def opened() -> T:
        from wattproof.server.open import open_existing_ledger

        async with open_existing_ledger(_existing()) as ledger:
            return await work(ledger)

    return anyio.run(opened)


def _log_bytes() -> int:
    log = _existing().home / "ledger.sqlite3-wal"
    return log.stat().st_size if log.exists() else 0


def _heads(heads: tuple[Head, ...]) -> list[dict[str, Any]]:
    return [{"log_id": head.log_id, "size": head.size, "root_hex": head.root.hex()} for head in heads]


def _print_heads(heads: tuple[Head, ...]) -> None:
    for head in heads:
        print_text(f"log {head.log_id}: {head.size} entries, root {head.root.hex()}")


def _moved(moved: Archived | None) -> dict[str, Any]:
    if moved is None:
        return {"file": None, "count": 0, "logs": []}
    return {"file": moved.file, "count": moved.count, "logs": [each._asdict() for each in moved.ranges]}


def _spelled(ranges: tuple[Range, ...]) -> str:
    return ", ".join(f"entries {each.first_seq}-{each.end_seq - 1} of log {each.log_id}" for each in ranges)


COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("backup", backup),
    ("restore", restore),
    ("archive", archive),
    ("unarchive", unarchive),
    ("erase", erase),
)
