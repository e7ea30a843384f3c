"""How long an answer will be when nobody says: published distributions of output length, and what they do to intervals.

The length is one more log-normal factor, independent of the others. It is added to intervals that are credible; a range
or a bare figure of a published method stays as it is published, at the prior's median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wattproof.methodology.propagate import Z90
from wattproof.methodology.quantity import Footprint, Quantity, Term, Usage

if TYPE_CHECKING:
    from wattproof.methodology.models import Model
    from wattproof.resources.footprints import Estimate

__all__ = ["OUTPUT_LENGTH", "OutputPrior", "output_prior", "widened"]

OUTPUT_LENGTH = "output_length"
"""The factor's name in the loadings of terms."""

_QUANTITIES = (
    "energy_wh",
    "carbon_gco2e",
    "carbon_market_gco2e",
    "carbon_embodied_gco2e",
    "water_ml",
    "water_onsite_ml",
    "water_offsite_ml",
    "adpe_kgsbeq",
)


@dataclass(frozen=True, slots=True)
class OutputPrior:
    """Output tokens of one request: median, 5 and 95 % points, and what they were taken from."""

    median_tokens: int
    low_tokens: int
    high_tokens: int
    source: str
    source_id: str


def output_prior(model: Model, reasoning_tokens: int = 0) -> OutputPrior:
    """The prior for a model: chat answers, or answers after long reasoning; never below the reasoning that is known.

    Source: ML.ENERGY leaderboard, distributions of output length (edition file `output_length.json`).
    """
    from wattproof.methodology.data import read_edition

    table = read_edition("wattproof/output_length.json")
    row = table["priors"]["long_reasoning" if model.reasoning else "chat"]
    low, median, high = (max(row[name], reasoning_tokens) for name in ("low_tokens", "median_tokens", "high_tokens"))
    return OutputPrior(median, low, high, row["task"], table["source_id"])


def widened(found: Estimate, prior: OutputPrior) -> Estimate:
    """The estimate at the prior's median with the spread of the prior in its credible intervals and terms."""
    footprint = found.footprint
    if footprint.interval != "credible90":
        return found
    short, long = (_at(found, tokens) for tokens in (prior.low_tokens, prior.high_tokens))
    quantities = {
        name: _widened(*(getattr(each, name) for each in (footprint, short, long)))
        for name in _QUANTITIES
        if getattr(footprint, name) is not None
    }
    terms = {
        name: _loaded(*(getattr(each, name) for each in (footprint, short, long)))
        for name in ("energy_terms", "carbon_terms")
    }
    return replace(found, footprint=replace(footprint, **quantities, **terms))


def _at(found: Estimate, output_tokens: int) -> Footprint:
    usage = found.activity.usage
    changed = Usage(usage.input_tokens, output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
    return found.method.footprint(replace(found.activity, usage=changed), found.footprint.boundary)


def _widened(here: Quantity, short: Quantity, long: Quantity) -> Quantity:
    """Distances from the median add up as squares in the logarithm, downwards and upwards apart."""
    if not here.low or not here.high or not short.median:
        return here
    down = math.hypot(math.log(here.median / here.low), math.log(here.median / short.median))
    up = math.hypot(math.log(here.high / here.median), math.log(long.median / here.median))
    return Quantity(here.median, here.median * math.exp(-down), here.median * math.exp(up))


def _loaded(here: tuple[Term, ...], short: tuple[Term, ...], long: tuple[Term, ...]) -> tuple[Term, ...]:
    lows, highs = ({term.name: term.median for term in terms} for terms in (short, long))
    return tuple(_with_length(term, lows.get(term.name, 0.0), highs.get(term.name, 0.0)) for term in here)


def _with_length(term: Term, low: float, high: float) -> Term:
    if low <= 0 or high <= low:
        return term
    sigma_ln = math.log(high / low) / (2 * Z90)
    return replace(term, loadings=tuple(sorted((*term.loadings, (OUTPUT_LENGTH, sigma_ln)))))
