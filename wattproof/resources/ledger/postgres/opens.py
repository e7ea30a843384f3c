"""Tries that are about to be made, recorded together with a few statements instead of several for each.

Only what is plain goes this way: the first try of a request that is new to the log, in no operation, under no budget.
Everything else takes `attempts.open_`, which decides about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattproof.resources.ledger import attempts
from wattproof.resources.ledger.jobs import Job
from wattproof.resources.ledger.postgres.transaction import PostgresTransaction
from wattproof.resources.ledger.records import AttemptDraft, Opened

__all__ = ["OpenJob", "open_together"]

# One look into the unique indexes for each, which PostgreSQL would not choose by itself before it has statistics.
_KNOWN = (
    "SELECT w.request_id FROM unnest(CAST(? AS text[])) AS w (request_id) WHERE EXISTS "
    "(SELECT 1 FROM entry e WHERE e.log_id = ? AND e.request_id = w.request_id LIMIT 1) OR EXISTS "
    "(SELECT 1 FROM attempt a WHERE a.log_id = ? AND a.request_id = w.request_id LIMIT 1)"
)
_BUDGET = "SELECT 1 FROM budget WHERE log_id = ? LIMIT 1"


class OpenJob(Job):
    """A try that waits to be recorded."""

    __slots__ = ("draft",)

    def __init__(self, draft: AttemptDraft, loop: Any) -> None:
        super().__init__(lambda transaction: attempts.open_(transaction, draft), loop, draft.log_id)
        self.draft = draft


def open_together(transaction: PostgresTransaction, log_id: str, jobs: Sequence[OpenJob]) -> None:
    """Record the tries of one log, or refuse them."""
    if not jobs:
        return
    session = transaction.session
    plain, others = list[OpenJob](), list[OpenJob]()
    requests = [job.draft.request_id for job in jobs]
    known = {found for (found,) in session.execute(_KNOWN, (requests, log_id, log_id))}
    if session.execute(_BUDGET, (log_id,)).fetchone() is not None:
        known.update(requests)
    for job in jobs:
        refused = job.draft.request_id in known or job.draft.operation_id is not None
        (others if refused else plain).append(job)
        known.add(job.draft.request_id)
    if plain:
        attempts.abandon(transaction, log_id)
        transaction.log(log_id)
        rows = [attempts.attempt_row(job.draft, 1, transaction.now) for job in plain]
        session.executemany(attempts.INSERT_ATTEMPT, rows)
        for job in plain:
            job.value = Opened(1)
    for job in others:
        job.run(transaction)
