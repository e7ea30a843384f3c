"""Periods under another method or other readings, kept beside the entries that they restate, never over them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.receipts import canonical

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import Transaction

__all__ = ["Restatement", "RestatementDraft", "keep", "listed"]

_COLUMNS = (
    "id, log_id, period, method_id, method_sha256, edition, edition_sha256, grid, size, root, results_sha256, json, "
    "created_at"
)
_ADD = f"INSERT INTO restatement ({_COLUMNS}) VALUES ({', '.join('?' * 13)}) ON CONFLICT DO NOTHING"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM restatement WHERE log_id = ? AND id = ?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class RestatementDraft:
    """A restated period before it is kept.

    `grid` says whose readings it rests on. `size` and `root` are of the log whose entries were restated, and
    `results_sha256` is over the result of each of them. `document` holds the totals and what explains the difference.
    """

    log_id: str
    period: str
    method_id: str
    method_sha256: str
    edition: str
    edition_sha256: str
    grid: str
    size: int
    root: bytes
    results_sha256: str
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """``rs_`` and 26 characters of base32 that follow from everything but the document."""
        named = {
            "log_id": self.log_id,
            "period": self.period,
            "method_id": self.method_id,
            "method_sha256": self.method_sha256,
            "edition": self.edition,
            "edition_sha256": self.edition_sha256,
            "grid": self.grid,
            "size": self.size,
            "root": self.root.hex(),
            "results_sha256": self.results_sha256,
        }
        return "rs_" + base64.b32encode(sha256(canonical.dumps(named)).digest()).decode("ascii").lower()[:26]


@dataclass(frozen=True, slots=True)
class Restatement:
    """A kept restatement: its id, when it was first made, and what it says."""

    id: str
    created_at: str
    draft: RestatementDraft


def keep(transaction: Transaction, draft: RestatementDraft) -> Restatement:
    """Store `draft`; where the same was kept before, return that."""
    values = (
        draft.id,
        draft.log_id,
        draft.period,
        draft.method_id,
        draft.method_sha256,
        draft.edition,
        draft.edition_sha256,
        draft.grid,
        draft.size,
        draft.root,
        draft.results_sha256,
        json.dumps(draft.document, sort_keys=True, separators=(",", ":")),
        transaction.now,
    )
    transaction.log(draft.log_id)
    transaction.connection.execute(_ADD, values)
    return _of(transaction.connection.execute(_FIND, (draft.log_id, draft.id)).fetchone())


def listed(connection: sqlite3.Connection, log_id: str, period: str | None) -> tuple[Restatement, ...]:
    """The restatements of a log, of one period where it is given, newest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM restatement WHERE log_id = ? AND (? IS NULL OR period = ?) "  # noqa: S608
        "ORDER BY created_at DESC, id"
    )
    return tuple(_of(row) for row in connection.execute(sql, (log_id, period, period)))


def _of(row: tuple[Any, ...]) -> Restatement:
    document, created_at = row[-2:]
    return Restatement(row[0], created_at, RestatementDraft(*row[1:-2], document=json.loads(document)))
