"""What a caller may ask of a run, and the request and the policy that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import MAX_TOKENS
from wattproof.tools.result import JSON_TEXT, Arguments, Detail

if TYPE_CHECKING:
    from wattproof.resources.providers.records import ChatRequest
    from wattproof.resources.routing import Policy, Preset
    from wattproof.tools.deps import Deps

__all__ = ["RunArgs", "chat_of", "policy_of"]

_Names = Annotated[list[Annotated[str, Field(max_length=100)]], JSON_TEXT, Field(max_length=100)]
_Object = Annotated[dict[str, Any], JSON_TEXT]
_Objects = Annotated[list[dict[str, Any]], JSON_TEXT]


class RunArgs(Arguments):
    """Arguments of `run_inference`. A limit that is null does not limit."""

    model: Annotated[str, Field(min_length=1, max_length=200, description="Id; model:eco sets preset eco")]
    messages: Annotated[_Objects, Field(min_length=1, max_length=1000, description="OpenAI chat messages")]
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS, description="Limit on the answer")]
    preset: Annotated[
        Literal["balanced", "speed", "price", "eco", "batch"] | None, Field(description="Default balanced")
    ] = None
    max_carbon_intensity: Annotated[float | None, Field(ge=0, description="Grid ceiling, gCO2e/kWh")] = None
    max_carbon_gco2e: Annotated[float | None, Field(ge=0, description="Per request, high bound")] = None
    min_renewable_bps: Annotated[int | None, Field(ge=0, le=10_000, description="0-10000")] = None
    max_cost_usd: Annotated[float | None, Field(ge=0, description="Per run")] = None
    max_latency_ms: Annotated[int | None, Field(ge=1, description="Expected")] = None
    zones: Annotated[_Names | None, Field(description="Only")] = None
    exclude_zones: Annotated[_Names | None, Field(description="Never")] = None
    providers: Annotated[_Names | None, Field(description="Only")] = None
    exclude_providers: Annotated[_Names | None, Field(description="Never")] = None
    min_location_evidence: Annotated[
        Literal["contractual", "declared", "caller", "inferred", "unknown"] | None,
        Field(description="Of the place"),
    ] = None
    min_quality: Annotated[float | None, Field(ge=0, description="On the operator's scale")] = None
    allow_fallback_region: Annotated[bool | None, Field(description="Permit another zone")] = None
    request_id: Annotated[
        str | None, Field(min_length=1, max_length=200, description="Yours; a repeat spends nothing")
    ] = None
    operation_id: Annotated[str | None, Field(min_length=1, max_length=200, description="Its workflow")] = None
    tags: Annotated[_Names | None, Field(description="For summaries")] = None
    dry_run: Annotated[bool | None, Field(description="Only show the choice")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, description="Passed on")] = None
    response_format: Annotated[_Object | None, Field(description="Passed on")] = None
    tools: Annotated[_Objects | None, Field(max_length=128, description="Passed on")] = None
    detail: Annotated[Detail | None, Field(description="full: every candidate")] = None


def chat_of(args: RunArgs) -> ChatRequest:
    """The chat request, provider-neutral.

    Raises:
        InvalidInput: a message has no role.
    """
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


def policy_of(args: RunArgs, suffix: Preset | None, deps: Deps) -> Policy:
    """The limits and weights; the preset in the model's suffix wins. The operator's cost limit can only be lowered.

    Raises:
        InvalidInput: a limit is out of range, or `max_cost_usd` is above the operator's.
    """
    from wattproof.resources.routing import Policy

    return Policy(
        preset=suffix or args.preset or "balanced",
        max_carbon_intensity=args.max_carbon_intensity,
        max_carbon_gco2e=args.max_carbon_gco2e,
        min_renewable_bps=args.min_renewable_bps,
        max_cost_usd=_cost_limit_usd(args, deps),
        max_latency_ms=args.max_latency_ms,
        zones=tuple(args.zones or ()),
        exclude_zones=tuple(args.exclude_zones or ()),
        providers=tuple(args.providers or ()),
        exclude_providers=tuple(args.exclude_providers or ()),
        min_location_evidence=args.min_location_evidence or "unknown",
        allow_fallback_region=bool(args.allow_fallback_region),
        min_quality=args.min_quality,
    )


def _cost_limit_usd(args: RunArgs, deps: Deps) -> float | None:
    asked, most = args.max_cost_usd, deps.max_cost_usd
    if asked is None:
        return most
    if most is not None and asked > most:
        raise InvalidInput(
            "max_cost_usd",
            f"is {asked:g}, above the operator's {most:g} USD per run",
            f"give at most {most:g}, or let the operator set WATTPROOF_MAX_COST_USD",
        )
    return asked
