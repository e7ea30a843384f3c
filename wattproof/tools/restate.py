"""A past period under another method or other readings, kept beside the original, and why it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.progress import Report, unreported
from wattproof.tools.restate_result import RestateResult, result_of, span_of
from wattproof.tools.restate_text import brief
from wattproof.tools.result import Arguments

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Usage
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.records import Settled
    from wattproof.resources.restating import Basis, PeriodTotals, Stated, Statements
    from wattproof.tools.deps import Deps

__all__ = ["RestateArgs", "RestateResult", "brief", "restate", "restatements", "span_of"]

_PAGE = 500

GridChoice = Literal["stated", "annual"]


class RestateArgs(Arguments):
    """Arguments of `restate`."""

    method: Annotated[str, Field(min_length=1, max_length=200, description="Method id to restate under")]
    period: Annotated[str, Field(max_length=10, description="A year, month or day in UTC: 2026-10")]
    edition: Annotated[str | None, Field(max_length=40, description="Of the data; default the installed one")] = None
    grid: Annotated[GridChoice | None, Field(description="stated: the receipts' readings; annual: averages")] = None


class _Job(NamedTuple):
    """A request to restate: its entry, what its receipt states, and how it stands now."""

    settled: Settled
    stated: Stated | None
    now: Mapping[str, Any]
    usage: Usage

    @property
    def requests(self) -> int:
        """How many requests the ledger counts it as."""
        draft = self.settled.draft
        return draft.attempts if draft.kind == "imported" and draft.step_kind == "bucket" else 1


async def restate(args: RestateArgs, deps: Deps, report: Report = unreported) -> RestateResult:
    """Restate a period from its receipts, keep the result in the ledger, and say what explains the difference.

    Nothing recorded changes. The same entries under the same basis give the same restatement, which is kept once.

    Raises:
        InvalidInput: the period or the edition is not understood.
        UnknownMethod: no such method.
        LedgerError: the ledger cannot be read or written.
    """
    from wattproof.methodology.data import EDITION, edition_sha256
    from wattproof.methodology.methods import get_method
    from wattproof.resources.ledger.records import SummaryQuery
    from wattproof.resources.ledger.restatements import RestatementDraft
    from wattproof.resources.restating import Basis

    since, until = span_of(args.period)
    if args.edition not in (None, EDITION):
        raise InvalidInput(
            "edition",
            f"is {args.edition!r}",
            f"this version has {EDITION}; restate with the version that has the other",
        )
    basis = Basis(get_method(args.method), args.grid or "stated")
    ledger = await deps.ledger()
    size, root = await ledger.head(deps.log_id)
    summary = await ledger.summary(SummaryQuery(deps.log_id, since=since, until=until))
    totals = await _added_up(ledger, deps.log_id, (since, until), size, basis, report)
    original = {"energy_wh": summary.total.energy_wh, "carbon_gco2e": summary.total.carbon_gco2e}
    draft = RestatementDraft(
        log_id=deps.log_id,
        period=args.period,
        method_id=basis.method.id,
        method_sha256=basis.method.sha256,
        edition=EDITION,
        edition_sha256=edition_sha256(),
        grid=basis.grid,
        size=size,
        root=root,
        results_sha256=totals.results_sha256,
        document={**totals.document(), "original": original},
    )
    return result_of(await ledger.periods.keep(draft))


async def restatements(period: str | None, deps: Deps) -> tuple[RestateResult, ...]:
    """What was restated before, newest first; of one period where it is given."""
    ledger = await deps.ledger()
    return tuple(result_of(kept) for kept in await ledger.periods.restatements(deps.log_id, period))


async def _added_up(
    ledger: Ledger, log_id: str, span: tuple[str, str], size: int, basis: Basis, report: Report
) -> PeriodTotals:
    """The totals over the first `size` entries of the log that occurred in the span."""
    import anyio.to_thread

    from wattproof.resources.restating import PeriodTotals, Statements

    statements, totals = Statements(ledger), PeriodTotals()
    adjusted = await ledger.periods.adjusted(log_id)
    after: tuple[str, int] | None = None
    while page := await ledger.periods.entries(log_id, *span, after, _PAGE):
        after = (page[-1].draft.occurred_at, page[-1].seq)
        there = [settled for settled in page if settled.seq < size]
        requests = [settled for settled in there if settled.draft.kind != "adjustment"]
        for settled in there:
            if settled.draft.kind == "adjustment":
                totals.adjustment(settled.draft)
        jobs = await _jobs(ledger, statements, requests, adjusted, size)
        await anyio.to_thread.run_sync(_restate_page, jobs, basis, totals)
        await report(totals.entries, None, "requests restated")
    return totals


async def _jobs(
    ledger: Ledger, statements: Statements, requests: Sequence[Settled], adjusted: frozenset[int], size: int
) -> list[_Job]:
    from wattproof.resources.runs.adjustment import as_it_stands, usage_of

    seqs = [settled.seq for settled in requests if settled.seq in adjusted]
    changed = await ledger.periods.adjustments(requests[0].log_id, seqs) if seqs else {}
    jobs: list[_Job] = []
    for settled in requests:
        draft = settled.draft
        stated = await statements.of(settled)
        later = [each for each in changed.get(settled.seq, ()) if each.seq < size]
        payloads = [await statements.of(each) for each in later]
        known = [each.payload for each in payloads if each is not None]
        complete = stated is not None and len(known) == len(payloads)
        now = as_it_stands(stated.payload, known) if stated is not None and complete else {}
        usage = usage_of(draft, [each.draft for each in later])
        jobs.append(_Job(settled, stated if complete else None, now, usage))
    return jobs


def _restate_page(jobs: Sequence[_Job], basis: Basis, totals: PeriodTotals) -> None:
    from wattproof.resources.restating import Unrestatable, restated_entry

    for job in jobs:
        seq, draft = job.settled.seq, job.settled.draft
        if job.stated is None:
            totals.leave_out(seq, draft, job.requests, "receipt_not_here")
            continue
        try:
            found = restated_entry(job.stated.payload, job.now, job.usage, basis, requests=job.stated.requests)
        except Unrestatable as error:
            totals.leave_out(seq, draft, job.requests, error.reason)
            continue
        totals.add(seq, draft, job.requests, found)
