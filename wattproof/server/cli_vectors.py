"""``embed`` and ``rerank``: the other workloads, run and recorded like a chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattproof.server.cli_call import call, print_result

if TYPE_CHECKING:
    from wattproof.resources.providers import EmbeddingRequest, RerankRequest

__all__ = ["embed", "rerank"]

Model = Annotated[str, typer.Option(help="Model id, such as qwen3-embedding-8b.")]
Json = Annotated[bool, typer.Option("--json", help="Print the structured content, vectors included.")]
Ceiling = Annotated[float | None, typer.Option(help="Grid ceiling in gCO2e/kWh.")]
Cost = Annotated[float | None, typer.Option(help="Most that this run may cost; at most the setting.")]
Zones = Annotated[list[str] | None, typer.Option(help="Only this grid zone; may be repeated.")]
Providers = Annotated[list[str] | None, typer.Option(help="Only this provider; may be repeated.")]
RequestId = Annotated[str | None, typer.Option(help="Yours: a repeat spends nothing.")]


def embed(
    model: Model,
    text: Annotated[list[str], typer.Option("--text", help="A text; may be repeated; - reads one per line of stdin.")],
    dimensions: Annotated[int | None, typer.Option(min=1, help="Length of the vectors.")] = None,
    max_carbon_intensity: Ceiling = None,
    max_cost_usd: Cost = None,
    zone: Zones = None,
    provider: Providers = None,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Turn texts into vectors on the deployment that fits best, and record it."""
    from wattproof.resources.providers import EmbeddingRequest

    request = EmbeddingRequest(_lines(text), dimensions)
    _run(model, request, max_carbon_intensity, max_cost_usd, zone, provider, request_id, as_json)


def rerank(
    model: Model,
    query: Annotated[str, typer.Option(help="What the documents should answer.")],
    document: Annotated[list[str], typer.Option(help="A document; may be repeated; - reads one per line of stdin.")],
    top_n: Annotated[int | None, typer.Option(min=1, help="At most this many come back.")] = None,
    max_carbon_intensity: Ceiling = None,
    max_cost_usd: Cost = None,
    zone: Zones = None,
    provider: Providers = None,
    request_id: RequestId = None,
    as_json: Json = False,
) -> None:
    """Order documents by how well they answer a query, and record it."""
    from wattproof.resources.providers import RerankRequest

    request = RerankRequest(query, _lines(document), top_n)
    _run(model, request, max_carbon_intensity, max_cost_usd, zone, provider, request_id, as_json)


def _lines(given: list[str]) -> tuple[str, ...]:
    if given == ["-"]:
        return tuple(line.rstrip("\n") for line in sys.stdin if line.strip())
    return tuple(given)


def _run(
    model: str,
    request: EmbeddingRequest | RerankRequest,
    max_carbon_intensity: float | None,
    max_cost_usd: float | None,
    zones: list[str] | None,
    providers: list[str] | None,
    request_id: str | None,
    as_json: bool,
) -> None:
    from wattproof.resources.routing import Policy
    from wattproof.tools.run_vectors import VectorArgs, brief, run_vectors

    limits: dict[str, Any] = {"max_cost_usd": max_cost_usd, "max_carbon_intensity": max_carbon_intensity}
    policy = Policy(zones=tuple(zones or ()), providers=tuple(providers or ()), **limits)
    result = call(run_vectors, VectorArgs(model, request, policy, request_id))
    print_result(result, brief, as_json)
