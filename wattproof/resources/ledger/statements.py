"""What the issuer signs about receipts that leave the ledger: that they were erased, or archived, and what stays.

A statement is a JWS like a receipt, of another type, so that neither passes for the other. It is kept in the ledger,
not in the log: the log's own entry is the one that the receipt had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.receipts import Issuer, parse, sign
from wattproof.resources.receipts.jws import verify

__all__ = ["ARCHIVE_TYP", "ERASURE_TYP", "archive_statement", "erasure_statement", "open_statement"]

ERASURE_TYP = "wattproof-erasure+jws"
ARCHIVE_TYP = "wattproof-archive+jws"


def erasure_statement(
    issuer: Issuer, log_id: str, seq: int, *, at: str, reason: str, entry: bytes, row_check: bytes
) -> str:
    """That the receipt of an entry was erased; `row_check` ties down the columns that stay."""
    payload = {
        "log_id": log_id,
        "seq": seq,
        "at": at,
        "reason": reason,
        "entry_hex": entry.hex(),
        "row_check_hex": row_check.hex(),
    }
    return sign(payload, issuer, ERASURE_TYP)


def archive_statement(
    issuer: Issuer, log_id: str, first_seq: int, end_seq: int, *, at: str, file_sha256: bytes, rows_sha256: bytes
) -> str:
    """That the receipts of a range of entries are in a file; `rows_sha256` is over their row checks, in order."""
    payload = {
        "log_id": log_id,
        "first_seq": first_seq,
        "end_seq": end_seq,
        "at": at,
        "file_sha256_hex": file_sha256.hex(),
        "rows_sha256_hex": rows_sha256.hex(),
    }
    return sign(payload, issuer, ARCHIVE_TYP)


def open_statement(statement: str, typ: str, keys: Mapping[str, bytes] | None) -> Mapping[str, Any]:
    """What a statement says; without `keys` its signature is not checked.

    Raises:
        VerificationFailed: it is of another type, malformed, or not signed by one of `keys`.
    """
    parsed = parse(statement)
    if parsed.typ != typ:
        raise VerificationFailed("format", "bad_typ", f"It is a {parsed.typ[:60]}, not a {typ}.")
    if keys is not None:
        verify(parsed, keys)
    return parsed.payload
