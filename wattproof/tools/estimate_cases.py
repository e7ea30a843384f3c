"""What `estimate_request` is asked for: one request, and the models, deployments and methods to estimate it with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.quantity import Boundary, Usage, Workload
from wattproof.tools.estimate_arguments import one_or_several
from wattproof.tools.output_prior import OutputPrior, output_prior, widened

if TYPE_CHECKING:
    from wattproof.methodology.models import Model
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.grid.reading import Reading
    from wattproof.resources.providers.records import Deployment, LocationEvidence
    from wattproof.tools.deps import Deps
    from wattproof.tools.estimate_arguments import EstimateArgs

__all__ = ["MAX_CASES", "Asked", "Case", "asked_for", "cases_of", "estimated", "with_newest"]

MAX_CASES = 60

_NO_OUTPUT = frozenset({Workload.EMBEDDING, Workload.RERANK})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the caller described it. `prior` is set where nobody stated the length of the answer.

    `newest` are grid readings by zone, where live ones were asked for.
    """

    usage: Usage
    workload: Workload
    boundary: Boundary
    supplied: dict[str, Any]
    zone: str | None
    now: float
    default_zone: str | None
    prior: OutputPrior | None
    text_counted: bool
    newest: Mapping[str, Reading] = field(default_factory=dict[str, "Reading"])


@dataclass(frozen=True, slots=True)
class Case:
    """One way to estimate the request: a model, where it runs, and by which method; None is the default method."""

    model: Model
    deployment: Deployment | None
    provider: str | None
    method_id: str | None


def asked_for(args: EstimateArgs, deps: Deps) -> Asked:
    """The request, its counts checked and its gaps filled.

    Raises:
        UnknownModel: no edition lists the first model, whose kind decides on the prior.
        InvalidInput: token counts contradict each other, or neither `input_tokens` nor `text` is given.
        NotDefined: no method covers the workload; says why.
    """
    from wattproof.methodology.methods import require_some_method
    from wattproof.methodology.models import find_model

    workload = Workload(args.workload or "chat")
    require_some_method(workload)
    prior = None
    if args.output_tokens is None and workload not in _NO_OUTPUT:
        prior = output_prior(find_model(one_or_several(args.model)[0]), args.reasoning_tokens or 0)
    supplied = args.known.supplied() if args.known else {}
    return Asked(
        usage=_usage(args, prior.median_tokens if prior else 0),
        workload=workload,
        boundary=args.boundary or "comprehensive",
        supplied=supplied | ({"batch_api": True} if args.batch_api else {}),
        zone=args.zone,
        now=deps.clock(),
        default_zone=deps.default_zone,
        prior=prior,
        text_counted=args.text is not None,
    )


async def cases_of(args: EstimateArgs, deps: Deps) -> tuple[Case, ...]:
    """Every combination of the models, providers and methods that were named; one if one of each.

    Raises:
        UnknownModel, UnknownMethod, UnknownProvider: no edition lists the name.
        InvalidInput: there are too many combinations.
    """
    from wattproof.methodology.models import find_model

    methods = _methods(one_or_several(args.methods))
    providers: tuple[str | None, ...] = one_or_several(args.provider) or (None,)
    cases: list[Case] = []
    for name in one_or_several(args.model):
        model = find_model(name)
        for provider in providers:
            deployment = await _deployment(model.id, provider, args.zone, deps)
            cases += [Case(model, deployment, provider, method_id) for method_id in methods]
    if len(cases) > MAX_CASES:
        problem = f"times provider and methods gives {len(cases)} combinations"
        raise InvalidInput("model", problem, f"ask for at most {MAX_CASES} at once")
    return tuple(cases)


