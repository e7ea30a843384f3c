"""An evidence pack: the receipts of a period with their totals, in one file that is checked without its maker.

| file | what |
|---|---|
| ``README.txt`` | what this is and how to check it |
| ``totals.json`` | the summary of the period, whole, by model and by provider |
| ``assumptions.csv`` | every operand of every method: range, unit, source, how many receipts use it |
| ``entries.csv`` | what the totals count, one row each |
| ``receipts.jsonl`` | receipts, or those that were drawn, with proofs |
| ``sequence.csv``, ``sequence.json`` | every entry of the log from the first to the last, and their path to its root |
| ``jwks.json``, ``log.vkey``, ``checkpoint.txt`` | keys, and the signed root of the log |
| ``consistency.txt`` | that the log begins with an older checkpoint; where one was given |
| ``verify.html``, ``verify.py``, ``verifier/`` | what checks it |
| ``manifest.jws`` | the SHA-256 of every other file, signed by the issuer |

Standard library and nacl only: this package travels in the pack.
"""

from __future__ import annotations

__all__ = ["COUNTED_KINDS", "FORMAT", "OTHER_PERIOD", "PROVED", "RECEIPT", "SEQUENCE_COLUMNS", "TYP", "UNDRAWN"]

FORMAT = "wattproof-evidence/1"
TYP = "wattproof-evidence+jws"
SEQUENCE_COLUMNS = ("seq", "entry_hex", "kind", "state")
COUNTED_KINDS = ("inference", "recorded", "imported", "adjustment")
"""What a total counts: neither statements about keys nor about other entries."""

RECEIPT = "receipt"
UNDRAWN = "not drawn"
OTHER_PERIOD = "other period"
"""States of an entry; any other says where its receipt is: erased, archived, missing."""

PROVED = 25
"""How many receipts have a path of their own where none were asked for; the others are proved together."""
