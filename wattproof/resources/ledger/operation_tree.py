"""Which operations belong to which: an operation's ancestors, and all that is below it."""

from __future__ import annotations

from wattproof.resources.ledger.driver import sqlite3

__all__ = ["MAX_DEPTH", "family", "lineage"]

MAX_DEPTH = 16
"""How deep operations nest at most."""

_UP = """
WITH RECURSIVE up (id, depth) AS (
  SELECT :operation_id, 0
  UNION ALL
  SELECT o.parent_id, up.depth + 1 FROM up JOIN operation o ON o.log_id = :log_id AND o.operation_id = up.id
  WHERE o.parent_id IS NOT NULL AND up.depth < :deepest
)
SELECT id FROM up ORDER BY depth
"""
_DOWN = """
WITH RECURSIVE down (id, depth) AS (
  SELECT :operation_id, 0
  UNION ALL
  SELECT o.operation_id, down.depth + 1 FROM down JOIN operation o ON o.log_id = :log_id AND o.parent_id = down.id
  WHERE down.depth < :deepest
)
SELECT id FROM down ORDER BY depth, id
"""


def lineage(connection: sqlite3.Connection, log_id: str, operation_id: str) -> tuple[str, ...]:
    """The operation, its parent, its parent's parent and so on."""
    return _ids(connection, _UP, log_id, operation_id)


def family(connection: sqlite3.Connection, log_id: str, operation_id: str) -> tuple[str, ...]:
    """The operation and every operation below it."""
    return _ids(connection, _DOWN, log_id, operation_id)


def _ids(connection: sqlite3.Connection, sql: str, log_id: str, operation_id: str) -> tuple[str, ...]:
    values = {"log_id": log_id, "operation_id": operation_id, "deepest": MAX_DEPTH}
    return tuple(found for (found,) in connection.execute(sql, values))
