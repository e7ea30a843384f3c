"""Copying the rows of a log from SQLite to PostgreSQL, a batch of entries a transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from wattproof.methodology.errors import LedgerForked
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.postgres.connection import Session, no_transaction
from wattproof.resources.ledger.postgres.tables import tables
from wattproof.resources.ledger.postgres.transaction import Kept, PostgresTransaction, content_id
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, ROLLUPS
from wattproof.resources.receipts import Frontier, leaf_hash

__all__ = ["Copy", "Progress"]

Progress = Callable[[str, int, int], object]
"""Takes a log, how many of its entries are copied, and how many there are."""

_AT_ONCE = 1000

# Made anew from the entries, or kept otherwise here.
_FOLLOWS = frozenset({"entry", "receipt", "decision", "entry_tag", "meta", "log", "head", "tile", *ROLLUPS})
_INTERNED = frozenset({"factor_signature", "dimension"})
# Rows that go away again; what is not in the file any more goes here too.
_COMES_AND_GOES = ("budget_reservation", "budget_count", "budget")
_OF_BUDGETS = "budget_id IN (SELECT id FROM budget WHERE log_id = ?)"

_ENTRIES = f"SELECT {', '.join(ENTRY_COLUMNS)} FROM entry WHERE log_id = ? AND seq >= ? AND seq < ? ORDER BY seq"  # noqa: S608
_SIGNATURE, _DIM, _SEQ, _HASH, _OPERATION, _TAGS = (
    list(ENTRY_COLUMNS).index(name) for name in ("signature_id", "dim", "seq", "entry_hash", "operation_id", "tags")
)


class Copy:
    """Copies logs from one file to one database; see migrate.py."""

    def __init__(self, source: sqlite3.Connection, session: Session, clock: Callable[[], float]) -> None:
        self._source = source
        self._session = session
        self._kept = Kept(self._session)
        self._clock = clock
        self._signatures: dict[int, tuple[int, str]] = {}
        self._dimensions: dict[int, tuple[int, tuple[Any, ...]]] = {}

    def log(self, log_id: str, before: int, size: int, progress: Progress) -> None:
        """Copy the entries before … size - 1 of a log, and bring everything else of it up to date."""
        self._begin(log_id)
        progress(log_id, before, size)
        for first in range(before, size, _AT_ONCE):
            end = min(size, first + _AT_ONCE)
            self._entries(log_id, first, end)
            progress(log_id, end, size)
        self._rest(log_id, before)

    def _begin(self, log_id: str) -> None:
        (created_at,) = self._source.execute("SELECT created_at FROM log WHERE log_id = ?", (log_id,)).fetchone()
        (updated_at,) = self._source.execute("SELECT updated_at FROM head WHERE log_id = ?", (log_id,)).fetchone()
        with no_transaction(self._session.raw):
            self._session.begin(log_id)
            self._session.execute("INSERT OR IGNORE INTO log (log_id, created_at) VALUES (?, ?)", (log_id, created_at))
            head = "INSERT OR IGNORE INTO head (log_id, size, frontier, updated_at) VALUES (?, 0, ?, ?)"
            self._session.execute(head, (log_id, Frontier().to_bytes(), updated_at))
            self._session.raw.execute("COMMIT")

    def _entries(self, log_id: str, first: int, end: int) -> None:
        """Copy the entries first … end - 1 with their receipts, in one transaction that swaps the head."""
        session, source = self._session, self._source
        with no_transaction(session.raw):
            session.begin(log_id)
            transaction = PostgresTransaction(session, self._kept, self._clock(), queue=True)
            log = transaction.log(log_id)
            rows = [self._with_ids(row) for row in source.execute(_ENTRIES, (log_id, first, end))]
            if [row[_SEQ] for row in rows] != list(range(log.next_seq, end)):
                raise LedgerForked(
                    f"Log {log_id!r} lacks entries; `wattproof ledger fsck` says which. None was copied."
                )
            self._intern(log_id, rows)
            columns = ", ".join(ENTRY_COLUMNS)
            places = ", ".join("?" * len(ENTRY_COLUMNS))
            session.executemany(f"INSERT INTO entry ({columns}) VALUES ({places})", rows)  # noqa: S608
            for table, names in (("receipt", "log_id, seq, jws"), ("decision", "log_id, seq, json")):
                of_these = f"SELECT {names} FROM {table} WHERE log_id = ? AND seq >= ? AND seq < ?"  # noqa: S608
                found = source.execute(of_these, (log_id, first, end)).fetchall()
                session.executemany(f"INSERT INTO {table} ({names}) VALUES (?, ?, ?)", found)  # noqa: S608
            tags = "SELECT log_id, tag, seq FROM entry_tag WHERE log_id = ? AND seq >= ? AND seq < ?"
            tagged = source.execute(tags, (log_id, first, end)).fetchall()
            session.executemany("INSERT INTO entry_tag (log_id, tag, seq) VALUES (?, ?, ?)", tagged)
            log.leaves.extend(leaf_hash(row[_HASH]) for row in rows)
            log.tagged.extend((seq, tag) for _, tag, seq in tagged)
            log.in_operations = any(row[_OPERATION] is not None for row in rows)
            transaction.finish()
            session.raw.execute("COMMIT")

    def _with_ids(self, row: Sequence[Any]) -> list[Any]:
        """The row with the ids that its signature and dimension have in PostgreSQL."""
        changed = list(row)
        changed[_SIGNATURE] = self._signature(row[_SIGNATURE])[0]
        changed[_DIM] = self._dimension(row[_DIM])[0]
        return changed

    def _signature(self, number: int) -> tuple[int, str]:
        known = self._signatures.get(number)
        if known is None:
            (text,) = self._source.execute("SELECT json FROM factor_signature WHERE id = ?", (number,)).fetchone()
            known = self._signatures[number] = content_id("factor_signature", text), text
        return known

    def _dimension(self, number: int) -> tuple[int, tuple[Any, ...]]:
        known = self._dimensions.get(number)
        if known is None:
            sql = f"SELECT {', '.join(DIMENSION_COLUMNS)} FROM dimension WHERE id = ?"  # noqa: S608
            *words, signature = self._source.execute(sql, (number,)).fetchone()
            values = (*words, self._signature(signature)[0])
            known = self._dimensions[number] = content_id("dimension", *values), values
        return known

    def _intern(self, log_id: str, rows: Sequence[Sequence[Any]]) -> None:
        used = {row[_SIGNATURE] for row in rows}
        for number, text in self._signatures.values():
            if number in used:
                sql = "INSERT OR IGNORE INTO factor_signature (log_id, id, json) VALUES (?, ?, ?)"
                self._session.execute(sql, (log_id, number, text))
        used = {row[_DIM] for row in rows}
        names, places = ", ".join(DIMENSION_COLUMNS), ", ".join("?" * len(DIMENSION_COLUMNS))
        for number, values in self._dimensions.values():
            if number in used:
                sql = f"INSERT OR IGNORE INTO dimension (log_id, id, {names}) VALUES (?, ?, {places})"  # noqa: S608
                self._session.execute(sql, (log_id, number, *values))

    def _rest(self, log_id: str, copied_before: int) -> None:
        """Bring everything that is no entry up to date, in one transaction."""
        session = self._session
        with no_transaction(session.raw):
            session.begin(log_id)
            self._erased_since(log_id, copied_before)
            for table in _COMES_AND_GOES:
                where = _OF_BUDGETS if table == "budget_count" else "log_id = ?"
                session.execute(f"DELETE FROM {table} WHERE {where}", (log_id,))  # noqa: S608
            for table in tables():
                if table not in _FOLLOWS | _INTERNED:
                    self._table(log_id, table)
            session.raw.execute("COMMIT")

    def _erased_since(self, log_id: str, copied_before: int) -> None:
        """Erase what was erased or archived in the file after it was copied."""
        for table in ("receipt", "decision"):
            sql = (
                f"SELECT e.seq FROM entry e LEFT JOIN {table} r ON r.log_id = e.log_id AND r.seq = e.seq "  # noqa: S608
                "WHERE e.log_id = ? AND e.seq < ? AND r.seq IS NULL"
            )
            gone = [seq for (seq,) in self._source.execute(sql, (log_id, copied_before))]
            self._session.execute(f"DELETE FROM {table} WHERE log_id = ? AND seq = ANY(?)", (log_id, gone))  # noqa: S608

    def _table(self, log_id: str, table: str) -> None:
        """Add the rows of one table, and change those that are otherwise here."""
        where = _OF_BUDGETS if table == "budget_count" else "log_id = ?"
        columns = [row[1] for row in self._source.execute(f"PRAGMA table_info({table})")]
        key = _key_of(self._session, table)
        changed = [name for name in columns if name not in key]
        keep = ", ".join(f"{name} = excluded.{name}" for name in changed)
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM excluded.{name}" for name in changed)
        does = f"UPDATE SET {keep} WHERE {differs}" if changed else "NOTHING"
        names = ", ".join(columns)
        sql = (
            f"INSERT INTO {table} AS t ({names}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
            f"ON CONFLICT ({', '.join(key)}) DO {does}"
        )
        for row in self._source.execute(f"SELECT {names} FROM {table} WHERE {where}", (log_id,)):  # noqa: S608
            self._session.execute(sql, row)
        if "id" in columns:
            self._move_sequence(table)

    def _move_sequence(self, table: str) -> None:
        """Let the next id that is given follow those that were copied."""
        row = self._session.execute("SELECT pg_get_serial_sequence(?, 'id')", (table,)).fetchone()
        if row is not None and row[0] is not None:
            newest = f"SELECT setval('{row[0]}', GREATEST((SELECT MAX(id) FROM {table}), nextval('{row[0]}')))"  # noqa: S608
            self._session.execute(newest).fetchone()


def _key_of(session: Session, table: str) -> tuple[str, ...]:
    """The columns of the primary key of a table."""
    sql = (
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indrelid = to_regclass(?) AND i.indisprimary"
    )
    return tuple(cast("str", name) for (name,) in session.execute(sql, (table,)))
