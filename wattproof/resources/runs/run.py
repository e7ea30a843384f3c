"""One run in progress: what it holds between its tries, and the writes that must not be cut short."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from wattproof.methodology.errors import BudgetExceeded, LedgerError, LedgerLocked, RequestInFlight, UpstreamError
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger.records import AttemptState, EntryStatus, Replay, Settled
from wattproof.resources.providers import ChatEnd, usage_so_far
from wattproof.resources.routing import Candidate
from wattproof.resources.runs.ask import Ask
from wattproof.resources.runs.attempt import Failure, attempt_draft, failure_code
from wattproof.resources.runs.entry import Entry, Outcome, Trace, build_entry
from wattproof.resources.runs.plan import Plan, timestamp
from wattproof.resources.runs.records import RunDeps, RunSettled
from wattproof.resources.runs.shielded import shielded
from wattproof.resources.runs.spending import over_limit
from wattproof.resources.runs.tally import Share, Tally

__all__ = ["Run"]

# Each waits for the ledger's own deadline.
_LOCKED_TRIES = 3
_SALT_BYTES = 32
_NONCE_BYTES = 16


@dataclass(slots=True)
class Run:
    """State of one run.

    `attempt_no` is that of the last try and `is_open` whether the ledger still has it as open; `sent` says whether its
    request went out and is not yet accounted for, `parts` and `end` hold what came back. `over` is set once nothing
    more may be written for this run. `written` is the trace of the decision, once it was needed; `held_back` says which
    tries were not made, `refused` what a budget said of the one that would have taken least; `claimed` is the
    deployment that this run may try alone while it recovers.
    """

    ask: Ask
    deps: RunDeps
    plan: Plan
    started: float
    occurred_at: str
    candidate: Candidate
    written: Trace | None = None
    tally: Tally = field(default_factory=Tally)
    attempt_no: int = 0
    attempt_started: float = 0.0
    is_open: bool = False
    sent: bool = False
    parts: list[str] = field(default_factory=list[str])
    end: ChatEnd | None = None
    over: bool = False
    last_error: Failure | None = None
    claimed: str | None = None
    held_back: list[str] = field(default_factory=list[str])
    refused: BudgetExceeded | None = None

    @classmethod
    def begin(cls, ask: Ask, plan: Plan) -> Run:
        """A run that has written nothing yet."""
        return cls(
            ask=ask,
            deps=ask.deps,
            plan=plan,
            started=ask.deps.monotonic(),
            occurred_at=timestamp(ask.deps.clock()),
            candidate=plan.order[0].candidate,
        )

    @property
    def text(self) -> str:
        """What the present try has answered so far."""
        return "".join(self.parts)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline of the whole run."""
        return self.ask.left_s()

    def trace(self) -> Trace:
        """The decision as the entry will hold it."""
        if self.written is None:
            self.written = Trace.of(self.plan.decision)
        return self.written

    def trace_soon(self) -> None:
        """Write the trace while the provider works: two turns of the event loop from now its request is out."""
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.trace)

    def may_try(self, candidate: Candidate) -> bool:
        """Whether one more try there stays within what the policy allows the whole run; else it is noted."""
        problem = over_limit(self.plan, self.tally, candidate)
        if problem is not None:
            self.held_back.append(f"{candidate.deployment.id} ({problem})")
        return problem is None

    def claim(self, candidate: Candidate) -> bool:
        """Whether the deployment may be called now: while it recovers from failures, by one request at a time."""
        if not self.deps.health.try_probe(candidate.deployment.id, self.deps.clock()):
            return False
        self.claimed = candidate.deployment.id
        return True

    async def open_attempt(self, candidate: Candidate) -> Replay | None:
        """Record the next try, on `candidate`; a Replay when the request was settled meanwhile.

        Raises:
            BudgetExceeded: a budget does not allow this try; another may take less.
            RequestConflict, RequestInFlight, LedgerError.
        """
        try:
            with self.deps.watch.writing("open"):
                return await shielded(self._open_attempt(candidate))
        except BudgetExceeded as error:
            self._give_up_claim()
            self._note_refusal(candidate, error)
            raise
        except LedgerError:
            # Whatever the ledger refused, nothing more may be written for this run.
            self.over = True
            self._give_up_claim()
            raise

    async def fail_attempt(self, error: Failure) -> None:
        """Close the try as failed, with what it spent, and remember that in the deployment's health."""
        share = self._failed_share(error)
        self.claimed = None
        self.sent, self.last_error = False, error
        if share is not None:
            self.tally = self.tally.plus(share)
        usage = None if share is None else share.usage
        self.deps.health.failed(
            self.candidate.deployment.id,
            now_s=self.deps.clock(),
            retry_after_s=error.retry_after_s if isinstance(error, UpstreamError) else None,
            reason=failure_code(error),
        )
        await self._close("failed", failure_code(error), usage)

    async def settle_completed(self, end: ChatEnd) -> RunSettled:
        """Settle the run with its answer."""
        latency_ms = 1000.0 * (self.deps.monotonic() - self.attempt_started)
        deployment = self.candidate.deployment
        self._account_for(end)
        self.claimed = None
        self.deps.health.succeeded(
            deployment.id, latency_ms=latency_ms, output_tokens=end.usage.output_tokens, now_s=self.deps.clock()
        )
        self.deps.incumbents.used(self.plan.kind, deployment.id)
        settled = await self._settle("completed", end.finish_reason, end)
        self.deps.answers.keep(self.deps.log_id, self.ask.request_id, end)
        return settled

    async def settle_failed(self, error: Failure) -> RunSettled | None:
        """Settle a run whose every try failed, if they spent anything; its entry has status `failed`.

        Raises:
            RequestInFlight: another process tries the same request by now; its entry will count these tries as well.
        """
        self.over = not self.tally.shares
        if self.over:
            return None
        return await self._settle("failed", failure_code(error), None)

    async def settle_interrupted(self, status: EntryStatus, reason: str) -> RunSettled | None:
        """Settle a run that was cancelled, or broke, with the usage known so far; no entry where nothing was sent."""
        if self.over:
            return None
        self._give_up_claim()
        if self.sent:
            self._account_for(self.end)
        if self.tally.shares:
            try:
                return await self._settle(status, reason, None)
            except RequestInFlight:
                # Another process took the request over between two tries; its entry counts these as well.
                return None
        self.over = True
        if self.is_open:
            await self._close("cancelled" if status == "cancelled" else "failed", reason, None)
        return None

    async def _open_attempt(self, candidate: Candidate) -> Replay | None:
        """Shielded as a whole, so that a try that is recorded is also known here, whoever cancels meanwhile."""
        opened = await self.deps.ledger.open_attempt(attempt_draft(self.ask, self.plan, candidate))
        if isinstance(opened, Replay):
            self.over = True
            self._give_up_claim()
            return opened
        first = self.attempt_no == 0
        self.candidate, self.attempt_no = candidate, opened.attempt_no
        self.attempt_started = self.deps.monotonic()
        self.is_open, self.sent, self.parts, self.end = True, False, [], None
        if first and opened.attempt_no > 1:
            await self._add_earlier_tries()
        return None

    async def _settle(self, status: EntryStatus, finish_reason: str | None, end: ChatEnd | None) -> RunSettled:
        salt = self.deps.random_bytes(_SALT_BYTES)
        entry = build_entry(
            Outcome(
                log_id=self.deps.log_id,
                request=self.ask.request,
                request_id=self.ask.request_id,
                body=self.ask.body,
                digest=self.ask.digest,
                plan=self.plan,
                trace=self.trace(),
                candidate=self.candidate,
                tally=self.tally,
                status=status,
                attempts=self.attempt_no,
                occurred_at=self.occurred_at,
                latency_ms=round(1000.0 * (self.deps.monotonic() - self.started)),
                finish_reason=finish_reason,
                end=end,
                salt=salt,
                nonce=self.deps.random_bytes(_NONCE_BYTES),
            )
        )
        self.over = True
        with self.deps.watch.writing("settle"):
            settled = await shielded(self._write(entry))
        self.deps.watch.settled(self.candidate.deployment, status, entry.estimate)
        return RunSettled(
            settled=settled,
            answer=None if end is None else end.text,
            answer_reason=None if end is not None else f"the run was {status}",
            replayed=False,
            estimate=entry.estimate,
            decision=self.plan.decision,
            end=end,
            commitment_salt=salt,
            reported=entry.reported,
        )

    async def _write(self, entry: Entry) -> Settled:
        """Settle. What was spent is worth waiting for whoever keeps the ledger's lock."""
        attempt_no = self.attempt_no if self.is_open else None
        for _ in range(_LOCKED_TRIES - 1):
            try:
                return await self.deps.ledger.settle(entry.draft, entry.statement, attempt_no)
            except LedgerLocked:
                continue
        return await self.deps.ledger.settle(entry.draft, entry.statement, attempt_no)

    async def _close(self, state: AttemptState, reason: str, usage: Usage | None) -> None:
        self.is_open = False
        ledger = self.deps.ledger
        await shielded(
            ledger.close_attempt(self.deps.log_id, self.ask.request_id, self.attempt_no, state, reason, usage)
        )

    async def _add_earlier_tries(self) -> None:
        """The entry sums all tries of its request, also those that an earlier run of it left behind."""
        for tried in await self.deps.ledger.attempts(self.deps.log_id, self.ask.request_id):
            if tried.usage is not None and tried.usage.total_tokens > 0:
                share = Share(self.candidate.deployment, tried.usage, "local_count", tried.usage)
                self.tally = self.tally.plus(share)

    def _failed_share(self, error: Failure) -> Share | None:
        if not isinstance(error, UpstreamError) or error.partial_usage is None:
            return None
        if error.partial_usage.total_tokens == 0:
            return None
        return Share(
            self.candidate.deployment,
            error.partial_usage,
            error.partial_usage_source or "local_count",
            self._counted(error.partial_text),
        )

    def _note_refusal(self, candidate: Candidate, error: BudgetExceeded) -> None:
        """Keep the refusal of the try that would have taken least: it says best what would fit."""
        self.held_back.append(f"{candidate.deployment.id} (a budget has too little left)")
        asked = [each.asked for each in (error, self.refused) if each is not None and each.asked is not None]
        if self.refused is None or (error.asked is not None and error.asked == min(asked)):
            self.refused = error

    def _give_up_claim(self) -> None:
        """A call that says nothing of its deployment leaves the next one to find out."""
        if self.claimed is not None:
            self.deps.health.gave_up(self.claimed)
            self.claimed = None

    def counted_so_far(self) -> Usage | None:
        """Our count of the present try, once an answer has begun."""
        return self._counted(self.text) if self.parts else None

    def _account_for(self, end: ChatEnd | None) -> None:
        """Add the present try: as its end states it, else as far as it came, counted by us."""
        self.sent = False
        counted = self._counted(self.text if end is None else end.text)
        deployment = self.candidate.deployment
        if end is None:
            share = Share(deployment, counted, "local_count", counted)
        else:
            share = Share(deployment, end.usage, end.usage_source, counted, end.cpu_seconds)
        self.tally = self.tally.plus(share)

    def _counted(self, text: str) -> Usage:
        return usage_so_far(self.ask.request.chat, text)
