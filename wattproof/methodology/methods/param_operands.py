"""The operands of `wattproof/param@1.0.0` and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType

from wattproof.methodology.data import read_edition
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import Constants, factor_operand
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Operand, Workload

__all__ = ["OPERAND_UNITS", "assumed", "constants"]

OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
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

_FITTED_HARDWARE = (None, "H100", "B200")


def constants(activity: Activity) -> Constants:
    """The operands that the deployment fixes: model, fit, batch, PUE, hardware, grid and our assumptions."""
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
            *(_assumption(name) for name in assumptions),
            _operand("generates", float(workload is Workload.CHAT), "workload"),
            _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
            _operand("sigma_ln_intensity", intensity.sigma_ln, intensity.source_id),
        )
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, OPERAND_UNITS[name], source_id)


def _assumption(name: str, factor: str | None = None) -> Operand:
    return factor_operand(name, OPERAND_UNITS[name], factor)


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
        return _assumption("pue"), _assumption("sigma_ln_pue", "sigma_ln_pue_assumed")
    return _operand("pue", pue, pue_source or "caller"), _assumption("sigma_ln_pue", "sigma_ln_pue_stated")


def _batch_operands(batch: float | None) -> tuple[Operand, ...]:
    if batch is None:
        return _assumption("batch"), _assumption("sigma_ln_batch")
    return _operand("batch", batch, "caller"), _operand("sigma_ln_batch", 0.0, "caller")


def _hardware_operands(hardware: str | None) -> tuple[Operand, ...]:
    is_b200 = _operand("is_b200", float(hardware == "B200"), "deployment")
    if hardware in _FITTED_HARDWARE:
        return is_b200, _operand("sigma_ln_hardware", 0.0, "deployment")
    return is_b200, _assumption("sigma_ln_hardware", "sigma_ln_other_hardware")


def assumed(activity: Activity) -> tuple[str, ...]:
    """The inputs of the method that nobody supplied for this activity."""
    model = activity.model
    missing = {
        "batch": activity.batch is None,
        "weights": not model.open_weights,
        "precision": model.open_weights and model.bytes_per_param.sigma_ln > 0,
        "pue": activity.pue is None,
    }
    return tuple(name for name, is_missing in missing.items() if is_missing)
