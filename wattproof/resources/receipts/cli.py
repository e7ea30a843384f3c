"""Verify a receipt from the command line, with the standard library and PyNaCl alone."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from wattproof.methodology.errors import InvalidInput, WattproofError
from wattproof.resources.receipts.canonical import MAX_BYTES
from wattproof.resources.receipts.keys import keys_from_jwks, read_jwks
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.verify import Report, exit_code, verify_receipt

__all__ = ["EXIT_USAGE", "main"]

EXIT_USAGE = 2

_EPILOG = """exit status:
  0  signature and arithmetic pass and nothing fails
  1  something fails
  2  the command or a file that it names cannot be used
  3  not established: the key or the method is unknown here
"""


def main(arguments: Sequence[str] | None = None, *, out: TextIO | None = None, now: float | None = None) -> int:
    """Verify one receipt; gives the exit status. `now` is Unix time, by default this machine's clock."""
    options = _parser().parse_args(arguments)
    try:
        jws = _read_receipt(options.receipt)
        keys = keys_from_jwks(read_jwks(options.jwks))
        proof = None if options.proof is None else InclusionProof.from_dict(_read_object(options.proof))
    except (OSError, WattproofError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    moment = time.time() if now is None else now
    report = verify_receipt(jws, keys, now=moment, inclusion=proof, trust="given")
    text = json.dumps(report.as_dict(), indent=2) if options.json else _text(report)
    (out or sys.stdout).write(text + "\n")
    return exit_code(report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wattproof.resources.receipts",
        description="Verify a wattproof receipt offline: signature, inclusion, arithmetic, plausibility, freshness.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "receipt", metavar="RECEIPT", help="file with the receipt (compact JWS), or - for standard input"
    )
    parser.add_argument("--jwks", type=Path, required=True, metavar="FILE", help="the issuer's public keys (JWK set)")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="inclusion proof (JSON) that came with the receipt")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _read_receipt(name: str) -> str:
    """The receipt without the newline that editors add. Latin-1, so that no byte is lost before it is judged."""
    # One byte more than is allowed, and a newline: enough to see that it is too large.
    limit = MAX_BYTES + 3
    if name == "-":
        data = sys.stdin.buffer.read(limit)
    else:
        with Path(name).open("rb") as file:
            data = file.read(limit)
    return data.decode("latin-1").removesuffix("\n").removesuffix("\r")


def _read_object(path: Path) -> Mapping[str, Any]:
    fix = "give the proof that came with the receipt"
    try:
        document: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(str(path), "is not JSON", fix) from error
    if not isinstance(document, dict):
        raise InvalidInput(str(path), "is not a JSON object", fix)
    return cast("dict[str, Any]", document)


def _text(report: Report) -> str:
    lines = [f"{name + ':':<14}{found.verdict.upper():<9}{found.message}" for name, found in report.verdicts.items()]
    lines.append(f"{'receipt:':<14}{report.receipt_id or 'unreadable'}")
    return "\n".join(lines)
