"""What one request would cost, before it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import MAX_TOKENS, Usage, Workload
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, rounded, significant
from wattproof.tools.levers import Lever, dominant_factor, find_levers
from wattproof.tools.provenance import Grounded, grounds, sentence
from wattproof.tools.result import JSON_TEXT, Arguments, Detail

if TYPE_CHECKING:
    from wattproof.methodology.models import Model
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.providers.records import Deployment, LocationEvidence
    from wattproof.tools.deps import Deps

__all__ = ["OUTPUT_TOKENS_PRIOR", "TELLING_ZONES", "EstimateArgs", "EstimateResult", "brief", "estimate_request"]

OUTPUT_TOKENS_PRIOR = 400
"""Output length where the caller states none. A round number, not a statistic: it is always listed in `assumed`."""

TELLING_ZONES = ("US", "FR")
"""Shown where the location is unknown: a large mixed grid, and one that is mostly nuclear and hydro."""

Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]

_NO_OUTPUT = frozenset({Workload.EMBEDDING, Workload.RERANK})
_SHOWN_ONLY_WHEN_KNOWN = ("carbon_market_gco2e", "water_ml", "adpe_kgsbeq")


class EstimateArgs(Arguments):
    """Arguments of `estimate_request`."""

    model: Annotated[str, Field(min_length=1, max_length=200, description="Model id, e.g. gpt-oss-120b")]
    input_tokens: Annotated[Tokens | None, Field(description="Prompt tokens, cached ones included")] = None
    text: Annotated[str | None, Field(max_length=1_000_000, description="The prompt, if not counted")] = None
    output_tokens: Annotated[Tokens | None, Field(description="Reasoning included; absent: assumed")] = None
    cached_input_tokens: Annotated[Tokens | None, Field(description="Part of input_tokens")] = None
    reasoning_tokens: Annotated[Tokens | None, Field(description="Part of output_tokens")] = None
    provider: Annotated[str | None, Field(max_length=100, description="Provider id, e.g. ovhcloud")] = None
    zone: Annotated[str | None, Field(max_length=40, description="Grid zone of the data centre, e.g. FR")] = None
    workload: Annotated[Literal["chat", "embedding", "rerank"] | None, Field(description="Default chat")] = None
    methods: Annotated[Annotated[list[str], JSON_TEXT] | None, Field(max_length=1, description="One method id")] = None
    boundary: Annotated[Literal["narrow", "comprehensive"] | None, Field(description="narrow: accelerator only")] = None
    detail: Annotated[Detail | None, Field(description="full: operands, reading, exclusions")] = None


class EstimateResult(Grounded):
    """What `estimate_request` returns."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset(
        {"provider_id", "carbon_gco2e_if", "full", *_SHOWN_ONLY_WHEN_KNOWN}
    )

    model: str
    provider_id: str | None = None
    usage: dict[str, int]
    interval: str
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    carbon_gco2e_if: dict[str, Figure | None] | None = None
    carbon_market_gco2e: Figure | None = None
    water_ml: Figure | None = None
    adpe_kgsbeq: Figure | None = None
    assumed: tuple[str, ...]
    dominated_by: str | None
    levers: tuple[Lever, ...]
    reasons: dict[str, str]
    full: dict[str, Any] | None = None


