"""Bring usage from elsewhere into the ledger: read, estimate, append in signed batches, once each.

A batch is one durable transaction, so an import that was cut off has imported whole batches, and running it again adds
the rest: what the log has already from the same source is passed over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import total
from wattproof.methodology.quantity import Quantity
from wattproof.resources.imports.files import Files, open_files
from wattproof.resources.imports.formats import Format
from wattproof.resources.imports.grouping import Grouping, Key, Members
from wattproof.resources.imports.records import Notes, UsageRecord
from wattproof.resources.imports.stating import batches_of
from wattproof.resources.imports.totals import Totals

if TYPE_CHECKING:
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.batches import Batch
    from wattproof.resources.providers.records import Deployment

__all__ = ["ImportReport", "ImportRequest", "ModelTotals", "import_usage"]

_CHUNK = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import and how. `paths` are files or folders; `since` and `until` are RFC 3339 UTC instants.

    `zone` is what the operator states of all of it; `tags` and `project` are put on every entry. `totals` are what the
    provider states of the same usage. `random_bytes` gives nonces; `progress(done, total)` is told bytes.
    """

    format: Format
    paths: Sequence[Path]
    log_id: str
    deployments: Sequence[Deployment]
    now_s: float
    random_bytes: Callable[[int], bytes]
    zone: str | None = None
    since: str | None = None
    until: str | None = None
    tags: tuple[str, ...] = ()
    project: str | None = None
    totals: Totals | None = None
    progress: Callable[[int, int], None] | None = None


@dataclass(slots=True)
class ModelTotals:
    """What was read of one model, as its source calls it. `share_bps` is its part of the mean energy of all."""

    records: int = 0
    requests: int = 0
    tokens: int = 0
    keys: list[Key] = field(default_factory=list[Key])
    model_id: str = ""
    reason: str | None = None
    energy_nwh: Quantity | None = None
    share_bps: int | None = None


@dataclass(slots=True)
class ImportReport:
    """What an import read, appended and left out.

    `records` is what was read and fits; `appended` of them are new, `known` the log had. `repeated` are copies within
    the input. `requests` is what the records stand for, with `uncounted` buckets that do not say. `covered_tokens` are
    those of the records that `stated_tokens` are the provider's total of (None: nobody states one). `batches` are the
    receipts of what was appended. Without a ledger nothing was appended and `known` is 0.
    """

    source: str
    dry_run: bool
    files: int = 0
    records: int = 0
    appended: int = 0
    known: int = 0
    repeated: int = 0
    requests: int = 0
    buckets: int = 0
    uncounted: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    first_at: str | None = None
    last_at: str | None = None
    energy_nwh: Quantity | None = None
    models: dict[str, ModelTotals] = field(default_factory=dict[str, ModelTotals])
    scopes: set[str] = field(default_factory=set[str])
    skipped: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    batches: list[str] = field(default_factory=list[str])
    covered_tokens: int = 0
    stated_tokens: int | None = None
    stated_by: str | None = None

    @property
    def coverage_bps(self) -> int | None:
        """Imported tokens as a share of the stated ones, in hundredths of a percent."""
        return None if not self.stated_tokens else round(10_000 * self.covered_tokens / self.stated_tokens)


async def import_usage(request: ImportRequest, ledger: Ledger | None) -> ImportReport:
    """Import what `request` names into `ledger`; without one, only read and estimate it.

    Raises:
        InvalidInput: a path cannot be read, holds nothing of the format, or a parameter is wrong.
        UnknownZone: no edition lists `zone`.
        LedgerError: the ledger cannot be written; what was appended before stays.
    """
    notes = Notes()
    report = ImportReport(request.format.name, dry_run=ledger is None)
    grouping = Grouping(
        request.format.name,
        log_id=request.log_id,
        deployments=request.deployments,
        zone=request.zone,
        now_s=request.now_s,
        tags=request.tags,
    )
    files = await asyncio.to_thread(_files, request, notes)
    report.files = len(files.paths)
    records = _wanted(request.format.reader(files, notes, request.now_s), request, notes)
    writing: asyncio.Task[None] | None = None
    while chunk := await asyncio.to_thread(_next, records, grouping, report, request):
        # While the ledger writes one chunk, the next is read.
        if writing is not None:
            await writing
        writing = None if ledger is None else asyncio.create_task(_append(ledger, chunk, grouping, report, request))
    if writing is not None:
        await writing
    _require_recognised(request, notes, report)
    _finish(report, notes, grouping, request)
    return report


