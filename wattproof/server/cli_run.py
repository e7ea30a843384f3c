"""``wattproof run``: `run_inference` with its parameters as options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_call import arguments, call, print_result, read_text

__all__ = ["run"]

_LIMITS = "Hard limits"
_RECORD = "The record"


def _limit(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=_LIMITS)


def _record(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_RECORD)


def run(
    model: Annotated[str, typer.Option(help="Model id, such as gpt-oss-120b; model:eco picks a preset.")],
    prompt: Annotated[str | None, typer.Option(help="The user's message; - reads stdin.")] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    messages: Annotated[Path | None, typer.Option(help="JSON file with OpenAI chat messages instead.")] = None,
    max_output_tokens: Annotated[int, typer.Option(help="Hard limit on the answer.")] = 400,
    temperature: Annotated[float | None, typer.Option(help="From 0 to 2.")] = None,
    preset: Annotated[str | None, typer.Option(help="balanced, speed, price, eco or batch.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and send nothing.")] = False,
    max_carbon_intensity: Annotated[float | None, _limit("Grid ceiling in gCO2e/kWh.")] = None,
    max_carbon_gco2e: Annotated[float | None, _limit("Ceiling of this request's high bound.")] = None,
    min_renewable_bps: Annotated[int | None, _limit("Least renewable share; 10000 is all.")] = None,
    max_cost_usd: Annotated[float | None, _limit("Most that this run may cost; at most the setting.")] = None,
    max_latency_ms: Annotated[int | None, _limit("Most expected latency.")] = None,
    zone: Annotated[list[str] | None, _limit("Only this grid zone; may be repeated.")] = None,
    exclude_zone: Annotated[list[str] | None, _limit("Not this zone; may be repeated.")] = None,
    provider: Annotated[list[str] | None, _limit("Only this provider; may be repeated.")] = None,
    exclude_provider: Annotated[list[str] | None, _limit("Not this provider; may be repeated.")] = None,
    min_location_evidence: Annotated[
        str | None, _limit("How well the place is known: contractual, declared, caller, inferred or unknown.")
    ] = None,
    min_quality: Annotated[float | None, _limit("Least quality, on the scale of your providers.toml.")] = None,
    allow_fallback_region: Annotated[bool, typer.Option(help="Permit another zone.", rich_help_panel=_LIMITS)] = False,
    request_id: Annotated[str | None, _record("Yours: a repeat returns the stored result and spends nothing.")] = None,
    operation_id: Annotated[str | None, _record("The workflow that this belongs to.")] = None,
    tag: Annotated[list[str] | None, _record("For summaries; may be repeated.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every candidate (detail=full).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")] = False,
) -> None:
    """Send a prompt to the deployment that fits best, record it, and print the answer with its receipt."""
    from wattproof.tools.run_inference import RunArgs, brief, run_inference

    given = arguments(
        RunArgs,
        model=model,
        messages=_messages(prompt, system, messages),
        max_output_tokens=max_output_tokens,
        temperature=temperature,
        preset=preset,
        dry_run=dry_run or None,
        max_carbon_intensity=max_carbon_intensity,
        max_carbon_gco2e=max_carbon_gco2e,
        min_renewable_bps=min_renewable_bps,
        max_cost_usd=max_cost_usd,
        max_latency_ms=max_latency_ms,
        zones=zone,
        exclude_zones=exclude_zone,
        providers=provider,
        exclude_providers=exclude_provider,
        min_location_evidence=min_location_evidence,
        min_quality=min_quality,
        allow_fallback_region=allow_fallback_region or None,
        request_id=request_id,
        operation_id=operation_id,
        tags=tag,
        detail="full" if full else None,
    )
    print_result(call(run_inference, given), brief, as_json)


def _messages(prompt: str | None, system: str | None, file: Path | None) -> list[dict[str, Any]]:
    if (prompt is None) == (file is None):
        problem = "is missing" if file is None else "is given together with --messages"
        raise InvalidInput("--prompt", problem, "give either --prompt or --messages FILE")
    if file is not None:
        try:
            return json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidInput("--messages", f"{file} cannot be read as JSON ({error})", "give a JSON list") from error
    said = [{"role": "system", "content": system}] if system is not None else []
    return [*said, {"role": "user", "content": read_text(prompt)}]