async def estimate_request(args: EstimateArgs, deps: Deps) -> EstimateResult:
    """Estimate energy and climate of one request with a 90 % interval, by one named method.

    The place is the caller's zone, else the deployment's, else `unknown:<provider>` with the mixture of all bundled
    zones. Nothing is sent anywhere.

    Raises:
        UnknownModel, UnknownZone, UnknownMethod, UnknownProvider: no edition lists the name.
        InvalidInput: token counts contradict each other, or neither `input_tokens` nor `text` is given.
        NotDefined: the method does not cover the workload.
    """
    from wattproof.methodology.models import find_model
    from wattproof.resources.footprints import estimate
    from wattproof.resources.grid import reading_for

    now = deps.clock()
    model = find_model(args.model)
    usage, counted, assumed_output = _usage(args)
    deployment = await _deployment(args, model.id, deps)
    zone, evidence = _place(args, deployment, deps.default_zone)
    provider = deployment.provider if deployment else args.provider or _vendor(model)

    found = estimate(
        model,
        usage,
        reading_for(zone, provider, now),
        deployment=deployment,
        method_id=args.methods[0] if args.methods else None,
        boundary=args.boundary or "comprehensive",
        workload=Workload(args.workload or "chat"),
        location_evidence=evidence,
        output_tokens_assumed=assumed_output,
    )
    if counted:
        found = replace(found, assumed=(*found.assumed, "input_tokens"))
    provider_id = deployment.provider if deployment else args.provider
    return _result(found, provider_id=provider_id, args=args, others=_elsewhere(found, now))


def brief(result: EstimateResult) -> str:
    """The estimate in two or three sentences, the four named fields last."""
    tokens = f"{result.usage['input_tokens']:,} in / {result.usage['output_tokens']:,} out"
    energy = "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh)
    words = [f"{result.model}, {tokens}: {energy}. {_climate_words(result)}", _interval_words(result)]
    words += [lever.words() for lever in result.levers if "model" in lever.set]
    return " ".join([*words, sentence(result.provenance)])


def _usage(args: EstimateArgs) -> tuple[Usage, bool, bool]:
    """The usage, whether the input was counted from text, and whether the output length is the prior."""
    if (args.input_tokens is None) == (args.text is None):
        problem = "is missing" if args.text is None else "is given together with text"
        raise InvalidInput("input_tokens", problem, "give either input_tokens or text")
    input_tokens = _counted(args.text or "") if args.input_tokens is None else args.input_tokens
    silent = args.workload is not None and Workload(args.workload) in _NO_OUTPUT
    prior = 0 if silent else max(OUTPUT_TOKENS_PRIOR, args.reasoning_tokens or 0)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=prior if args.output_tokens is None else args.output_tokens,
        cached_input_tokens=args.cached_input_tokens or 0,
        reasoning_tokens=args.reasoning_tokens or 0,
    )
    return usage, args.text is not None, args.output_tokens is None and not silent


def _vendor(model: Model) -> str:
    """Who runs a model that nobody else can run; open weights may be anywhere."""
    return "unstated" if model.open_weights else model.family


def _counted(text: str) -> int:
    from wattproof.resources.providers.local_count import count_text

    return count_text(text)


async def _deployment(args: EstimateArgs, model_id: str, deps: Deps) -> Deployment | None:
    """The deployment that the caller names, or the only one there is; None where it would be a guess."""
    if args.provider is None and args.zone is not None:
        return None
    from wattproof.resources.providers import deployments_for, provider_rows

    known = await deps.deployments()
    if args.provider is not None:
        offers = deployments_for(model_id, provider_rows(args.provider, known))
        return offers[0] if offers else None
    offers = deployments_for(model_id, known)
    return offers[0] if len(offers) == 1 else None


def _place(
    args: EstimateArgs, deployment: Deployment | None, default_zone: str | None
) -> tuple[str | None, LocationEvidence]:
    if args.zone is not None:
        return args.zone, "caller"
    if deployment is None:
        return None, "unknown"
    if deployment.zone is None and deployment.local and default_zone is not None:
        return default_zone, "caller"
    return deployment.zone, deployment.location_evidence


def _elsewhere(found: Estimate, requested_at: float) -> dict[str, Figure | None] | None:
    """Climate of the same request in the telling zones, where its own zone is unknown."""
    if found.reading.zone_known:
        return None
    from wattproof.methodology.methods import Intensity
    from wattproof.resources.grid import annual_reading

    shown: dict[str, Figure | None] = {}
    for zone in TELLING_ZONES:
        reading = annual_reading(zone, requested_at)
        intensity = Intensity(reading.value_gco2e_per_kwh, reading.sigma_ln, reading.source)
        there = found.method.footprint(replace(found.activity, intensity=intensity), found.footprint.boundary)
        shown[zone] = figure(there.carbon_gco2e)
    return shown