def _files(request: ImportRequest, notes: Notes) -> Files:
    found = [open_files(path, request.format.patterns, notes) for path in request.paths]
    if not found:
        raise InvalidInput("PATH", "is missing", f"give the file or folder of {request.format.title}")
    paths = tuple(dict.fromkeys(path for each in found for path in each.paths))
    return Files(paths, notes, sum(each.total_bytes for each in found), progress=request.progress)


def _wanted(records: Iterator[UsageRecord], request: ImportRequest, notes: Notes) -> Iterator[UsageRecord]:
    for record in records:
        if request.since is not None and record.occurred_at < request.since:
            notes.skip("before since", record.occurred_at)
        elif request.until is not None and record.occurred_at >= request.until:
            notes.skip("after until", record.occurred_at)
        else:
            yield record


def _next(records: Iterator[UsageRecord], grouping: Grouping, report: ImportReport, request: ImportRequest) -> Members:
    """The next entries to append."""
    usages = list(islice(records, _CHUNK))
    if request.project is not None:
        usages = [usage._replace(project=request.project) for usage in usages]
    members = grouping.entries(usages)
    if usages:
        _add(report, usages, members, request.totals)
    return members


async def _append(
    ledger: Ledger, chunk: Members, grouping: Grouping, report: ImportReport, request: ImportRequest
) -> None:
    made: list[Batch] = await asyncio.to_thread(batches_of, chunk, grouping, request.random_bytes)
    for batch in made:
        appended = await ledger.append_batch(batch)
        report.appended += appended.count
        report.known += appended.known
        if appended.receipt_id is not None:
            report.batches.append(appended.receipt_id)


def _add(report: ImportReport, usages: Sequence[UsageRecord], members: Members, totals: Totals | None) -> None:
    report.records += len(usages)
    report.input_tokens += sum([usage.input_tokens for usage in usages])
    report.cached_input_tokens += sum([usage.cached_input_tokens for usage in usages])
    report.output_tokens += sum([usage.output_tokens for usage in usages])
    times = [usage.occurred_at for usage in usages]
    report.first_at = min(times) if report.first_at is None else min(report.first_at, *times)
    report.last_at = max(times) if report.last_at is None else max(report.last_at, *times)
    covered = usages if totals is None else [usage for usage in usages if totals.covers(usage)]
    report.covered_tokens += sum([usage.total_tokens for usage in covered])
    for key, records in members.items():
        requests = sum([record.requests or 0 for record in records])
        report.requests += requests
        if key.bucket:
            report.buckets += len(records)
            report.uncounted += len(records) if key.uncounted else 0
        model = report.models.setdefault(key.model, ModelTotals())
        model.records += len(records)
        model.requests += requests
        model.tokens += sum([record.usage[0] + record.usage[2] for record in records])
        if key not in model.keys:
            model.keys.append(key)


def _require_recognised(request: ImportRequest, notes: Notes, report: ImportReport) -> None:
    if report.records or notes.recognised:
        return
    told = ", ".join(f"{reason} ({notes.examples[reason][0]})" for reason in notes.skipped)[:200]
    problem = f"holds nothing of {request.format.title}" + (f": {told}" if told else "")
    raise InvalidInput("PATH", problem, "check the format's name and the file")


def _finish(report: ImportReport, notes: Notes, grouping: Grouping, request: ImportRequest) -> None:
    report.skipped, report.examples, report.repeated = notes.skipped, notes.examples, notes.repeated
    keys = [key for model in report.models.values() for key in model.keys]
    report.energy_nwh = _energy(grouping, keys)
    whole = _mean(grouping, keys)
    for model in report.models.values():
        model.energy_nwh = _energy(grouping, model.keys)
        placed = grouping.placed(model.keys[0])
        model.model_id, model.reason = placed.model_id, placed.reason
        model.share_bps = round(10_000 * _mean(grouping, model.keys) / whole) if whole else None
    report.scopes = {grouping.placed(key).reading.zone for key in keys}
    if request.totals is not None:
        report.stated_tokens, report.stated_by = request.totals.tokens, request.totals.source
    elif notes.stated_tokens is not None and request.since is None and request.until is None:
        report.stated_tokens, report.stated_by = notes.stated_tokens, "the source itself"


def _mean(grouping: Grouping, keys: Sequence[Key]) -> float:
    """Means add up where medians do not."""
    return sum(sum(row.means) for row in grouping.energy(keys))


def _energy(grouping: Grouping, keys: Sequence[Key]) -> Quantity | None:
    rows = grouping.energy(keys)
    return total(rows) if rows else None
