"""Moving a ledger from SQLite to PostgreSQL: the same entries and receipts, hence the same leaves and the same roots.

Entries are copied in the order of their log, a batch a transaction, while the file stays in use; a run that was cut off
goes on where it stopped, and a later run copies what came since. Totals and tiles are made anew from the entries. What
is no entry (tries, budgets, checkpoints, closed months) is brought up to date at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wattproof.methodology.errors import LedgerForked, LedgerUnusable
from wattproof.resources.ledger.driver import open_reader, sqlite3, sqlite_errors
from wattproof.resources.ledger.postgres.connection import Session, connect, no_transaction, postgres_errors
from wattproof.resources.ledger.postgres.copying import Copy, Progress
from wattproof.resources.ledger.postgres.keys import publish_keys
from wattproof.resources.ledger.postgres.opening import prepare
from wattproof.resources.ledger.schema import VERSION
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import Frontier, leaf_hash, read_jwks

__all__ = ["MigratedLog", "Progress", "migrate", "plan"]


@dataclass(frozen=True, slots=True)
class MigratedLog:
    """One log: its size and root in the file, and how many entries were in PostgreSQL before and are there now."""

    log_id: str
    size: int
    root: bytes
    before: int
    now: int


def plan(file: Path, dsn: str, *, schema: str) -> tuple[MigratedLog, ...]:
    """What `migrate` would do, from reading both sides; nothing is made, not even tables.

    Raises:
        LedgerForked: a log in PostgreSQL is not the beginning of the one in the file.
        LedgerUnusable: a side cannot be read, or is of another version.
    """
    raw = connect(dsn, schema)
    try:
        with sqlite_errors(file), postgres_errors(dsn):
            found = raw.execute("SELECT to_regclass('head')").fetchone()
            target = Session(raw) if found is not None and found[0] is not None else None
            with _source(file) as source:
                return tuple(_compared(source, target, log_id) for log_id in _logs(source))
    finally:
        raw.close()


def migrate(
    file: Path, dsn: str, *, schema: str, clock: Callable[[], float], progress: Progress
) -> tuple[MigratedLog, ...]:
    """Copy the ledger in `file` (SQLite) to the database `dsn`, and compare the roots. Blocks; may be repeated.

    The public keys beside the file are published there; private keys stay where they are.

    Raises:
        LedgerForked: a log in PostgreSQL is not the beginning of the one in the file, or the roots differ at the end.
        LedgerUnusable: a side cannot be used, is of another version or kind.
    """
    with sqlite_errors(file), _source(file) as source:
        (kind,) = source.execute("SELECT value FROM meta WHERE name = 'kind'").fetchone()
        prepare(dsn, schema, now=rfc3339(clock()), simulation=kind == "simulation")
        raw = connect(dsn, schema)
        try:
            with postgres_errors(dsn):
                for role, name in (("issuer", "jwks.json"), ("log", "log.jwks.json")):
                    published = file.parent / "keys" / name
                    publish_keys(raw, role, read_jwks(published)["keys"] if published.exists() else ())
                session = Session(raw)
                copy = Copy(source, session, clock)
                return tuple(_migrated(source, session, copy, log_id, progress) for log_id in _logs(source))
        finally:
            raw.close()


class _source:  # noqa: N801 - reads as a function, as contextlib's own do
    """A reading transaction on a ledger's file: it stands still, whoever writes to it."""

    def __init__(self, file: Path) -> None:
        self._connection = open_reader(file)

    def __enter__(self) -> sqlite3.Connection:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            self._connection.close()
            raise LedgerUnusable(
                f"The ledger in SQLite has schema {version}, this version of wattproof {VERSION}. Open it once with "
                "`wattproof ledger fsck`, which brings it up to date."
            )
        self._connection.execute("BEGIN")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _logs(source: sqlite3.Connection) -> list[str]:
    return [log_id for (log_id,) in source.execute("SELECT log_id FROM log ORDER BY log_id")]


def _frontier(connection: Any, log_id: str) -> Frontier:
    row = connection.execute("SELECT frontier FROM head WHERE log_id = ?", (log_id,)).fetchone()
    return Frontier() if row is None else Frontier.from_bytes(row[0])


def _compared(source: sqlite3.Connection, target: Session | None, log_id: str) -> MigratedLog:
    """Both sides of a log, of which PostgreSQL has the beginning.

    Raises:
        LedgerForked: it has something else.
    """
    ours = _frontier(source, log_id)
    theirs = Frontier()
    if target is not None:
        with no_transaction(target.raw):
            target.begin(log_id)
            theirs = _frontier(target, log_id)
    entries = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq < ? ORDER BY seq"
    leaves = (leaf_hash(entry) for (entry,) in source.execute(entries, (log_id, theirs.size)))
    if theirs.size > ours.size or Frontier().extend(leaves).root() != theirs.root():
        raise LedgerForked(
            f"Log {log_id!r} has {theirs.size} entries in PostgreSQL, which are not the first {theirs.size} of the "
            f"{ours.size} in the file. Something was appended there that the file does not have; nothing was copied. "
            "Give an empty database, or go on with the one that is in use."
        )
    return MigratedLog(log_id, ours.size, ours.root(), theirs.size, theirs.size)


def _migrated(source: sqlite3.Connection, session: Session, copy: Copy, log_id: str, progress: Progress) -> MigratedLog:
    found = _compared(source, session, log_id)
    copy.log(log_id, found.before, found.size, progress)
    with no_transaction(session.raw):
        session.begin(log_id)
        now = _frontier(session, log_id)
    if (now.size, now.root()) != (found.size, found.root):
        raise LedgerForked(
            f"Log {log_id!r} has {now.size} entries with the root {now.root().hex()} in PostgreSQL, and "
            f"{found.size} with {found.root.hex()} in the file. Do not use that database."
        )
    return replace(found, now=now.size)
