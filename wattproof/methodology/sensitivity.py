"""Which unknown an interval comes from, and which input of the caller would shrink it most.

For a sum of log-normal terms with shared standard normal factors every Sobol index has a closed form. With m_k the mean
of term k, L_kj its loading on factor j and V = sum_ki m_k m_i (exp(sum_j L_kj L_ij) - 1):

    first order  S_j = sum_ki m_k m_i (exp(L_kj L_ij) - 1) / V
    total order  T_j = 1 - sum_ki m_k m_i (exp(sum_{n != j} L_kn L_in) - 1) / V

For one product these are (e^{s_j^2} - 1) / (e^S - 1) and (1 - e^{-s_j^2}) / (1 - e^{-S}) with S = sum s_j^2. Intervals
are ratios, so `drivers` shares out the variance of the logarithm instead: its shares add up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.methods import Activity, Intensity, Method
from wattproof.methodology.propagate import log_loadings, mean
from wattproof.methodology.quantity import Boundary, Quantity, Term

__all__ = ["Tightening", "drivers", "first_order", "total_order", "would_tighten"]


class Tightening(NamedTuple):
    """One input that the caller could supply, and the interval that it would leave around the same median.

    `ratio` is the width left, as a share of the present one: high/low with the input over high/low without.
    """

    input: str
    low: float
    high: float
    ratio: float


def drivers(terms: Sequence[Term]) -> tuple[tuple[str, float], ...]:
    """Each factor's share of the variance of the logarithm of the sum, largest first; the shares add up to 1.

    Exact for one term or equal loadings; otherwise by the slopes at the median. Empty where nothing is uncertain.
    """
    slopes = log_loadings(terms)
    total = math.fsum(slope * slope for slope in slopes.values())
    shares = ((factor, slope * slope / total) for factor, slope in slopes.items() if slope)
    return tuple(sorted(shares, key=lambda share: (-share[1], share[0])))


def first_order(terms: Sequence[Term]) -> dict[str, float]:
    """Share of the variance of the sum that each factor explains alone."""
    variance = _variance(terms, lambda _: True)
    return {factor: _variance(terms, lambda name, only=factor: name == only) / variance for factor in _factors(terms)}


def total_order(terms: Sequence[Term]) -> dict[str, float]:
    """Share of the variance of the sum that would be left over if all other factors were known."""
    variance = _variance(terms, lambda _: True)
    return {
        factor: 1.0 - _variance(terms, lambda name, without=factor: name != without) / variance
        for factor in _factors(terms)
    }


def would_tighten(
    method: Method,
    activity: Activity,
    *,
    boundary: Boundary = "comprehensive",
    indicator: str = "energy_wh",
    zone_known: bool = True,
) -> Tightening | None:
    """The one input that the caller could supply which shrinks the interval of `indicator` most.

    Each input is supplied at its present median, so that only the width changes. None where the indicator has no
    interval or nothing that a caller can supply would shrink it by 1 % or more.
    """
    now: Quantity | None = getattr(method.footprint(activity, boundary), indicator)
    if now is None or not now.low or not now.high:
        return None
    numbers = {operand.name: operand.number for operand in method.operands(activity)}
    best: Tightening | None = None
    for name, supply in _SUPPLIED.items():
        supplied = None if name == "zone" and zone_known else supply(activity, numbers)
        found = None if supplied is None else _tightened(name, now, method, supplied, boundary, indicator)
        if found is not None and found.ratio < (0.99 if best is None else best.ratio):
            best = found
    return best


def _tightened(
    name: str, now: Quantity, method: Method, supplied: Activity, boundary: Boundary, indicator: str
) -> Tightening | None:
    then: Quantity | None = getattr(method.footprint(supplied, boundary), indicator)
    if then is None or not then.low or not then.high or not now.low or not now.high:
        return None
    return Tightening(
        name,
        low=now.median * (then.low / then.median),
        high=now.median * (then.high / then.median),
        ratio=(then.high / then.low) / (now.high / now.low),
    )


def _batch(activity: Activity, numbers: Mapping[str, float]) -> Activity | None:
    if activity.batch is not None or "batch" not in numbers:
        return None
    return replace(activity, batch=numbers["batch"])


def _pue(activity: Activity, numbers: Mapping[str, float]) -> Activity | None:
    return None if activity.pue is not None or "pue" not in numbers else replace(activity, pue=numbers["pue"])


def _precision(activity: Activity, numbers: Mapping[str, float]) -> Activity | None:
    if activity.weight_bytes_per_param is not None or "bytes_per_param" not in numbers:
        return None
    return replace(activity, weight_bytes_per_param=numbers["bytes_per_param"])


def _zone(activity: Activity, _: Mapping[str, float]) -> Activity | None:
    """Any one zone, with the spread of a country that sources disagree about."""
    sigma_ln = read_edition("wattproof/grid_spread.json")["default_sigma_ln"]
    here = activity.intensity
    if here.sigma_ln <= sigma_ln:
        return None
    return replace(activity, intensity=Intensity(here.gco2e_per_kwh, sigma_ln, here.source_id))


def _cpu_seconds(activity: Activity, numbers: Mapping[str, float]) -> Activity | None:
    """The seconds that the method predicts, as if they had been metered."""
    if activity.cpu_measured or "cpu_s_per_input_token" not in numbers:
        return None
    fresh = numbers["input_tokens"] - numbers["cached_input_tokens"]
    seconds = numbers["cpu_s_per_input_token"] * fresh + numbers["cpu_s_per_output_token"] * numbers["output_tokens"]
    return replace(activity, cpu_seconds=seconds, cpu_measured=True)


_SUPPLIED: Mapping[str, Callable[[Activity, Mapping[str, float]], Activity | None]] = {
    "batch": _batch,
    "zone": _zone,
    "weight_bytes_per_param": _precision,
    "pue": _pue,
    "cpu_seconds": _cpu_seconds,
}


def _factors(terms: Sequence[Term]) -> list[str]:
    return sorted({factor for term in terms for factor, sigma in term.loadings if sigma})


def _variance(terms: Sequence[Term], counts: Callable[[str], bool]) -> float:
    """Variance of the sum's expectation given the factors that count."""
    weighted = [(mean(term), {name: sigma for name, sigma in term.loadings if counts(name)}) for term in terms]
    return math.fsum(
        m * m_other * math.expm1(math.fsum(sigma * other.get(name, 0.0) for name, sigma in loadings.items()))
        for m, loadings in weighted
        for m_other, other in weighted
    )
