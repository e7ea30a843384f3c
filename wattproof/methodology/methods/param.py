"""`wattproof/param@1.0.0`: energy from the size of the model, the tokens and what is known of the deployment.

The decode term is our regression on published GPU energy per output token (edition file `energy_fit.json`); the prefill
term counts floating-point operations; host, idle and PUE turn accelerator energy into energy at the wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.method import FactorScope, Method, Prepared, token_operands
from wattproof.methodology.methods.param_operands import OPERAND_UNITS, assumed, constants
from wattproof.methodology.propagate import Loadings, Mix, mix
from wattproof.methodology.quantity import Boundary, Footprint, Quantity, Term, Workload

__all__ = ["PARAM", "Figures", "ParamRates", "rates"]

_FORMULA = """\
decode  = exp(fit_const + fit_ln_active_params ln(active_params_b) + fit_ln_weights ln(total_params_b bytes_per_param)
              + fit_ln_batch ln(batch) + fit_b200 is_b200 + fit_long_reasoning is_long_reasoning)   [Wh/output token]
prefill = prefill_wh_per_token_b active_params_b                                                    [Wh/input token]
wall    = 1                      (narrow)
        = overhead_ratio pue     (comprehensive)
energy  = wall generates decode output_tokens
        + wall prefill (input_tokens - cached_input_tokens)
        + wall prefill cached_input_ratio cached_input_tokens                                       [Wh]
carbon  = energy intensity_gco2e_per_kwh / 1000                                                     [gCO2e, location]
Each of the three terms is log-normal around its value; the standard deviations of its logarithm, by independent factor:
decode  fit_ln_active_params sigma_ln_active_params (active), fit_ln_weights sigma_ln_weights,
        fit_ln_batch sigma_ln_batch, sigma_ln_fit, sigma_ln_hardware (hardware)
prefill sigma_ln_active_params (active), sigma_ln_hardware (hardware), sigma_ln_prefill (prefill)
cached  as prefill, and sigma_ln_cached_input
comprehensive: sigma_ln_overhead and sigma_ln_pue on every term; carbon: sigma_ln_intensity on every term.
Factors of the same name are shared. The sum is matched by one log-normal (Fenton-Wilkinson): median and 5 to 95 %."""

_FACTOR_SCOPES: Mapping[str, FactorScope] = MappingProxyType(
    {
        "active_params": "model",
        "batch": "provider",
        "cached_input": "provider",
        "fit": "model",
        "grid": "zone",
        "hardware": "provider",
        "overhead": "provider",
        "prefill": "global",
        "pue": "provider",
        "weights": "model",
    }
)


class Figures(NamedTuple):
    """Energy and location-based carbon of one request, and the medians of its terms [Wh]."""

    energy_wh: Quantity
    carbon_gco2e: Quantity
    terms_wh: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ParamRates:
    """The formula for one deployment, up to the token counts: per term a rate and its loadings.

    Terms are decode, prefill and cached; `wh_per_token` is energy within the boundary.
    """

    boundary: Boundary
    wh_per_token: tuple[float, float, float]
    energy_loadings: tuple[Loadings, Loadings, Loadings]
    carbon_loadings: tuple[Loadings, Loadings, Loadings]
    mix: Mix
    intensity_gco2e_per_wh: float
    sigma_ln_intensity: float

    def figures(self, input_tokens: float, cached_input_tokens: float, output_tokens: float) -> Figures:
        """Energy and location-based carbon of one request."""
        decode, prefill, cached = self.wh_per_token
        fresh_input_tokens = input_tokens - cached_input_tokens
        terms_wh = (decode * output_tokens, prefill * fresh_input_tokens, cached * cached_input_tokens)
        energy = self.mix.match(terms_wh)
        carbon = energy.times(self.intensity_gco2e_per_wh, self.sigma_ln_intensity)
        return Figures(energy.quantity(), carbon.quantity(), terms_wh)

    def footprint(self, n: Mapping[str, float]) -> Footprint:
        """The footprint of the request with the token counts `n`."""
        input_tokens, cached_input_tokens, output_tokens = _token_counts(n)
        if not (input_tokens >= cached_input_tokens >= 0 <= output_tokens):
            raise InvalidInput("input_tokens", "gives a negative count", "cached input is a part of input")
        energy_wh, carbon_gco2e, terms_wh = self.figures(input_tokens, cached_input_tokens, output_tokens)
        per_term = zip(_TERMS, terms_wh, self.energy_loadings, self.carbon_loadings, strict=True)
        used = [term for term in per_term if term[1]]
        return Footprint(
            method_id=PARAM.id,
            interval="credible90",
            tier="parametric",
            boundary=self.boundary,
            energy_wh=energy_wh,
            carbon_gco2e=carbon_gco2e,
            reasons=_REASONS,
            energy_terms=tuple([Term(name, wh, energy) for name, wh, energy, _ in used]),
            carbon_terms=tuple([Term(name, wh * self.intensity_gco2e_per_wh, carbon) for name, wh, _, carbon in used]),
        )


_TERMS = ("decode", "prefill", "cached")
_token_counts = itemgetter("input_tokens", "cached_input_tokens", "output_tokens")


def rates(n: Mapping[str, float], boundary: Boundary) -> ParamRates:
    """The formula at the numbers `n` of a deployment's operands; token counts in `n` are not read."""
    decode_wh_per_token = exp(
        n["fit_const"]
        + n["fit_ln_active_params"] * log(n["active_params_b"])
        + n["fit_ln_weights"] * log(n["total_params_b"] * n["bytes_per_param"])
        + n["fit_ln_batch"] * log(n["batch"])
        + n["fit_b200"] * n["is_b200"]
        + n["fit_long_reasoning"] * n["is_long_reasoning"]
    )
    prefill_wh_per_token = n["prefill_wh_per_token_b"] * n["active_params_b"]
    wall = n["overhead_ratio"] * n["pue"] if boundary == "comprehensive" else 1.0
    loadings = _loadings(n, boundary)
    return ParamRates(
        boundary=boundary,
        wh_per_token=(
            wall * decode_wh_per_token * n["generates"],
            wall * prefill_wh_per_token,
            wall * prefill_wh_per_token * n["cached_input_ratio"],
        ),
        energy_loadings=loadings,
        carbon_loadings=_with_grid(loadings, n["sigma_ln_intensity"]),
        mix=mix(loadings),
        intensity_gco2e_per_wh=n["intensity_gco2e_per_kwh"] / 1000,
        sigma_ln_intensity=n["sigma_ln_intensity"],
    )