def _result(
    found: Estimate, *, provider_id: str | None, args: EstimateArgs, others: dict[str, Figure | None] | None
) -> EstimateResult:
    full = args.detail == "full"
    digits = None if full else 3
    footprint = found.footprint
    figures = {name: figure(getattr(footprint, name), digits) for name in _SHOWN_ONLY_WHEN_KNOWN}
    usage = found.activity.usage
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    parts = {"cached_input_tokens": usage.cached_input_tokens, "reasoning_tokens": usage.reasoning_tokens}
    return EstimateResult(
        model=found.activity.model.id,
        provider_id=provider_id,
        usage=counts | {name: count for name, count in parts.items() if count},
        interval=footprint.interval,
        energy_wh=figure(footprint.energy_wh, digits),
        carbon_gco2e=figure(footprint.carbon_gco2e, digits),
        carbon_gco2e_if=others,
        **figures,
        assumed=found.assumed,
        dominated_by=dominant_factor(footprint),
        levers=find_levers(found),
        reasons=_reasons(found, hidden=() if full else _SHOWN_ONLY_WHEN_KNOWN),
        full=_full(found) if full else None,
        **grounds(found, full=full),
    )


def _reasons(found: Estimate, hidden: tuple[str, ...]) -> dict[str, str]:
    shown = EstimateResult.model_fields.keys() - set(hidden)
    reasons = {name: reason for name, reason in found.footprint.reasons.items() if name in shown}
    if found.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "not published" if found.reading.zone_known else "location unknown"
    return reasons


def _full(found: Estimate) -> dict[str, Any]:
    """What a reviewer asks for: every operand, what is not covered, and what the number is fit for."""
    return {
        "operands": [
            {"name": operand.name, "value": operand.number, "unit": operand.unit, "source_id": operand.source_id}
            for operand in found.operands
        ],
        "formula": found.method.formula,
        "sources": list(found.method.sources),
        "not_covered": list(found.method.not_covered),
        "edition_sha256": found.edition_sha256,
        "calibration": "not calibrated against a meter",
        "fit_for": "comparing options and orders of magnitude; not for offsetting or for a product claim",
    }


def _climate_words(result: EstimateResult) -> str:
    if result.carbon_gco2e is None:
        return "CO2e unknown."
    grid = result.grid
    climate = f"{mass_text(result.carbon_gco2e)}"
    if result.carbon_gco2e_if is not None:
        guesses = ", ".join(
            f"{mass_text(Figure(median=other.median, low=None, high=None), '')} if in {zone}"
            for zone, other in result.carbon_gco2e_if.items()
            if other is not None
        )
        low, high = grid.get("low_gco2e_per_kwh"), grid.get("high_gco2e_per_kwh")
        span = f"; zone= narrows {significant(low)}–{significant(high)} gCO2e/kWh to one value" if low and high else ""
        return f"{climate}: zone unknown; {guesses}{span}."
    intensity = significant(rounded(grid["intensity_gco2e_per_kwh"]))
    return f"{climate} in {grid['zone']} at {intensity} gCO2e/kWh ({grid['evidence']})."


def _interval_words(result: EstimateResult) -> str:
    kinds = {
        "credible90": "Estimate, 90 % interval",
        "range": "Estimate, min–max range",
        "none": "Estimate, no interval",
    }
    dominated = f"; {result.dominated_by} dominates" if result.dominated_by else ""
    assumed = f"; assumed: {', '.join(result.assumed)}" if result.assumed else ""
    return f"{kinds[result.interval]}{dominated}{assumed}."
