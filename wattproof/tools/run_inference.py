"""Send a request to the deployment that fits best, record it, and hand back the answer with its receipt."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import MAX_TOKENS
from wattproof.tools.choices import Choice, choice_of, choose, ranked_fields
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, significant
from wattproof.tools.progress import Report, unreported
from wattproof.tools.provenance import Grounded, grounds, sentence
from wattproof.tools.result import JSON_TEXT, Arguments, Detail, Result

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.providers.records import ChatRequest
    from wattproof.resources.routing import Policy
    from wattproof.resources.runs import RunSettled
    from wattproof.tools.deps import Deps

__all__ = ["Cost", "RunArgs", "RunResult", "brief", "run_inference"]

_EVENTS_PER_REPORT = 16
_Names = Annotated[list[Annotated[str, Field(max_length=100)]], JSON_TEXT, Field(max_length=100)]
_Object = Annotated[dict[str, Any], JSON_TEXT]
_Objects = Annotated[list[dict[str, Any]], JSON_TEXT]


class RunArgs(Arguments):
    """Arguments of `run_inference`. A limit that is null does not limit."""

    model: Annotated[str, Field(min_length=1, max_length=200, description="Id; model:eco sets preset eco")]
    messages: Annotated[_Objects, Field(min_length=1, max_length=1000, description="OpenAI chat messages")]
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS, description="Limit on the answer")]
    preset: Annotated[
        Literal["balanced", "speed", "price", "eco", "batch"] | None, Field(description="Weights; default balanced")
    ] = None
    max_carbon_intensity: Annotated[float | None, Field(ge=0, description="Grid ceiling, gCO2e/kWh")] = None
    max_carbon_gco2e: Annotated[float | None, Field(ge=0, description="Per request, high bound")] = None
    min_renewable_bps: Annotated[int | None, Field(ge=0, le=10_000, description="Renewable share, 0-10000")] = None
    max_cost_usd: Annotated[float | None, Field(ge=0, description="Per run; default from settings")] = None
    max_latency_ms: Annotated[int | None, Field(ge=1, description="Expected latency")] = None
    zones: Annotated[_Names | None, Field(description="Only these grid zones")] = None
    exclude_zones: Annotated[_Names | None, Field(description="Never these")] = None
    providers: Annotated[_Names | None, Field(description="Only these")] = None
    exclude_providers: Annotated[_Names | None, Field(description="Never these")] = None
    min_location_evidence: Annotated[
        Literal["contractual", "declared", "caller", "inferred", "unknown"] | None,
        Field(description="Evidence of the place"),
    ] = None
    allow_fallback_region: Annotated[bool | None, Field(description="Permit another zone")] = None
    request_id: Annotated[
        str | None, Field(min_length=1, max_length=200, description="Yours; a repeat spends nothing")
    ] = None
    operation_id: Annotated[str | None, Field(min_length=1, max_length=200, description="Workflow it belongs to")] = (
        None
    )
    tags: Annotated[_Names | None, Field(description="For summaries")] = None
    dry_run: Annotated[bool | None, Field(description="Only show the choice")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, description="Passed on")] = None
    response_format: Annotated[_Object | None, Field(description="Passed on")] = None
    tools: Annotated[_Objects | None, Field(max_length=128, description="Passed on")] = None
    detail: Annotated[Detail | None, Field(description="full: every candidate")] = None


class Cost(Result):
    """Money in millionths of the currency's unit."""

    micros: int
    currency: str


