"""The deployments of one model, and what of them stays the same from one request to the next, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wattproof.methodology.models import Model
from wattproof.resources.footprints import Expecting, expecting
from wattproof.resources.grid import Place, annual_reading
from wattproof.resources.providers import Deployment, ExchangeRate
from wattproof.resources.providers.exchange import stale_rate
from wattproof.resources.providers.staleness import is_stale

__all__ = ["Offer", "Offers", "offers_of", "place_of"]

_KEPT = 64
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Offer:
    """One deployment: its id, its zone and place where they are known, and what its method expects of a request."""

    deployment: Deployment
    id: str
    zone: str | None
    place: Place | None
    expecting: Expecting


class Offers:
    """The deployments of `model`, in the order given. `reference` expects for one at PUE 1.0 by the default method."""

    def __init__(self, model: Model, deployments: tuple[Deployment, ...], now_s: float) -> None:
        self.model = model
        self.deployments = deployments
        # Any would do: the figures are kept per gCO2e/kWh.
        unit = annual_reading("FR", now_s)
        by_host: dict[tuple[object, ...], Expecting] = {}
        found: list[Offer] = []
        for row in deployments:
            # Of a deployment only the building and the machine count: one method serves all with the same ones.
            host = (row.protocol, row.pue, row.hardware)
            if host not in by_host:
                by_host[host] = expecting(model, row, unit)
            place = place_of(row)
            found.append(Offer(row, row.id, None if place is None else place.zone, place, by_host[host]))
        self.all = tuple(found)
        hosted = replace(
            deployments[0], provider="reference", protocol="openai-chat", pue=1.0, pue_source="reference", hardware=None
        )
        self.reference = expecting(model, hosted, unit)
        self._stale_on: int | None = None
        self._stale_rates: Mapping[str, ExchangeRate] | None = None
        self._stale: tuple[tuple[str, ...], ...] = ()

    def stale(self, now_s: float, rates: Mapping[str, ExchangeRate] | None) -> tuple[tuple[str, ...], ...]:
        """What of each offer was checked too long ago. Dates have no hours, so that it holds for a day (UTC)."""
        day = int(now_s // _DAY_S)
        if day != self._stale_on or rates != self._stale_rates:
            self._stale = tuple([_stale(offer.deployment, now_s, rates) for offer in self.all])
            self._stale_on, self._stale_rates = day, None if rates is None else dict(rates)
        return self._stale


_offers: dict[tuple[int, ...], Offers] = {}


def offers_of(model: Model, deployments: Iterable[Deployment], now_s: float) -> Offers | None:
    """What is known of these very records, made ready at their first use; None where there are none.

    Raises:
        NotDefined: the method of one does not cover chat.
        InvalidInput: a row holds a number that its method refuses.
    """
    rows = tuple(deployments)
    if not rows:
        return None
    # What is kept holds on to its records, so that their identities stay theirs. Records are never changed.
    key = (id(model), *map(id, rows))
    found = _offers.get(key)
    if found is None:
        found = Offers(model, rows, now_s)
        if len(_offers) >= _KEPT:
            _offers.clear()
        _offers[key] = found
    return found


def place_of(deployment: Deployment) -> Place | None:
    """Where to ask about the electricity of `deployment`; None where its location is unknown."""
    if deployment.zone is None or deployment.location_evidence == "unknown":
        return None
    return Place(deployment.zone, deployment.cloud_region)


def _stale(row: Deployment, now_s: float, rates: Mapping[str, ExchangeRate] | None) -> tuple[str, ...]:
    currency = None if row.price is None else row.price.currency
    reasons = (
        ("stale_row", is_stale(row, now_s)),
        ("stale_rate", stale_rate(currency, now_s, rates=rates)),
    )
    return tuple(flag for flag, reason in reasons if reason is not None)
