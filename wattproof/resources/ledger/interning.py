"""Small integers for what repeats: factor signatures and the dimensions of a rollup."""

from __future__ import annotations

from typing import Any

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import EntryDraft
from wattproof.resources.ledger.rows import has_bounds, signature_json
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS

__all__ = ["Interning"]

_DIMENSION = ", ".join(DIMENSION_COLUMNS)
_FIND_DIMENSION = f"SELECT id FROM dimension WHERE ({_DIMENSION}) = ({', '.join('?' * len(DIMENSION_COLUMNS))})"  # noqa: S608
_ADD_DIMENSION = f"INSERT INTO dimension ({_DIMENSION}) VALUES ({', '.join('?' * len(DIMENSION_COLUMNS))})"  # noqa: S608
_FIND_SIGNATURE = "SELECT id FROM factor_signature WHERE json = ?"
_ADD_SIGNATURE = "INSERT INTO factor_signature (json) VALUES (?)"
_CACHED = 4096


class Interning:
    """Ids of signatures and dimensions, remembered from one transaction to the next.

    Rows are never changed or removed, so what was read stays true; what a rolled-back transaction added must be
    forgotten.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[Any, ...], int] = {}

    def forget(self) -> None:
        """Drop what is remembered; called after a rollback."""
        self._ids.clear()

    def signature(self, draft: EntryDraft) -> int:
        """The id of the factor signature of `draft`."""
        key = (
            tuple([(t.name, t.energy_loadings, t.carbon_loadings, t.idiosyncratic_sigma) for t in draft.terms]),
            draft.energy_nwh is None,
            draft.carbon_location_ng is None,
            has_bounds(draft.energy_nwh),
            has_bounds(draft.carbon_location_ng),
            has_bounds(draft.carbon_market_ng),
            has_bounds(draft.water_nl),
        )
        known = self._ids.get(key)
        if known is not None:
            return known
        return self._remember(key, _FIND_SIGNATURE, _ADD_SIGNATURE, (signature_json(draft),))

    def dimension(self, draft: EntryDraft, signature_id: int) -> int:
        """The id of the dimension of `draft`."""
        key = (
            draft.provider,
            draft.model,
            draft.zone,
            draft.method_id,
            draft.tier,
            draft.energy_source,
            draft.temporal_match,
            draft.usage_source,
            draft.location_evidence,
            draft.status,
            draft.workload,
            draft.currency or "",
            signature_id,
        )
        known = self._ids.get(key)
        return self._remember(key, _FIND_DIMENSION, _ADD_DIMENSION, key) if known is None else known

    def _remember(self, key: tuple[Any, ...], find: str, add: str, values: tuple[Any, ...]) -> int:
        row = self._connection.execute(find, values).fetchone()
        if row is None:
            row = self._connection.execute(f"{add} RETURNING id", values).fetchone()
        if len(self._ids) >= _CACHED:
            self._ids.clear()
        self._ids[key] = row[0]
        return row[0]