class RunResult(Grounded):
    """What `run_inference` returns. In a dry run the footprint is the expected one, of the first choice."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"adpe_kgsbeq", "request_salt", "tool_calls"})

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
    request_salt: str | None = None
    reasons: dict[str, str]


async def run_inference(args: RunArgs, deps: Deps, report: Report = unreported) -> RunResult:
    """Route and run one chat request under hard limits; the attempt is recorded before anything is spent.

    With `dry_run` the decision is returned and nothing is opened, sent or written.

    Raises:
        RoutingError: every candidate is excluded; the text says what relaxing each limit would admit.
        UpstreamError: every attempt failed; the reason of the last one.
        RequestConflict, RequestInFlight: `request_id` is in use.
        UnknownModel, InvalidInput, LedgerError.
    """
    from wattproof.resources.routing import parse_model

    name, suffix = parse_model(args.model)
    chat, policy = _chat(args), _policy(args, suffix, deps)
    if args.dry_run:
        return _planned(await choose(name, chat, policy, deps), args)
    from wattproof.resources.runs import AttemptFailed, RunRequest, RunSettled, execute

    request = RunRequest(
        model=name,
        chat=chat,
        request_id=args.request_id,
        operation_id=args.operation_id,
        tags=tuple(args.tags or ()),
    )
    received, settled = 0, None
    # aclosing: a run whose caller goes away is settled before this function ends.
    async with aclosing(execute(request, policy, await deps.runs())) as events:
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
    return _settled(settled, args)


def brief(result: RunResult) -> str:
    """The answer, then one bracketed paragraph about the run, the four named fields last."""
    grid = result.grid
    figures = [
        "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh),
        "CO2e unknown" if result.carbon_gco2e is None else mass_text(result.carbon_gco2e),
    ]
    intensity = f"{significant(grid['intensity_gco2e_per_kwh'])} gCO2e/kWh ({grid['evidence']})"
    words = [f"{result.provider_id}, {grid['zone']}, {intensity}: {', '.join(figures)}."]
    words += _decision_words(result)
    words += _outcome_words(result)
    told = f"[{' '.join([*words, sentence(result.provenance)])}]"
    return told if not result.answer else f"{result.answer}\n{told}"


def _chat(args: RunArgs) -> ChatRequest:
    from wattproof.resources.providers import ChatRequest

    for at, message in enumerate(args.messages):
        if not isinstance(message.get("role"), str):
            raise InvalidInput(f"messages[{at}].role", "is missing", "give system, user, assistant or tool")
    return ChatRequest(
        messages=tuple(args.messages),
        max_output_tokens=args.max_output_tokens,
        temperature=args.temperature,
        response_format=args.response_format,
        tools=tuple(args.tools or ()),
    )


def _policy(args: RunArgs, suffix: Any, deps: Deps) -> Policy:
    from wattproof.resources.routing import Policy

    return Policy(
        preset=suffix or args.preset or "balanced",
        max_carbon_intensity=args.max_carbon_intensity,
        max_carbon_gco2e=args.max_carbon_gco2e,
        min_renewable_bps=args.min_renewable_bps,
        max_cost_usd=deps.max_cost_usd if args.max_cost_usd is None else args.max_cost_usd,
        max_latency_ms=args.max_latency_ms,
        zones=tuple(args.zones or ()),
        exclude_zones=tuple(args.exclude_zones or ()),
        providers=tuple(args.providers or ()),
        exclude_providers=tuple(args.exclude_providers or ()),
        min_location_evidence=args.min_location_evidence or "unknown",
        allow_fallback_region=bool(args.allow_fallback_region),
    )


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


def _settled(run: RunSettled, args: RunArgs) -> RunResult:
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
        finish_reason=entry.finish_reason,
        tool_calls=tuple(dict(call) for call in run.end.tool_calls) if run.end and run.end.tool_calls else None,
        provider_id=entry.provider,
        resolved_model=entry.resolved_model,
        usage=_usage(estimate, entry.usage_source),
        cost=_cost(entry.cost_micros, entry.currency),
        latency_ms=entry.latency_ms,
        attempts=entry.attempts,
        decision=decision,
        request_salt=None if salt is None else salt.hex(),
        reasons=reasons,
        **_shared(estimate, args, synthetic=entry.synthetic),
    )


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
    reasons = {name: why for name, why in estimate.footprint.reasons.items() if name != "adpe_kgsbeq"}
    if estimate.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "not published" if estimate.reading.zone_known else "location unknown"
    return reasons


def _decision_words(result: RunResult) -> list[str]:
    decision = result.decision
    if decision is None:
        return []
    alike = f"{decision['in_best_band']} without meaningful carbon difference; " if decision["in_best_band"] > 1 else ""
    allowed = f"{decision['allowed']} of {decision['candidates']} candidates allowed"
    return [f"{allowed}; {alike}decided by: {decision['decided_by']}."]


def _outcome_words(result: RunResult) -> list[str]:
    if result.status == "dry_run":
        return ["Dry run: nothing was sent."]
    words = [f"Receipt {result.receipt_id}."]
    if result.replayed:
        words.append("Replayed: nothing was spent again.")
    if result.status != "completed":
        words.append(f"The run was {result.status}.")
    if result.answer is None:
        words.append(f"No answer: {result.reasons.get('answer', 'none was received')}.")
    return words
