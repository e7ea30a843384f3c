"""Check of tries against the entries that they became."""

from __future__ import annotations

from collections.abc import Iterator

from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.records import Finding
from wattproof.resources.ledger.times import rfc3339

__all__ = ["check", "unsettled"]

_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_WITHOUT_ENTRY = (
    "SELECT request_id, attempt_no FROM attempt a WHERE log_id = ? AND state = 'settled' AND NOT EXISTS "
    "(SELECT 1 FROM entry e WHERE e.log_id = a.log_id AND e.request_id = a.request_id) ORDER BY 1, 2"
)
# Of a request with one try, the entry states what that try used. With more, a late report may come on top.
_OTHERWISE = (
    "SELECT a.request_id, a.attempt_no, a.request_digest <> e.request_digest, "  # noqa: S608
    + ", ".join(f"a.{name}, e.{name}" for name in _TOKENS)
    + " FROM attempt a JOIN entry e ON e.log_id = a.log_id AND e.request_id = a.request_id WHERE a.log_id = ? "
    "AND (a.request_digest <> e.request_digest OR (a.state = 'settled' AND a.attempt_no = 1 AND ("
    + " OR ".join(f"a.{name} <> e.{name}" for name in _TOKENS)
    + ") AND NOT EXISTS (SELECT 1 FROM attempt o WHERE o.log_id = a.log_id AND o.request_id = a.request_id "
    "AND o.attempt_no > 1))) ORDER BY 1, 2"
)
_UNSETTLED = (
    "SELECT request_id, attempt_no, state, opened_at, lease_expires_at FROM attempt "
    "WHERE log_id = ? AND state IN ('open', 'abandoned') ORDER BY opened_at, request_id, attempt_no"
)


def check(connection: sqlite3.Connection, log_id: str) -> Iterator[Finding]:
    """Tries that say otherwise than the entry of their request."""
    for request_id, attempt_no in connection.execute(_WITHOUT_ENTRY, (log_id,)):
        yield Finding(log_id, f"attempt {attempt_no} of {request_id}", "is settled, but no entry has its request_id")
    for request_id, attempt_no, is_other, *counts in connection.execute(_OTHERWISE, (log_id,)):
        where = f"attempt {attempt_no} of {request_id}"
        if is_other:
            yield Finding(log_id, where, "was for another request than the entry with its request_id")
            continue
        for name, used, stated in zip(_TOKENS, counts[::2], counts[1::2], strict=True):
            if used != stated:
                yield Finding(log_id, where, f"{name} is {used}; the entry of its request states {stated}")


def unsettled(connection: sqlite3.Connection, log_id: str, now_s: float) -> Iterator[Finding]:
    """Notes: tries that run, or that nobody lived to settle. `now_s` tells them apart."""
    for request_id, attempt_no, state, opened_at, lease_expires_at in connection.execute(_UNSETTLED, (log_id,)):
        lease = rfc3339(lease_expires_at)
        if state == "open" and lease_expires_at >= now_s:
            message = f"running since {opened_at}; its lease ends at {lease}"
        else:
            message = f"begun at {opened_at} and never settled: its process ended before the lease did ({lease})"
        yield Finding(log_id, f"attempt {attempt_no} of {request_id}", message)
