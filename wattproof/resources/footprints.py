"""The footprint of one request at one deployment: readings and deployments in, an estimate with its provenance out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.facilities import facility_of
from wattproof.methodology.methods import Activity, Intensity, Method, get_method, require_some_method
from wattproof.methodology.methods.param import PARAM, rates
from wattproof.methodology.models import Band, Model
from wattproof.methodology.propagate import Z90, Loadings, LogNormal, Mix, match, mean, mix, scoped
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term, Usage, Workload
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment, LocationEvidence

__all__ = [
    "Estimate",
    "Expected",
    "Expecting",
    "ScopedTerm",
    "estimate",
    "expecting",
    "factor_terms",
    "scoped_terms",
]

DEFAULT_METHOD = "wattproof/param"
EMBEDDED_METHOD = "wattproof/cpu-time"
EMBEDDED_MODEL = "smollm2-135m-instruct"

ScopedTerm = tuple[str, float, float | None, Loadings, Loadings]
"""`(name, energy_mean_wh, carbon_mean_gco2e, energy_loadings, carbon_loadings)` with factors named by their scope."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A footprint with everything that a result must say about it.

    `accuracy` is the band of the model's parameters. `assumed` lists the inputs that nobody supplied. `region_scope` is
    the zone that the number rests on, or `unknown:<provider>`. `energy_source` is `grid-mix` or `unknown-mix`, or the
    instrument that a market-based figure rests on. `renewable_ratio_bps` is None when the zone is unknown.
    `recorded_operands` are those of a receipt, where the estimate is read back from one.
    """

    method: Method
    activity: Activity
    footprint: Footprint
    reading: Reading
    provider: str
    assumed: tuple[str, ...]
    accuracy: Band
    location_evidence: LocationEvidence
    energy_source: str
    region_scope: str
    renewable_ratio_bps: int | None
    ghg_scope: Literal["scope3.cat1", "scope2"]
    edition: str
    edition_sha256: str
    recorded_operands: tuple[Operand, ...] | None = None

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Every numeric input of the method; listed when asked for, because most callers only want the figures."""
        recorded = self.recorded_operands
        return self.method.operands(self.activity) if recorded is None else recorded


class Expected(NamedTuple):
    """What a request uses at a deployment, whatever its grid.

    `carbon_g_per_intensity` is in grams per gCO2e/kWh, without the spread of a reading. `sigma_own` is the spread of
    the logarithm of carbon by what is particular to the provider.
    """

    energy_wh: Quantity | None
    carbon_g_per_intensity: LogNormal | None
    sigma_own: float


class Expecting(NamedTuple):
    """One method made ready for one deployment: from the usage of a request to what it uses."""

    method_id: str
    expect: Callable[[Usage], Expected]


def estimate(
    model: Model,
    usage: Usage,
    reading: Reading,
    *,
    deployment: Deployment | None = None,
    method_id: str | None = None,
    boundary: Boundary = "comprehensive",
    workload: Workload = Workload.CHAT,
    location_evidence: LocationEvidence | None = None,
    cpu_seconds: float | None = None,
    output_tokens_assumed: bool = False,
    supplied: Mapping[str, Any] | None = None,
) -> Estimate:
    """What one request costs by one method, under one grid reading.

    Without `method_id` the embedded model gets `wattproof/cpu-time`, everything else `wattproof/param`. `cpu_seconds`
    are those measured for this request. `supplied` holds further fields of `Activity` that the caller knows; they win
    over the deployment's. An unknown zone lowers the tier to `proxy`.

    Raises:
        UnknownMethod: no such method.
        NotDefined: the method does not cover the workload, or no method does.
        InvalidInput: an input is out of range.
    """
    require_some_method(workload)
    method = get_method(method_id or _default_method(model, deployment))
    known: dict[str, Any] = {
        "pue": deployment.pue if deployment else None,
        "pue_source": deployment.pue_source if deployment else None,
        "cpu_seconds": cpu_seconds,
        "cpu_measured": cpu_seconds is not None,
        "hardware": deployment.hardware if deployment else None,
        "requested_on": reading.requested_at[:10],
        **_published_water(deployment, supplied or {}),
    }
    activity = Activity(
        workload=workload,
        usage=usage,
        model=model,
        intensity=Intensity(reading.value_gco2e_per_kwh, reading.sigma_ln, reading.source),
        **known | dict(supplied or {}),
    )
    footprint = method.footprint(activity, boundary)
    located = reading.zone_known
    return Estimate(
        method=method,
        activity=activity,
        footprint=footprint if located else replace(footprint, tier="proxy"),
        reading=reading,
        provider=deployment.provider if deployment else model.family,
        assumed=(*(("output_tokens",) if output_tokens_assumed else ()), *method.assumed(activity)),
        accuracy=model.band,
        location_evidence=location_evidence or _location_evidence(reading, deployment),
        energy_source=_energy_source(activity, footprint, located=located),
        region_scope=reading.zone,
        renewable_ratio_bps=reading.renewable_ratio_bps if located else None,
        ghg_scope="scope2" if deployment and deployment.local else "scope3.cat1",
        edition=EDITION,
        edition_sha256=edition_sha256(),
    )


