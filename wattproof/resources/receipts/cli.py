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
from wattproof.resources.receipts.consistency import read_consistency
from wattproof.resources.receipts.key_times import key_times
from wattproof.resources.receipts.keys import keys_from_jwks, read_jwks
from wattproof.resources.receipts.log_evidence import LogGiven, verifier_keys
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.verify import Report, exit_code, verify_receipt

__all__ = ["EXIT_USAGE", "main"]

EXIT_USAGE = 2
_MAX_TEXT_BYTES = 256 * 1024

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
        document = read_jwks(options.jwks)
        keys, limits = keys_from_jwks(document), key_times(document)
        proof = None if options.proof is None else InclusionProof.from_dict(_read_object(options.proof))
        log = _read_log(options)
    except (OSError, WattproofError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    moment = time.time() if now is None else now
    report = verify_receipt(jws, keys, now=moment, inclusion=proof, log=log, limits=limits, trust="given")
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
    parser.add_argument(
        "--tlog-proof", type=Path, metavar="FILE", help="tlog-proof of the receipt, with its checkpoint"
    )
    parser.add_argument(
        "--vkey",
        action="append",
        default=[],
        metavar="VKEY",
        help="key of the log or of a witness, or a file with such keys; may be given several times",
    )
    parser.add_argument("--old-checkpoint", type=Path, metavar="FILE", help="an older checkpoint that you kept")
    parser.add_argument("--consistency", type=Path, metavar="FILE", help="proof that the log only grew since then")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _read_log(options: argparse.Namespace) -> LogGiven:
    """What the options say of the log.

    Raises:
        OSError: a file cannot be read.
        InvalidInput: a key or the consistency proof is malformed.
    """
    # A name cannot hold a plus, and a key without two of them is none.
    texts = [given if given.count("+") >= 2 else _read_text(Path(given)) for given in options.vkey]
    consistency = None if options.consistency is None else read_consistency(_read_text(options.consistency))
    return LogGiven(
        tlog_proof=None if options.tlog_proof is None else _read_text(options.tlog_proof),
        vkeys=tuple(key for text in texts for key in verifier_keys(text)),
        old_checkpoint=None if options.old_checkpoint is None else _read_text(options.old_checkpoint),
        consistency=consistency,
    )


def _read_text(path: Path) -> str:
    """A text whose bytes are judged later: what is not UTF-8 becomes a character that no format allows."""
    with path.open("rb") as file:
        return file.read(_MAX_TEXT_BYTES).decode(errors="replace")


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
    lines.append(f"{'log evidence:':<14}{report.log_evidence or 'none'}")
    lines.append(f"{'receipt:':<14}{report.receipt_id or 'unreadable'}")
    return "\n".join(lines)
