"""`ecologits/llm@0.4.0`: the chain of EcoLogits 0.4.0, which other products still quote.

Source: EcoLogits 0.4.0 methodology (CC BY-SA 4.0); constants of `ecologits/impacts/llm.py` (MPL-2.0), in the edition's
file `ecologits/llm_0.4.0.json`. Models are found by their exact id: the release itself takes the first row whose name
is a part of the request, so that it computes gpt-4o as gpt-4. Primary energy is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from math import ceil
from types import MappingProxyType
from typing import Literal

from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.ecologits import (
    NO_MIX_FACTOR,
    OUTSIDE_NARROW,
    Chain,
    Impacts,
    constant_operands,
    electricity,
    electricity_operands,
    model_operands,
    prepared,
    request_operands,
    require_sane,
    use_and_manufacture,
)
from wattproof.methodology.methods.ecologits_registry import registered, registry_caveats
from wattproof.methodology.methods.method import Constants, Method, Prepared
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Boundary, Workload

__all__ = ["ECOLOGITS_V0_4"]

_RELEASE = "ecologits/llm_0.4.0.json"
_REGISTRY = "ecologits/models_0.4.0.json"
_RANGED = ("active_params_b", "total_params_b")

_FORMULA = """\
At the lower (min) and the upper (max) end of active_params_b and total_params_b:
E_gpu  = output_tokens (gpu_energy_alpha active_params_b + gpu_energy_beta)                       [kWh per GPU]
dT     = min(output_tokens (latency_alpha active_params_b + latency_beta), latency_s)
         no minimum where latency_s is unknown                                                    [s]
M      = memory_overhead_ratio total_params_b quantization_bits / 8                               [GB]
G      = ceil(M / gpu_memory_gb)                                                                  [GPUs]
E_srv  = dT / 3600 server_power_kw G / server_gpus                                                [kWh]
energy = pue (E_srv + G E_gpu)                                                                    [kWh]
share  = dT / lifetime_s
embodied = share (G / server_gpus server_embodied_kgco2e + G gpu_embodied_kgco2e)                 [kgCO2e]
carbon = energy intensity_gco2e_per_kwh / 1000 + embodied                                         [kgCO2e]
adpe   = energy mix_adpe_kgsbeq_per_kwh
         + share (G / server_gpus server_embodied_kgsbeq + G gpu_embodied_kgsbeq)                 [kg Sb eq]
