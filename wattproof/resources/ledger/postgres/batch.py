"""Entries that came together, appended with a few statements instead of several for each.

Only what is plain goes this way: an entry of an open month whose request and source are new to the log. Whatever is
asked again, or comes while another try of its request is open, takes `append.append`, which decides about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wattproof.resources.ledger import budgets
from wattproof.resources.ledger.append import STATE_AFTER, Signed, append, next_place
from wattproof.resources.ledger.jobs import Job
from wattproof.resources.ledger.postgres.connection import Session
from wattproof.resources.ledger.postgres.transaction import PostgresTransaction
from wattproof.resources.ledger.records import EntryDraft, Settled
from wattproof.resources.ledger.rows import INSERT_ENTRY, Place, to_row
from wattproof.resources.receipts import leaf_hash

__all__ = ["EntryJob", "append_together"]

# One look into the unique index for each, which PostgreSQL would not choose by itself before it has statistics.
_REQUESTS = (
    "SELECT w.request_id FROM unnest(CAST(? AS text[])) AS w (request_id) CROSS JOIN LATERAL "
    "(SELECT 1 FROM entry e WHERE e.log_id = ? AND e.request_id = w.request_id LIMIT 1) AS found"
)
_EXTERNAL = (
    "SELECT w.source, w.external_id FROM unnest(CAST(? AS text[]), CAST(? AS text[])) AS w (source, external_id) "
    "CROSS JOIN LATERAL (SELECT 1 FROM entry e WHERE e.log_id = ? AND e.source = w.source "
    "AND e.external_id = w.external_id LIMIT 1) AS found"
)
_RUNNING = (
    "SELECT w.request_id FROM unnest(CAST(? AS text[])) AS w (request_id) CROSS JOIN LATERAL "
    "(SELECT 1 FROM attempt a WHERE a.log_id = ? AND a.request_id = w.request_id AND a.state = 'open' "
    "AND a.lease_expires_at >= ? LIMIT 1) AS found"
)
_OTHERS = """GREATEST(0, w.{column} - COALESCE((SELECT SUM(o.{column}) FROM attempt o WHERE o.log_id = a.log_id
  AND o.request_id = a.request_id AND o.attempt_no <> a.attempt_no), 0))"""
_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_CLOSE = f"""
UPDATE attempt a SET state = w.state, reason = w.reason, closed_at = ?,
  {", ".join(f"{column} = {_OTHERS.format(column=column)}" for column in _TOKENS)}
FROM unnest(CAST(? AS text[]), CAST(? AS bigint[]), CAST(? AS text[]), CAST(? AS text[]), CAST(? AS bigint[]),
  CAST(? AS bigint[]), CAST(? AS bigint[]), CAST(? AS bigint[])) AS w (request_id, attempt_no, state, reason,
  {", ".join(_TOKENS)})
WHERE a.log_id = ? AND a.request_id = w.request_id AND a.attempt_no = w.attempt_no
"""  # noqa: S608
_PART = 64


class EntryJob(Job):
    """An entry that waits for its place. It is signed once, however often its transaction is done again."""

    __slots__ = ("attempt_no", "draft", "sign", "signed")

    def __init__(self, draft: EntryDraft, sign: Callable[[str], Signed], attempt_no: int | None, loop: Any) -> None:
        super().__init__(
            lambda transaction: append(transaction, draft, lambda _: self.receipt(), attempt_no),
            loop,
            draft.log_id,
        )
        self.draft = draft
        self.sign = sign
        self.attempt_no = attempt_no
        self.signed: Signed | None = None

    def make_ready(self, issued_at: str) -> bool:
        """Sign; False: it cannot be signed, and `error` says why."""
        with self:
            self.signed = self.sign(issued_at)
        return self.error is None

    def receipt(self) -> Signed:
        """The receipt, once it is signed."""
        assert self.signed is not None
        return self.signed

    def settled(self, place: Place, now: str, left: tuple[budgets.Headroom, ...]) -> Settled:
        """What its caller is told."""
        jws = self.receipt().jws
        return Settled(self.draft.log_id, place.seq, place.receipt_id, jws, place.entry_hash, now, self.draft, left)


def append_together(transaction: PostgresTransaction, log_id: str, jobs: Sequence[EntryJob]) -> None:
    """Give each job's entry a place in `log_id`, or its refusal."""
    if not jobs:
        return
    plain, others = _parted(transaction, log_id, jobs)
    if plain:
        _append(transaction, log_id, plain)
    for job in others:
        job.run(transaction)


