"""`wattproof/cpu-time@1.0.0`: CPU seconds of a local model's process times an assumed power per thread.

The seconds are measured after a run (tier `modelled`) and predicted from tokens before it (tier `parametric`); the
watts are assumed either way, so the interval is wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import (
    Constants,
    FactorScope,
    Method,
    Prepared,
    factor_operand,
    token_operands,
)
from wattproof.methodology.propagate import combine
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Term, Workload

__all__ = ["CPU_TIME"]

_FORMULA = """\
seconds = cpu_seconds                                                            where cpu_measured = 1
        = cpu_s_per_input_token (input_tokens - cached_input_tokens)
          + cpu_s_per_output_token output_tokens                                 where cpu_measured = 0  [s]
energy  = seconds watts_per_thread / 3600          (narrow)
        = seconds watts_per_thread / 3600 pue      (comprehensive)               [Wh]
carbon  = energy intensity_gco2e_per_kwh / 1000                                  [gCO2e, location-based]
Log-normal: sigma_ln_watts_per_thread; where the seconds are predicted also sigma_ln_cpu_s; carbon also
sigma_ln_intensity. Independent factors: the variances of the logarithm add up."""

_FACTOR_SCOPES: Mapping[str, FactorScope] = MappingProxyType(
    {"cpu_seconds": "provider", "grid": "zone", "watts": "provider"}
)

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "cached_input_tokens": "token",
        "cpu_measured": "1",
        "cpu_s_per_input_token": "s/token",
        "cpu_s_per_output_token": "s/token",
        "cpu_seconds": "s",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "output_tokens": "token",
        "pue": "1",
        "sigma_ln_cpu_s": "sd of ln",
        "sigma_ln_intensity": "sd of ln",
        "sigma_ln_watts_per_thread": "sd of ln",
        "watts_per_thread": "W",
    }
)


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    """The formula for one machine: `c` holds its constants, `n` the numbers of one request."""
    pue = c["pue"] if boundary == "comprehensive" else 1.0
    wh_per_cpu_s = c["watts_per_thread"] / 3600 * pue
    intensity_gco2e_per_wh = c["intensity_gco2e_per_kwh"] / 1000
    watts, grid = ("watts", c["sigma_ln_watts_per_thread"]), ("grid", c["sigma_ln_intensity"])
    predicted = ("cpu_seconds", c["sigma_ln_cpu_s"])

    def footprint(n: Mapping[str, float]) -> Footprint:
        fresh_input_tokens = n["input_tokens"] - n["cached_input_tokens"]
        if min(fresh_input_tokens, n["cached_input_tokens"], n["output_tokens"], n["cpu_seconds"]) < 0:
            raise InvalidInput("input_tokens", "gives a negative count", "cached input is a part of input")
        measured = n["cpu_measured"] == 1
        cpu_s = (
            n["cpu_seconds"]
            if measured
            else c["cpu_s_per_input_token"] * fresh_input_tokens + c["cpu_s_per_output_token"] * n["output_tokens"]
        )
        wh = cpu_s * wh_per_cpu_s
        energy_terms = (Term("cpu", wh, (watts,) if measured else (predicted, watts)),)
        carbon_terms = (
            Term("cpu", wh * intensity_gco2e_per_wh, (grid, watts) if measured else (predicted, grid, watts)),
        )
        return Footprint(
            method_id=CPU_TIME.id,
            interval="credible90",
            tier="modelled" if measured else "parametric",
            boundary=boundary,
            energy_wh=combine(energy_terms),
            carbon_gco2e=combine(carbon_terms),
            reasons=_REASONS,
            energy_terms=energy_terms,
            carbon_terms=carbon_terms,
        )

    return footprint


def _constants(activity: Activity) -> Constants:
    return _machine_constants(activity.intensity, activity.pue, activity.pue_source)


@lru_cache(maxsize=1024)
def _machine_constants(intensity: Intensity, pue: float | None, pue_source: str | None) -> Constants:
    factors = (
        "cpu_s_per_input_token",
        "cpu_s_per_output_token",
        "sigma_ln_cpu_s",
        "sigma_ln_watts_per_thread",
        "watts_per_thread",
    )
    return Constants.of(
        (
            *(factor_operand(name, _OPERAND_UNITS[name]) for name in factors),
            _operand("pue", 1.0, "local machine") if pue is None else _operand("pue", pue, pue_source or "caller"),
            _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
            _operand("sigma_ln_intensity", intensity.sigma_ln, intensity.source_id),
        )
    )


def _variables(activity: Activity) -> tuple[Operand, ...]:
    measured = activity.cpu_measured
    seconds = activity.cpu_seconds or 0.0 if measured else 0.0
    return (
        *token_operands(activity),
        _operand("cpu_measured", float(measured), "cpu-time"),
        _operand("cpu_seconds", seconds, "process CPU time" if measured else "not measured"),
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, _OPERAND_UNITS[name], source_id)


def _assumed(activity: Activity) -> tuple[str, ...]:
    return ("watts_per_thread",) if activity.cpu_measured else ("cpu_seconds", "watts_per_thread")


CPU_TIME = Method(
    id="wattproof/cpu-time@1.0.0",
    aliases=("wattproof/cpu-time@1", "wattproof/cpu-time", "cpu-time"),
    title="CPU time of a local model",
    summary="CPU seconds of the model's process x an assumed 4 W per busy thread; wide, because the watts are assumed.",
    formula=_FORMULA,
    interval="credible90",
    tier="modelled",
    indicators=("energy_wh", "carbon_gco2e"),
    workloads=(Workload.CHAT, Workload.EMBEDDING),
    sources=(
        "CodeCarbon 3.3.2: 4 W per hardware thread",
        "our timing of SmolLM2-135M under llama.cpp: CPU seconds per token, used only before a run",
    ),
    not_covered=(
        "memory, mainboard, power supply losses, screen",
        "idle power of the machine",
        "manufacture of the hardware",
        "water and resource depletion",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=_FACTOR_SCOPES,
    assumed=_assumed,
    constants=_constants,
    variables=_variables,
    prepare=_prepare,
)

_REASONS = MappingProxyType(
    CPU_TIME.undefined(
        "carbon_market_gco2e",
        "carbon_embodied_gco2e",
        "water_ml",
        "water_onsite_ml",
        "water_offsite_ml",
        "adpe_kgsbeq",
    )
)
