"""A past period under another method or other readings, kept beside the original, and why it differs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import Figure, energy_text, mass_text, rounded
from wattproof.tools.progress import Report, unreported
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Arguments, Result
from wattproof.tools.summary_result import several

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Usage
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.records import Settled
    from wattproof.resources.ledger.restatements import Restatement
    from wattproof.resources.restating import Basis, PeriodTotals, Stated, Statements
    from wattproof.tools.deps import Deps

__all__ = ["RestateArgs", "RestateResult", "brief", "restate", "restatements", "span_of"]

_PERIOD = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?")
_PAGE = 500
_UNITS = {"energy_nwh": ("estimated_energy_kwh", 1e-12), "carbon_location_ng": ("estimated_carbon_kg", 1e-12)}
_GRIDS = {"stated": "readings as stated", "annual": "annual readings"}

GridChoice = Literal["stated", "annual"]


class RestateArgs(Arguments):
    """Arguments of `restate`."""

    method: Annotated[str, Field(min_length=1, max_length=200, description="Method id to restate under")]
    period: Annotated[str, Field(max_length=10, description="A year, month or day in UTC: 2026-10")]
    edition: Annotated[str | None, Field(max_length=40, description="Of the data; default the installed one")] = None
    grid: Annotated[GridChoice | None, Field(description="stated: the receipts' readings; annual: averages")] = None


class RestateResult(Result):
    """A restated period. `original` is what the period sums up to as recorded, `restated` what it does now.

    `sums` explain the difference: for energy and carbon the sum of the entries' medians, what each part adds to it, and
    the restated sum, which is their total to the unit. Intervals are of the totals, with shared unknowns kept.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"carbon_market_kg", "water_ml", "adpe_kgsbeq"})
    told_last: ClassVar[tuple[str, ...]] = ("provenance",)

    restatement_id: str
    period: dict[str, str]
    grid: str
    request_count: int
    restated_count: int
    adjustments_count: int
    left_out: dict[str, int]
    original: dict[str, Figure | None]
    restated: dict[str, Figure | None]
    interval: str
    carbon_market_kg: Figure | None = None
    water_ml: Figure | None = None
    adpe_kgsbeq: Figure | None = None
    sums: dict[str, dict[str, int]]
    tier_counts: dict[str, int]
    results_sha256: str
    methodology_sha256: str
    edition: str
    tree_size: int
    root_hex: str
    created_at: str
    reasons: dict[str, str]
    provenance: Provenance


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
    return _result(await ledger.periods.keep(draft))


async def restatements(period: str | None, deps: Deps) -> tuple[RestateResult, ...]:
    """What was restated before, newest first; of one period where it is given."""
    ledger = await deps.ledger()
    return tuple(_result(kept) for kept in await ledger.periods.restatements(deps.log_id, period))


def span_of(period: str) -> tuple[str, str]:
    """The instants from which and up to which a year, a month or a day lasts, in UTC.

    Raises:
        InvalidInput: it is none of these.
    """
    from datetime import UTC, datetime, timedelta

    matched = _PERIOD.fullmatch(period)
    try:
        if matched is None:
            raise ValueError(period)
        year, month, day = (None if part is None else int(part) for part in matched.groups())
        start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        after = start + timedelta(days=1 if day else 32 if month else 366)
        end = after if day else after.replace(day=1) if month else after.replace(year=start.year + 1, month=1, day=1)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("period", f"is {period[:20]!r}", "give a year, month or day such as 2026-10") from error
    first, last = (f"{instant:%Y-%m-%dT%H:%M:%S}Z".zfill(20) for instant in (start, end))
    return first, last


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


def _result(kept: Restatement) -> RestateResult:
    draft, document = kept.draft, kept.draft.document
    since, until = span_of(draft.period)
    counts = document["counts"]
    original = document["original"]
    return RestateResult(
        restatement_id=kept.id,
        period={"name": draft.period, "since": since, "until": until},
        grid=draft.grid,
        request_count=document["requests"],
        restated_count=document["restated_requests"],
        adjustments_count=document["adjustments"],
        left_out=document["left_out"],
        original=_figures(original["energy_wh"], original["carbon_gco2e"]),
        restated=_figures(document["energy_wh"], document["carbon_gco2e"]),
        interval=document["interval"],
        carbon_market_kg=_figure(document["carbon_market_gco2e"], 1e-3),
        water_ml=_figure(document["water_ml"], 1.0),
        adpe_kgsbeq=_figure(document["adpe_kgsbeq"], 1.0),
        sums=document["sums"],
        tier_counts=counts["tier"],
        results_sha256=draft.results_sha256,
        methodology_sha256=draft.method_sha256,
        edition=draft.edition,
        tree_size=draft.size,
        root_hex=draft.root.hex(),
        created_at=kept.created_at,
        reasons=_reasons(document),
        provenance=Provenance(
            region_scope=several(counts["zone"]),
            energy_source=several(counts["energy_source"]),
            methodology=draft.method_id,
            renewable_ratio_bps=document["renewable_ratio_bps"],
        ),
    )


