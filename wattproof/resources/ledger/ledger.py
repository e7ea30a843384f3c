"""The ledger: what was run, append-only, with totals, receipts and proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wattproof.methodology.errors import InvalidInput, PeriodClosed
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import attempts, queries
from wattproof.resources.ledger.append import PayloadBuilder, Signed
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.fsck import check_entries, check_totals, report
from wattproof.resources.ledger.periods import redated
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.records import (
    Attempt,
    AttemptDraft,
    AttemptState,
    DecisionPage,
    EntryDraft,
    EntryPage,
    FsckReport,
    Opened,
    RecentRuns,
    Replay,
    Settled,
    Summary,
    SummaryQuery,
)
from wattproof.resources.ledger.rows import check_draft, check_name
from wattproof.resources.ledger.summary import summarize
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.ledger.writer import Writer
from wattproof.resources.receipts import SIMULATION_TYP, InclusionProof, Issuer, sign
from wattproof.resources.receipts.jws import sign_encoded
from wattproof.resources.receipts.statement import Statement

if TYPE_CHECKING:
    from wattproof.resources.ledger.batches import Appended, Batch
    from wattproof.resources.ledger.budget_book import BudgetBook
    from wattproof.resources.ledger.export import Exports
    from wattproof.resources.ledger.keeping import Keeping
    from wattproof.resources.ledger.keyring import Keyring
    from wattproof.resources.ledger.log import TransparencyLog
    from wattproof.resources.ledger.operation_book import OperationBook
    from wattproof.resources.ledger.period_book import PeriodBook
    from wattproof.resources.receipts.batch import RecordProof

__all__ = ["Ledger"]


class Ledger:
    """An open ledger; `open_ledger` makes one. Everything waits for the disk where it says so, never the event loop.

    `keyring` holds the keys, `log` shows the logs to others, `path` is the database.
    Writes raise LedgerLocked when another process keeps the lock, and LedgerUnusable when the file or disk fails; then
    nothing of that write was kept.
    """

    def __init__(
        self,
        path: Path,
        *,
        writer: Writer,
        readers: Readers,
        keyring: Keyring,
        typ: str,
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        self.keyring = keyring
        self._writer = writer
        self._clock = clock
        self._readers = readers
        self._typ = typ
        self._sign = partial(_sign, keyring, typ)
        self._simulation = typ == SIMULATION_TYP

    @property
    def issuer(self) -> Issuer:
        """The key that signs receipts now."""
        return self.keyring.issuer

    @property
    def jwks(self) -> Mapping[str, Any]:
        """The JWK set of every key that ever signed receipts."""
        return self.keyring.jwks

    @cached_property
    def log(self) -> TransparencyLog:
        """Checkpoints, proofs, tiles and keys of the logs, for whoever does not trust this ledger."""
        from wattproof.resources.ledger.log import TransparencyLog

        return TransparencyLog(writer=self._writer, readers=self._readers, keyring=self.keyring, typ=self._typ)

    @cached_property
    def budgets(self) -> BudgetBook:
        """What may be spent, and what is left of it."""
        from wattproof.resources.ledger.budget_book import BudgetBook

        return BudgetBook(self._writer, self._read, self._clock)

    @cached_property
    def operations(self) -> OperationBook:
        """Many steps under one name, with one receipt over them."""
        from wattproof.resources.ledger.operation_book import OperationBook

        return OperationBook(self._writer, self._read, self._clock, self._sign, simulation=self._simulation)

    @cached_property
    def exports(self) -> Exports:
        """Entries, receipts and samples of them, to be carried away."""
        from wattproof.resources.ledger.export import Exports

        return Exports(self._readers)

    @cached_property
    def keeping(self) -> Keeping:
        """Archiving, bringing back and erasing receipts."""
        from wattproof.resources.ledger.keeping import Keeping

        return Keeping(writer=self._writer, readers=self._readers, keyring=self.keyring, clock=self._clock)

    @cached_property
    def periods(self) -> PeriodBook:
        """Months that were closed, adjustments, restatements, and totals day by day."""
        from wattproof.resources.ledger.period_book import PeriodBook

        return PeriodBook(self._writer, self._read)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open_attempt(self, draft: AttemptDraft) -> Opened | Replay:
        """Record a try before anything is spent on it; durable on return.

        A request that has an entry already is a Replay. Open tries of this log whose lease ran out become abandoned.
        What the try reserves counts in every budget that it falls under, until it is settled or its lease runs out.

        Raises:
            RequestConflict: the request_id was used with another body.
            RequestInFlight: a try of the same request is running.
            BudgetExceeded: a budget does not allow what it may spend.
            OperationClosed: its operation takes no more steps.
        """
        check_name("log_id", draft.log_id)
        check_name("request_id", draft.request_id)
        return await self._writer.open_attempt(draft)

    async def close_attempt(
        self,
        log_id: str,
        request_id: str,
        attempt_no: int,
        state: AttemptState,
        reason: str | None,
        usage: Usage | None,
    ) -> None:
        """End a try that does not become an entry, with the usage known of it; durable on return.

        Raises:
            InvalidInput: there is no such try, or `state` does not end one.
        """
        if state not in attempts.CLOSING_STATES:
            raise InvalidInput("state", f"is {state!r}", f"give one of {', '.join(sorted(attempts.CLOSING_STATES))}")
        await self._writer.submit(
            lambda transaction: attempts.close(transaction, log_id, request_id, attempt_no, state, reason, usage),
            log_id,
        )

    async def settle(
        self, draft: EntryDraft, payload: PayloadBuilder | Statement, attempt_no: int | None = None
    ) -> Settled:
        """Append an entry: entry, receipt, decision, rollups, Merkle frontier and the try's end, in one durable step.

        In a simulation home every entry is synthetic, whatever the draft says.

        `payload(issued_at)` gives what the receipt states; it runs in the writer's thread and must be repeatable. A
        `Statement` is made ready beforehand and leaves only the signature to that thread. A run that ends after the
        month in which it began was closed is dated to when it is settled.

        Raises:
            PeriodClosed: it occurred in a month that was closed, and is no run.
            RequestConflict: the request_id has an entry already (unless this very try wrote it: then that is returned).
            InvalidInput: the draft or the payload is malformed.
        """
        check_draft(draft)
        if self._simulation:
            draft = replace(draft, synthetic=True)
        try:
            return await self._writer.append(draft, partial(self._sign, payload), attempt_no)
        except PeriodClosed:
            if draft.kind != "inference":
                raise
        # What was spent is recorded whatever happens meanwhile.
        now = rfc3339(self._clock())
        moved = replace(draft, occurred_at=now)
        return await self._writer.append(moved, partial(self._sign, redated(payload, now)), attempt_no)

    async def append_batch(self, batch: Batch) -> Appended:
        """Append the records of `batch` that the log lacks, and the receipt that they share, in one durable step.

        Raises:
            InvalidInput: the batch is malformed, or its receipt cannot be signed.
        """
        from wattproof.resources.ledger.batches import append_batch, check_batch

        check_batch(batch)
        return await self._writer.submit(
            lambda transaction: append_batch(transaction, batch, self._sign, synthetic=self._simulation),
            batch.draft.log_id,
        )

    async def get(
        self, log_id: str, *, receipt_id: str | None = None, seq: int | None = None, request_id: str | None = None
    ) -> Settled | None:
        """The entry with this receipt, place or request; None when there is none. `jws` is None when it was erased.

        Raises:
            InvalidInput: not exactly one of the three was given.
        """
        keys = {"receipt_id": receipt_id, "seq": seq, "request_id": request_id}
        given = [(column, value) for column, value in keys.items() if value is not None]
        if len(given) != 1:
            raise InvalidInput("receipt_id, seq, request_id", f"are {len(given)}", "give exactly one")
        return await self._read(queries.find, log_id, *given[0])

    async def record_proof(self, log_id: str, receipt_id: str) -> RecordProof | None:
        """What shows who signed for a record of a batch; None where the entry is no such record."""
        from wattproof.resources.ledger.record_proofs import find_record

        return await self._read(find_record, log_id, receipt_id)

    async def get_jws(self, receipt_id: str) -> str | None:
        """The receipt with this id, of whatever log; None when it is unknown or was erased."""
        return await self._read_every(queries.jws_of, receipt_id)

    async def entries(
        self, log_id: str, *, cursor: int | None = None, limit: int = 50, operation_id: str | None = None
    ) -> EntryPage:
        """Entries newest first; pass `next_cursor` back for the page after."""
        return await self._read(queries.page, log_id, cursor, limit, operation_id)

    async def decisions(
        self,
        log_id: str,
        *,
        since: str | None = None,
        until: str | None = None,
        cursor: tuple[str, int] | None = None,
        limit: int = 100,
    ) -> DecisionPage:
        """The stored decisions of runs in [since, until), newest first; pass `next_cursor` back for the page after."""
        return await self._read(queries.decisions, log_id, since, until, cursor, limit)

    async def attempts(self, log_id: str, request_id: str) -> tuple[Attempt, ...]:
        """The tries of a request, first to last."""
        return await self._read(attempts.list_attempts, log_id, request_id)

    async def head(self, log_id: str) -> tuple[int, bytes]:
        """Size and RFC 9162 root hash of the log; an unknown log is empty."""
        return await self._read(queries.head, log_id)

    async def inclusion(self, log_id: str, seq: int, tree_size: int | None = None) -> InclusionProof:
        """Proof that entry `seq` is in the tree of the first `tree_size` entries (default: all).

        Raises:
            InvalidInput: there is no such entry in a tree of that size.
        """
        return await self._read(queries.inclusion, log_id, seq, tree_size)

    async def summary(self, query: SummaryQuery) -> Summary:
        """Totals with 90 % intervals that keep shared uncertainty.

        Raises:
            InvalidInput: `since`, `until` or `group_by` is not understood.
        """
        return await self._read(_summarize, query.log_id, query)

    async def recent(self, log_id: str, since: str) -> tuple[RecentRuns, ...]:
        """Runs by deployment since `since` (RFC 3339 UTC)."""
        return await self._read(queries.recent, log_id, since)

    async def logs(self) -> tuple[str, ...]:
        """The ids of all logs, sorted."""
        return await self._read_every(queries.logs)

    async def fsck(self, log_id: str | None = None, *, signatures: bool = True) -> FsckReport:
        """Recompute everything that follows from the receipts and say what differs. Reads every entry.

        Without `signatures` no signature is checked, and a column is held against its receipt only where the row's
        checksum does not hold, which is much faster. The two halves of the work run beside one another.
        """
        halves = (
            self._read_every(partial(check_entries, signatures=signatures), self.keyring, log_id),
            self._read_every(check_totals, self._clock(), log_id),
        )
        return report(*await asyncio.gather(*halves))

    async def aclose(self) -> None:
        """Finish what is queued and close the files. Closing twice is harmless."""
        self._readers.close()
        await asyncio.to_thread(self._writer.close)

    async def _read(self, work: Any, log_id: str, *arguments: Any) -> Any:
        """`work(connection, log_id, *arguments)`, which reads that log alone."""
        return await asyncio.to_thread(
            self._readers.read, lambda connection: work(connection, log_id, *arguments), log_id
        )

    async def _read_every(self, work: Any, *arguments: Any) -> Any:
        """`work(connection, *arguments)`, which may read any log."""
        return await asyncio.to_thread(self._readers.read, lambda connection: work(connection, *arguments))


def _summarize(connection: sqlite3.Connection, _: str, query: SummaryQuery) -> Summary:
    return summarize(connection, query)


def _sign(keyring: Keyring, typ: str, payload: PayloadBuilder | Statement, issued_at: str) -> Signed:
    # Asked for under the lock, so that no receipt is by a key that was replaced before.
    issuer = keyring.issuer
    if isinstance(payload, Statement):
        jws = sign_encoded(payload.encoded(issued_at), issuer, typ)
        return Signed(jws, payload["method_sha256"], payload["edition_sha256"])
    stated = payload(issued_at)
    return Signed(sign(stated, issuer, typ), stated.get("method_sha256"), stated.get("edition_sha256"))
