"""Bring usage from elsewhere into the ledger. Its callers decide which paths may be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.foreign import as_name
from wattproof.tools.figures import Figure, energy_text, figure, significant
from wattproof.tools.periods import period_of
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Arguments, Result, first_of

if TYPE_CHECKING:
    from wattproof.resources.imports import ImportReport, ModelTotals
    from wattproof.tools.deps import Deps

__all__ = ["ImportArgs", "ImportResult", "brief", "import_usage"]

_BATCHES_LISTED = 20
_UNKNOWN_IN_TEXT = 3
_ROWS_IN_BRIEF = 5
_LONGEST_NAME = 120
_SCOPES_NAMED = 10
_NANO = 1e-9

_Tag = Annotated[str, Field(min_length=1, max_length=64)]


class ImportArgs(Arguments):
    """What an import is told, beside paths."""

    format: str
    since: str | None = None
    until: str | None = None
    tz: str | None = None
    zone: str | None = None
    tags: Annotated[list[_Tag] | None, Field(max_length=16)] = None
    project: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    dry_run: bool = False


class ImportResult(Result):
    """What an import read, appended and left out. Figures are of everything that was read, new or known."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"coverage"})
    told_last: ClassVar[tuple[str, ...]] = ("synthetic", "provenance")
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {"repeated", "buckets", "buckets_without_request_count", "cached_input_tokens", "batch_receipts", "synthetic"}
    )
    in_full_only: ClassVar[frozenset[str]] = frozenset({"batch_receipts"})
    usual: ClassVar[Mapping[str, object]] = {
        "already_known": 0,
        "repeated": 0,
        "buckets": 0,
        "buckets_without_request_count": 0,
        "synthetic": False,
    }

    source: str
    dry_run: bool
    files: int
    records: int
    appended: int
    already_known: int
    repeated: int
    request_count: int
    buckets: int
    buckets_without_request_count: int
    token_count: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    first_at: str | None
    last_at: str | None
    energy_wh: Figure | None
    models: tuple[dict[str, Any], ...]
    skipped: tuple[dict[str, Any], ...]
    coverage: dict[str, Any] | None = None
    batch_count: int
    batch_receipts: tuple[str, ...]
    reasons: dict[str, str]
    synthetic: bool = False
    provenance: Provenance

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Also without all but the largest models and most frequent reasons, and without what is said twice."""
        fields = super().shortened(fields)
        for name in ("models", "skipped"):
            first_of(fields, name, _ROWS_IN_BRIEF)
        fields["models"] = [_without_repeats(row) for row in fields["models"]]
        return fields


def _without_repeats(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a model without its id where that is its name, and without records where each is one request."""
    same = {"model_id": row["model"], "records": row["request_count"]}
    return {name: value for name, value in row.items() if name not in same or value != same[name]}


