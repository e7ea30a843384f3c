"""The three terms of a score, and what "no meaningful difference" is.

Source: weights of the presets follow Melious' published flavours; scales are our own dated edition (`scales.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wattproof.methodology.significance import chance_below
from wattproof.resources.grid.reading import Reading
from wattproof.resources.routing.limits import ceiling_basis
from wattproof.resources.routing.records import Candidate, Weights
from wattproof.resources.routing.scales import Scales

__all__ = ["Basis", "Scored", "common_basis", "score"]


@dataclass(frozen=True, slots=True)
class Basis:
    """What carbon is ranked on: every candidate's own reading, or the annual edition for all of them."""

    annual: bool
    source: str
    forced_by: str | None

    def reading(self, candidate: Candidate) -> Reading | None:
        """The reading that ranks `candidate`; None where its location is unknown."""
        if not candidate.annual_reading.zone_known:
            return None
        return candidate.annual_reading if self.annual else ceiling_basis(candidate)


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its terms (each 0..1), the weighted sum of them, and whether it is in the best carbon band."""

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


def common_basis(candidates: Sequence[Candidate]) -> Basis:
    """One source of readings that covers all `candidates`, else the annual edition and who forced it.

    Readings of different sources, accounting or factor scope are not comparable. Unknown locations force nothing:
    their carbon is unknown on any source.
    """
    located = [c for c in candidates if c.annual_reading.zone_known]
    if not located:
        return Basis(annual=True, source="none", forced_by=None)
    by_kind: dict[tuple[str, str, str], list[Candidate]] = {}
    for candidate in located:
        by_kind.setdefault(_kind(ceiling_basis(candidate) or candidate.annual_reading), []).append(candidate)
    if len(by_kind) == 1:
        ((source, _, _),) = by_kind
        return Basis(annual=False, source=source, forced_by=None)
    annual_source = located[0].annual_reading.source
    forcing = min(by_kind.items(), key=lambda item: (item[0][0] != annual_source, len(item[1]), item[0]))[1]
    return Basis(annual=True, source=annual_source, forced_by=min(c.deployment.id for c in forcing))


def score(candidates: Sequence[Candidate], basis: Basis, weights: Weights, scales: Scales) -> tuple[Scored, ...]:
    """Terms and totals of the allowed candidates, in the order given.

    The candidates of the best carbon band get the environment term of the best of them, so that price and speed
    decide inside the band.
    """
    carbon = {c.deployment.id: _carbon(c, basis, scales) for c in candidates}
    band = _best_band(candidates, carbon, basis, scales)
    best = min((x for key in band if (x := carbon[key]) is not None), default=None)
    ranked_as = {key: best if key in band else x for key, x in carbon.items()}
    return tuple(_scored(c, ranked_as[c.deployment.id], c.deployment.id in band, weights, scales) for c in candidates)


def _scored(candidate: Candidate, carbon: float | None, in_band: bool, weights: Weights, scales: Scales) -> Scored:
    speed = candidate.health.tokens_per_s or candidate.deployment.speed_tokens_per_s
    inputs = (
        ("environment", scales.environment, carbon),
        ("price", scales.price, candidate.usd_per_mtok),
        ("speed", scales.speed, speed),
    )
    environment, price, tokens_per_s = (
        scales.unknown_score if value is None else scale.score(value) for _, scale, value in inputs
    )
    tokens_per_s *= 1.0 - (candidate.health.error_rate or 0.0)
    return Scored(
        candidate,
        environment,
        price,
        tokens_per_s,
        total=weights.environment * environment + weights.price * price + weights.speed * tokens_per_s,
        flags=tuple(f"{name}_unknown" for name, _, value in inputs if value is None),
        in_best_band=in_band,
    )


def _kind(reading: Reading) -> tuple[str, str, str]:
    return reading.source, reading.factor_scope, reading.accounting


def _carbon(candidate: Candidate, basis: Basis, scales: Scales) -> float | None:
    """Grams per kWh of reference energy: intensity x PUE where the energy is the same, more where it takes more."""
    reading = basis.reading(candidate)
    if reading is None:
        return None
    intensity = reading.value_gco2e_per_kwh
    if candidate.energy_wh is not None and candidate.reference_energy_wh:
        return intensity * candidate.energy_wh.median / candidate.reference_energy_wh
    return intensity * (candidate.deployment.pue or scales.pue_if_unknown)


def _best_band(
    candidates: Sequence[Candidate], carbon: dict[str, float | None], basis: Basis, scales: Scales
) -> frozenset[str]:
    """Ids of the candidates whose probability of beating the best on carbon is at least the threshold."""
    known = [(c, x) for c in candidates if (x := carbon[c.deployment.id]) is not None]
    if not known:
        return frozenset()
    best, lowest = min(known, key=lambda pair: (pair[1], pair[0].deployment.id))
    return frozenset(
        c.deployment.id
        for c, x in known
        if c is best or chance_below(x, lowest, _difference_sigma(c, best, basis)) >= scales.significance
    )


def _difference_sigma(one: Candidate, other: Candidate, basis: Basis) -> float:
    """Standard deviation of the difference of two log footprints; what both share cancels."""
    if one.deployment.provider == other.deployment.provider:
        own = 0.0
    else:
        own = one.carbon_sigma_own**2 + other.carbon_sigma_own**2
    mine, theirs = basis.reading(one), basis.reading(other)
    if mine is None or theirs is None or mine.zone == theirs.zone:
        return math.sqrt(own)
    return math.sqrt(own + mine.sigma_ln**2 + theirs.sigma_ln**2)
