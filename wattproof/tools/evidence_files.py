"""What an evidence pack says of itself, and the verifier that travels in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["VERIFY_PY", "readme", "verifier_sources"]

VERIFY_PY = '''\
"""Check this evidence pack: python verify.py. Python 3.11 or newer, with PyNaCl; nothing is sent or fetched."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "verifier"))

from wattproof.resources.receipts.pack.cli import main

sys.exit(main(folder=HERE))
'''

_README = """\
Evidence of what requests to language models are estimated to have caused

Log:      {log_id}, as it was with {size:,} entries ({origin})
Period:   {since} to {until}
Receipts: {receipts}

Check it in three commands

  unzip evidence.zip -d evidence
  python -m pip install pynacl
  python evidence/verify.py

Needs Python 3.11 or newer. Exit status: 0 all in order, 1 something fails, 3 nothing fails and something cannot be
established. verify.py and verifier/ are source text of wattproof {version} (Apache-2.0; data in it have their terms
beside them). Whoever does not want to run what came with the evidence installs that version from elsewhere and runs

  python -m wattproof.resources.receipts.pack evidence.zip

The keys in this pack came with it. Compare jwks.json and log.vkey with those that the issuer publishes, or give
verify.py yours: --jwks FILE --vkey FILE. A single receipt can be dropped on verify.html in a browser, offline.

Files

  totals.json      the summary of the period: location-based, market-based or null with the reason, 90 % intervals,
                   shares of zones and methods, adjustments; by model and by provider; closed months; restatements
  assumptions.csv  every operand by method: least and most, unit, source, how many receipts use it
  entries.csv      what the totals count, a row each
  receipts.jsonl   receipts in the order of the log, a JSON object a line: jws, or record where a batch signs for it
  sequence.csv     every entry of the log from the first of the period to the last, and where its receipt is
  sequence.json    the hashes that lead from these entries to the root in checkpoint.txt
  jwks.json        the keys that sign receipts
  log.vkey         the keys that sign checkpoints
  checkpoint.txt   size and root of the log, signed
{consistency}  verify.html      the offline verifier for one receipt
  verify.py        checks everything here, with verifier/
  manifest.jws     the SHA-256 of each file, signed by the issuer

What the check shows

Each receipt was signed by the key and not changed since. Its figures follow from the operands that it states. The
entries are neighbours in the log under its signed root, so none was taken out between the first and the last. The
rows agree with the receipts that are here and add up to the totals.

What it does not show

- The figures are estimates. No meter was read unless a receipt says so.
- Inputs were not audited: token counts are the provider's or the caller's, as each receipt says; location, hardware
  and batch size are often assumptions, listed in assumptions.csv.
- Intervals are the method's own 90 % intervals. What no method models is outside them.
- Requests that nobody recorded are not in the log. "other period" in sequence.csv is the issuer's word.
- Receipts that were erased or archived are not here; their rows rest on the issuer's word, and verify.py says so.
- The log is the issuer's. That it had no second history shows only from checkpoints that others kept, or witnesses.
"""
_CONSISTENCY = """\
  old-checkpoint.txt, consistency.txt
                   an older checkpoint that somebody kept, and the proof that the log begins with it
"""


_KINDS = frozenset({".py", ".json", ".toml"})
# Data of others keeps its terms beside it.
_TERMS = frozenset({"LICENSE", "NOTICE"})


def readme(
    *,
    log_id: str,
    origin: str,
    size: int,
    since: str | None,
    until: str | None,
    receipts: str,
    consistent: bool,
) -> str:
    """README.txt."""
    from wattproof import __version__

    return _README.format(
        log_id=log_id,
        origin=origin,
        size=size,
        since=since or "the beginning",
        until=until or "the end",
        receipts=receipts,
        consistency=_CONSISTENCY if consistent else "",
        version=__version__,
    )


def verifier_sources() -> Iterator[tuple[str, str]]:
    """The files of the verifier by their names in the pack: methods with their data, and what checks receipts."""
    import wattproof

    root = Path(wattproof.__file__).parent
    folders = ("methodology/**/*", "resources/receipts/*", "resources/receipts/pack/*")
    chosen = {root / "__init__.py", root / "resources/__init__.py"}
    for pattern in folders:
        chosen.update(path for path in root.glob(pattern) if path.suffix in _KINDS or path.name in _TERMS)
    for path in sorted(chosen):
        inside = path.relative_to(root.parent)
        if "claims" not in inside.parts and "__pycache__" not in inside.parts:
            yield f"verifier/{inside.as_posix()}", path.read_bytes().decode().replace("\r\n", "\n")
