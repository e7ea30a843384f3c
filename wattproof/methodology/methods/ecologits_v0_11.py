"""`ecologits/llm@0.11.3`: the chain of EcoLogits 0.11.3, restated from its methodology pages and constants.

Source: https://ecologits.ai/latest/methodology/llm_inference/ (CC BY-SA 4.0); constants of `ecologits/impacts/llm.py`
(MPL-2.0), in the edition's file `ecologits/llm_0.11.3.json`. Primary energy is left out: its meaning changed between
releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from math import ceil, exp, log2
from types import MappingProxyType
from typing import Literal, NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.ecologits import (
    NO_MIX_FACTOR,
    OUTSIDE_NARROW,
    Chain,
    Impacts,
    constant_operands,
    electricity,
    electricity_operands,
    ends_operands,
    model_operands,
    prepared,
    request_operands,
    require_sane,
    use_and_manufacture,
)
from wattproof.methodology.methods.ecologits_registry import Registered, registered, registry_caveats
from wattproof.methodology.methods.method import Constants, Method, Prepared
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Boundary, Operand, Workload

__all__ = ["ECOLOGITS_V0_11"]

_RELEASE = "ecologits/llm_0.11.3.json"
_REGISTRY = "ecologits/models.json"
_RANGED = ("active_params_b", "total_params_b", "pue", "wue_onsite_l_per_kwh")

_FORMULA = """\
At the lower (min) and the upper (max) end of active_params_b, total_params_b, pue and wue_onsite_l_per_kwh:
f_E    = gpu_energy_alpha exp(gpu_energy_beta batch) active_params_b + gpu_energy_gamma           [Wh/token and GPU]
E_gpu  = output_tokens f_E / 1000                                                                 [kWh per GPU]
lat    = 1 / tokens_per_s                                                            where tokens_per_s is known
       = latency_alpha active_params_b + latency_beta batch + latency_gamma          otherwise    [s/token]
dT     = min(output_tokens lat + first_token_s, latency_s)          no minimum where latency_s is unknown   [s]
M      = memory_overhead_ratio total_params_b quantization_bits / 8                               [GB]
G      = 2^ceil(log2(ceil(M / gpu_memory_gb)))                                                    [GPUs]
E_srv  = dT / 3600 server_power_kw G / server_gpus / batch                                        [kWh]
E_it   = E_srv + G E_gpu                                                                          [kWh]
energy = pue E_it                                                                                 [kWh]
share  = dT / (lifetime_s batch)
embodied = share (G / server_gpus server_embodied_kgco2e + G gpu_embodied_kgco2e)                 [kgCO2e]
carbon = energy intensity_gco2e_per_kwh / 1000 + embodied                                         [kgCO2e]
adpe   = energy mix_adpe_kgsbeq_per_kwh
         + share (G / server_gpus server_embodied_kgsbeq + G gpu_embodied_kgsbeq)                 [kg Sb eq]
