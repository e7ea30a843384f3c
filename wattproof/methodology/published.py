"""Do the samples that other systems publish follow from the formula that they publish?

Each sample is recomputed to telling numbers, which must lie between two bounds. The samples are data; what the formula
of a system implies is one small function per telling number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.zones import all_zones, zone_average

__all__ = ["Finding", "PublishedSample", "Telling", "check_published", "published_samples"]

Verdict = Literal["follows", "does_not_follow", "no_formula"]

_FAR_FROM_AVERAGE = 5.0
"""An hour is further than this from its zone's annual average so rarely that a sample should not be."""

_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class PublishedSample:
    """A sample record of a system, the formula that the system states, and which checks show whether they agree."""

    system: str
    checks: tuple[str, ...]
    formula: str | None
    stated: Mapping[str, Any]
    source: str


class Telling(NamedTuple):
    """A number that the sample implies, its unit in its name, and the bounds that the system's formula gives it."""

    quantity: str
    implied: float
    low: float
    high: float

    @property
    def follows(self) -> bool:
        return self.low <= self.implied <= self.high

    def words(self) -> str:
        """The number beside its bounds."""
        bounds = f"at least {self.low:.3g}" if self.high == inf else f"{self.low:.3g} to {self.high:.3g}"
        return f"{self.quantity} is {self.implied:.4g}, not {bounds}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a sample follows from its own formula, and by which numbers; none where there is no formula."""

    system: str
    verdict: Verdict
    text: str
    tellings: tuple[Telling, ...] = ()


@cache
def published_samples() -> tuple[PublishedSample, ...]:
    """Every published sample of the edition."""
    return tuple(
        PublishedSample(
            system=row["system"],
            checks=tuple(row["checks"]),
            formula=row["formula"],
            stated=MappingProxyType(row["stated"]),
            source=row["source"],
        )
        for row in read_edition("wattproof/published_samples.json")["samples"]
    )


def check_published(sample: PublishedSample) -> Finding:
    """Recompute a sample by the formula that its system states."""
    if not sample.checks:
        return Finding(sample.system, "no_formula", f"{sample.system} publishes no formula to check: {sample.source}.")
    tellings = tuple(_CHECKS[check](sample.stated) for check in sample.checks)
    wrong = [telling.words() for telling in tellings if not telling.follows]
    if not wrong:
        return Finding(sample.system, "follows", f"{sample.system}: follows from its own formula.", tellings)
    text = f"{sample.system}: does not follow from its own formula ({sample.formula}): {'; '.join(wrong)}."
    return Finding(sample.system, "does_not_follow", text, tellings)


def _least_energy_per_token(stated: Mapping[str, Any]) -> Telling:
    """Tokens follow from carbon and carbon per 1,000 tokens; a model of no parameters at all still costs beta."""
    tokens = stated["carbon_gco2e"] / stated["carbon_gco2e_per_1k_tokens"] * 1000
    beta_wh = read_edition("wattproof/lowrouter.json")["constants"]["beta"]["value"]
    return Telling("wh_per_token", stated["energy_wh"] / tokens, beta_wh, inf)


def _intensity_of_zone(stated: Mapping[str, Any]) -> Telling:
    average = zone_average(stated["zone"]).value_gco2e_per_kwh
    implied = stated["carbon_gco2e"] / stated["energy_wh"] * 1000
    return Telling("gco2e_per_kwh", implied, average / _FAR_FROM_AVERAGE, average * _FAR_FROM_AVERAGE)


def _intensity_of_any_zone(stated: Mapping[str, Any]) -> Telling:
    """Where no zone is stated, some zone of the edition must explain it."""
    averages = [zone_average(zone).value_gco2e_per_kwh for zone in all_zones()]
    implied = stated["carbon_gco2e"] / (stated["it_wh"] * stated["pue"]) * 1000
    return Telling("gco2e_per_kwh", implied, min(averages), max(averages))


def _narrow_share(stated: Mapping[str, Any]) -> Telling:
    """The accelerator's share of the comprehensive energy, against the one that the system states."""
    comprehensive_wh = stated["it_wh"] * stated["pue"]
    return Telling("narrow_share", stated["gpu_wh"] / comprehensive_wh, *stated["narrow_share"])


def _mass_per_million_tokens(stated: Mapping[str, Any]) -> Telling:
    expected = stated["carbon_kgco2e"] * 1000 / stated["tokens"] * 1e6
    implied = stated["carbon_gco2e_per_1m_tokens"]
    return Telling("gco2e_per_1m_tokens", implied, expected * (1 - _ROUNDING), expected * (1 + _ROUNDING))


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Telling]] = MappingProxyType(
    {
        "least_energy_per_token": _least_energy_per_token,
        "intensity_of_zone": _intensity_of_zone,
        "intensity_of_any_zone": _intensity_of_any_zone,
        "narrow_share": _narrow_share,
        "mass_per_million_tokens": _mass_per_million_tokens,
    }
)