async def import_usage(
    args: ImportArgs,
    deps: Deps,
    *,
    paths: Sequence[Path] = (),
    totals: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Import the usage in `paths`, or where its program usually keeps it; append only what the ledger lacks.

    `totals` is a file in which the provider states the same usage; `progress(done, total)` is told bytes.

    Raises:
        InvalidInput: there is no such format, nothing at the paths, or an argument is wrong.
        UnknownZone: no edition lists the zone.
        LedgerError: the ledger cannot be written; batches that were appended before stay.
    """
    from wattproof.resources.imports import ImportRequest, format_named, read_totals
    from wattproof.resources.imports import import_usage as run

    chosen = format_named(args.format)
    found = tuple(paths) or chosen.usual_paths(deps.environ)
    if not found:
        fix = "give the file that you exported" if chosen.home is None else f"give the folder of {chosen.title}'s logs"
        raise InvalidInput("PATH", "is missing, and there is nothing in the usual place", fix)
    period = period_of(args.since, args.until, args.tz)
    now_s = deps.clock()
    request = ImportRequest(
        format=chosen,
        paths=found,
        log_id=deps.log_id,
        deployments=await deps.deployments(),
        now_s=now_s,
        random_bytes=deps.random_bytes,
        zone=args.zone,
        since=period.since,
        until=period.until,
        tags=tuple(dict.fromkeys(args.tags or ())),
        project=args.project,
        totals=None if totals is None else read_totals(totals, now_s),
        progress=progress,
    )
    report = await run(request, None if args.dry_run else await deps.ledger())
    return _result(report)


def brief(result: ImportResult, advice: str = "", models: int = 5, reasons: int = 4) -> str:
    """What was appended, what it adds up to, what was left out, `advice`, and the four named fields.

    Names the `models` of the most tokens, and the `reasons` of what was left out most often.
    """
    did = f"would append up to {result.records:,}" if result.dry_run else f"{result.appended:,} appended"
    known = f", {result.already_known:,} known already" if result.already_known else ""
    copies = f", {result.repeated:,} copies" if result.repeated else ""
    words = [f"{result.source}: {result.records:,} records in {_many(result.files, 'file')}: {did}{known}{copies}."]
    if result.records:
        words.append(_figures_words(result, models))
    if result.coverage is not None:
        stated = result.coverage
        words.append(
            f"Coverage {stated['coverage_bps'] / 100:.1f} % of the {stated['stated_tokens']:,} tokens that "
            f"{stated['stated_by']} states."
        )
    told = ", ".join(f"{each['count']:,} {each['reason']}" for each in result.skipped[:reasons])
    words += [f"Left out: {told}."] if told else []
    if result.batch_count:
        words.append(f"Signed by {_many(result.batch_count, 'batch receipt')}.")
    return " ".join([*words, *([advice] if advice else []), sentence(result.provenance)])


def _figures_words(result: ImportResult, most: int) -> str:
    tokens = f"{result.token_count:,} tokens ({result.cached_input_tokens:,} cached)"
    requests = f"{result.request_count:,} requests"
    if result.buckets:
        requests += f" in {_many(result.buckets, 'bucket')}"
    energy = "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh)
    models = [each for each in result.models if each["energy_wh"] is not None][:most]
    told = ", ".join(f"{each['model']} {significant((each['share_bps'] or 0) / 100)} %" for each in models)
    unknown = [each["model"] for each in result.models if each["energy_wh"] is None]
    words = f"{requests}, {tokens}: {energy}" + (f" ({told})." if told else ".")
    if unknown:
        shown = min(most, _UNKNOWN_IN_TEXT)
        more = f" and {len(unknown) - shown} more" if len(unknown) > shown else ""
        words += f" No figures, reasons in the data: {', '.join(unknown[:shown])}{more}."
    return words


def _many(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def _result(report: ImportReport) -> ImportResult:
    energy = figure(None if report.energy_nwh is None else report.energy_nwh.scaled(_NANO))
    rows = sorted(report.models.items(), key=lambda item: -item[1].tokens)
    coverage = None
    if report.coverage_bps is not None:
        coverage = {
            "covered_tokens": report.covered_tokens,
            "stated_tokens": report.stated_tokens,
            "coverage_bps": report.coverage_bps,
            "stated_by": report.stated_by,
        }
    reasons = {"renewable_ratio_bps": "stated for each record"}
    if energy is None:
        reasons["energy_wh"] = "no model is known" if report.records else "nothing was read"
    return ImportResult(
        source=report.source,
        dry_run=report.dry_run,
        files=report.files,
        records=report.records,
        appended=report.appended,
        already_known=report.known,
        repeated=report.repeated,
        request_count=report.requests,
        buckets=report.buckets,
        buckets_without_request_count=report.uncounted,
        token_count=report.input_tokens + report.output_tokens,
        input_tokens=report.input_tokens,
        cached_input_tokens=report.cached_input_tokens,
        output_tokens=report.output_tokens,
        first_at=report.first_at,
        last_at=report.last_at,
        energy_wh=energy,
        models=tuple(_model_row(name, model) for name, model in rows),
        skipped=tuple(
            {"reason": reason, "count": count, "examples": [as_name(each) for each in report.examples.get(reason, [])]}
            for reason, count in report.skipped.most_common()
        ),
        coverage=coverage,
        batch_count=len(report.batches),
        batch_receipts=tuple(report.batches[:_BATCHES_LISTED]),
        reasons=reasons,
        provenance=_provenance(report),
    )


def _model_row(name: str, model: ModelTotals) -> dict[str, Any]:
    energy = figure(None if model.energy_nwh is None else model.energy_nwh.scaled(_NANO))
    row: dict[str, Any] = {
        # Whatever the source calls it.
        "model": as_name(name, _LONGEST_NAME),
        "model_id": model.model_id if energy is not None else None,
        "records": model.records,
        "request_count": model.requests,
        "token_count": model.tokens,
        "energy_wh": None if energy is None else energy.model_dump(),
        "share_bps": model.share_bps if energy is not None else None,
    }
    return row if energy is not None else row | {"reason": model.reason}


def _provenance(report: ImportReport) -> Provenance:
    from wattproof.resources.imports.placing import METHOD

    scopes = sorted(report.scopes)
    known = [scope for scope in scopes if not scope.startswith("unknown:")]
    named = ",".join(scopes[:_SCOPES_NAMED]) + (",…" if len(scopes) > _SCOPES_NAMED else "")
    source = "grid-mix" if known and len(known) == len(scopes) else "multi" if known else "unknown-mix"
    return Provenance(
        region_scope=scopes[0] if len(scopes) == 1 else f"multi:{named}" if scopes else "none",
        energy_source=source,
        methodology=METHOD,
        renewable_ratio_bps=None,
    )
