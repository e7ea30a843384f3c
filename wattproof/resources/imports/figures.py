"""The figures of many records of one group: the arithmetic of `footprints.estimate`, prepared once, in integers.

Where numpy is installed, records are computed together (`figures_arrays.py`), otherwise one by one; both give the
integers that `methodology.integers.amounts` gives, within one unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot
from typing import TypeAlias

from wattproof.methodology.integers import AMOUNTS
from wattproof.methodology.methods.param import Indicators, ParamRates
from wattproof.methodology.propagate import Z90, Loadings, mean
from wattproof.methodology.quantity import Term
from wattproof.resources.imports.records import UsageRecord
from wattproof.resources.receipts.schema import OUTPUTS

__all__ = ["NO_FIGURES", "Figures", "GroupFigures", "Scale"]

Figures: TypeAlias = "tuple[tuple[int | None, ...], tuple[int | None, ...], tuple[int | None, ...]]"
"""Median, low and high of each of OUTPUTS; the means of the terms of energy [nWh]; those of carbon [ng]."""

Scale: TypeAlias = "tuple[float, float, float] | None"

NO_FIGURES: Figures = ((None,) * (3 * len(OUTPUTS)), (None,) * 4, (None,) * 4)

LIMIT = 2**53
_UNKNOWN = (None, None, None)
_UNITS = tuple(AMOUNTS[name] for name in OUTPUTS)
_FEW = 16


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """`scales` turn Wh at the accelerator into each output: (factor, integer units of its unit, sigma of ln of the
    factor), None where it is unknown. `means` turn the terms into the means of energy [nWh] and carbon [ng].
    """

    rates: ParamRates
    scales: tuple[Scale, ...]
    means: tuple[tuple[float, float], ...]

    @classmethod
    def at(cls, rates: ParamRates) -> GroupFigures:
        """The figures of a deployment."""
        factors = dict(zip(Indicators._fields, rates.multipliers, strict=True))
        found = [(factors[field], units) for field, units in _UNITS]
        wall, grams = rates.multipliers.energy.median, rates.multipliers.carbon.median
        per_term = zip(rates.energy_loadings, rates.carbon_loadings, strict=True)
        return cls(
            rates,
            tuple(None if each is None else (each.median, units, each.sigma_ln) for each, units in found),
            tuple((wall * 1e9 * _mean(energy), grams * 1e9 * _mean(carbon)) for energy, carbon in per_term),
        )

    def of(self, usages: Sequence[UsageRecord]) -> list[Figures | None]:
        """The figures of each record; None where one is more than an entry can hold.

        A bucket of several requests has those of its average request, as often.
        """
        found = _together(self, usages) if len(usages) >= _FEW else None
        return [self._of_one(usage) for usage in usages] if found is None else found

    def _of_one(self, usage: UsageRecord) -> Figures | None:
        times = usage.requests or 1
        terms_wh = self.rates.accelerator.terms_wh(
            usage.input_tokens / times, usage.cached_input_tokens / times, usage.output_tokens / times
        )
        used = 4 if terms_wh[3] else 3 if terms_wh[2] else 2
        median_wh, sigma_ln = self.rates.mixes[used].match(terms_wh[:used])
        amounts: list[int | None] = []
        for scale in self.scales:
            if scale is None:
                amounts += _UNKNOWN
                continue
            per_wh, units, sigma_ln_per_wh = scale
            spread = exp(Z90 * hypot(sigma_ln, sigma_ln_per_wh))
            median = median_wh * per_wh * units * times
            if not median * spread < LIMIT:
                return None
            amounts += (round(median), round(median / spread), round(median * spread))
        energy = tuple([round(wh * times * per_wh) for wh, (per_wh, _) in zip(terms_wh, self.means, strict=True)])
        carbon = tuple([round(wh * times * per_wh) for wh, (_, per_wh) in zip(terms_wh, self.means, strict=True)])
        return tuple(amounts), energy, carbon


def _together(figures: GroupFigures, usages: Sequence[UsageRecord]) -> list[Figures | None] | None:
    """The same with arrays; None where numpy is not installed, or an amount is too large for some."""
    try:
        from wattproof.resources.imports.figures_arrays import figures_of
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        return None
    return figures_of(figures, usages)


def _mean(loadings: Loadings) -> float:
    return mean(Term("", 1.0, loadings))
