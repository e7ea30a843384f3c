"""``doctor``, ``keys`` and ``ledger``: look at what is here; nothing is changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.resources.ledger import FsckReport

__all__ = ["doctor", "keys", "ledger_fsck"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def doctor(as_json: JsonFlag = False) -> None:
    """Say what works here and what would fix the rest. Exits 1 when something is broken."""
    import anyio

    from wattproof.server.doctor import as_dict, examine

    checks = anyio.run(examine, os.environ)
    if as_json:
        print_json(as_dict(checks))
    else:
        for check in checks:
            print_text(f"{check.level:<5}{check.name:<16}{check.detail}")
            if check.fix:
                print_text(f"{'':<21}-> {check.fix}")
    if any(check.level == "fail" for check in checks):
        raise typer.Exit(1)


def keys() -> None:
    """Print the public keys of this installation as a JWK set, for whoever checks its receipts."""
    from wattproof.methodology.errors import Unavailable
    from wattproof.resources.receipts.keys import read_jwks
    from wattproof.server.open import jwks_path
    from wattproof.server.settings import load_settings

    path = jwks_path(load_settings(os.environ))
    if not path.exists():
        raise Unavailable(f"{path} does not exist yet: the first run makes the key. Try: wattproof demo.")
    print_json(read_jwks(path))


def ledger_fsck(
    signatures: Annotated[
        bool, typer.Option("--signatures", help="Check signatures, and columns against what was signed: slower.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Recompute every hash, leaf, root and total. Exits 1 on a difference, 3 when there is no ledger yet."""
    import anyio

    report = anyio.run(_fsck, signatures)
    if report is None:
        say("There is no ledger yet; nothing was examined.")
        raise typer.Exit(3)
    if as_json:
        from dataclasses import asdict

        print_json({"sound": report.sound, "signatures": signatures, **asdict(report)})
    else:
        _print_report(report, signatures)
    if not report.sound:
        raise typer.Exit(1)


async def _fsck(signatures: bool) -> FsckReport | None:
    from wattproof.server.open import ledger_exists, open_existing_ledger
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if not ledger_exists(settings):
        return None
    async with open_existing_ledger(settings) as ledger:
        return await ledger.fsck(signatures=signatures)


def _print_report(report: FsckReport, signatures: bool) -> None:
    for kind, found in (("differs", report.findings), ("note", report.notes)):
        for finding in found:
            print_text(f"{kind}: {finding.where}: {finding.message}")
    verdict = "everything recomputes" if report.sound else "the differences are above"
    checked = "with their signatures" if signatures else "without signatures (add --signatures)"
    print_text(f"{report.entry_count} entries in {len(report.logs)} log(s) examined, {checked}; {verdict}.")
