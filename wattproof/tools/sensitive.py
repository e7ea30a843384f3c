"""What widens an interval most, in words and as shares, and what the caller could supply to narrow it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wattproof.tools.figures import rounded, significant

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Footprint, Term
    from wattproof.methodology.sensitivity import Tightening
    from wattproof.resources.footprints import Estimate

__all__ = ["dominant_factor", "driver_shares", "factor_words", "sensitivity_fields", "tightening_words"]

_FACTOR_WORDS = {
    "accelerator_load": "the load of the accelerators",
    "active_params": "model size",
    "attention": "the cost of long prompts",
    "batch": "batch size",
    "cached_input": "the cost of cached input",
    "cpu_seconds": "CPU time per token",
    "fit": "the energy regression",
    "grid": "grid intensity",
    "hardware": "the hardware",
    "output_length": "the length of the answer",
    "overhead": "the share of host and idle",
    "prefill": "energy per input token",
    "pue": "PUE",
    "watts": "power per CPU thread",
    "weights": "model size",
}
_INDICATORS = ("energy_wh", "carbon_gco2e")


def factor_words(factor: str) -> str:
    """A factor as a person would call it."""
    return _FACTOR_WORDS.get(factor, factor.replace("_", " "))


def dominant_factor(footprint: Footprint) -> str | None:
    """The one unknown that widens the energy interval most, in words; None where nothing is uncertain."""
    from wattproof.methodology.sensitivity import drivers

    found = drivers(footprint.energy_terms)
    return factor_words(found[0][0]) if found else None


def driver_shares(terms: tuple[Term, ...]) -> list[dict[str, Any]]:
    """Each factor with its share of the variance of the logarithm, largest first; below 0.1 % it is left out."""
    from wattproof.methodology.sensitivity import drivers

    return [
        {"factor": factor, "words": factor_words(factor), "share": rounded(share)}
        for factor, share in drivers(terms)
        if share >= 1e-3
    ]


def sensitivity_fields(found: Estimate) -> dict[str, Any]:
    """Shares of the variance by factor, and the one input that would narrow each interval most."""
    footprint = found.footprint
    return {
        "drivers": {
            "energy_wh": driver_shares(footprint.energy_terms),
            "carbon_gco2e": driver_shares(footprint.carbon_terms),
        },
        "would_tighten": {indicator: _fields(_tightening(found, indicator)) for indicator in _INDICATORS},
    }


def tightening_words(fields: dict[str, Any]) -> str | None:
    """`known.batch would narrow energy to 0.34 of its width`, from what `sensitivity_fields` gives; None if nothing."""
    energy, climate = (fields["would_tighten"][indicator] for indicator in _INDICATORS)
    told = [
        f"{_argument(each['input'])} would narrow {words} to {significant(each['ratio'])} of its width"
        for each, words in ((energy, "energy"), (climate, "CO2e"))
        if each is not None and (each is energy or energy is None or each["input"] != energy["input"])
    ]
    return "; ".join(told) or None


def _argument(name: str) -> str:
    """An input by the name of the argument of `estimate_request` that takes it."""
    from wattproof.tools.estimate_arguments import Known

    return f"known.{name}" if name in Known.model_fields else name


def _fields(found: Tightening | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"input": found.input, "low": rounded(found.low), "high": rounded(found.high), "ratio": rounded(found.ratio)}


def _tightening(found: Estimate, indicator: str) -> Tightening | None:
    """What the method's own inputs offer, or the length of the answer where it is a prior and matters more."""
    from wattproof.methodology.sensitivity import Tightening, would_tighten

    method, activity, boundary = found.method, found.activity, found.footprint.boundary
    offered = would_tighten(
        method, activity, boundary=boundary, indicator=indicator, zone_known=found.reading.zone_known
    )
    wide, bare = getattr(found.footprint, indicator), getattr(method.footprint(activity, boundary), indicator)
    if wide is None or bare is None or not wide.low or not bare.low or wide == bare:
        return offered
    # The prior of the length lies on top: widths add up as squares of logarithms.
    widest, own = math.log(wide.high / wide.low), math.log(bare.high / bare.low)
    length = Tightening("output_tokens", bare.low, bare.high, math.exp(own - widest))
    if offered is None:
        return length
    left = math.hypot(math.log(offered.high / offered.low), math.sqrt(max(0.0, widest**2 - own**2)))
    ratio = math.exp(left - widest)
    if length.ratio <= ratio:
        return length
    reach = math.exp(left / 2)
    return offered._replace(low=bare.median / reach, high=bare.median * reach, ratio=ratio)
