"""Deployments become candidates: each with its readings, our estimate for this request, its price and its health."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from wattproof.methodology.models import Model
from wattproof.methodology.propagate import Z90, LogNormal, match
from wattproof.methodology.quantity import Quantity, Term, Usage
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid import Place, Reading, reading_for
from wattproof.resources.providers import Deployment, to_usd_micros
from wattproof.resources.providers.exchange import ExchangeRate, stale_rate
from wattproof.resources.providers.staleness import is_stale
from wattproof.resources.routing.limits import usable_for_ceiling
from wattproof.resources.routing.records import Candidate, Health

__all__ = ["assemble", "place_of"]

# Prices are integers per request; a rate comes from a request this many times larger, so that rounding does not show.
_RATE_TOKENS = 1_000_000

_UNKNOWN = Health()


def assemble(
    model: Model,
    usage: Usage,
    deployments: Iterable[Deployment],
    now: float,
    *,
    health: Callable[[str], Health] = lambda _: _UNKNOWN,
    unusable: Callable[[Deployment], str | None] = lambda _: None,
    readings: Mapping[Place, Reading] | None = None,
    rates: Mapping[str, ExchangeRate] | None = None,
) -> tuple[Candidate, ...]:
    """One candidate per deployment of `model`, in the order given.

    `usage` is the expected usage of the request and `now` Unix seconds. `unusable` says why a real run on a deployment
    is impossible, or None; `health` gives what is known of its recent calls by deployment id. `readings` are the newest
    by `place_of`. One that cannot be used for a ceiling (direct, marginal, older than 3 h) gives way to the annual
    edition's, as does a place that is not in it, so that one reading serves the ceiling, the ranking and the accounts.
    `rates` turn prices into dollars (None: the bundled ones).

    Source: readings from the grid desk or the bundled annual edition, prices from the catalogue's rows.

    Raises:
        UnknownZone: a deployment names a zone that the edition lacks.
        NotDefined: the model's method cannot estimate this usage.
    """
    found = tuple(deployments)
    if not found:
        return ()
    desk = _Desk(model, usage, now, readings or {}, rates, found[0])
    return tuple([desk.candidate(deployment, health(deployment.id), unusable(deployment)) for deployment in found])


def place_of(deployment: Deployment) -> Place | None:
    """Where to ask about the electricity of `deployment`; None where its location is unknown."""
    if deployment.zone is None or deployment.location_evidence == "unknown":
        return None
    return Place(deployment.zone, deployment.cloud_region)


class _Use(NamedTuple):
    """What a request uses at any deployment with the same hardware and building, whatever its grid."""

    method_id: str
    energy_wh: Quantity | None
    carbon_g_per_intensity: LogNormal | None
    """Grams per gCO2e/kWh, without the spread of the reading."""
    sigma_own: float


class _Desk:
    """The work that candidates of one request share, done once."""

    def __init__(
        self,
        model: Model,
        usage: Usage,
        now: float,
        newest: Mapping[Place, Reading],
        rates: Mapping[str, ExchangeRate] | None,
        any_of_them: Deployment,
    ) -> None:
        self._model = model
        self._usage = usage
        self._now = now
        self._newest = newest
        self._rates = rates
        self._uses: dict[tuple[object, ...], _Use] = {}
        self._annual: dict[str, Reading] = {}
        self._carbon: dict[tuple[int, float, float], Quantity] = {}
        self._stale: dict[tuple[object, ...], tuple[str, ...]] = {}
        # Any would do: the figures are kept per gCO2e/kWh.
        self._unit = self._annual_reading("FR", "")
        hosted = replace(
            any_of_them, provider="reference", protocol="openai-chat", pue=1.0, pue_source="reference", hardware=None
        )
        energy = self._use(hosted).energy_wh
        self._reference_wh = energy.median if energy is not None and energy.median > 0.0 else None
        total = usage.total_tokens
        input_tokens = round(_RATE_TOKENS * (0.75 if total == 0 else usage.input_tokens / total))
        self._rate_usage = Usage(input_tokens, _RATE_TOKENS - input_tokens)

    def candidate(self, deployment: Deployment, health: Health, unusable: str | None) -> Candidate:
        """The candidate of one deployment."""
        zone = None if deployment.location_evidence == "unknown" else deployment.zone
        annual = self._annual_reading(zone, deployment.provider)
        newest = self._newest.get(Place(zone, deployment.cloud_region)) if self._newest and zone is not None else None
        used = newest if newest is not None and usable_for_ceiling(newest) else annual
        use = self._use(deployment)
        rate = self._cost_usd_micros(deployment, self._rate_usage)
        return Candidate(
            deployment=deployment,
            ceiling_reading=used,
            annual_reading=annual,
            energy_wh=use.energy_wh,
            carbon_gco2e=self._carbon_of(use, used),
            carbon_sigma_own=use.sigma_own,
            cost_usd_micros=self._cost_usd_micros(deployment, self._usage),
            health=health,
            unusable=unusable,
            usd_per_mtok=None if rate is None else rate / 1e6,
            reference_energy_wh=self._reference_wh,
            method_id=use.method_id,
            unused_reading=newest if newest is not used and _is_another(newest) else None,
            stale=self._stale_of(deployment),
        )

    def _annual_reading(self, zone: str | None, provider: str) -> Reading:
        key = f"unknown:{provider}" if zone is None else zone
        reading = self._annual.get(key)
        if reading is None:
            reading = self._annual[key] = reading_for(zone, provider, self._now)
        return reading

    def _use(self, deployment: Deployment) -> _Use:
        """What the method makes of everything but the grid.

        The reading is a factor of its own in every method that routes, and of a deployment only the building and the
        machine count, so that one estimate serves all zones and providers alike in those.
        """
        key = (deployment.protocol, deployment.pue, deployment.hardware)
        use = self._uses.get(key)
        if use is None:
            found = estimate(self._model, self._usage, self._unit, deployment=deployment)
            use = self._uses[key] = _Use(
                found.method.id,
                found.footprint.energy_wh,
                _per_intensity(found.footprint.carbon_gco2e, self._unit),
                _own_sigma(found),
            )
        return use

    def _carbon_of(self, use: _Use, reading: Reading) -> Quantity | None:
        if use.carbon_g_per_intensity is None:
            return None
        key = (id(use), reading.value_gco2e_per_kwh, reading.sigma_ln)
        carbon = self._carbon.get(key)
        if carbon is None:
            grams = use.carbon_g_per_intensity.times(reading.value_gco2e_per_kwh, reading.sigma_ln)
            carbon = self._carbon[key] = grams.quantity()
        return carbon

    def _cost_usd_micros(self, deployment: Deployment, usage: Usage) -> int | None:
        """Cost in micro-dollars; a server on this machine has no price and costs 0, its electricity apart."""
        if deployment.local:
            return 0
        if deployment.price is None:
            return None
        micros = deployment.price.cost_micros(usage)
        return None if micros is None else to_usd_micros(micros, deployment.price.currency, rates=self._rates)

    def _stale_of(self, deployment: Deployment) -> tuple[str, ...]:
        """What of the row was checked too long ago. Rows are checked together, so that their dates are few."""
        price = deployment.price
        dates = None if price is None else (price.checked_at, price.currency)
        key = (deployment.local, deployment.origin, deployment.checked_at, dates)
        found = self._stale.get(key)
        if found is None:
            currency = None if price is None else price.currency
            reasons = (
                ("stale_row", is_stale(deployment, self._now)),
                ("stale_rate", stale_rate(currency, self._now, rates=self._rates)),
            )
            found = self._stale[key] = tuple(flag for flag, reason in reasons if reason is not None)
        return found


def _is_another(newest: Reading | None) -> bool:
    """Whether the desk had something besides the annual edition, which it hands out where it knows nothing newer."""
    return newest is not None and newest.evidence != "annual"


def _per_intensity(carbon: Quantity | None, reading: Reading) -> LogNormal | None:
    """Carbon without its grid factor. Source: the grid is an independent factor of the product (`propagate`)."""
    if carbon is None or carbon.high is None:
        return None
    if carbon.median <= 0.0:
        return LogNormal(0.0, 0.0)
    sigma_ln = math.log(carbon.high / carbon.median) / Z90
    own = math.sqrt(max(sigma_ln**2 - reading.sigma_ln**2, 0.0))
    return LogNormal(carbon.median / reading.value_gco2e_per_kwh, own)


def _own_sigma(found: Estimate) -> float:
    """Spread of the logarithm by what is particular to this provider; the grid reading's is counted apart."""
    scopes = found.method.factor_scopes
    own = [
        Term(t.name, t.median, tuple((factor, s) for factor, s in t.loadings if scopes.get(factor) == "provider"))
        for t in found.footprint.carbon_terms
    ]
    return match(own).sigma_ln
