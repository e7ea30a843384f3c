"""Where usage that is reported afterwards is taken to have run: which model, which deployment, which grid reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.errors import NotDefined, UnknownProvider
from wattproof.methodology.methods import get_method
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Usage, Workload
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid import reading_for
from wattproof.resources.grid.reading import Reading
from wattproof.resources.imports.spelling import known_model
from wattproof.resources.providers import provider_rows
from wattproof.resources.providers.records import Deployment, LocationEvidence

__all__ = ["METHOD", "Placed", "place"]

METHOD = "wattproof/param@1.0.0"


@dataclass(frozen=True, slots=True)
class Placed:
    """A model at a provider as far as it is known. `estimate` is that of a request without tokens, for what all share.

    Where there is none, `reason` says why: ``unknown_model: …`` or ``not_defined: …``.
    """

    model_id: str
    deployment_id: str
    reading: Reading
    location_evidence: LocationEvidence
    estimate: Estimate | None
    reason: str | None
    method_sha256: str
    edition: str
    edition_sha256: str


def place(
    model: str,
    provider: str,
    workload: str,
    *,
    deployments: Sequence[Deployment],
    zone: str | None,
    now_s: float,
) -> Placed:
    """Find the deployment, and estimate with its facts. `zone` is what the operator states of this usage.

    Without `zone` a deployment that the operator or the catalogue places is taken at its word; what stays unplaced has
    the mixture of all zones. A row for a pinned variant is never assumed.

    Raises:
        UnknownZone: no edition lists `zone`.
    """
    known = known_model(model)
    model_id = model if known is None else known.id
    deployment = None if known is None else _deployment(known, provider, deployments)
    found_zone, evidence = _zone(deployment, zone)
    reading = reading_for(found_zone, provider, now_s)
    found, reason = _estimate(known, model, workload, reading, deployment, evidence)
    return Placed(
        model_id=model_id,
        deployment_id=f"{provider}/{model_id}"[:200] if deployment is None else deployment.id,
        reading=reading,
        location_evidence=evidence,
        estimate=found,
        reason=reason,
        method_sha256=get_method(METHOD).sha256,
        edition=EDITION,
        edition_sha256=edition_sha256(),
    )


def _deployment(model: Model, provider: str, deployments: Sequence[Deployment]) -> Deployment | None:
    try:
        offers = provider_rows(provider, tuple(deployments))
    except UnknownProvider:
        return None
    names = {model.id, *model.aliases}
    return next((each for each in offers if each.model in names and each.variant is None), None)


def _zone(deployment: Deployment | None, stated: str | None) -> tuple[str | None, LocationEvidence]:
    if stated is not None:
        return stated, "caller"
    if deployment is None or deployment.zone is None:
        return None, "unknown"
    return deployment.zone, deployment.location_evidence


def _estimate(
    model: Model | None,
    name: str,
    workload: str,
    reading: Reading,
    deployment: Deployment | None,
    evidence: LocationEvidence,
) -> tuple[Estimate | None, str | None]:
    if model is None:
        return None, f"unknown_model: no edition lists {name[:120]!r}"
    try:
        found = estimate(
            model,
            Usage(0, 0),
            reading,
            deployment=deployment,
            method_id=METHOD,
            workload=Workload(workload),
            location_evidence=evidence,
        )
    except NotDefined as error:
        return None, f"not_defined: {error}"[:200]
    return found, None
