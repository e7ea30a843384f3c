"""Check an evidence pack from the command line, with the standard library and PyNaCl alone."""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed, WattproofError
from wattproof.methodology.foreign import escaped
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint
from wattproof.resources.receipts.consistency import read_consistency
from wattproof.resources.receipts.jws import parse, verify
from wattproof.resources.receipts.key_times import key_times
from wattproof.resources.receipts.keys import keys_from_jwks, read_jwks
from wattproof.resources.receipts.log_evidence import verifier_keys
from wattproof.resources.receipts.merkle import verify_consistency
from wattproof.resources.receipts.pack import FORMAT, RECEIPT, TYP
from wattproof.resources.receipts.pack.files import PackFiles, broken
from wattproof.resources.receipts.pack.review import Given, Review, sample_of
from wattproof.resources.receipts.pack.span import span_root

__all__ = ["main"]

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ESTABLISHED = 1, 2, 3
_MANIFEST = "manifest.jws"

_EPILOG = """exit status:
  0  everything in the pack is in order
  1  something fails
  2  the command or a file that it names cannot be used
  3  nothing fails, and something is not established: a receipt that was erased, a key or method unknown here
"""


def main(
    arguments: Sequence[str] | None = None,
    *,
    folder: Path | None = None,
    out: TextIO | None = None,
    now: float | None = None,
) -> int:
    """Check the pack that is named, by default the one in `folder`; gives the exit status. `now` is Unix time."""
    options = _parser(folder).parse_args(arguments)
    written = out or sys.stdout
    if find_spec("nacl") is None:
        sys.stderr.write("PyNaCl is missing: python -m pip install pynacl\n")
        return EXIT_USAGE
    try:
        jwks = None if options.jwks is None else read_jwks(options.jwks)
        vkey = None if options.vkey is None else options.vkey.read_text("utf-8")
        older = None if options.old_checkpoint is None else options.old_checkpoint.read_text("utf-8")
        pack = PackFiles(options.pack)
    except VerificationFailed as error:
        written.write(f"FAILED: {escaped(str(error))}\n")
        return EXIT_FAILED
    except (OSError, ValueError, WattproofError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    with pack:
        moment = time.time() if now is None else now
        return _judged(pack, jwks, vkey, older, moment, written)


def _parser(folder: Path | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Check an evidence pack offline: signatures, arithmetic, sums, and the sequence in the log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "pack", nargs="?" if folder else None, type=Path, default=folder, help="the zip, or the folder it was opened in"
    )
    parser.add_argument("--jwks", type=Path, metavar="FILE", help="the issuer's keys, from elsewhere than the pack")
    parser.add_argument("--vkey", type=Path, metavar="FILE", help="the log's keys, from elsewhere than the pack")
    parser.add_argument(
        "--old-checkpoint", type=Path, metavar="FILE", help="the checkpoint given as --from, kept by you"
    )
    return parser


def _judged(
    pack: PackFiles,
    jwks: Mapping[str, Any] | None,
    vkey: str | None,
    older: str | None,
    now: float,
    out: TextIO,
) -> int:
    try:
        document = jwks or pack.json("jwks.json")
        vkeys = verifier_keys(vkey or pack.text("log.vkey"))
        given = Given(keys=keys_from_jwks(document), limits=key_times(document), vkeys=vkeys, now=now)
        review = Review(pack, given, _manifest(pack, given.keys))
    except (WattproofError, UnicodeError, RecursionError) as error:
        unknown = isinstance(error, VerificationFailed) and error.reason == "unknown_key"
        out.write(f"{'NOT ESTABLISHED' if unknown else 'FAILED'}: {escaped(str(error))}\n")
        return EXIT_NOT_ESTABLISHED if unknown else EXIT_FAILED
    try:
        out.writelines(line + "\n" for line in _lines(pack, review, older))
    except (WattproofError, OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
        review.fail(f"The rest cannot be judged: {error}")
    if jwks is None or vkey is None:
        out.write("keys         taken from this pack: compare them with those that the issuer publishes\n")
    return _concluded(review, out)


def _concluded(review: Review, out: TextIO) -> int:
    for word, found, count in (
        ("WRONG", review.wrong, review.counts["wrong"]),
        ("OPEN", review.unsettled, review.counts["unsettled"]),
    ):
        out.writelines(f"{word}: {escaped(each)}\n" for each in found)
        if count > len(found):
            out.write(f"{word}: and {count - len(found):,} more\n")
    if review.wrong:
        out.write("FAILED\n")
        return EXIT_FAILED
    out.write("NOTHING FAILS, NOT ALL IS ESTABLISHED\n" if review.unsettled else "IN ORDER\n")
    return EXIT_NOT_ESTABLISHED if review.unsettled else 0


def _manifest(pack: PackFiles, keys: Mapping[str, bytes]) -> Mapping[str, Any]:
    """The signed list of files.

    Raises:
        VerificationFailed: it is none, or a key that is not known signed it.
    """
    parsed = parse(pack.text(_MANIFEST).strip())
    if parsed.typ != TYP or parsed.payload.get("format") != FORMAT or not isinstance(parsed.payload.get("files"), dict):
        raise broken(_MANIFEST, f"is not the list of a {FORMAT}")
    verify(parsed, keys)
    return parsed.payload


def _lines(pack: PackFiles, review: Review, older: str | None) -> Iterator[str]:
    manifest, counts = review.manifest, review.counts
    since, until = manifest.get("since") or "the beginning", manifest.get("until") or "the end"
    yield escaped(f"{FORMAT}: log {manifest.get('log_id')}, {since} to {until}")
    files = cast("Mapping[str, Mapping[str, Any]]", manifest["files"])
    same = 0
    for name, stated in files.items():
        try:
            found, length = pack.sha256(name)
        except VerificationFailed as error:
            review.fail(str(error))
            continue
        same += (good := found == stated["sha256"] and length == stated["bytes"])
        if not good:
            review.fail(f"{name}: it is not the file that was signed for")
    yield f"files        {same:,} of {len(files):,} are those that the issuer signed for"
    log = list(_judge_log(pack, review, older))
    sample = sample_of(manifest)
    drawn = (
        ""
        if manifest.get("receipts") == "all"
        else f" drawn of {sample.get('population'):,} by seed {sample.get('seed')}"
    )
    yield escaped(
        f"receipts     {counts['receipts']:,} receipts{drawn}, {counts['signatures']:,} signatures valid, "
        f"{counts['recomputed']:,} recomputed, {counts['gaps']:,} gaps in sequence"
    )
    if counts["records"]:
        yield f"  of these   {counts['records']:,} are records under the signature of their batch"
    if counts["batches"] or counts["without_figures"]:
        yield (
            f"  of these   {counts['batches']:,} sign for a batch, {counts['without_figures']:,} state no figures: "
            "nothing to recompute"
        )
    if counts["keys"]:
        yield f"  of these   {counts['keys']:,} are statements about keys"
    for state, count in sorted(review.states.items()):
        if state != RECEIPT:
            yield escaped(f"  beside     {count:,} entries: {state[:80]}")
    yield f"entries      {review.sums.rows:,} rows, {counts['rows_agree']:,} held against their receipts"
    if review.sums.synthetic:
        yield f"  of these   {review.sums.synthetic:,} are synthetic: no request was made"
    failed = any(each.startswith("totals.json") for each in review.wrong)
    yield f"totals       {'DIFFER from' if failed else 'agree with'} what the rows add up to"
    yield f"assumptions  {counts['assumptions']:,} operands"
    yield from log


def _judge_log(pack: PackFiles, review: Review, older: str | None) -> Iterator[str]:
    """The sequence under the root of the checkpoint, with everything judged on the way; and the older checkpoint."""
    checkpoint = open_checkpoint(pack.text("checkpoint.txt"), review.given.vkeys)
    manifest = review.manifest
    if (manifest.get("tree_size"), manifest.get("root_hex")) != (checkpoint.size, checkpoint.root.hex()):
        review.fail("manifest.jws: it is of another state of the log than checkpoint.txt")
    place = pack.json("sequence.json")
    first, end = place.get("first"), place.get("end")
    try:
        hashes = [bytes.fromhex(each) for each in place["hashes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise broken("sequence.json", "holds no list of hashes") from error
    if type(first) is not int or type(end) is not int:
        raise broken("sequence.json", "names no places")
    if first == end:
        if any(True for _ in review.leaves()):
            review.fail("sequence.json: it names no entries, and sequence.csv has some")
        yield f"log          no entries of the period, in a log of {checkpoint.size:,}"
    else:
        root = span_root(first, end, checkpoint.size, review.leaves(), hashes)
        if root != checkpoint.root:
            review.fail("sequence.csv: its entries do not lead to the root of the checkpoint")
        yield escaped(
            f"log          entries {first:,} to {end - 1:,} of {checkpoint.size:,} of {checkpoint.origin}, under its "
            f"signed root; {review.counts['proofs']:,} receipts with a path of their own"
        )
    yield from _judge_older(pack, review, checkpoint, older)


def _judge_older(pack: PackFiles, review: Review, checkpoint: Checkpoint, older: str | None) -> Iterator[str]:
    if not pack.has("old-checkpoint.txt"):
        if older is not None:
            review.leave_open("the pack holds no proof from an older checkpoint: ask for one made with --from")
        return
    old = open_checkpoint(older or pack.text("old-checkpoint.txt"), review.given.vkeys)
    try:
        path = read_consistency(pack.text("consistency.txt"))
        verify_consistency(old.size, checkpoint.size, old.root, checkpoint.root, path)
    except (VerificationFailed, InvalidInput) as error:
        review.fail(f"consistency.txt: the log does not begin with the older checkpoint: {error}")
        return
    whose = "given here" if older else "in the pack"
    yield f"consistency  the log begins with the {old.size:,} entries of the older checkpoint {whose}"