def _parted(
    transaction: PostgresTransaction, log_id: str, jobs: Sequence[EntryJob]
) -> tuple[list[EntryJob], list[EntryJob]]:
    session = transaction.session
    requests = [job.draft.request_id for job in jobs if job.draft.request_id is not None]
    sources = [(job.draft.source, job.draft.external_id) for job in jobs if job.draft.external_id is not None]
    untried = [job.draft.request_id for job in jobs if job.draft.request_id is not None and job.attempt_no is None]
    taken: set[Any] = set()
    if requests:
        taken.update(found for (found,) in session.execute(_REQUESTS, (requests, log_id)))
    if sources:
        names, ids = [source for source, _ in sources], [external_id for _, external_id in sources]
        taken.update(session.execute(_EXTERNAL, (names, ids, log_id)))
    if untried:
        running = session.execute(_RUNNING, (untried, log_id, transaction.now_s))
        taken.update(found for (found,) in running)
    closed_through = transaction.closed_through(log_id)
    plain: list[EntryJob] = []
    others: list[EntryJob] = []
    for job in jobs:
        draft = job.draft
        keys = {draft.request_id, None if draft.external_id is None else (draft.source, draft.external_id)} - {None}
        refused = bool(keys & taken) or draft.occurred_at[:7] <= closed_through
        (others if refused else plain).append(job)
        taken |= keys
    return plain, others


def _append(transaction: PostgresTransaction, log_id: str, jobs: Sequence[EntryJob]) -> None:
    placed: list[tuple[EntryJob, Place]] = []
    # A few statements on their way at once: the server inserts one part while the next is made ready here.
    with transaction.session.raw.pipeline():
        for start in range(0, len(jobs), _PART):
            part = [(job, _place(transaction, job)) for job in jobs[start : start + _PART]]
            _insert(transaction.session, log_id, part)
            placed += part
        _close_attempts(transaction, log_id, jobs)
    _answer(transaction, log_id, placed)


def _place(transaction: PostgresTransaction, job: EntryJob) -> Place:
    place = next_place(transaction, job.draft, job.receipt())
    log = transaction.log(job.draft.log_id)
    log.leaves.append(leaf_hash(place.entry_hash))
    log.tagged.extend((place.seq, tag) for tag in job.draft.tags)
    log.in_operations = log.in_operations or job.draft.operation_id is not None
    return place


def _insert(session: Session, log_id: str, placed: Sequence[tuple[EntryJob, Place]]) -> None:
    session.executemany(INSERT_ENTRY, [to_row(job.draft, place) for job, place in placed])
    receipts = [(log_id, place.seq, job.receipt().jws) for job, place in placed]
    session.executemany("INSERT INTO receipt (log_id, seq, jws) VALUES (?, ?, ?)", receipts)
    decisions = [
        (log_id, place.seq, job.draft.decision_json) for job, place in placed if job.draft.decision_json is not None
    ]
    session.executemany("INSERT INTO decision (log_id, seq, json) VALUES (?, ?, ?)", decisions)
    tags = [(log_id, tag, place.seq) for job, place in placed for tag in job.draft.tags]
    session.executemany("INSERT INTO entry_tag (log_id, tag, seq) VALUES (?, ?, ?)", tags)


def _close_attempts(transaction: PostgresTransaction, log_id: str, jobs: Sequence[EntryJob]) -> None:
    """End the tries that led to the entries; an entry has the sum over all tries, what others used stays theirs."""
    tried = [job for job in jobs if job.attempt_no is not None and job.draft.request_id is not None]
    if not tried:
        return
    drafts = [job.draft for job in tried]
    values = (
        transaction.now,
        [draft.request_id for draft in drafts],
        [job.attempt_no for job in tried],
        [STATE_AFTER[draft.status] for draft in drafts],
        [draft.finish_reason for draft in drafts],
        *([getattr(draft.usage, column) for draft in drafts] for column in _TOKENS),
        log_id,
    )
    transaction.session.execute(_CLOSE, values)


def _answer(transaction: PostgresTransaction, log_id: str, placed: Sequence[tuple[EntryJob, Place]]) -> None:
    has_budgets = transaction.session.execute("SELECT 1 FROM budget WHERE log_id = ? LIMIT 1", (log_id,)).fetchone()
    for job, place in placed:
        left = budgets.settle(transaction, job.draft, place.seq) if has_budgets else ()
        job.value = job.settled(place, transaction.now, left)
