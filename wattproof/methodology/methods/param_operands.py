"""The operands of `wattproof/param@1.0.0` and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.hardware import find_accelerator
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.impact_operands import (
    IMPACT_UNITS,
    grid_operands,
    manufacture_operands,
    market_operands,
    mix_operands,
    pue_operands,
    water_operands,
)
from wattproof.methodology.methods.method import Constants, factor_operand
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Operand, Workload

__all__ = ["ACCELERATOR_UNITS", "OPERAND_UNITS", "Deployed", "accelerator_operands", "assumed", "constants", "deployed"]

ACCELERATOR_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "active_params_b": "1e9 parameters",
        "attention_free_tokens": "token",
        "attention_wh_per_token2_b": "Wh/token^2/(1e9 active parameters)^(2/3)",
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
        "is_b200": "1",
        "is_long_reasoning": "1",
        "longest_prompt_tokens": "token",
        "output_tokens": "token",
        "prefill_wh_per_token_b": "Wh/token/1e9 active parameters",
        "sigma_ln_active_params": "sd of ln",
        "sigma_ln_attention": "sd of ln",
        "sigma_ln_batch": "sd of ln",
        "sigma_ln_cached_input": "sd of ln",
        "sigma_ln_fit": "sd of ln",
        "sigma_ln_hardware": "sd of ln",
        "sigma_ln_prefill": "sd of ln",
        "sigma_ln_weights": "sd of ln",
        "total_params_b": "1e9 parameters",
    }
)

OPERAND_UNITS: Mapping[str, str] = MappingProxyType({**ACCELERATOR_UNITS, **IMPACT_UNITS})

_ASSUMPTIONS = (
    "attention_free_tokens",
    "attention_wh_per_token2_b",
    "cached_input_ratio",
    "longest_prompt_tokens",
    "prefill_wh_per_token_b",
    "sigma_ln_attention",
    "sigma_ln_cached_input",
    "sigma_ln_prefill",
)


class Deployed(NamedTuple):
    """What of an activity does not change between two requests to the same deployment."""

    model: Model
    intensity: Intensity
    workload: Workload
    pue: float | None
    pue_source: str | None
    batch: float | None
    batch_api: bool
    weight_bytes_per_param: float | None
    hardware: str | None
    wue_onsite_l_per_kwh: float | None
    wue_offsite_l_per_kwh: float | None
    wue_source: str | None
    market_gco2e_per_kwh: float | None
    instrument_id: str | None
    mix_adpe_kgsbeq_per_kwh: float | None


_fields = attrgetter(*Deployed._fields)


def deployed(activity: Activity) -> Deployed:
    """The deployment of an activity."""
    return Deployed(*_fields(activity))


def constants(activity: Activity) -> Constants:
    """The operands that the deployment fixes: model, fit, batch, PUE, hardware, grid and our assumptions."""
    return _deployment_constants(deployed(activity))


@lru_cache(maxsize=4096)
def _deployment_constants(d: Deployed) -> Constants:
    return Constants.of(
        (
            *accelerator_operands(d),
            *pue_operands(d.pue, d.pue_source),
            *(factor_operand(name, OPERAND_UNITS[name]) for name in ("overhead_ratio", "sigma_ln_overhead")),
            *grid_operands(d.intensity),
            *market_operands(d.market_gco2e_per_kwh, d.instrument_id),
            *mix_operands(d.mix_adpe_kgsbeq_per_kwh),
            *water_operands(d.wue_onsite_l_per_kwh, d.wue_offsite_l_per_kwh, d.wue_source),
            *manufacture_operands(d.hardware),
        )
    )


def accelerator_operands(d: Deployed) -> tuple[Operand, ...]:
    """What the energy of the accelerators rests on, but for the tokens."""
    return (
        *_fit_operands(),
        *_model_operands(d.model, d.weight_bytes_per_param),
        *_batch_operands(d.batch, d.batch_api),
        *_hardware_operands(d.hardware),
        *(_assumption(name) for name in _ASSUMPTIONS),
        _operand("generates", float(d.workload is Workload.CHAT), "workload"),
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, ACCELERATOR_UNITS[name], source_id)


def _assumption(name: str, factor: str | None = None) -> Operand:
    return factor_operand(name, ACCELERATOR_UNITS[name], factor)


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


def _model_operands(model: Model, weight_bytes_per_param: float | None) -> tuple[Operand, ...]:
    return (
        _operand("active_params_b", model.active_b.median, model.source_id),
        _operand("total_params_b", model.total_b.median, model.source_id),
        *_weight_operands(model, weight_bytes_per_param),
        _operand("sigma_ln_active_params", model.active_b.sigma_ln, model.source_id),
        _operand("is_long_reasoning", float(model.reasoning), model.source_id),
    )


def _weight_operands(model: Model, weight_bytes_per_param: float | None) -> tuple[Operand, ...]:
    """Precision and spread of the weights: a stated precision narrows it only where the parameters are published."""
    if weight_bytes_per_param is None:
        return (
            _operand("bytes_per_param", model.bytes_per_param.median, model.source_id),
            _operand("sigma_ln_weights", model.sigma_ln_weights, model.source_id),
        )
    sigma_ln = model.total_b.sigma_ln if model.open_weights else model.sigma_ln_weights
    return (
        _operand("bytes_per_param", weight_bytes_per_param, "caller"),
        _operand("sigma_ln_weights", sigma_ln, model.source_id),
    )


def _batch_operands(batch: float | None, batch_api: bool) -> tuple[Operand, ...]:
    if batch is not None:
        return _operand("batch", batch, "caller"), _operand("sigma_ln_batch", 0.0, "caller")
    return _assumption("batch", "batch_api_batch" if batch_api else None), _assumption("sigma_ln_batch")


def _hardware_operands(hardware: str | None) -> tuple[Operand, ...]:
    """Outside the accelerators that the regression was metered on, the spread is wider."""
    row = None if hardware is None else find_accelerator(hardware)
    is_b200 = _operand("is_b200", float(row is not None and row.id == "B200"), "deployment")
    if hardware is None or (row is not None and row.in_energy_fit):
        return is_b200, _operand("sigma_ln_hardware", 0.0, "deployment")
    return is_b200, _assumption("sigma_ln_hardware", "sigma_ln_other_hardware")


def assumed(activity: Activity) -> tuple[str, ...]:
    """The inputs of the method that nobody supplied for this activity."""
    model = activity.model
    missing = {
        "batch": activity.batch is None,
        "weights": not model.open_weights,
        "precision": model.open_weights
        and model.bytes_per_param.sigma_ln > 0
        and activity.weight_bytes_per_param is None,
        "pue": activity.pue is None,
    }
    return tuple(name for name, is_missing in missing.items() if is_missing)
