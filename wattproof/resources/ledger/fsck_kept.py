"""Check of what is kept of entries whose receipts are elsewhere or gone: erasures, archives, restorations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Finding
from wattproof.resources.ledger.statements import ARCHIVE_TYP, ERASURE_TYP, open_statement

__all__ = ["Kept"]

_ERASURES = "SELECT seq, at, reason, statement FROM erasure WHERE log_id = ? ORDER BY seq"
_ARCHIVES = (
    "SELECT first_seq, end_seq, file, file_sha256, at, statement FROM archive WHERE log_id = ? ORDER BY first_seq"
)
_RESTORATIONS = "SELECT at, made_at, size, root FROM restoration WHERE log_id = ? ORDER BY at"


class Kept:
    """What one log says about receipts that are not beside their entries.

    `keys` are the public keys by kid; None: signatures are not checked.
    """

    def __init__(self, connection: sqlite3.Connection, log_id: str, keys: Mapping[str, bytes] | None) -> None:
        self._connection = connection
        self._log_id = log_id
        self._keys = keys
        self._erasures: dict[int, tuple[Any, ...]] = {}
        self._archives: list[tuple[Any, ...]] = []
        self._digests: list[Any] = []

    def load(self) -> None:
        """Read them; before the first entry is held against them."""
        self._erasures = {row[0]: row for row in self._connection.execute(_ERASURES, (self._log_id,)).fetchall()}
        self._archives = self._connection.execute(_ARCHIVES, (self._log_id,)).fetchall()
        self._digests = [sha256() for _ in self._archives]

    def entry(self, seq: int, entry: bytes, row_check: bytes | None, *, has_receipt: bool) -> Iterator[str]:
        """What is wrong with the place of an entry's receipt. Entries come in order."""
        at = bisect_right(self._archives, seq, key=lambda archive: archive[0]) - 1
        archived = at >= 0 and seq < self._archives[at][1]
        if archived:
            self._digests[at].update(row_check or b"")
        erasure = self._erasures.pop(seq, None)
        if erasure is None:
            if not has_receipt and not archived:
                yield "its receipt is missing"
            return
        if has_receipt:
            yield f"its receipt was erased at {erasure[1]}, and is there"
        yield from self._erasure(erasure, entry, row_check)

    def check(self) -> Iterator[Finding]:
        """What differs, once every entry was seen."""
        for seq in self._erasures:
            yield Finding(self._log_id, f"erasure of {seq}", "there is no such entry")
        for archive, digest in zip(self._archives, self._digests, strict=True):
            first, end, _, file_sha256, at, statement = archive
            stated = {
                "log_id": self._log_id,
                "first_seq": first,
                "end_seq": end,
                "file_sha256_hex": file_sha256.hex(),
                "at": at,
                "rows_sha256_hex": digest.hexdigest(),
            }
            for message in self._stated(statement, ARCHIVE_TYP, stated):
                yield Finding(self._log_id, f"archive of {first}-{end - 1}", message)

    def notes(self) -> Iterator[Finding]:
        """What is unusual but allowed."""
        for seq, at, reason, _ in self._connection.execute(_ERASURES, (self._log_id,)):
            yield Finding(self._log_id, f"entry {seq}", f"its receipt was erased at {at}: {reason}")
        for first, end, file, _, at, _ in self._archives:
            gone = "" if Path(file).exists() else ", where it is not now"
            message = f"their receipts were archived in {file} at {at}{gone}; they were not examined"
            yield Finding(self._log_id, f"entries {first}-{end - 1}", message)
        for at, made_at, size, root in self._connection.execute(_RESTORATIONS, (self._log_id,)):
            message = (
                f"at {at} from a copy of {made_at} with {size} entries under {root.hex()}: what was handed out after "
                "that copy is not here, and what was appended since may contradict it"
            )
            yield Finding(self._log_id, "restored", message)

    def _erasure(self, erasure: tuple[Any, ...], entry: bytes, row_check: bytes | None) -> Iterator[str]:
        seq, at, reason, statement = erasure
        stated = {
            "log_id": self._log_id,
            "seq": seq,
            "at": at,
            "reason": reason,
            "entry_hex": entry.hex(),
            "row_check_hex": (row_check or b"").hex(),
        }
        for message in self._stated(statement, ERASURE_TYP, stated):
            yield f"the statement of its erasure: {message}"

    def _stated(self, statement: str, typ: str, expected: Mapping[str, Any]) -> Iterator[str]:
        try:
            payload = open_statement(statement, typ, self._keys)
        except VerificationFailed as error:
            yield f"it fails: {error}"
            return
        for name, value in expected.items():
            if payload.get(name) != value:
                yield f"{name} is {value!r}; the statement says {payload.get(name)!r}"
