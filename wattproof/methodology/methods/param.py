"""`wattproof/param@1.0.0`: energy from the size of the model, the tokens and what is known of the deployment.

The decode term is our regression on published GPU energy per output token (edition file `energy_fit.json`); the prefill
term counts floating-point operations; host, idle and PUE turn accelerator energy into energy at the wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from math import exp, log
from operator import itemgetter
from types import MappingProxyType

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import Constants, FactorScope, Method, factor_operand, token_operands
from wattproof.methodology.models import Model
from wattproof.methodology.propagate import Loadings, match
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Term, Workload

__all__ = ["PARAM"]

_FORMULA = """\
decode  = exp(fit_const + fit_ln_active_params ln(active_params_b) + fit_ln_weights ln(total_params_b bytes_per_param)
              + fit_ln_batch ln(batch) + fit_b200 is_b200 + fit_long_reasoning is_long_reasoning)     [Wh/output token]
prefill = prefill_wh_per_token_b active_params_b                                                      [Wh/input token]
accelerator = decode generates output_tokens
            + prefill (input_tokens - cached_input_tokens) + prefill cached_input_ratio cached_input_tokens  [Wh]
energy = accelerator                            (narrow)
       = accelerator overhead_ratio pue         (comprehensive)
carbon = energy intensity_gco2e_per_kwh / 1000  [gCO2e, location-based]
Each term is log-normal; its loadings are sigmas times coefficients; sums are matched after Fenton-Wilkinson."""

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

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "active_params_b": "1e9 parameters",
        "batch": "requests",
        "bytes_per_param": "byte/parameter",
        "cached_input_ratio": "1",
        "cached_input_tokens": "token",
        "fit_b200": "1",
        "fit_const": "ln(Wh/token)",
        "fit_ln_active_params": "1",
        "fit_ln_batch": "1",
        "fit_ln_weights": "1",
        "fit_long_reasoning": "1",
        "generates": "1",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "is_b200": "1",
        "is_long_reasoning": "1",
        "output_tokens": "token",
        "overhead_ratio": "1",
        "prefill_wh_per_token_b": "Wh/token/1e9 active parameters",
        "pue": "1",
        "sigma_ln_active_params": "sd of ln",
        "sigma_ln_batch": "sd of ln",
        "sigma_ln_cached_input": "sd of ln",
        "sigma_ln_fit": "sd of ln",
        "sigma_ln_hardware": "sd of ln",
        "sigma_ln_intensity": "sd of ln",
        "sigma_ln_overhead": "sd of ln",
        "sigma_ln_prefill": "sd of ln",
        "sigma_ln_pue": "sd of ln",
        "sigma_ln_weights": "sd of ln",
        "total_params_b": "1e9 parameters",
    }
)

_sigmas = itemgetter(
    "fit_ln_active_params",
    "fit_ln_weights",
    "fit_ln_batch",
    "sigma_ln_active_params",
    "sigma_ln_batch",
    "sigma_ln_cached_input",
    "sigma_ln_fit",
    "sigma_ln_hardware",
    "sigma_ln_intensity",
    "sigma_ln_overhead",
    "sigma_ln_prefill",
    "sigma_ln_pue",
    "sigma_ln_weights",
)

_FITTED_HARDWARE = (None, "H100", "B200")


def _evaluate(n: Mapping[str, float], boundary: Boundary) -> Footprint:
    fresh_input_tokens = n["input_tokens"] - n["cached_input_tokens"]
    if fresh_input_tokens < 0 or n["cached_input_tokens"] < 0 or n["output_tokens"] < 0:
        raise InvalidInput("input_tokens", "gives a negative count", "cached input is a part of input")

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
    intensity_gco2e_per_wh = n["intensity_gco2e_per_kwh"] / 1000

    terms_wh = [
        ("decode", wall * decode_wh_per_token * n["generates"] * n["output_tokens"]),
        ("prefill", wall * prefill_wh_per_token * fresh_input_tokens),
        ("cached", wall * prefill_wh_per_token * n["cached_input_ratio"] * n["cached_input_tokens"]),
    ]
    loadings = _loadings(boundary, *_sigmas(n))
    energy_terms = tuple([Term(name, wh, loadings[name][0]) for name, wh in terms_wh if wh])
    carbon_terms = tuple([Term(name, wh * intensity_gco2e_per_wh, loadings[name][1]) for name, wh in terms_wh if wh])
    energy_wh = match(energy_terms)
    carbon_gco2e = energy_wh.times(intensity_gco2e_per_wh, n["sigma_ln_intensity"])
    return Footprint(
        method_id=PARAM.id,
        interval="credible90",
        tier="parametric",
        boundary=boundary,
        energy_wh=energy_wh.quantity(),
        carbon_gco2e=carbon_gco2e.quantity(),
        reasons=_REASONS,
        energy_terms=energy_terms,
        carbon_terms=carbon_terms,
    )


@lru_cache(maxsize=4096)
def _loadings(
    boundary: Boundary,
    fit_ln_active_params: float,
    fit_ln_weights: float,
    fit_ln_batch: float,
    active_params: float,
    batch: float,
    cached_input: float,
    fit: float,
    hardware: float,
    grid: float,
    overhead: float,
    prefill: float,
    pue: float,
    weights: float,
) -> dict[str, tuple[Loadings, Loadings]]:
    """Per term, how far each factor moves the logarithm of its energy, and of its carbon."""
    wall = {"overhead": overhead, "pue": pue} if boundary == "comprehensive" else {}
    per_term = {
        "decode": {
            "active_params": fit_ln_active_params * active_params,
            "batch": fit_ln_batch * batch,
            "fit": fit,
            "hardware": hardware,
            "weights": fit_ln_weights * weights,
        },
        "prefill": {"active_params": active_params, "hardware": hardware, "prefill": prefill},
        "cached": {
            "active_params": active_params,
            "cached_input": cached_input,
            "hardware": hardware,
            "prefill": prefill,
        },
    }
    return {
        name: (_sorted({**factors, **wall}), _sorted({**factors, **wall, "grid": grid}))
        for name, factors in per_term.items()
    }


def _sorted(factors: Mapping[str, float]) -> Loadings:
    return tuple(sorted((factor, sigma) for factor, sigma in factors.items() if sigma))


def _constants(activity: Activity) -> Constants:
    a = activity
    return _deployment_constants(a.model, a.intensity, a.workload, a.pue, a.pue_source, a.batch, a.hardware)


@lru_cache(maxsize=4096)
def _deployment_constants(
    model: Model,
    intensity: Intensity,
    workload: Workload,
    pue: float | None,
    pue_source: str | None,
    batch: float | None,
    hardware: str | None,
) -> Constants:
    assumptions = (
        "cached_input_ratio",
        "overhead_ratio",
        "prefill_wh_per_token_b",
        "sigma_ln_cached_input",
        "sigma_ln_overhead",
        "sigma_ln_prefill",
    )
    return Constants.of(
        (
            *_fit_operands(),
            *_model_operands(model),
            *_pue_operands(pue, pue_source),
            *_batch_operands(batch),
            *_hardware_operands(hardware),
            *(factor_operand(name, _OPERAND_UNITS[name]) for name in assumptions),
            _operand("generates", float(workload is Workload.CHAT), "workload"),
            _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
            _operand("sigma_ln_intensity", intensity.sigma_ln, intensity.source_id),
        )
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, _OPERAND_UNITS[name], source_id)


def _assumption(name: str, factor: str) -> Operand:
    table = read_edition("wattproof/factors.json")
    return _operand(name, table["factors"][factor]["value"], table["source_id"])


@cache
def _fit_operands() -> tuple[Operand, ...]:
    fit = read_edition("wattproof/energy_fit.json")
    source_id, coefficients = fit["source_id"], fit["coefficients"]
    return (
        _operand("fit_const", coefficients["const"], source_id),
        _operand("fit_ln_active_params", coefficients["ln_active_params_b"], source_id),
        _operand("fit_ln_weights", coefficients["ln_weights_gb"], source_id),
        _operand("fit_ln_batch", coefficients["ln_batch"], source_id),
        _operand("fit_b200", coefficients["b200"], source_id),
        _operand("fit_long_reasoning", coefficients["long_reasoning"], source_id),
        _operand("sigma_ln_fit", fit["leave_one_family_out_sigma_ln"], source_id),
    )


def _model_operands(model: Model) -> tuple[Operand, ...]:
    return (
        _operand("active_params_b", model.active_b.median, model.source_id),
        _operand("total_params_b", model.total_b.median, model.source_id),
        _operand("bytes_per_param", model.bytes_per_param.median, model.source_id),
        _operand("sigma_ln_active_params", model.active_b.sigma_ln, model.source_id),
        _operand("sigma_ln_weights", model.sigma_ln_weights, model.source_id),
        _operand("is_long_reasoning", float(model.reasoning), model.source_id),
    )


def _pue_operands(pue: float | None, pue_source: str | None) -> tuple[Operand, ...]:
    if pue is None:
        return _assumption("pue", "pue"), _assumption("sigma_ln_pue", "sigma_ln_pue_assumed")
    return _operand("pue", pue, pue_source or "caller"), _assumption("sigma_ln_pue", "sigma_ln_pue_stated")


def _batch_operands(batch: float | None) -> tuple[Operand, ...]:
    if batch is None:
        return _assumption("batch", "batch"), _assumption("sigma_ln_batch", "sigma_ln_batch")
    return _operand("batch", batch, "caller"), _operand("sigma_ln_batch", 0.0, "caller")


def _hardware_operands(hardware: str | None) -> tuple[Operand, ...]:
    is_b200 = _operand("is_b200", float(hardware == "B200"), "deployment")
    if hardware in _FITTED_HARDWARE:
        return is_b200, _operand("sigma_ln_hardware", 0.0, "deployment")
    return is_b200, _assumption("sigma_ln_hardware", "sigma_ln_other_hardware")


def _assumed(activity: Activity) -> tuple[str, ...]:
    model = activity.model
    missing = {
        "batch": activity.batch is None,
        "weights": not model.open_weights,
        "precision": model.open_weights and model.bytes_per_param.sigma_ln > 0,
        "pue": activity.pue is None,
    }
    return tuple(name for name, is_missing in missing.items() if is_missing)


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
    operand_units=_OPERAND_UNITS,
    factor_scopes=_FACTOR_SCOPES,
    assumed=_assumed,
    constants=_constants,
    variables=token_operands,
    evaluate=_evaluate,
)

_REASONS = MappingProxyType(PARAM.undefined("carbon_market_gco2e", "water_ml", "adpe_kgsbeq"))