water  = E_it wue_onsite_l_per_kwh + E_it pue wue_offsite_l_per_kwh                               [L]
low    = min: active_params_b_min, total_params_b_min, pue_min, wue_onsite_l_per_kwh_min
high   = max: active_params_b_max, total_params_b_max, pue_max, wue_onsite_l_per_kwh_max
median = (low + high) / 2; where every min equals its max, one value and no range
narrow: energy = G E_gpu, and carbon and adpe of that electricity alone
adpe needs mix_adpe_kgsbeq_per_kwh and off-site water wue_offsite_l_per_kwh; without them they are null.
input_tokens and cached_input_tokens cost nothing; only a request without any token has no first_token_s."""

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "active_params_b_max": "1e9 parameters",
        "active_params_b_min": "1e9 parameters",
        "batch": "requests",
        "cached_input_tokens": "token",
        "first_token_s": "s",
        "gpu_embodied_kgco2e": "kgCO2e",
        "gpu_embodied_kgsbeq": "kg Sb eq",
        "gpu_energy_alpha": "Wh/token/1e9 active parameters",
        "gpu_energy_beta": "1/request",
        "gpu_energy_gamma": "Wh/token",
        "gpu_memory_gb": "GB",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "latency_alpha": "s/token/1e9 active parameters",
        "latency_beta": "s/token/request",
        "latency_gamma": "s/token",
        "latency_s": "s",
        "lifetime_s": "s",
        "memory_overhead_ratio": "1",
        "mix_adpe_kgsbeq_per_kwh": "kg Sb eq/kWh",
        "output_tokens": "token",
        "pue_max": "1",
        "pue_min": "1",
        "quantization_bits": "bit/parameter",
        "server_embodied_kgco2e": "kgCO2e",
        "server_embodied_kgsbeq": "kg Sb eq",
        "server_gpus": "GPU",
        "server_power_kw": "kW",
        "tokens_per_s": "token/s",
        "total_params_b_max": "1e9 parameters",
        "total_params_b_min": "1e9 parameters",
        "wue_offsite_l_per_kwh": "L/kWh",
        "wue_onsite_l_per_kwh_max": "L/kWh",
        "wue_onsite_l_per_kwh_min": "L/kWh",
    }
)

_OPTIONAL_OPERANDS = tuple(
    frozenset({name}) for name in ("latency_s", "mix_adpe_kgsbeq_per_kwh", "tokens_per_s", "wue_offsite_l_per_kwh")
)


def _chain(c: Mapping[str, float], end: Literal["min", "max"], boundary: Boundary) -> Chain:
    """The formula at one end of the ranges; what no request changes is worked out once."""
    active_b, total_b, pue, wue_onsite = (c[f"{name}_{end}"] for name in _RANGED)
    batch, wue_offsite = c["batch"], c.get("wue_offsite_l_per_kwh")
    f_e = c["gpu_energy_alpha"] * exp(c["gpu_energy_beta"] * batch) * active_b + c["gpu_energy_gamma"]
    memory_gb = c["memory_overhead_ratio"] * total_b * c["quantization_bits"] / 8
    gpus = 2 ** ceil(log2(ceil(memory_gb / c["gpu_memory_gb"])))
    s_per_token = _s_per_token(c, active_b)

    def narrow(tokens: TokenCounts, latency_s: float) -> Impacts:
        return electricity(c, gpus * tokens.output * f_e / 1000)

    def comprehensive(tokens: TokenCounts, latency_s: float) -> Impacts:
        first_token_s = c["first_token_s"] if tokens.total else 0.0
        generation_s = min(tokens.output * s_per_token + first_token_s, latency_s)
        gpu_kwh = tokens.output * f_e / 1000
        server_kwh = generation_s / 3600 * c["server_power_kw"] * (gpus / c["server_gpus"]) / batch
        it_kwh = server_kwh + gpus * gpu_kwh
        share = generation_s / (c["lifetime_s"] * batch)
        return use_and_manufacture(c, pue * it_kwh, gpus, share)._replace(
            water_onsite_ml=it_kwh * wue_onsite * 1000,
            water_offsite_ml=None if wue_offsite is None else it_kwh * pue * wue_offsite * 1000,
        )

    return comprehensive if boundary == "comprehensive" else narrow


def _s_per_token(c: Mapping[str, float], active_b: float) -> float:
    if "tokens_per_s" in c:
        return 1 / c["tokens_per_s"]
    return c["latency_alpha"] * active_b + c["latency_beta"] * c["batch"] + c["latency_gamma"]


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    require_sane(c, _RANGED, may_be_negative="gpu_energy_beta")
    return prepared(
        ECOLOGITS_V0_11,
        boundary,
        _chain(c, "min", boundary),
        _chain(c, "max", boundary),
        is_range=any(c[f"{name}_min"] != c[f"{name}_max"] for name in _RANGED),
        reasons=_reasons("mix_adpe_kgsbeq_per_kwh" in c, "wue_offsite_l_per_kwh" in c, boundary),
    )


@cache
def _reasons(mix_adpe_known: bool, mix_water_known: bool, boundary: Boundary) -> Mapping[str, str]:
    reasons = ECOLOGITS_V0_11.undefined("carbon_market_gco2e")
    if not mix_adpe_known:
        reasons["adpe_kgsbeq"] = NO_MIX_FACTOR
    if boundary == "narrow":
        outside = ("carbon_embodied_gco2e", "water_ml", "water_onsite_ml", "water_offsite_ml")
        reasons |= dict.fromkeys(outside, OUTSIDE_NARROW)
    elif not mix_water_known:
        reasons |= dict.fromkeys(("water_ml", "water_offsite_ml"), NO_MIX_FACTOR)
    return MappingProxyType(reasons)


class _Facility(NamedTuple):
    """What the deployment states of its data centre."""

    pue: float | None
    pue_source: str | None
    wue_onsite_l_per_kwh: float | None
    wue_offsite_l_per_kwh: float | None
    wue_source: str | None


def _constants(activity: Activity) -> Constants:
    a = activity
    facility = _Facility(a.pue, a.pue_source, a.wue_onsite_l_per_kwh, a.wue_offsite_l_per_kwh, a.wue_source)
    return _deployment_constants(a.model, a.intensity, a.mix_adpe_kgsbeq_per_kwh, facility)


@lru_cache(maxsize=1024)
def _deployment_constants(
    model: Model, intensity: Intensity, mix_adpe_kgsbeq_per_kwh: float | None, facility: _Facility
) -> Constants:
    row = registered(_REGISTRY, model)
    return Constants.of(
        (
            *constant_operands(_RELEASE),
            *model_operands(row),
            *electricity_operands(intensity, mix_adpe_kgsbeq_per_kwh),
            *_facility_operands(facility, row.provider),
            *_speed_operands(row),
        )
    )


def _facility_operands(stated: _Facility, provider: str) -> Iterable[Operand]:
    """PUE and water per kWh: the deployment's own where they are stated, else EcoLogits' row of the provider."""
    release = read_edition(_RELEASE)
    row = release["facilities"].get(provider, release["facilities"][release["default_facility"]])
    for name, value, source in (
        ("pue", stated.pue, stated.pue_source),
        ("wue_onsite_l_per_kwh", stated.wue_onsite_l_per_kwh, stated.wue_source),
    ):
        unit = _OPERAND_UNITS[f"{name}_min"]
        if value is None:
            yield from ends_operands(name, row[name], unit, release["source_id"])
        else:
            yield from ends_operands(name, (value, value), unit, source or "caller")
    if stated.wue_offsite_l_per_kwh is not None:
        source = stated.wue_source or "caller"
        yield Operand.of("wue_offsite_l_per_kwh", stated.wue_offsite_l_per_kwh, "L/kWh", source)


def _speed_operands(row: Registered) -> Iterable[Operand]:
    yield Operand.of("first_token_s", row.first_token_s or 0.0, "s", row.source_id)
    if row.tokens_per_s is not None:
        yield Operand.of("tokens_per_s", row.tokens_per_s, "token/s", row.source_id)


def _assumed(activity: Activity) -> tuple[str, ...]:
    missing = {
        "weights": not activity.model.open_weights,
        "pue": activity.pue is None,
        "wue_onsite": activity.wue_onsite_l_per_kwh is None,
    }
    return tuple(name for name, is_missing in missing.items() if is_missing)


def _caveats(activity: Activity) -> tuple[str, ...]:
    return registry_caveats(registered(_REGISTRY, activity.model), activity.model)


ECOLOGITS_V0_11 = Method(
    id="ecologits/llm@0.11.3",
    aliases=("ecologits/llm@0.11", "ecologits/llm", "ecologits"),
    title="EcoLogits 0.11.3",
    summary="Energy of an H100 deployment at batch 64 from active parameters and output tokens; a minimum and maximum.",
    formula=_FORMULA,
    interval="range",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e", "carbon_embodied_gco2e", "water_ml", "adpe_kgsbeq"),
    workloads=(Workload.CHAT,),
    sources=(
        "EcoLogits 0.11.3 (https://github.com/mlco2/ecologits): constants, providers' PUE and WUE, model registry",
        "EcoLogits methodology, LLM inference (https://ecologits.ai/latest/methodology/llm_inference/)",
    ),
    not_covered=(
        "input, cached input and embeddings: only output tokens cost energy",
        "uncertainty of the regressions, batch and hardware: the range holds parameters, PUE and WUE only",
        "EcoLogits' own electricity mixes: carbon intensity is this edition's, the other factors are the caller's",
        "water of manufacturing, primary energy",
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
    optional_operands=_OPTIONAL_OPERANDS,
)