def _figures(energy_wh: Any, carbon_gco2e: Any) -> dict[str, Figure | None]:
    return {"estimated_energy_kwh": _figure(energy_wh, 1e-3), "estimated_carbon_kg": _figure(carbon_gco2e, 1e-3)}


def _figure(amount: Sequence[float | None] | None, factor: float) -> Figure | None:
    if amount is None:
        return None
    median, low, high = (None if end is None else rounded(end * factor, 6) for end in amount)
    return Figure(median=median or 0.0, low=low, high=high)


def _reasons(document: Mapping[str, Any]) -> dict[str, str]:
    reasons = {f"left_out.{reason}": _WHY[reason] for reason in document["left_out"]}
    known, whole = document["known_requests"], document["restated_requests"]
    names = {"carbon_market_ng": "carbon_market_kg", "water_nl": "water_ml", "adpe_pgsbeq": "adpe_kgsbeq"}
    for name, field in names.items():
        if known[name] < whole:
            reasons[field] = f"known for {known[name]} of {whole} requests"
    if document["renewable_ratio_bps"] is None:
        reasons["renewable_ratio_bps"] = "unknown for a part" if whole else "nothing was restated"
    return reasons


_WHY = {
    "receipt_not_here": "the receipt was erased or archived, and with it the operands",
    "no_figures": "no energy or no carbon is known, in the original or by the method",
    "model_unknown": "this edition does not list the model",
    "original_method_unknown": "this version does not have the definition of the original method",
    "not_defined": "the method does not cover this kind of request",
    "input_missing": "the method takes an input that nobody recorded",
    "requests_unknown": "an aggregated export does not say how many requests it stands for",
}


def brief(result: RestateResult) -> str:
    """Original and restated totals, what explains the difference, and where it is kept."""
    of = result.request_count
    words = [f"{result.period['name']} under {result.provenance.methodology} ({_GRIDS[result.grid]}):"]
    words += [f"{result.restated_count:,} of {of:,} request{'' if of == 1 else 's'} restated{_left_words(result)}."]
    for label, name, amount, text in (
        ("Energy", "estimated_energy_kwh", "energy_nwh", energy_text),
        ("CO2e", "estimated_carbon_kg", "carbon_location_ng", _grams_text),
    ):
        before, after = result.original[name], result.restated[name]
        if before is None or after is None:
            words.append(f"{label} unknown.")
            continue
        words.append(f"{label} {text(_thousandfold(before))} -> {text(_thousandfold(after))}.")
        words.append(f"{_explained(result.sums[amount], text)}.")
    words.append(f"Kept as {result.restatement_id}; no entry changed.")
    return " ".join([*words, sentence(result.provenance)])


def _left_words(result: RestateResult) -> str:
    return "".join(f"; {count:,} not: {_WHY[reason]}" for reason, count in result.left_out.items())


def _explained(sums: Mapping[str, int], text: Any) -> str:
    """`Difference of the entries' medians +12 g: activity 0 g, factor 0 g, method +12 g`."""
    method = sum(sums[name] for name in ("method_energy", "method_pue", "method_other"))
    parts = {"activity": sums["activity"], "factor": sums["factor"], "method": method}
    if sums["left_out"]:
        parts["left out"] = sums["left_out"]
    told = ", ".join(f"{name} {_signed(amount, text)}" for name, amount in parts.items())
    return f"Difference of the entries' medians {_signed(sums['restated'] - sums['original'], text)}: {told}"


def _signed(nanos: int, text: Any) -> str:
    return ("+" if nanos > 0 else "") + text(Figure(median=nanos * 1e-9, low=None, high=None))


def _grams_text(figure: Figure) -> str:
    return mass_text(figure, "")


def _thousandfold(figure: Figure) -> Figure:
    low, high = (None if part is None else part * 1000 for part in (figure.low, figure.high))
    return Figure(median=figure.median * 1000, low=low, high=high)
