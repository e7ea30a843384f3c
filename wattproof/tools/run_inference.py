"""Send a request to the deployment that fits best, record it, and hand back the answer with its receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.errors import BudgetExceeded
from wattproof.methodology.foreign import as_name
from wattproof.tools.budget_left import brief_budget, budget_words, tightest_fields
from wattproof.tools.choices import Choice, choice_of, choose, ranked_fields
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, significant
from wattproof.tools.progress import Report, unreported
from wattproof.tools.provenance import Grounded, grounds, sentence
from wattproof.tools.result import Result, first_of
from wattproof.tools.run_arguments import RunArgs, chat_of, policy_of

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.ledger.budget_records import Headroom
    from wattproof.resources.routing import Policy
    from wattproof.resources.runs import RunDeps, RunRequest, RunSettled
    from wattproof.tools.deps import Deps

__all__ = ["Cost", "RunArgs", "RunResult", "brief", "run_inference"]

_EVENTS_PER_REPORT = 16
_CANDIDATES_IN_BRIEF = 2
_EXCLUDED_BY_NAME = 4


class Cost(Result):
    """Money in millionths of the currency's unit."""

    micros: int
    currency: str


class RunResult(Grounded):
    """What `run_inference` returns. In a dry run the footprint is the expected one, of the first choice."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset(
        {"adpe_kgsbeq", "budget", "request_salt", "tool_calls", "reported"}
    )
    unlisted: ClassVar[frozenset[str]] = Grounded.unlisted | {
        "operation_id",
        "replayed",
        "cost",
        "finish_reason",
        "resolved_model",
        "interval",
        "water_ml",
        "carbon_market_gco2e",
        "assumed",
        "pue",
        "latency_ms",
        "attempts",
        "decision",
        "grid",
        "model",
        "provider_id",
        "reasons",
        "request_id",
        "usage",
    }

    in_full_only: ClassVar[frozenset[str]] = Grounded.in_full_only | {"adpe_kgsbeq", "request_salt"}
    usual: ClassVar[Mapping[str, object]] = {**Grounded.usual, "replayed": False}

    status: str
    request_id: str | None
    receipt_id: str | None
    operation_id: str | None
    replayed: bool
    answer: str | None
    finish_reason: str | None
    tool_calls: tuple[dict[str, Any], ...] | None = None
    provider_id: str
    model: str
    resolved_model: str | None
    usage: dict[str, int | str]
    interval: str
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    carbon_market_gco2e: Figure | None
    water_ml: Figure | None
    adpe_kgsbeq: Figure | None = None
    assumed: tuple[str, ...]
    pue: float | None
    cost: Cost | None
    latency_ms: int | None
    attempts: int
    decision: dict[str, Any] | None
    budget: dict[str, Any] | None = None
    request_salt: str | None = None
    reported: dict[str, Any] | None = None
    reasons: dict[str, str]

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        if self.resolved_model in (None, self.model):
            del fields["resolved_model"]
        if self.attempts <= 1:
            del fields["attempts"]
        fields["usage"] = {name: count for name, count in fields["usage"].items() if count != 0}
        for name in ("carbon_market_gco2e", "water_ml"):
            if fields[name] is None:
                del fields[name]
                fields["reasons"].pop(name, None)
        if fields.get("budget") is not None:
            fields["budget"] = brief_budget(fields["budget"])
        if fields["decision"] is not None:
            fields["decision"] = _brief_decision(fields["decision"])
        return fields


def _brief_decision(decision: dict[str, Any]) -> dict[str, Any]:
    """The counts and what decided; of a dry run also the first candidates, and what keeps them from running here."""
    fields = {name: decision[name] for name in ("candidates", "allowed", "excluded", "in_best_band", "decided_by")}
    if "ranked" in decision:
        fields["ranked"] = [
            {"deployment": row["deployment"], "unusable": _why_unusable(row)} for row in decision["ranked"]
        ]
        first_of(fields, "ranked", _CANDIDATES_IN_BRIEF)
    return {name: value for name, value in fields.items() if value not in ({}, 0)}


def _why_unusable(row: Mapping[str, Any]) -> str | None:
    """Why a ranked candidate could not run here and now, or None."""
    flags: list[str] = row.get("flags", [])
    return next((flag.partition(": ")[2] for flag in flags if flag.startswith("unusable: ")), None)


async def run_inference(args: RunArgs, deps: Deps, report: Report = unreported) -> RunResult:
    """Route and run one chat request under hard limits; the attempt is recorded before anything is spent.

    With `dry_run` the decision is returned and nothing is opened, sent or written.

    Raises:
        RoutingError: every candidate is excluded; the text says what relaxing each limit would admit.
        UpstreamError: every attempt failed; the reason of the last one.
        BudgetExceeded: a budget does not allow it; the text says what would fit. Nothing was spent.
        OperationClosed: the operation takes no more steps.
        RequestConflict, RequestInFlight: `request_id` is in use.
        UnknownModel, InvalidInput, LedgerError.
    """
    from wattproof.resources.routing import parse_model

    name, suffix = parse_model(args.model)
    chat, policy = chat_of(args), policy_of(args, suffix, deps)
    if args.dry_run:
        return _planned(await choose(name, chat, policy, deps), args)
    from wattproof.resources.runs import RunRequest

    request = RunRequest(
        model=name,
        chat=chat,
        request_id=args.request_id,
        operation_id=args.operation_id,
        tags=tuple(args.tags or ()),
    )
    runs = await deps.runs()
    try:
        settled = await _executed(request, policy, runs, report)
    except BudgetExceeded as error:
        from wattproof.tools.budget_fit import with_what_fits

        raise await with_what_fits(error, request, policy, runs) from error
    left = settled.settled.budgets
    if not left and settled.replayed:
        left = await runs.ledger.budgets.left(deps.log_id, args.operation_id, args.tags or ())
    return _settled(settled, args, left)


async def _executed(request: RunRequest, policy: Policy, runs: RunDeps, report: Report) -> RunSettled:
    from wattproof.resources.runs import AttemptFailed, RunSettled, execute

    received, settled = 0, None
    # aclosing: a run whose caller goes away is settled before this function ends.
    async with aclosing(execute(request, policy, runs)) as events:
        async for event in events:
            received += 1
            if isinstance(event, RunSettled):
                settled = event
            elif isinstance(event, AttemptFailed):
                await report(received, None, f"{event.deployment} failed: {event.reason}")
            elif received % _EVENTS_PER_REPORT == 1:
                await report(received, None, "receiving the answer")
    if settled is None:
        raise AssertionError("a run that ends without an error has settled")
    return settled


def brief(result: RunResult) -> str:
    """The answer, then one bracketed paragraph about the run, the four named fields last."""
    grid = result.grid
    figures = [
        "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh),
        "CO2e unknown" if result.carbon_gco2e is None else mass_text(result.carbon_gco2e),
    ]
    intensity = f"{significant(grid['intensity_gco2e_per_kwh'])} gCO2e/kWh ({grid['evidence']})"
    words = [f"{result.provider_id}, {grid['zone']}, {intensity}: {', '.join(figures)}."]
    words += _place_words(result)
    words += _decision_words(result)
    if result.budget is not None:
        words.append(budget_words(result.budget))
    words += [] if result.reported is None else [result.reported["summary"]]
    words += _outcome_words(result)
    told = f"[{' '.join([*words, sentence(result.provenance)])}]"
    return told if not result.answer else f"{result.answer}\n{told}"


def _planned(choice: Choice, args: RunArgs) -> RunResult:
    estimate, price = choice.estimate, choice.deployment.price
    micros = None if price is None else price.cost_micros(estimate.activity.usage)
    currency = None if price is None else price.currency
    return RunResult(
        status="dry_run",
        request_id=args.request_id,
        receipt_id=None,
        replayed=False,
        answer=None,
        finish_reason=None,
        tool_calls=None,
        provider_id=choice.deployment.provider,
        resolved_model=None,
        usage=_usage(estimate, "expected"),
        cost=_cost(micros, currency),
        latency_ms=None,
        attempts=0,
        decision=choice_of(choice.decision) | ranked_fields(choice.decision),
        request_salt=None,
        reasons=_reasons(estimate) | {"answer": "dry run: nothing was sent"},
        **_shared(estimate, args),
    )


def _settled(run: RunSettled, args: RunArgs, left: Sequence[Headroom]) -> RunResult:
    entry, estimate = run.settled.draft, run.estimate
    reasons = _reasons(estimate)
    if run.answer is None and run.answer_reason:
        reasons["answer"] = run.answer_reason
    decision = None
    if run.decision is not None:
        decision = choice_of(run.decision) | (ranked_fields(run.decision) if args.detail == "full" else {})
    elif run.replayed:
        reasons["decision"] = "stored with the first run"
    salt = run.commitment_salt
    return RunResult(
        status=entry.status,
        request_id=entry.request_id,
        receipt_id=run.settled.receipt_id,
        replayed=run.replayed,
        answer=run.answer,
        finish_reason=None if entry.finish_reason is None else as_name(entry.finish_reason),
        tool_calls=tuple(dict(call) for call in run.end.tool_calls) if run.end and run.end.tool_calls else None,
        provider_id=entry.provider,
        resolved_model=None if entry.resolved_model is None else as_name(entry.resolved_model),
        usage=_usage(estimate, entry.usage_source),
        cost=_cost(entry.cost_micros, entry.currency),
        latency_ms=entry.latency_ms,
        attempts=entry.attempts,
        decision=decision,
        budget=tightest_fields(left, full=args.detail == "full") if left else None,
        request_salt=None if salt is None else salt.hex(),
        reported=_reported(run),
        reasons=reasons,
        **_shared(estimate, args, synthetic=entry.synthetic),
    )


def _reported(run: RunSettled) -> dict[str, Any] | None:
    """What the provider says of the footprint and every doubt about it; beside our figures, never in them."""
    from wattproof.tools.reported_text import brief_reported

    said = run.reported
    if said is None:
        return None
    return {
        "vendor": said.vendor,
        "energy_wh": said.energy_wh,
        "carbon_gco2e": said.carbon_gco2e,
        "flags": sorted({flag.code for flag in said.flags}),
        "summary": brief_reported(said),
    }


def _shared(estimate: Estimate, args: RunArgs, *, synthetic: bool = False) -> dict[str, Any]:
    """The fields that a plan and a run have in common."""
    full = args.detail == "full"
    digits = None if full else 3
    names = ("energy_wh", "carbon_gco2e", "carbon_market_gco2e", "water_ml", "adpe_kgsbeq")
    pue = next((operand.number for operand in estimate.operands if operand.name == "pue"), None)
    return {
        "operation_id": args.operation_id,
        "model": estimate.activity.model.id,
        "interval": estimate.footprint.interval,
        **{name: figure(getattr(estimate.footprint, name), digits) for name in names},
        "assumed": estimate.assumed,
        "pue": pue,
        **grounds(estimate, full=full, synthetic=synthetic),
    }


def _usage(estimate: Estimate, source: str) -> dict[str, int | str]:
    usage = estimate.activity.usage
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": source,
    }


def _cost(micros: int | None, currency: str | None) -> Cost | None:
    return None if micros is None or currency is None else Cost(micros=micros, currency=currency)


def _reasons(estimate: Estimate) -> dict[str, str]:
    shown = RunResult.model_fields.keys() - {"adpe_kgsbeq"}
    reasons = {name: why for name, why in estimate.footprint.reasons.items() if name in shown}
    if estimate.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "not published" if estimate.reading.zone_known else "location unknown"
    return reasons


def _decision_words(result: RunResult) -> list[str]:
    decision = result.decision
    if decision is None:
        return []
    allowed = f"{decision['allowed']} of {decision['candidates']} candidates allowed"
    if decision["allowed"] == 1:
        return [f"{allowed}.", *_excluded_words(result, decision)]
    alike = decision["in_best_band"]
    band = f"no meaningful carbon difference among {alike}, " if alike > 1 else ""
    return [f"{allowed}; {band}{decision['decided_by']} decided.", *_excluded_words(result, decision)]


def _excluded_words(result: RunResult, decision: Mapping[str, Any]) -> list[str]:
    """Who was not in question and why, where only the choice was asked for and they are few; else the data counts."""
    rows: list[dict[str, Any]] = [row for row in decision.get("ranked", ()) if row.get("excluded_by")]
    if result.status != "dry_run" or not 0 < len(rows) <= _EXCLUDED_BY_NAME:
        return []
    told = [f"{row['deployment']} ({'; '.join(row['excluded_by'])})" for row in rows]
    return [f"Excluded: {', '.join(told)}."]


def _place_words(result: RunResult) -> list[str]:
    if not result.provenance.region_scope.startswith("unknown:"):
        return []
    if result.ghg_scope == "scope2":
        return ["Zone unknown: set WATTPROOF_ZONE to where this machine is."]
    return ["Zone unknown: the provider names none."]


def _outcome_words(result: RunResult) -> list[str]:
    if result.status == "dry_run":
        ranked: list[dict[str, Any]] = (result.decision or {}).get("ranked", [])
        why = _why_unusable(ranked[0]) if ranked else None
        return [*([] if why is None else [f"It cannot run here ({why})."]), "Dry run: nothing was sent."]
    words = [f"Receipt {result.receipt_id}."]
    if result.replayed:
        words.append("Replayed: nothing was spent again.")
    if result.status != "completed":
        words.append(f"The run was {result.status}.")
    if result.answer is None:
        words.append(f"No answer: {result.reasons.get('answer', 'none was received')}.")
    return words