def _loadings(n: Mapping[str, float], boundary: Boundary) -> tuple[Loadings, Loadings, Loadings]:
    """How far each factor moves the logarithm of the decode, prefill and cached terms.

    Batch acts on decode alone, so its sign has no effect; it is kept positive for those who rank factors.
    """
    wall = {"overhead": n["sigma_ln_overhead"], "pue": n["sigma_ln_pue"]} if boundary == "comprehensive" else {}
    decode = {
        "active_params": n["fit_ln_active_params"] * n["sigma_ln_active_params"],
        "batch": abs(n["fit_ln_batch"]) * n["sigma_ln_batch"],
        "fit": n["sigma_ln_fit"],
        "hardware": n["sigma_ln_hardware"],
        "weights": n["fit_ln_weights"] * n["sigma_ln_weights"],
    }
    prefill = {
        "active_params": n["sigma_ln_active_params"],
        "hardware": n["sigma_ln_hardware"],
        "prefill": n["sigma_ln_prefill"],
    }
    cached = {**prefill, "cached_input": n["sigma_ln_cached_input"]}
    return _sorted({**decode, **wall}), _sorted({**prefill, **wall}), _sorted({**cached, **wall})


def _with_grid(loadings: tuple[Loadings, Loadings, Loadings], sigma_ln: float) -> tuple[Loadings, Loadings, Loadings]:
    decode, prefill, cached = (_sorted({**dict(term), "grid": sigma_ln}) for term in loadings)
    return decode, prefill, cached


def _sorted(factors: Mapping[str, float]) -> Loadings:
    return tuple(sorted((factor, sigma) for factor, sigma in factors.items() if sigma))


def _prepare(n: Mapping[str, float], boundary: Boundary) -> Prepared:
    return rates(n, boundary).footprint


PARAM = Method(
    id="wattproof/param@1.0.0",
    aliases=("wattproof/param@1", "wattproof/param", "param"),
    title="Parametric model of served inference",
    summary="Energy per token from active parameters, weights and batch; prefill, host, idle and PUE on top.",
    formula=_FORMULA,
    interval="credible90",
    tier="parametric",
    indicators=("energy_wh", "carbon_gco2e"),
    workloads=(Workload.CHAT, Workload.EMBEDDING, Workload.RERANK),
    sources=(
        "ML.ENERGY leaderboard, snapshot 2026-02-27 (486 configurations, 19 model families), our regression",
        "Google, Measuring the environmental impact of delivering AI at Google scale (2025): host and idle shares",
        "EcoLogits 0.11.3: parameters of undisclosed models",
    ),
    not_covered=(
        "training and fine-tuning",
        "manufacture of the hardware",
        "network and the user's device",
        "water and resource depletion",
        "attention cost of contexts beyond about 10,000 tokens",
        "the hour of the day: an annual grid average has a wider error than the one stated",
    ),
    operand_units=OPERAND_UNITS,
    factor_scopes=_FACTOR_SCOPES,
    assumed=assumed,
    constants=constants,
    variables=token_operands,
    prepare=_prepare,
)

_REASONS = MappingProxyType(PARAM.undefined("carbon_market_gco2e", "water_ml", "adpe_kgsbeq"))