def expecting(model: Model, deployment: Deployment, reading: Reading) -> Expecting:
    """The figures of `estimate` for many requests to one deployment, some ten times faster: neither operands nor terms.

    Any `reading` will do; of a deployment only protocol, PUE and hardware count.

    Raises:
        NotDefined: the deployment's method does not cover chat.
        InvalidInput: an input is out of range.
    """

    def expect(usage: Usage) -> Expected:
        return _of_estimate(estimate(model, usage, reading, deployment=deployment))

    found = estimate(model, Usage(0, 0), reading, deployment=deployment)
    return Expecting(found.method.id, _by_param(found) if found.method is PARAM else expect)


def _by_param(found: Estimate) -> Callable[[Usage], Expected]:
    """Energy is the accelerators' times one factor, and carbon is energy times the intensity."""
    at = rates(PARAM.constants(found.activity).numbers, "comprehensive")
    terms_wh, mixes, (wall, wall_sigma_ln) = at.accelerator.terms_wh, at.mixes, at.multipliers.energy
    own_loadings = tuple(_of_provider(PARAM, loadings) for loadings in at.carbon_loadings)
    own_mixes = tuple(mix(own_loadings[:used]) for used in range(len(own_loadings) + 1))

    def expect(usage: Usage) -> Expected:
        terms = terms_wh(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
        # Most requests have no cached input and no long prompt.
        used = 4 if terms[3] else 3 if terms[2] else 2
        energy = _matched(mixes[used], terms[:used]).times(wall, wall_sigma_ln)
        per_intensity = LogNormal(energy.median / 1000, energy.sigma_ln)
        return Expected(energy.quantity(), per_intensity, _matched(own_mixes[used], terms[:used]).sigma_ln)

    return expect


@lru_cache(maxsize=256)
def _matched(mix: Mix, medians: tuple[float, ...]) -> LogNormal:
    """Deployments with the same accelerators share their match for one request."""
    return mix.match(medians)


def _of_estimate(found: Estimate) -> Expected:
    """The grid is an independent factor of the product, so that it can be taken out again."""
    carbon, reading = found.footprint.carbon_gco2e, found.reading
    per_intensity = None
    if carbon is not None and carbon.high is not None:
        sigma_ln = math.log(carbon.high / carbon.median) / Z90 if carbon.median > 0.0 else 0.0
        own = math.sqrt(max(sigma_ln**2 - reading.sigma_ln**2, 0.0))
        per_intensity = LogNormal(carbon.median / reading.value_gco2e_per_kwh, own)
    terms = [Term(t.name, t.median, _of_provider(found.method, t.loadings)) for t in found.footprint.carbon_terms]
    return Expected(found.footprint.energy_wh, per_intensity, match(terms).sigma_ln)


def _of_provider(method: Method, loadings: Loadings) -> Loadings:
    scopes = method.factor_scopes
    return tuple([(factor, sigma) for factor, sigma in loadings if scopes.get(factor) == "provider"])


def scoped_terms(estimate: Estimate) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """The terms of energy and of climate, their factors named by scope (`grid:FR`): equal names are one unknown."""
    footprint, scopes = estimate.footprint, estimate.method.factor_scopes
    values = {"model": estimate.activity.model.id, "zone": estimate.region_scope, "provider": estimate.provider}
    return scoped(footprint.energy_terms, scopes, values), scoped(footprint.carbon_terms, scopes, values)


def factor_terms(estimate: Estimate) -> tuple[ScopedTerm, ...]:
    """The terms of an estimate as means, their factors named by scope (`grid:FR`), for totals over requests."""
    footprint, model = estimate.footprint, estimate.activity.model.id
    of = (estimate.method, model, estimate.region_scope, estimate.provider)
    if not footprint.carbon_terms:
        return tuple([(e.name, mean(e), None, _named(e.loadings, *of), ()) for e in footprint.energy_terms])
    return tuple(
        [
            (e.name, mean(e), mean(c), _named(e.loadings, *of), _named(c.loadings, *of))
            for e, c in zip(footprint.energy_terms, footprint.carbon_terms, strict=True)
        ]
    )


@lru_cache(maxsize=4096)
def _named(loadings: Loadings, method: Method, model: str, zone: str, provider: str) -> Loadings:
    """The same factors, named by what they are shared over; alike in every request to one deployment."""
    values = {"model": model, "zone": zone, "provider": provider}
    (term,) = scoped((Term("", 0.0, loadings),), method.factor_scopes, values)
    return term.loadings


def _default_method(model: Model, deployment: Deployment | None) -> str:
    if deployment is None:
        return EMBEDDED_METHOD if model.id == EMBEDDED_MODEL else DEFAULT_METHOD
    return EMBEDDED_METHOD if deployment.protocol == "embedded" else DEFAULT_METHOD


def _published_water(deployment: Deployment | None, supplied: Mapping[str, Any]) -> dict[str, Any]:
    """On-site water as the deployment's operator publishes it, where the caller states none."""
    facility = facility_of(deployment.provider) if deployment else None
    if facility is None or any(name.startswith("wue_") for name in supplied):
        return {}
    return {"wue_onsite_l_per_kwh": facility.wue_onsite_l_per_kwh, "wue_source": facility.source_id}


def _energy_source(activity: Activity, footprint: Footprint, *, located: bool) -> str:
    if activity.instrument_id is not None and footprint.carbon_market_gco2e is not None:
        return activity.instrument_id
    return "grid-mix" if located else "unknown-mix"


def _location_evidence(reading: Reading, deployment: Deployment | None) -> LocationEvidence:
    if not reading.zone_known:
        return "unknown"
    if deployment is not None and deployment.zone == reading.zone:
        return deployment.location_evidence
    return "caller"
