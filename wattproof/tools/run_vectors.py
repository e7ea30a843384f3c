"""Run an embedding or a ranking under the limits that a chat has, recorded like one."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wattproof.tools.figures import Figure, energy_text, figure, mass_text
from wattproof.tools.provenance import Grounded, grounds, sentence

if TYPE_CHECKING:
    from wattproof.resources.providers import EmbeddingRequest, RerankRequest
    from wattproof.resources.routing import Policy
    from wattproof.resources.runs import RunSettled
    from wattproof.tools.deps import Deps

__all__ = ["VectorArgs", "VectorsResult", "brief", "run_vectors"]


@dataclass(frozen=True, slots=True)
class VectorArgs:
    """What to run. `policy` holds the limits; its cost limit is capped at the operator's."""

    model: str
    request: EmbeddingRequest | RerankRequest
    policy: Policy
    request_id: str | None = None
    operation_id: str | None = None
    tags: tuple[str, ...] = ()


class VectorsResult(Grounded):
    """`vectors` in the order of the inputs, or `ranking` as (document index, score), best first."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"vectors", "ranking"})

    status: str
    request_id: str | None
    receipt_id: str
    replayed: bool
    provider_id: str
    model: str
    usage: dict[str, int | str]
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    vectors: tuple[tuple[float, ...], ...] | None = None
    ranking: tuple[tuple[int, float], ...] | None = None
    reasons: dict[str, str]


async def run_vectors(args: VectorArgs, deps: Deps) -> VectorsResult:
    """Route, run and record it; what it raises is what `run_inference` raises.

    Raises:
        RoutingError, UpstreamError, RequestConflict, RequestInFlight, UnknownModel, InvalidInput, LedgerError.
    """
    from dataclasses import replace

    from wattproof.resources.runs import RunRequest, RunSettled, execute

    asked, most = args.policy.max_cost_usd, deps.max_cost_usd
    policy = replace(args.policy, max_cost_usd=most if asked is None or most is None else min(asked, most))
    request = RunRequest(
        model=args.model,
        chat=args.request,
        request_id=args.request_id,
        operation_id=args.operation_id,
        tags=args.tags,
    )
    settled: RunSettled | None = None
    async with aclosing(execute(request, policy, await deps.runs())) as events:
        async for event in events:
            if isinstance(event, RunSettled):
                settled = event
    if settled is None:
        raise AssertionError("a run that ends without an error has settled")
    return _result(settled)


def brief(result: VectorsResult) -> str:
    """What came back, its footprint, and the four named fields last."""
    made = f"{len(result.vectors)} vectors" if result.vectors is not None else f"{len(result.ranking or ())} ranked"
    figures = [
        "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh),
        "CO2e unknown" if result.carbon_gco2e is None else mass_text(result.carbon_gco2e),
    ]
    said = f"{result.provider_id}, {result.grid['zone']}: {made}; {', '.join(figures)}. Receipt {result.receipt_id}."
    return f"{said} {sentence(result.provenance)}"


def _result(run: RunSettled) -> VectorsResult:
    entry, estimate, end = run.settled.draft, run.estimate, run.end
    reasons = dict(estimate.footprint.reasons)
    if end is None:
        reasons["vectors"] = run.answer_reason or "no answer was received"
    usage = estimate.activity.usage
    return VectorsResult(
        status=entry.status,
        request_id=entry.request_id,
        receipt_id=run.settled.receipt_id,
        replayed=run.replayed,
        provider_id=entry.provider,
        model=estimate.activity.model.id,
        usage={"input_tokens": usage.input_tokens, "usage_source": entry.usage_source},
        energy_wh=figure(estimate.footprint.energy_wh, 3),
        carbon_gco2e=figure(estimate.footprint.carbon_gco2e, 3),
        vectors=end.vectors if end is not None and end.vectors else None,
        ranking=end.ranking if end is not None and end.ranking else None,
        reasons=reasons,
        **grounds(estimate, full=False, synthetic=entry.synthetic),
    )
