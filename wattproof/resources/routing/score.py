"""The three terms of a score, and what "no meaningful difference" is.

Source: weights of the presets follow Melious' published flavours; scales are our own dated edition (`scales.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from wattproof.methodology.propagate import Z90
from wattproof.methodology.significance import chance_below
from wattproof.resources.grid.reading import Reading
from wattproof.resources.routing.limits import ceiling_basis
from wattproof.resources.routing.records import Candidate, Weights
from wattproof.resources.routing.scales import Scales

__all__ = ["Basis", "Scored", "common_basis", "score"]


class Basis(NamedTuple):
    """What carbon is ranked on: every candidate's own reading, or the annual edition for all of them.

    `readings` holds, in the order of the candidates, the reading that ranks each; None where its location is unknown.
    """

    source: str
    forced_by: str | None
    readings: Sequence[Reading | None]


@dataclass(slots=True)
class Scored:
    """A candidate with its terms (each 0..1), the weighted sum of them, and whether it is in the best carbon band.

    `total` is rounded to 9 digits, so that floating-point noise never decides between equals.
    """

    candidate: Candidate
    environment: float
    price: float
    speed: float
    total: float
    flags: tuple[str, ...]
    in_best_band: bool

    @property
    def terms(self) -> tuple[tuple[str, float], ...]:
        return (("environment", self.environment), ("price", self.price), ("speed", self.speed))


@dataclass(slots=True)
class _Located:
    """A candidate of known location and its grams per kWh of reference energy.

    `ranked_as` is what ranks it: the median, or the high end where the zone is inferred; `location_sigma` is the log
    standard deviation of being elsewhere.
    """

    place: int
    candidate: Candidate
    reading: Reading
    median: float
    location_sigma: float
    ranked_as: float


def common_basis(candidates: Sequence[Candidate]) -> Basis:
    """One source of readings that covers all `candidates`, else the annual edition and who forced it.

    Readings of different sources, accounting or factor scope are not comparable. Unknown locations force nothing:
    their carbon is unknown on any source.
    """
    readings = [ceiling_basis(candidate) for candidate in candidates]
    by_kind: dict[tuple[str, str, str], list[Candidate]] = {}
    annual_source = "none"
    for candidate, reading in zip(candidates, readings, strict=True):
        if reading is not None:
            by_kind.setdefault((reading.source, reading.factor_scope, reading.accounting), []).append(candidate)
            annual_source = candidate.annual_reading.source
    if len(by_kind) == 1:
        ((source, _, _),) = by_kind
        return Basis(source, None, readings)
    annual = [candidate.annual_reading if candidate.annual_reading.zone_known else None for candidate in candidates]
    if not by_kind:
        return Basis("none", None, annual)
    forcing = min(by_kind.items(), key=lambda item: (item[0][0] != annual_source, len(item[1]), item[0]))[1]
    return Basis(annual_source, min(c.deployment.id for c in forcing), annual)


def score(candidates: Sequence[Candidate], basis: Basis, weights: Weights, scales: Scales) -> list[Scored]:
    """Terms and totals of the allowed candidates, in the order given.

    The candidates of the best carbon band get the environment term of the best of them, so that price and speed
    decide inside the band. A location that nobody stated is ranked at the high end of where it may be, so that a guess
    never beats a statement by the luck of its median.
    """
    environment = [0.0] * len(candidates)
    located: list[_Located] = []
    nowhere: set[int] = set()
    for place, (candidate, reading) in enumerate(zip(candidates, basis.readings, strict=True)):
        if reading is None:
            nowhere.add(place)
            environment[place] = scales.environment.score(_high_end(candidate, scales))
        else:
            located.append(_located(place, candidate, reading, scales))
    band: set[int] = set()
    if located:
        lowest = min([one.ranked_as for one in located])
        best = min([one for one in located if one.ranked_as == lowest], key=lambda one: one.candidate.deployment.id)
        band = {one.place for one in located if one is best or _as_good(one, best, scales)}
        best_score = scales.environment.score(best.ranked_as)
        for one in located:
            environment[one.place] = best_score if one.place in band else scales.environment.score(one.ranked_as)
    return [
        _scored(candidate, environment[place], place not in nowhere, place in band, weights, scales)
        for place, candidate in enumerate(candidates)
    ]


def _scored(
    candidate: Candidate, environment: float, located: bool, in_band: bool, weights: Weights, scales: Scales
) -> Scored:
    health, usd_per_mtok = candidate.health, candidate.usd_per_mtok
    tokens_per_s = health.tokens_per_s or candidate.deployment.speed_tokens_per_s
    price = speed = scales.unknown_score
    flags: tuple[str, ...] = ()
    if not located:
        flags = ("environment_unknown",)
    elif candidate.deployment.location_evidence == "inferred":
        flags = ("location_inferred",)
    if usd_per_mtok is None:
        flags = (*flags, "price_unknown")
    else:
        price = scales.price.score(usd_per_mtok)
    if tokens_per_s is None:
        flags = (*flags, "speed_unknown")
    else:
        speed = scales.speed.score(tokens_per_s)
    speed *= 1.0 - (health.error_rate or 0.0)
    total = round(weights.environment * environment + weights.price * price + weights.speed * speed, 9)
    return Scored(candidate, environment, price, speed, total, flags, in_band)


def _located(place: int, candidate: Candidate, reading: Reading, scales: Scales) -> _Located:
    """Intensity x PUE where the energy is the same, more where it takes more."""
    median = reading.value_gco2e_per_kwh * _energy_ratio(candidate, scales)
    if candidate.deployment.location_evidence != "inferred":
        return _Located(place, candidate, reading, median, 0.0, median)
    sigma = scales.inferred_sigma_ln
    return _Located(place, candidate, reading, median, sigma, median * math.exp(Z90 * sigma))


def _high_end(candidate: Candidate, scales: Scales) -> float:
    """Grams per kWh of reference energy at the 95 % point of the mixture of zones."""
    mixture = candidate.annual_reading
    high = mixture.high_gco2e_per_kwh
    if high is None:
        high = mixture.value_gco2e_per_kwh * math.exp(Z90 * mixture.sigma_ln)
    return high * _energy_ratio(candidate, scales)


def _energy_ratio(candidate: Candidate, scales: Scales) -> float:
    if candidate.energy_wh is not None and candidate.reference_energy_wh:
        return candidate.energy_wh.median / candidate.reference_energy_wh
    return candidate.deployment.pue or scales.pue_if_unknown


def _as_good(one: _Located, best: _Located, scales: Scales) -> bool:
    """Whether the probability of `one` beating the best on carbon is at least the threshold."""
    return chance_below(one.median, best.median, _difference_sigma(one, best)) >= scales.significance


def _difference_sigma(one: _Located, other: _Located) -> float:
    """Standard deviation of the difference of two log footprints; what both share cancels."""
    same_provider = one.candidate.deployment.provider == other.candidate.deployment.provider
    same_zone = one.reading.zone == other.reading.zone
    variance = 0.0
    if not same_provider:
        variance += one.candidate.carbon_sigma_own**2 + other.candidate.carbon_sigma_own**2
    if not same_zone:
        variance += one.reading.sigma_ln**2 + other.reading.sigma_ln**2
    if not (same_provider and same_zone):
        variance += one.location_sigma**2 + other.location_sigma**2
    return math.sqrt(variance)
