"""Deployments become candidates: each with its readings, our estimate for this request, its price and its health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Quantity, Usage
from wattproof.resources.footprints import Expected, Expecting
from wattproof.resources.grid import Place, Reading, reading_for
from wattproof.resources.providers import Deployment, ExchangeRate, to_usd_micros
from wattproof.resources.routing.limits import usable_for_ceiling
from wattproof.resources.routing.offers import Offer, Offers, offers_of, place_of
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
    offers = offers_of(model, deployments, now)
    if offers is None:
        return ()
    desk = _Desk(offers, usage, now, readings or {}, rates)
    stale = offers.stale(now, rates)
    return tuple(
        [
            desk.candidate(offer, health(offer.id), unusable(offer.deployment), flags)
            for offer, flags in zip(offers.all, stale, strict=True)
        ]
    )


class _Desk:
    """The work that candidates of one request share, done once."""

    def __init__(
        self,
        offers: Offers,
        usage: Usage,
        now: float,
        newest: Mapping[Place, Reading],
        rates: Mapping[str, ExchangeRate] | None,
    ) -> None:
        self._usage = usage
        self._now = now
        self._newest = newest
        self._rates = rates
        self._expected: dict[int, Expected] = {}
        self._annual: dict[str, Reading] = {}
        self._carbon: dict[tuple[int, float, float], Quantity] = {}
        energy = self._expect(offers.reference).energy_wh
        self._reference_wh = energy.median if energy is not None and energy.median > 0.0 else None
        total = usage.total_tokens
        input_tokens = round(_RATE_TOKENS * (0.75 if total == 0 else usage.input_tokens / total))
        self._rate_usage = Usage(input_tokens, _RATE_TOKENS - input_tokens)

    def candidate(self, offer: Offer, health: Health, unusable: str | None, stale: tuple[str, ...]) -> Candidate:
        """The candidate of one deployment."""
        deployment, expecting = offer.deployment, offer.expecting
        used = annual = self._annual_reading(offer.zone, deployment.provider)
        newest = self._newest.get(offer.place) if self._newest and offer.place is not None else None
        if newest is not None and usable_for_ceiling(newest):
            used = newest
        expected = self._expect(expecting)
        cost, rate = self._costs_usd_micros(deployment)
        # By position: this is done for every candidate of every request.
        return Candidate(
            deployment,
            used,
            annual,
            expected.energy_wh,
            self._carbon_of(expected, used),
            expected.sigma_own,
            cost,
            health,
            unusable,
            None if rate is None else rate / 1e6,
            self._reference_wh,
            expecting.method_id,
            newest if newest is not used and _is_another(newest) else None,
            stale,
        )

    def _annual_reading(self, zone: str | None, provider: str) -> Reading:
        key = f"unknown:{provider}" if zone is None else zone
        reading = self._annual.get(key)
        if reading is None:
            reading = self._annual[key] = reading_for(zone, provider, self._now)
        return reading

    def _expect(self, expecting: Expecting) -> Expected:
        found = self._expected.get(id(expecting))
        if found is None:
            found = self._expected[id(expecting)] = expecting.expect(self._usage)
        return found

    def _carbon_of(self, expected: Expected, reading: Reading) -> Quantity | None:
        per_intensity = expected.carbon_g_per_intensity
        if per_intensity is None:
            return None
        key = (id(expected), reading.value_gco2e_per_kwh, reading.sigma_ln)
        carbon = self._carbon.get(key)
        if carbon is None:
            grams = per_intensity.times(reading.value_gco2e_per_kwh, reading.sigma_ln)
            carbon = self._carbon[key] = grams.quantity()
        return carbon

    def _costs_usd_micros(self, deployment: Deployment) -> tuple[int | None, int | None]:
        """Micro-dollars of this request and of `_RATE_TOKENS` like it.

        A server on this machine has no price and costs 0, its electricity apart.
        """
        price = deployment.price
        if deployment.local:
            return 0, 0
        if price is None or price.currency is None:
            return None, None
        cost, rate = price.cost_micros(self._usage), price.cost_micros(self._rate_usage)
        if price.currency == "USD" or cost is None or rate is None:
            return cost, rate
        return (
            to_usd_micros(cost, price.currency, rates=self._rates),
            to_usd_micros(rate, price.currency, rates=self._rates),
        )


def _is_another(newest: Reading | None) -> bool:
    """Whether the desk had something besides the annual edition, which it hands out where it knows nothing newer."""
    return newest is not None and newest.evidence != "annual"