low    = min: active_params_b_min, total_params_b_min
high   = max: active_params_b_max, total_params_b_max
median = (low + high) / 2; where every min equals its max, one value and no range
narrow: energy = G E_gpu, and carbon and adpe of that electricity alone
adpe needs mix_adpe_kgsbeq_per_kwh and is null without it. input_tokens and cached_input_tokens cost nothing."""

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "active_params_b_max": "1e9 parameters",
        "active_params_b_min": "1e9 parameters",
        "cached_input_tokens": "token",
        "gpu_embodied_kgco2e": "kgCO2e",
        "gpu_embodied_kgsbeq": "kg Sb eq",
        "gpu_energy_alpha": "kWh/token/1e9 active parameters",
        "gpu_energy_beta": "kWh/token",
        "gpu_memory_gb": "GB",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "latency_alpha": "s/token/1e9 active parameters",
        "latency_beta": "s/token",
        "latency_s": "s",
        "lifetime_s": "s",
        "memory_overhead_ratio": "1",
        "mix_adpe_kgsbeq_per_kwh": "kg Sb eq/kWh",
        "output_tokens": "token",
        "pue": "1",
        "quantization_bits": "bit/parameter",
        "server_embodied_kgco2e": "kgCO2e",
        "server_embodied_kgsbeq": "kg Sb eq",
        "server_gpus": "GPU",
        "server_power_kw": "kW",
        "total_params_b_max": "1e9 parameters",
        "total_params_b_min": "1e9 parameters",
    }
)


def _chain(c: Mapping[str, float], end: Literal["min", "max"], boundary: Boundary) -> Chain:
    """The formula at one end of the ranges; what no request changes is worked out once."""
    active_b, total_b = (c[f"{name}_{end}"] for name in _RANGED)
    gpu_kwh_per_token = c["gpu_energy_alpha"] * active_b + c["gpu_energy_beta"]
    s_per_token = c["latency_alpha"] * active_b + c["latency_beta"]
    memory_gb = c["memory_overhead_ratio"] * total_b * c["quantization_bits"] / 8
    gpus = ceil(memory_gb / c["gpu_memory_gb"])

    def narrow(tokens: TokenCounts, latency_s: float) -> Impacts:
        return electricity(c, gpus * tokens.output * gpu_kwh_per_token)

    def comprehensive(tokens: TokenCounts, latency_s: float) -> Impacts:
        gpu_kwh = tokens.output * gpu_kwh_per_token
        generation_s = min(tokens.output * s_per_token, latency_s)
        server_kwh = generation_s / 3600 * c["server_power_kw"] * (gpus / c["server_gpus"])
        energy_kwh = c["pue"] * (server_kwh + gpus * gpu_kwh)
        return use_and_manufacture(c, energy_kwh, gpus, generation_s / c["lifetime_s"])

    return comprehensive if boundary == "comprehensive" else narrow


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    require_sane(c, _RANGED)
    return prepared(
        ECOLOGITS_V0_4,
        boundary,
        _chain(c, "min", boundary),
        _chain(c, "max", boundary),
        is_range=any(c[f"{name}_min"] != c[f"{name}_max"] for name in _RANGED),
        reasons=_reasons("mix_adpe_kgsbeq_per_kwh" in c, boundary),
    )


@cache
def _reasons(mix_adpe_known: bool, boundary: Boundary) -> Mapping[str, str]:
    reasons = ECOLOGITS_V0_4.undefined("carbon_market_gco2e", "water_ml", "water_onsite_ml", "water_offsite_ml")
    if not mix_adpe_known:
        reasons["adpe_kgsbeq"] = NO_MIX_FACTOR
    if boundary == "narrow":
        reasons["carbon_embodied_gco2e"] = OUTSIDE_NARROW
    return MappingProxyType(reasons)


def _constants(activity: Activity) -> Constants:
    return _deployment_constants(activity.model, activity.intensity, activity.mix_adpe_kgsbeq_per_kwh)


@lru_cache(maxsize=1024)
def _deployment_constants(model: Model, intensity: Intensity, mix_adpe_kgsbeq_per_kwh: float | None) -> Constants:
    return Constants.of(
        (
            *constant_operands(_RELEASE),
            *model_operands(registered(_REGISTRY, model)),
            *electricity_operands(intensity, mix_adpe_kgsbeq_per_kwh),
        )
    )


def _assumed(activity: Activity) -> tuple[str, ...]:
    return () if activity.model.open_weights else ("weights",)


def _caveats(activity: Activity) -> tuple[str, ...]:
    return registry_caveats(registered(_REGISTRY, activity.model), activity.model)


ECOLOGITS_V0_4 = Method(
    id="ecologits/llm@0.4.0",
    aliases=("ecologits/llm@0.4",),
    title="EcoLogits 0.4.0",
    summary="Energy of an A100 deployment without batching, 4-bit weights, PUE 1.2; a minimum and maximum.",
    formula=_FORMULA,
    interval="range",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e", "carbon_embodied_gco2e", "adpe_kgsbeq"),
    workloads=(Workload.CHAT,),
    sources=("EcoLogits 0.4.0 (https://github.com/mlco2/ecologits, 2024-08): constants, model registry",),
    not_covered=(
        "input, cached input and embeddings: only output tokens cost energy",
        "requests that share a GPU: every request has its GPUs to itself, so figures are 10 to 100 times above today's",
        "the deployment's own PUE: 1.2 is a constant of the method",
        "EcoLogits' own electricity mixes: carbon intensity is this edition's, resource depletion the caller's",
        "water, primary energy",
        "training, network and the user's device",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=MappingProxyType({}),
    assumed=_assumed,
    constants=_constants,
    variables=request_operands,
    prepare=_prepare,
    caveats=_caveats,
    embodied_included=True,
    optional_operands=(frozenset({"latency_s"}), frozenset({"mix_adpe_kgsbeq_per_kwh"})),
)
