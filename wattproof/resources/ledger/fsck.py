"""Recompute what follows from the receipts and say exactly what differs.

receipt -> SHA-256 -> entry hash -> leaf -> tiles, checkpoints, root; receipt -> columns of the entry -> rollups. Only
the receipts are taken at their word, and only once their signature holds. Signatures take most of the time, so the
check can leave them out, and with them what only a signed receipt can be held against: then the columns of each entry
must give its checksum, which finds every change but that of somebody who computes the checksum anew.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import (
    fsck_attempts,
    fsck_batches,
    fsck_entries,
    fsck_operations,
    fsck_periods,
    fsck_totals,
)
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.fsck_kept import Kept
from wattproof.resources.ledger.fsck_tree import Tree
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.records import Finding, FsckReport
from wattproof.resources.receipts import keys_from_jwks

__all__ = ["check"]

_LONGEST_LIST = 200
# What reading a value of another type than was stored, or no value, leads to.
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class _Found(NamedTuple):
    findings: list[Finding]
    notes: list[Finding]


def check(
    connection: sqlite3.Connection,
    keyring: Keyring,
    now_s: float,
    log_id: str | None = None,
    *,
    signatures: bool = True,
) -> FsckReport:
    """Check one log, or all of them; reads every entry. `now_s` tells running tries from those whose lease ran out.

    Without `signatures` every hash, root and total is recomputed, and no signature checked.
    """
    found = _Found([], [])
    keys = keys_from_jwks(keyring.jwks) if signatures else None
    with _unreadable(found, None):
        _keep(found.findings, _file(connection))
    with _unreadable(found, None):
        _keep(found.findings, _orphans(connection))
    chosen: tuple[str, ...] = ()
    with _unreadable(found, None):
        chosen = logs(connection) if log_id is None else (log_id,)
    entry_count = 0
    for each in chosen:
        vkeys = keyring.vkeys(each, revoked=True) if signatures else None
        tree = Tree(connection, each, keyring.origin_of(each), vkeys)
        kept = Kept(connection, each, keys)
        odd: list[Finding] = []
        with _unreadable(found, each):
            tree.load_checkpoints()
            kept.load()
        steps: tuple[Callable[[], Iterator[Finding]], ...] = (
            partial(fsck_entries.check, connection, each, tree, kept, keys, odd),
            partial(fsck_batches.check, connection, each, fsck_entries.against_receipt if signatures else None),
            tree.check,
            kept.check,
            partial(fsck_totals.check, connection, each),
            partial(fsck_operations.check, connection, each),
            partial(fsck_periods.check, connection, each),
            partial(fsck_attempts.check, connection, each),
        )
        for step in steps:
            with _unreadable(found, each):
                _keep(found.findings, step())
        noted: tuple[Callable[[], Iterator[Finding]], ...] = (
            partial(fsck_attempts.unsettled, connection, each, now_s),
            partial(iter, odd),
            kept.notes,
        )
        for step in noted:
            with _unreadable(found, each):
                _keep(found.notes, step())
        entry_count += tree.count
    return FsckReport(chosen, entry_count, tuple(found.findings), tuple(found.notes))


@contextmanager
def _unreadable(found: _Found, log_id: str | None) -> Generator[None]:
    """A damaged page or row ends one step, not the report."""
    try:
        yield
    except (sqlite3.DatabaseError, InvalidInput, *_MALFORMED) as error:
        found.findings.append(Finding(log_id, "database", f"cannot be read further: {error}"))


def _keep(kept: list[Finding], more: Iterator[Finding]) -> None:
    kept.extend(islice(more, _LONGEST_LIST))
    left = sum(1 for _ in more)
    if left:
        kept.append(Finding(kept[-1].log_id, kept[-1].where, f"and {left} more of this kind"))


def _file(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute("PRAGMA integrity_check(100)"):
        if line != "ok":
            yield Finding(None, "database", line)
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(None, table, f"row {rowid} refers to a row of {parent} that is missing")


def _orphans(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Rows that only exist together with others."""
    for table, used in (("factor_signature", "signature_id"), ("dimension", "dim")):
        sql = f"SELECT id FROM {table} WHERE id NOT IN (SELECT {used} FROM entry) ORDER BY id"  # noqa: S608
        for (number,) in connection.execute(sql):
            yield Finding(None, f"{table} {number}", "exists, though no entry has it")
    for table in ("rollup", "operation_rollup", "tag_rollup"):
        sql = f"SELECT DISTINCT log_id FROM {table} WHERE log_id NOT IN (SELECT log_id FROM log) ORDER BY 1"  # noqa: S608
        for (log_id,) in connection.execute(sql):
            yield Finding(log_id, table, "exists, though the log does not")
    sql = "SELECT l.log_id FROM log l WHERE NOT EXISTS (SELECT 1 FROM head h WHERE h.log_id = l.log_id) ORDER BY 1"
    for (log_id,) in connection.execute(sql):
        yield Finding(log_id, "log", "exists, though it has no head")