def estimated(case: Case, asked: Asked, reading: Reading | None = None) -> Estimate:
    """The estimate of one case, under the grid reading of its own place unless one is given.

    Raises:
        NotDefined: the method does not cover the workload or the model, or lacks an input.
        UnknownZone: no edition lists the zone.
        InvalidInput: an input is out of range.
    """
    from wattproof.resources.footprints import estimate
    from wattproof.resources.grid import reading_for

    _require_own_model(case)
    zone, evidence = _place(case, asked)
    provider = case.deployment.provider if case.deployment else case.provider or _vendor(case.model)
    found = estimate(
        case.model,
        asked.usage,
        reading or asked.newest.get((zone or "").upper()) or reading_for(zone, provider, asked.now),
        deployment=case.deployment,
        method_id=case.method_id,
        boundary=asked.boundary,
        workload=asked.workload,
        location_evidence=evidence,
        output_tokens_assumed=asked.prior is not None,
        supplied=asked.supplied,
    )
    if asked.text_counted:
        found = replace(found, assumed=(*found.assumed, "input_tokens"))
    return found if asked.prior is None else widened(found, asked.prior)


async def with_newest(asked: Asked, cases: Iterable[Case], deps: Deps) -> Asked:
    """`asked` with the newest grid reading of every place that the cases name; the annual one where there is none.

    Raises:
        UnknownZone: no edition lists a zone.
    """
    if deps.grid is None:
        return asked
    from wattproof.methodology.zones import zone_average
    from wattproof.resources.grid import Place

    zones = {zone_average(zone).zone for case in cases if (zone := _place(case, asked)[0]) is not None}
    found = await (await deps.grid()).readings([Place(zone) for zone in sorted(zones)], asked.now)
    return replace(asked, newest={place.zone: reading for place, reading in found.items()})


def _usage(args: EstimateArgs, expected_output: int) -> Usage:
    if (args.input_tokens is None) == (args.text is None):
        problem = "is missing" if args.text is None else "is given together with text"
        raise InvalidInput("input_tokens", problem, "give either input_tokens or text")
    return Usage(
        input_tokens=_counted(args.text or "") if args.input_tokens is None else args.input_tokens,
        output_tokens=expected_output if args.output_tokens is None else args.output_tokens,
        cached_input_tokens=args.cached_input_tokens or 0,
        reasoning_tokens=args.reasoning_tokens or 0,
    )


def _counted(text: str) -> int:
    from wattproof.resources.providers.local_count import count_text

    return count_text(text)


def _methods(named: tuple[str, ...]) -> tuple[str | None, ...]:
    from wattproof.methodology.methods import all_methods, get_method

    if "all" in named:
        return tuple(method.id for method in all_methods())
    return tuple(dict.fromkeys(get_method(name).id for name in named)) or (None,)


async def _deployment(model_id: str, provider: str | None, zone: str | None, deps: Deps) -> Deployment | None:
    """The deployment that the caller names, or the only one there is; None where it would be a guess."""
    if provider is None and zone is not None:
        return None
    from wattproof.resources.providers import deployments_for, provider_rows

    known = await deps.deployments()
    if provider is not None:
        offers = deployments_for(model_id, provider_rows(provider, known))
        return _unambiguous(offers)
    return _unambiguous(deployments_for(model_id, known))


def _unambiguous(offers: tuple[Deployment, ...]) -> Deployment | None:
    """The only offer, or the only one without a variant: a region is never picked for the caller."""
    plain = [offer for offer in offers if offer.variant is None]
    if len(offers) != 1 and len(plain) != 1:
        return None
    return offers[0] if len(offers) == 1 else plain[0]


def _place(case: Case, asked: Asked) -> tuple[str | None, LocationEvidence]:
    deployment = case.deployment
    if asked.zone is not None:
        return asked.zone, "caller"
    if deployment is None:
        return None, "unknown"
    if deployment.zone is None and deployment.local and asked.default_zone is not None:
        return asked.default_zone, "caller"
    return deployment.zone, deployment.location_evidence


def _vendor(model: Model) -> str:
    """Who runs a model that nobody else can run; open weights may be anywhere."""
    return "unstated" if model.open_weights else model.family


def _require_own_model(case: Case) -> None:
    """The CPU time per token that is known before a run is that of one model."""
    from wattproof.methodology.methods import get_method
    from wattproof.resources.footprints import EMBEDDED_METHOD, EMBEDDED_MODEL

    if case.method_id == get_method(EMBEDDED_METHOD).id and case.model.id != EMBEDDED_MODEL:
        raise NotDefined(f"{case.method_id} knows the CPU time of {EMBEDDED_MODEL} only, before a run.")
