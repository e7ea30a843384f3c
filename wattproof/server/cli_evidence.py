"""`wattproof export evidence`: a period as one file that a reviewer checks without this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import say

__all__ = ["export_evidence"]

_MAX_NOTE_BYTES = 64 * 1024


def export_evidence(
    output: Annotated[Path, typer.Option("--output", "-o", help="Zip file to write.")],
    since: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA time zone of bare dates; UTC unless given.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Only so many receipts, drawn at random; all unless given.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="What they are drawn by; the root of the log unless given.")] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="A checkpoint that somebody kept: with the proof from there.")
    ] = None,
    max_mib: Annotated[int, typer.Option(min=1, help="Refuse to write more than this.")] = 2048,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where there is one.")] = False,
) -> None:
    """Write totals, receipts, proofs, keys and a verifier of a period as one zip, checked without this installation.

    The same ledger gives the same file, byte for byte.
    """
    from wattproof.server.cli_call import call
    from wattproof.tools.evidence_pack import PackRequest, write_pack

    if output.exists() and not force:
        raise InvalidInput("--output", f"{output} exists", "give another file, or --force to replace it")
    request = PackRequest(
        output=output,
        since=since,
        until=until,
        tz=tz,
        sample=sample,
        seed=seed,
        older=None if from_ is None else _read(from_),
        most_mib=max_mib,
    )
    _require_ledger()
    packed = call(write_pack, request)
    drawn = f" drawn by seed {packed.seed}" if packed.seed else ""
    gone = sum(count for state, count in packed.states.items() if state.startswith(("erased", "archived", "missing")))
    absent = f" Receipts not in it, erased, archived or missing: {gone:,}." if gone else ""
    left_out = f" {packed.operands_left_out:,} operands are not listed: too many." if packed.operands_left_out else ""
    held = f"{packed.entries:,} entries, {packed.receipts:,} receipts{drawn}, {packed.size:,} bytes"
    say(f"{output}: {held}.{absent}{left_out}")
    say(f"To check it: unzip {output.name} -d evidence, then python evidence/verify.py (PyNaCl).")


def _require_ledger() -> None:
    import os

    from wattproof.server.open import ledger_exists
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        raise InvalidInput("WATTPROOF_HOME", f"{settings.home} holds no ledger yet", "run or import something first")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_NOTE_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("--from", f"{path} cannot be read", "give a checkpoint as it was printed") from error
