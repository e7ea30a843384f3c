"""The subcommands of ``ledger`` for whoever does not trust it: checkpoints, proofs, tiles, keys."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from wattproof.methodology.errors import InvalidInput, Unavailable
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.checkpoints import Comparison
    from wattproof.resources.ledger.rotation import KeyChange
    from wattproof.resources.receipts import Issuer

__all__ = ["COMMANDS", "checkpoint", "consistency", "keys", "proof", "revoke", "rotate_key", "tiles"]

_MAX_NOTE_BYTES = 64 * 1024

T = TypeVar("T")


class Role(StrEnum):
    """Which key: the one of receipts or the one of checkpoints."""

    ISSUER = "issuer"
    LOG = "log"


LogOption = Annotated[str, typer.Option("--log", help="The log, where there are several.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def checkpoint(log: LogOption = "local") -> None:
    """Sign the present size and root of the log, and print the signed note."""
    _print_exactly(_with_ledger(lambda ledger: ledger.log.checkpoint(log)))


def proof(
    receipt_id: Annotated[str, typer.Argument(help="A receipt of this ledger, r_…")], log: LogOption = "local"
) -> None:
    """Print the proof that a receipt is in the log (C2SP tlog-proof): it verifies without this ledger."""

    async def made(ledger: Ledger) -> str:
        settled = await ledger.get(log, receipt_id=receipt_id)
        if settled is None:
            raise InvalidInput("RECEIPT_ID", f"is {receipt_id[:60]!r}, which log {log!r} does not hold", "give another")
        return str(await ledger.log.tlog_proof(log, settled.seq))

    _print_exactly(_with_ledger(made))


def consistency(
    from_: Annotated[Path, typer.Option("--from", help="A checkpoint of this log that somebody kept.")],
    with_proof: Annotated[bool, typer.Option("--proof", help="Print the proof to the present checkpoint too.")] = False,
    log: LogOption = "local",
    as_json: JsonFlag = False,
) -> None:
    """Say whether the log still begins with what an older checkpoint signed. Exits 1 where it does not."""
    older = _read(from_)

    async def compared(ledger: Ledger) -> tuple[Comparison, str]:
        found = await ledger.log.compare(log, older)
        wanted = with_proof and found.verdict == "consistent" and found.old.size > 0
        return found, await _proof_since(ledger, log, found.old.size) if wanted else ""

    found, text = _with_ledger(compared)
    if as_json:
        print_json(
            {
                "verdict": found.verdict,
                "origin": found.old.origin,
                "old_size": found.old.size,
                "old_root": found.old.root.hex(),
                "root_of_those_now": found.root_then.hex(),
                "entry_count": found.entry_count,
                "root": found.root.hex(),
                "proof": text or None,
            }
        )
    else:
        print_text(_in_words(found))
        _print_exactly(text)
    if found.verdict != "consistent":
        raise typer.Exit(1)


def tiles(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made when missing; any web server can serve it.")],
    log: LogOption = "local",
) -> None:
    """Write the log as static files (C2SP tlog-tiles): what is new of it, and then the checkpoint."""
    done = _with_ledger(lambda ledger: ledger.log.tiles(log, folder))
    print_text(f"{folder} covers {done.size} entries ({done.size - done.old_size} new); {done.files} files written.")


def keys(
    vkey: Annotated[bool, typer.Option("--vkey", help="Only the keys of checkpoints, one a line.")] = False,
    log: LogOption = "local",
) -> None:
    """Print every public key, retired ones too: of receipts as a JWK set, of checkpoints as verifier keys."""

    async def found(ledger: Ledger) -> tuple[object, list[str]]:
        return ledger.jwks, [str(key) for key in ledger.log.vkeys(log)]

    jwks, vkeys = _with_ledger(found)
    if vkey:
        _print_exactly("".join(f"{key}\n" for key in vkeys))
    else:
        print_json({"jwks": jwks, "vkeys": vkeys})


def rotate_key(
    role: Annotated[Role, typer.Argument(help="issuer: signs receipts; log: signs checkpoints.")],
    retire: Annotated[
        bool, typer.Option("--retire", help="End the overlap of a log key's rotation: only the newest signs.")
    ] = False,
) -> None:
    """Sign with a new key from now on. The old key signs the new one, as an entry of every log, and stays published.

    Checkpoints are signed by both log keys until --retire. Servers that are running follow at once. Where the
    environment supplies the key, give the new one in WATTPROOF_ISSUER_KEY_NEXT or WATTPROOF_LOG_KEY_NEXT.
    """
    if retire and role is Role.ISSUER:
        raise InvalidInput("--retire", "is given for the issuer key", "use it with log: receipts have one signature")
    given = _next_key(role)

    async def rotated(ledger: Ledger) -> KeyChange | str | None:
        if retire:
            return await ledger.log.retire_log_key()
        return await (ledger.log.rotate_issuer(given) if role is Role.ISSUER else ledger.log.rotate_log_key(given))

    change = _with_ledger(rotated)
    if change is None:
        print_text("Only one log key signs; there is none to retire.")
    elif isinstance(change, str):
        print_text(f"{change} signs no more; it stays published.")
    else:
        print_text(f"{change.new_kid} signs now, in place of {change.old_kid}. {_entered(change)}")
        if given is not None:
            say(f"Now move the value of {_variable(role)}_NEXT to {_variable(role)}, and restart what runs.")


def revoke(
    kid: Annotated[str, typer.Argument(help="The id of a key that was replaced; `ledger keys` lists them.")],
    since: Annotated[
        str | None, typer.Option(help="Since when somebody else may have held it, as 2026-11-22T06:00:00Z; now if not.")
    ] = None,
) -> None:
    """Publish that somebody else may have held a key. What it signed counts only where a witness saw it before."""
    since_s = None if since is None else _unix(since)
    change = _with_ledger(lambda ledger: ledger.log.revoke(kid, since_s))
    print_text(f"{kid} is revoked. {_entered(change)}")


async def _proof_since(ledger: Ledger, log: str, old_size: int) -> str:
    """The proof as a log sends it to a witness. Source: C2SP tlog-witness v1.0.0."""
    from wattproof.resources.ledger.checkpoints import size_of

    note = await ledger.log.checkpoint(log)
    hashes = await ledger.log.consistency(log, old_size, size_of(note))
    lines = "".join(f"{base64.b64encode(node).decode('ascii')}\n" for node in hashes)
    return f"old {old_size}\n{lines}\n{note}"


def _in_words(found: Comparison) -> str:
    old = found.old
    if found.verdict == "consistent":
        return (
            f"consistent: the {found.entry_count} entries of {old.origin} begin with the {old.size} of the checkpoint."
        )
    if found.verdict == "shorter":
        return f"forked: the checkpoint covers {old.size} entries of {old.origin}, and {found.entry_count} are left."
    return (
        f"forked: the first {old.size} entries of {old.origin} have the root {found.root_then.hex()}, "
        f"and the checkpoint signed {old.root.hex()}. `wattproof ledger fsck` says what was changed."
    )


def _entered(change: KeyChange) -> str:
    if not change.entries:
        return "There is no log yet that could say so."
    places = ", ".join(f"{entry.log_id} entry {entry.seq}" for entry in change.entries[:3])
    return f"Entered in {len(change.entries)} log(s): {places}{' …' if len(change.entries) > 3 else ''}."


def _variable(role: Role) -> str:
    return f"WATTPROOF_{role.upper()}_KEY"


def _next_key(role: Role) -> Issuer | None:
    from wattproof.resources.receipts.keys import key_from_env
    from wattproof.server.settings import load_settings

    value = load_settings(os.environ).environ.get(f"{_variable(role)}_NEXT", "").strip()
    if not value:
        return None
    return key_from_env(f"{_variable(role)}_NEXT", value)


def _unix(text: str) -> float:
    from wattproof.resources.receipts.schema import instant

    try:
        return instant(text)
    except ValueError as error:
        raise InvalidInput("--since", f"is {text[:40]!r}", "give a time in UTC such as 2026-11-22T06:00:00Z") from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_NOTE_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(
            "--from", f"{path} cannot be read ({reason})", "give the checkpoint as it was kept"
        ) from error


def _print_exactly(text: str) -> None:
    """Signed text, byte for byte: a terminal's encoding must not touch it."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _with_ledger(work: Callable[[Ledger], Awaitable[T]]) -> T:
    import anyio

    async def opened() -> T:
        from wattproof.server.open import ledger_exists, open_existing_ledger
        from wattproof.server.settings import load_settings

        settings = load_settings(os.environ)
        if not ledger_exists(settings):
            raise Unavailable("There is no ledger yet: the first run makes it. Try: wattproof demo.")
        async with open_existing_ledger(settings) as ledger:
            return await work(ledger)

    return anyio.run(opened)


COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("checkpoint", checkpoint),
    ("proof", proof),
    ("consistency", consistency),
    ("tiles", tiles),
    ("keys", keys),
    ("rotate-key", rotate_key),
    ("revoke", revoke),
)
