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

__all__ = ["Part", "check", "check_entries", "check_totals", "report"]

_LONGEST_LIST = 200
# What reading a value of another type than was stored, or no value, leads to.
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class Part(NamedTuple):
    """What one half of the check found: by log (None: the file), and how many entries it read."""

    findings: dict[str | None, list[Finding]]
    notes: dict[str | None, list[Finding]]
    entry_count: int


Step = Callable[[], Iterator[Finding]]


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
    rest = check_totals(connection, now_s, log_id)
    return report(check_entries(connection, keyring, log_id, signatures=signatures), rest)


def check_entries(
    connection: sqlite3.Connection, keyring: Keyring, log_id: str | None = None, *, signatures: bool = True
) -> Part:
    """The half of the check that goes through the entries: receipts, batches, tiles, checkpoints, heads."""
    part = Part({}, {}, 0)
    keys = keys_from_jwks(keyring.jwks) if signatures else None
    count = 0
    for each in _chosen(connection, log_id, part):
        vkeys = keyring.vkeys(each, revoked=True) if signatures else None
        tree = Tree(connection, each, keyring.origin_of(each), vkeys)
        kept = Kept(connection, each, keys)
        odd: list[Finding] = []
        with _unreadable(part, each):
            tree.load_checkpoints()
            kept.load()
        _take(
            part,
            each,
            partial(fsck_entries.check, connection, each, tree, kept, keys, odd),
            partial(fsck_batches.check, connection, each, fsck_entries.against_receipt if signatures else None),
            tree.check,
            kept.check,
        )
        _note(part, each, partial(iter, odd), kept.notes)
        count += tree.count
    return part._replace(entry_count=count)


def check_totals(connection: sqlite3.Connection, now_s: float, log_id: str | None = None) -> Part:
    """The other half: the file itself, and the totals, operations, budgets and tries that follow from the entries."""
    part = Part({}, {}, 0)
    _take(part, None, partial(_file, connection), partial(_orphans, connection))
    for each in _chosen(connection, log_id, part):
        _take(
            part,
            each,
            partial(fsck_totals.check, connection, each),
            partial(fsck_operations.check, connection, each),
            partial(fsck_attempts.check, connection, each),
            partial(fsck_periods.check, connection, each),
        )
        _note(part, each, partial(fsck_attempts.unsettled, connection, each, now_s))
    return part


def report(entries: Part, totals: Part) -> FsckReport:
    """Both halves together, the file first and then log by log."""
    chosen = tuple(each for each in totals.findings if each is not None)
    order = (None, *chosen)
    findings = [found for each in order for part in (entries, totals) for found in part.findings.get(each, ())]
    notes = [found for each in order for part in (totals, entries) for found in part.notes.get(each, ())]
    return FsckReport(chosen, entries.entry_count, tuple(findings), tuple(notes))


def _chosen(connection: sqlite3.Connection, log_id: str | None, part: Part) -> tuple[str, ...]:
    with _unreadable(part, None):
        return logs(connection) if log_id is None else (log_id,)
    return ()


def _take(part: Part, log_id: str | None, *steps: Step) -> None:
    kept = part.findings.setdefault(log_id, [])
    for step in steps:
        with _unreadable(part, log_id):
            _keep(kept, step())


def _note(part: Part, log_id: str, *steps: Step) -> None:
    kept = part.notes.setdefault(log_id, [])
    for step in steps:
        with _unreadable(part, log_id):
            _keep(kept, step())


@contextmanager
def _unreadable(part: Part, log_id: str | None) -> Generator[None]:
    """A damaged page or row ends one step, not the report."""
    try:
        yield
    except (sqlite3.DatabaseError, InvalidInput, *_MALFORMED) as error:
        found = Finding(log_id, "database", f"cannot be read further: {error}")
        part.findings.setdefault(log_id, []).append(found)


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
    used = connection.execute("SELECT DISTINCT signature_id, dim FROM entry").fetchall()
    for table, ids in (("factor_signature", {row[0] for row in used}), ("dimension", {row[1] for row in used})):
        for (number,) in connection.execute(f"SELECT id FROM {table} ORDER BY id"):  # noqa: S608
            if number not in ids:
                yield Finding(None, f"{table} {number}", "exists, though no entry has it")
    for table in ("rollup", "operation_rollup", "tag_rollup"):
        sql = f"SELECT DISTINCT log_id FROM {table} WHERE log_id NOT IN (SELECT log_id FROM log) ORDER BY 1"  # noqa: S608
        for (log_id,) in connection.execute(sql):
            yield Finding(log_id, table, "exists, though the log does not")
    sql = "SELECT l.log_id FROM log l WHERE NOT EXISTS (SELECT 1 FROM head h WHERE h.log_id = l.log_id) ORDER BY 1"
    for (log_id,) in connection.execute(sql):
        yield Finding(log_id, "log", "exists, though it has no head")
