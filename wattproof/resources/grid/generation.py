"""Carbon intensity computed from generation by fuel, with published lifecycle factors.

What this computes is generation-based: imports and exports do not enter it. What a battery or a pumped-storage plant
gives back was generated earlier, so storage counts on neither side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.observation import Observation

__all__ = ["STORAGE", "Factor", "Generation", "MixIntensity", "factors", "mix_intensity", "read_table"]

STORAGE = "storage"
_UNKNOWN = "unknown"
_MOST_UNKNOWN = 0.10
# A production type below this part of the window's generation may be late without making an interval incomplete.
_NEGLIGIBLE = 0.01
# The lower 48 states together generate less than a tenth of this in an hour.
_MOST_MWH = 1e7


@dataclass(frozen=True, slots=True)
class Factor:
    """Lifecycle emissions of one fuel [gCO2e/kWh generated]; None where the set has no figure."""

    fuel: str
    gco2e_per_kwh: float | None
    renewable: bool
    carbon_free: bool


@dataclass(frozen=True, slots=True)
class MixIntensity:
    """What a mix of generation gives [gCO2e/kWh generated], and what is not known of it.

    The value is that of the generation with a factor; `unknown_ratio_bps` is the part without one. Shares are of all
    generation, and what is unknown counts as neither renewable nor carbon-free: they are the least that is certain.
    `counted_as_zero` names fuels that stated negative net generation, which is a plant's own consumption.
    """

    value_gco2e_per_kwh: float
    renewable_ratio_bps: int
    carbon_free_ratio_bps: int
    unknown_ratio_bps: int
    counted_as_zero: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """Generation of one zone [MWh] by the source's own codes, per interval, as it was at `received_at` (Unix seconds).

    `by_interval` maps the start of an interval to the codes that have a figure there; a code without one is absent.
    `fuels` maps codes to fuels of the factor set or `storage`; any other code is unknown.
    """

    zone: str
    step_s: int
    received_at: int
    by_interval: Mapping[int, Mapping[str, float]]
    fuels: Mapping[str, str]
    source: str
    licence: str

    def newest(self) -> Observation:
        """The newest interval that has ended and is complete.

        An interval is complete when it has every production type that reaches 1 % of generation anywhere in the
        window: an interval whose gas is still missing would look far better than it was.

        Raises:
            GridUnavailable: no_data, unknown_mix or bad_value.
        """
        complete = self._complete()
        if not complete:
            raise GridUnavailable("no_data", f"{self.source} has no complete interval for {self.zone}.")
        return self._observed(complete[-1])

    def observations(self) -> tuple[Observation, ...]:
        """Every complete interval that gives a value, in order."""
        observed: list[Observation] = []
        for start in self._complete():
            try:
                observed.append(self._observed(start))
            except GridUnavailable:
                continue
        return tuple(observed)

    def _observed(self, start: int) -> Observation:
        by_fuel: dict[str, list[float]] = {}
        for code, mwh in self.by_interval[start].items():
            by_fuel.setdefault(self.fuels.get(code, _UNKNOWN), []).append(mwh)
        mix = mix_intensity(by_fuel)
        return Observation(
            zone=self.zone,
            value_gco2e_per_kwh=mix.value_gco2e_per_kwh,
            starts_at=start,
            step_s=self.step_s,
            received_at=self.received_at,
            basis="average",
            factor_scope="lifecycle",
            accounting="production",
            # Generation is metered, the factors are medians of plants elsewhere: the product is an estimate.
            evidence="estimated",
            source=self.source,
            licence=self.licence,
            renewable_ratio_bps=mix.renewable_ratio_bps,
            carbon_free_ratio_bps=mix.carbon_free_ratio_bps,
        )

    def _complete(self) -> list[int]:
        ended = sorted(start for start in self.by_interval if 0 <= start <= self.received_at - self.step_s)
        generated = {start: self._generated(start) for start in ended}
        most = max((sum(codes.values()) for codes in generated.values()), default=0.0)
        needed = {
            code for codes in generated.values() for code, mwh in codes.items() if mwh > 0 and mwh >= _NEGLIGIBLE * most
        }
        return [start for start in ended if needed and needed <= self.by_interval[start].keys()]

    def _generated(self, start: int) -> dict[str, float]:
        return {
            code: max(mwh, 0.0)
            for code, mwh in self.by_interval[start].items()
            if self.fuels.get(code, _UNKNOWN) != STORAGE
        }


def mix_intensity(energy_mwh: Mapping[str, list[float]]) -> MixIntensity:
    """Intensity of a mix [gCO2e/kWh]: the energy-weighted mean of its fuels' lifecycle factors.

    `energy_mwh` lists net generation by fuel, one figure per production type; `storage` is left out.

    Source: data/generation_factors.json, medians of IPCC AR5 WG III (2014), Annex III, table A.III.2.

    Raises:
        GridUnavailable: no_data (nothing was generated), unknown_mix (more than 10 % has no factor), bad_value.
    """
    table = factors()
    generated: dict[str, float] = {}
    for fuel, figures in energy_mwh.items():
        if fuel == STORAGE:
            continue
        if not all(math.isfinite(mwh) and abs(mwh) <= _MOST_MWH for mwh in figures):
            raise GridUnavailable("bad_value", f"An impossible generation of {fuel}: {max(figures, key=abs)!r} MWh.")
        name = fuel if fuel in table else _UNKNOWN
        generated[name] = generated.get(name, 0.0) + sum(max(mwh, 0.0) for mwh in figures)
    total = sum(generated.values())
    if total <= 0:
        raise GridUnavailable("no_data", "No generation is stated for the interval.")
    unknown = sum(mwh for fuel, mwh in generated.items() if table[fuel].gco2e_per_kwh is None)
    if unknown > _MOST_UNKNOWN * total:
        raise GridUnavailable("unknown_mix", f"{unknown / total:.0%} of the generation is of a kind without a factor.")
    grams = sum(mwh * (table[fuel].gco2e_per_kwh or 0.0) for fuel, mwh in generated.items())
    return MixIntensity(
        value_gco2e_per_kwh=grams / (total - unknown),
        renewable_ratio_bps=_bps(sum(mwh for fuel, mwh in generated.items() if table[fuel].renewable), total),
        carbon_free_ratio_bps=_bps(sum(mwh for fuel, mwh in generated.items() if table[fuel].carbon_free), total),
        unknown_ratio_bps=_bps(unknown, total),
        counted_as_zero=tuple(
            sorted(fuel for fuel, figures in energy_mwh.items() if fuel != STORAGE and min(figures, default=0.0) < 0)
        ),
    )


@cache
def factors() -> Mapping[str, Factor]:
    """The factor of every fuel that a mix may name."""
    rows = read_table("generation_factors.json")["fuels"]
    return {
        fuel: Factor(fuel, row["gco2e_per_kwh"], row["renewable"], row["carbon_free"]) for fuel, row in rows.items()
    }


@cache
def read_table(name: str) -> dict[str, Any]:
    """A table of `data/`, parsed; it says where its rows are from. Callers must not change it."""
    return json.loads((Path(__file__).parent / "data" / name).read_bytes())


def _bps(part: float, whole: float) -> int:
    return min(10_000, max(0, round(10_000 * part / whole)))
